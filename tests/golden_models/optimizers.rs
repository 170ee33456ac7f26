//! Cases of kind `optimizer`.
//!
//! Gradients are given. They are made by a loss that is the sum of the weights times the gradient,
//! so that each goes the whole way: lookup, backward, update.
//!
//! Only what the last step leaves is compared: in these cases `after/1`, `after/2`, ... all hold the
//! same numbers, those after the last step.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use emrys_loader::{Batch, Column};
use emrys_models::embeddings::{Combiner, EmbeddingFeature, EmbeddingTables, TableSpec};
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use safetensors::SafeTensors;

use crate::case::{Case, Golden, Outcome, Stop};
use crate::compare::{Tolerance, same, same_tensor};
use crate::network::on_device;

pub fn run(case: &Case) -> Option<Outcome> {
    if case.kind != "optimizer" {
        return None;
    }
    if case.name == "rowwise_adagrad_tables_in_one_step" {
        return Some(two_bags(case));
    }
    if case.text("gradient") == Some("sparse") {
        return sparse_optimizer(case).map(|optimizer| sparse(case, &optimizer));
    }
    let optimizer = dense_optimizer(case)?;
    Some(match case.tensors["weights/w"].shape.len() {
        1 => dense::<1>(case, &optimizer),
        _ => dense::<2>(case, &optimizer),
    })
}

fn setting(case: &Case, key: &str) -> f64 {
    case.float(key)
        .unwrap_or_else(|| panic!("the case has no `{key}`"))
}

fn sparse_optimizer(case: &Case) -> Option<SparseOptimizer> {
    let learning_rate = setting(case, "lr");
    let value = |key| setting(case, key);
    Some(match case.name.as_str() {
        "sgd" => SparseOptimizer::Sgd { learning_rate },
        "adagrad" => SparseOptimizer::Adagrad {
            learning_rate,
            initial_accumulator: value("initial_accumulator"),
            epsilon: value("epsilon"),
        },
        "rowwise_adagrad" | "rowwise_adagrad_tables_in_one_step" => {
            SparseOptimizer::RowWiseAdagrad {
                learning_rate,
                initial_accumulator: value("initial_accumulator"),
                epsilon: value("epsilon"),
            }
        }
        "lazy_adam" => SparseOptimizer::LazyAdam {
            learning_rate,
            beta1: value("beta1"),
            beta2: value("beta2"),
            epsilon: value("epsilon"),
        },
        _ => return None,
    })
}

fn dense_optimizer(case: &Case) -> Option<DenseOptimizer> {
    let learning_rate = setting(case, "lr");
    let value = |key| setting(case, key);
    Some(match case.name.as_str() {
        "sgd" => DenseOptimizer::Sgd {
            learning_rate,
            momentum: 0.0,
            nesterov: false,
        },
        "sgd_momentum" => DenseOptimizer::Sgd {
            learning_rate,
            momentum: value("momentum"),
            nesterov: false,
        },
        "adagrad" => DenseOptimizer::Adagrad {
            learning_rate,
            initial_accumulator: value("initial_accumulator"),
            epsilon: value("epsilon"),
        },
        "adam" => DenseOptimizer::Adam {
            learning_rate,
            beta1: value("beta1"),
            beta2: value("beta2"),
            epsilon: value("epsilon"),
        },
        _ => return None,
    })
}

fn dense<const D: usize>(case: &Case, config: &DenseOptimizer) -> Outcome {
    let device = Device::default().autodiff();
    let mut weights = Param::from_tensor(on_device::<D>(case.tensor("weights/w")?, &device));
    let mut optimizer = config.init();
    for step in 1..=steps(case) {
        let gradient = on_device::<D>(case.tensor(&format!("inputs/step{step}/grad"))?, &device);
        let loss = (weights.val() * gradient).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &weights);
        weights = optimizer.step(config.learning_rate(), weights, gradients);
    }
    let name = format!("after/{}/weights/w", steps(case));
    same_tensor(case, &name, weights.val(), Tolerance::Step)
}

fn steps(case: &Case) -> usize {
    setting(case, "steps") as usize
}

/// The case's table, looked up by these features.
fn table_of(case: &Case, features: Vec<EmbeddingFeature>) -> Result<EmbeddingTables, Stop> {
    let golden = case.tensor("weights/table")?;
    let spec = TableSpec::new("table", golden.shape[0], golden.shape[1]);
    let mut tables = EmbeddingTables::new(vec![spec], features, 0)?;
    tables.set_weights("table", &golden.f32())?;
    Ok(tables)
}

/// One step with the given gradients of what the features look up.
fn step(
    tables: &mut EmbeddingTables,
    columns: Vec<(&str, Column, &Golden)>,
    optimizer: &SparseOptimizer,
) -> Outcome {
    let device = Device::default().autodiff();
    let gradients: BTreeMap<&str, &Golden> = columns
        .iter()
        .map(|(name, _, gradient)| (*name, *gradient))
        .collect();
    let columns = columns.into_iter().map(|(name, column, _)| (name, column));
    let batch = Batch::new(columns)?.with_lookups(&tables.lookup_specs())?;
    let lookup = tables.gather(batch.plans(), &device)?;
    let mut loss = Tensor::<1>::zeros([1], &device);
    for (key, vectors) in lookup.iter() {
        loss = loss + (vectors.clone() * on_device::<2>(gradients[key], &device)).sum();
    }
    tables.apply(batch.plans(), &lookup, &mut loss.backward(), optimizer)?;
    Ok(())
}

fn sparse(case: &Case, optimizer: &SparseOptimizer) -> Outcome {
    let mut tables = table_of(case, vec![EmbeddingFeature::new("ids", "table")])?;
    for number in 1..=steps(case) {
        let ids = Column::from(case.tensor(&format!("inputs/step{number}/ids"))?.i64());
        let gradient = case.tensor(&format!("inputs/step{number}/grad"))?;
        step(&mut tables, vec![("ids", ids, gradient)], optimizer)?;
    }
    compare_table(case, &tables, steps(case), optimizer)
}

/// Compares weights and state after a step.
fn compare_table(
    case: &Case,
    tables: &EmbeddingTables,
    step: usize,
    optimizer: &SparseOptimizer,
) -> Outcome {
    let found: Vec<f64> = tables
        .weights("table")?
        .iter()
        .map(|w| f64::from(*w))
        .collect();
    same(
        case,
        &format!("after/{step}/weights/table"),
        &found,
        Tolerance::Step,
    )?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state.safetensors");
    tables.save_state(&path)?;
    let bytes = std::fs::read(&path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let prefix = format!("after/{step}/state/");
    for (name, _) in case.under(&prefix) {
        // Accumulators are kept without what they start from.
        let (slot, start) = match (name, optimizer) {
            (
                "accumulator",
                SparseOptimizer::Adagrad {
                    initial_accumulator,
                    ..
                },
            ) => ("sum_of_squares", *initial_accumulator),
            (
                "accumulator",
                SparseOptimizer::RowWiseAdagrad {
                    initial_accumulator,
                    ..
                },
            ) => ("sum_of_mean_squares", *initial_accumulator),
            (moment, _) => (moment, 0.0),
        };
        let tensor = file.tensor(&format!("table.{slot}"))?;
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let found: Vec<f64> = numbers
            .iter()
            .map(|bytes| start + f64::from(f32::from_le_bytes(*bytes)))
            .collect();
        same(case, &format!("{prefix}{name}"), &found, Tolerance::Step)?;
    }
    Ok(())
}

/// One table, looked up through a mean and a sum in one step.
fn two_bags(case: &Case) -> Outcome {
    let features = || {
        vec![
            EmbeddingFeature::new("mean", "table").with_combiner(Combiner::Mean),
            EmbeddingFeature::new("sum", "table").with_combiner(Combiner::Sum),
        ]
    };
    let column = |name: &str| -> Result<Column, Stop> {
        let values = case.tensor(&format!("inputs/{name}_bag__values"))?.i64();
        let offsets = case.tensor(&format!("inputs/{name}_bag__offsets"))?.i32();
        Ok(Column::ragged(values, offsets)?)
    };
    let columns = || -> Result<_, Stop> {
        Ok(vec![
            ("mean", column("mean")?, case.tensor("inputs/grad_mean")?),
            ("sum", column("sum")?, case.tensor("inputs/grad_sum")?),
        ])
    };

    // Gradient descent with rate 1 subtracts the summed gradient itself.
    let mut tables = table_of(case, features())?;
    step(
        &mut tables,
        columns()?,
        &SparseOptimizer::sgd().with_learning_rate(1.0),
    )?;
    let start = &case.tensor("weights/table")?.values;
    let after = tables.weights("table")?;
    let gradient: Vec<f64> = start
        .iter()
        .zip(after)
        .map(|(start, after)| start - f64::from(*after))
        .collect();
    same(case, "outputs/row_grad", &gradient, Tolerance::Gradient)?;

    let mut tables = table_of(case, features())?;
    let Some(optimizer) = sparse_optimizer(case) else {
        return Err(Stop::Fail("the case names no optimizer".to_owned()));
    };
    step(&mut tables, columns()?, &optimizer)?;
    compare_table(case, &tables, 1, &optimizer)
}
