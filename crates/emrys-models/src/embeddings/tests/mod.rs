//! Tests of the whole way of a row: declared, looked up, differentiated, updated, saved.

mod saving;
mod updates;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use emrys_loader::{Batch, Column};

use super::*;
use crate::optimizers::SparseOptimizer;

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn device() -> Device {
    Device::default().autodiff()
}

fn numbers(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec_as().unwrap()
}

/// The item table is used three times, in all ways; `city` has another width.
fn shop() -> (Vec<TableSpec>, Vec<EmbeddingFeature>) {
    let tables = vec![TableSpec::new("item", 20, 4), TableSpec::new("city", 5, 2)];
    let features = vec![
        EmbeddingFeature::new("item_id", "item"),
        EmbeddingFeature::new("history", "item").with_combiner(Combiner::Mean),
        EmbeddingFeature::new("city", "city"),
    ];
    (tables, features)
}

fn shop_batch(tables: &EmbeddingTables) -> Batch {
    let columns = [
        ("item_id", Column::from(vec![3_i64, 7, 3])),
        (
            "history",
            Column::lists([vec![7_i64, 7, 1], vec![], vec![0]]),
        ),
        ("city", Column::from(vec![4_i32, 0, 4])),
    ];
    Batch::new(columns)
        .unwrap()
        .with_lookups(&tables.lookup_specs())
        .unwrap()
}

/// One step on `sum(vectors * probe)`, whose gradient is the probe.
fn step_on(
    tables: &mut EmbeddingTables,
    batch: &Batch,
    probes: &BTreeMap<&str, Vec<f32>>,
    optimizer: &SparseOptimizer,
) -> Result<(), EmbeddingError> {
    let device = device();
    let lookup = tables.gather(batch.plans(), &device)?;
    let mut loss = Tensor::<1>::zeros([1], &device);
    for (key, vectors) in lookup.iter() {
        if let Some(probe) = probes.get(key) {
            let probe = TensorData::new(probe.clone(), vectors.dims());
            loss = loss + (vectors.clone() * Tensor::from_data(probe, &device)).sum();
        }
    }
    tables.apply(batch.plans(), &lookup, &mut loss.backward(), optimizer)
}

fn shop_probes() -> BTreeMap<&'static str, Vec<f32>> {
    let ramp = |count: u8| (0..count).map(|i| f32::from(i) * 0.1 - 0.5).collect();
    BTreeMap::from([
        ("item_id", ramp(12)),
        ("history", ramp(12)),
        ("city", ramp(6)),
    ])
}

#[test]
fn the_order_of_declaration_changes_nothing() -> TestResult {
    let (mut specs, features) = shop();
    let tables = EmbeddingTables::new(specs.clone(), features.clone(), 1)?;
    specs.reverse();
    let other = EmbeddingTables::new(specs, features, 1)?;
    assert_eq!(tables.weights("item")?, other.weights("item")?);
    assert_eq!(tables.lookup_specs(), other.lookup_specs());
    Ok(())
}

#[test]
fn models_without_tables_are_fine() -> TestResult {
    let mut tables = EmbeddingTables::new(vec![], vec![], 0)?;
    assert!(tables.lookup_specs().is_empty());
    let lookup = tables.gather(&[], &device())?;
    assert_eq!(lookup.iter().count(), 0);
    let mut gradients = Tensor::<1>::ones([1], &device()).require_grad().backward();
    tables.apply(&[], &lookup, &mut gradients, &SparseOptimizer::adagrad())?;
    Ok(())
}

#[test]
fn tables_of_one_width_are_stacked_unless_they_are_trained_differently() -> TestResult {
    let specs = vec![
        TableSpec::new("a", 3, 8),
        TableSpec::new("b", 4, 8),
        TableSpec::new("c", 5, 8).with_trainable(false),
        TableSpec::new("d", 6, 8).with_optimizer(SparseOptimizer::lazy_adam()),
        TableSpec::new("e", 7, 16),
    ];
    let features = ["a", "b", "c", "d", "e"].map(|name| EmbeddingFeature::new(name, name));
    let tables = EmbeddingTables::new(specs, features.to_vec(), 1)?;
    let groups: Vec<String> = tables
        .lookup_specs()
        .iter()
        .map(|spec| spec.group.clone())
        .collect();
    assert_eq!(groups, ["dim8", "dim8-frozen", "dim8-lazy_adam", "dim16"]);
    assert_eq!(tables.num_parameters(), 8 * (3 + 4 + 5 + 6) + 16 * 7);
    Ok(())
}

#[test]
fn a_lookup_gives_the_rows_and_combines_lists() -> TestResult {
    let (specs, mut features) = shop();
    features.push(
        EmbeddingFeature::new("history", "item")
            .with_key("sum")
            .with_combiner(Combiner::Sum),
    );
    features.push(
        EmbeddingFeature::new("history", "item")
            .with_key("root")
            .with_combiner(Combiner::SqrtN),
    );
    features.push(EmbeddingFeature::new("history", "item").with_key("each"));
    let tables = EmbeddingTables::new(specs, features, 1)?;
    let batch = shop_batch(&tables);
    let lookup = tables.gather(batch.plans(), &device())?;
    let get = |key: &str| numbers(lookup.get(key).unwrap());

    assert_eq!(get("item_id"), tables.rows("item", &[3, 7, 3])?);
    assert_eq!(get("city"), tables.rows("city", &[4, 0, 4])?);
    assert_eq!(get("each"), tables.rows("item", &[7, 7, 1, 0])?);

    let (seven, one, zero) = (
        tables.row("item", 7)?,
        tables.row("item", 1)?,
        tables.row("item", 0)?,
    );
    let sum: Vec<f32> = seven.iter().zip(one).map(|(a, b)| a + a + b).collect();
    let list = |scale: f32| {
        let first = sum.iter().map(|value| value * scale);
        first
            .chain([0.0; 4])
            .chain(zero.iter().copied())
            .collect::<Vec<f32>>()
    };
    assert_eq!(get("sum"), list(1.0));
    assert_eq!(get("history"), list(1.0 / 3.0));
    assert_eq!(get("root"), list(1.0 / 3.0_f32.sqrt()));
    Ok(())
}

#[test]
fn a_plan_of_some_columns_gives_those_features() -> TestResult {
    let (specs, mut features) = shop();
    features.push(EmbeddingFeature::new("history", "item").with_key("each"));
    let mut tables = EmbeddingTables::new(specs, features, 1)?;
    let mut specs = tables.lookup_specs();
    for spec in &mut specs {
        spec.features.retain(|feature| feature.column == "history");
    }
    specs.retain(|spec| !spec.features.is_empty());
    let columns = [(
        "history",
        Column::lists([vec![7_i64, 7, 1], vec![], vec![0]]),
    )];
    let batch = Batch::new(columns)?.with_lookups(&specs)?;
    let lookup = tables.gather(batch.plans(), &device())?;
    let shapes: Vec<_> = lookup
        .iter()
        .map(|(key, vectors)| (key, vectors.dims()))
        .collect();
    assert_eq!(shapes, [("history", [3, 4]), ("each", [4, 4])]);

    let city = tables.weights("city")?.to_vec();
    step_on(
        &mut tables,
        &batch,
        &shop_probes(),
        &SparseOptimizer::adagrad(),
    )?;
    assert_eq!(tables.weights("city")?, city);
    Ok(())
}

#[test]
fn padding_is_left_out_of_lists_and_never_learns() -> TestResult {
    let feature = EmbeddingFeature::new("tags", "tag")
        .with_combiner(Combiner::Mean)
        .with_padding_id(0);
    let mut tables = EmbeddingTables::new(vec![TableSpec::new("tag", 9, 2)], vec![feature], 1)?;
    let column = Column::fixed(vec![5_i64, 2, 0, 0, 0, 0], 3)?;
    let batch = Batch::new([("tags", column)])?.with_lookups(&tables.lookup_specs())?;
    let lookup = tables.gather(batch.plans(), &device())?;
    let (five, two) = (tables.row("tag", 5)?, tables.row("tag", 2)?);
    let mean = [(five[0] + two[0]) * 0.5, (five[1] + two[1]) * 0.5, 0.0, 0.0];
    assert_eq!(numbers(lookup.get("tags").unwrap()), mean);

    let before = tables.weights("tag")?.to_vec();
    let probes = BTreeMap::from([("tags", vec![1.0; 4])]);
    step_on(&mut tables, &batch, &probes, &SparseOptimizer::lazy_adam())?;
    let after = tables.weights("tag")?;
    let changed: Vec<usize> = (0..9).filter(|r| before[r * 2] != after[r * 2]).collect();
    assert_eq!(changed, [2, 5]);
    Ok(())
}

#[test]
fn frozen_tables_stay_bit_identical() -> TestResult {
    let (mut specs, features) = shop();
    specs[0].trainable = false;
    let mut tables = EmbeddingTables::new(specs, features, 1)?;
    let weights: Vec<f32> = (0..80_u8).map(f32::from).collect();
    tables.set_weights("item", &weights)?;
    let city = tables.weights("city")?.to_vec();
    let batch = shop_batch(&tables);
    for _ in 0..3 {
        step_on(
            &mut tables,
            &batch,
            &shop_probes(),
            &SparseOptimizer::adagrad(),
        )?;
    }
    assert_eq!(tables.weights("item")?, weights);
    assert_ne!(tables.weights("city")?, city);
    let lookup = tables.gather(batch.plans(), &device())?;
    assert!(!lookup.get("item_id").unwrap().is_require_grad());
    Ok(())
}

#[test]
fn evaluation_does_not_track_gradients() -> TestResult {
    let (specs, features) = shop();
    let tables = EmbeddingTables::new(specs, features, 1)?;
    let lookup = tables.gather(shop_batch(&tables).plans(), &Device::default())?;
    assert!(lookup.iter().all(|(_, vectors)| !vectors.is_autodiff()));
    Ok(())
}

#[test]
fn features_that_the_loss_does_not_use_change_nothing() -> TestResult {
    let (specs, features) = shop();
    let mut tables = EmbeddingTables::new(specs, features, 1)?;
    let batch = shop_batch(&tables);
    let before = tables.weights("item")?.to_vec();
    let mut probes = shop_probes();
    probes.remove("history");
    step_on(&mut tables, &batch, &probes, &SparseOptimizer::lazy_adam())?;
    let after = tables.weights("item")?;
    let changed: Vec<usize> = (0..20)
        .filter(|r| before[r * 4..][..4] != after[r * 4..][..4])
        .collect();
    assert_eq!(changed, [3, 7]);
    Ok(())
}

#[test]
fn the_gradient_of_a_lookup_is_that_of_finite_differences() -> TestResult {
    let (specs, features) = shop();
    let tables = EmbeddingTables::new(specs.clone(), features.clone(), 5)?;
    let batch = shop_batch(&tables);
    // A loss that is not linear: the mean of squares of products of two features' vectors.
    let loss = |tables: &EmbeddingTables| {
        let lookup = tables.gather(batch.plans(), &device()).unwrap();
        let product =
            lookup.get("item_id").unwrap().clone() * lookup.get("history").unwrap().clone();
        (
            (product + lookup.get("item_id").unwrap().clone())
                .square()
                .sum(),
            lookup,
        )
    };
    let value = |tables: &EmbeddingTables| f64::from(loss(tables).0.into_scalar::<f32>());

    // A step of gradient descent with rate 1 subtracts the gradient itself.
    let mut stepped = EmbeddingTables::new(specs, features, 5)?;
    stepped.set_weights(
        "item",
        &tables
            .weights("item")?
            .iter()
            .map(|w| w * 20.0)
            .collect::<Vec<_>>(),
    )?;
    let start = stepped.weights("item")?.to_vec();
    let (at_start, lookup) = loss(&stepped);
    let descent = SparseOptimizer::sgd().with_learning_rate(1.0);
    stepped.apply(batch.plans(), &lookup, &mut at_start.backward(), &descent)?;
    let gradient: Vec<f32> = start
        .iter()
        .zip(stepped.weights("item")?)
        .map(|(before, after)| before - after)
        .collect();

    let mut moved = tables;
    for (index, expected) in gradient.iter().enumerate() {
        let mut at = |offset: f32| {
            let mut weights = start.clone();
            weights[index] += offset;
            moved.set_weights("item", &weights).unwrap();
            value(&moved)
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!(
            (slope - f64::from(*expected)).abs() < 5e-3,
            "weight {index}: {slope} {expected}"
        );
    }
    Ok(())
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() -> TestResult {
    let rows = 5000;
    let ids = |factor: i64| {
        (0..3000_i64)
            .map(|i| (i * i * factor) % rows)
            .collect::<Vec<_>>()
    };
    let run = |threads| -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        pool.install(|| {
            let features = ["a", "b"]
                .map(|column| EmbeddingFeature::new(column, "t"))
                .to_vec();
            let spec = TableSpec::new("t", usize::try_from(rows)?, 8);
            let mut tables = EmbeddingTables::new(vec![spec], features, 9)?;
            let batch = Batch::new([("a", Column::from(ids(3))), ("b", Column::from(ids(7)))])?
                .with_lookups(&tables.lookup_specs())?;
            let probe = |shift: f32| {
                (0..24_000_u16)
                    .map(|i| f32::from(i).sin() + shift)
                    .collect()
            };
            let probes = BTreeMap::from([("a", probe(0.0)), ("b", probe(0.3))]);
            for _ in 0..3 {
                step_on(&mut tables, &batch, &probes, &SparseOptimizer::adagrad())?;
            }
            Ok(tables.weights("t")?.to_vec())
        })
    };
    let one = run(1).map_err(|error| error.to_string())?;
    for threads in [2, 5] {
        assert_eq!(
            run(threads).map_err(|error| error.to_string())?,
            one,
            "{threads} threads"
        );
    }
    Ok(())
}

#[test]
fn mistakes_are_named() -> TestResult {
    let new = |specs: Vec<TableSpec>, features: Vec<EmbeddingFeature>| {
        EmbeddingTables::new(specs, features, 0)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let item = || TableSpec::new("item", 5, 2);
    insta::assert_snapshot!(new(vec![item(), item()], vec![]), @"embedding table `item` is declared twice; features that share a table name it in one declaration");
    insta::assert_snapshot!(new(vec![TableSpec::new("item", 0, 2)], vec![]), @"embedding table `item` has 0 rows of width 2; both must be at least 1");
    let feature = || EmbeddingFeature::new("id", "item");
    insta::assert_snapshot!(new(vec![item()], vec![feature(), feature()]), @"embedding feature `id` is declared twice; give one of them another key");
    insta::assert_snapshot!(new(vec![item()], vec![EmbeddingFeature::new("id", "itm")]), @"there is no embedding table `itm`; did you mean `item`? (there are: item)");

    let (specs, features) = shop();
    let mut tables = EmbeddingTables::new(specs, features, 1)?;
    let error = tables.set_weights("city", &[0.0; 12]).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"embedding table `city` is 5 rows of width 2, 10 numbers, but 12 were given; the rows are the domain's max + 1");
    let error = tables.row("city", 5).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"id 5 is not a row of embedding table `city`, which has 5; ids run from 0 to 4");
    let error = tables.gather(&[], &device()).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"the batch has no lookup plan that fits group `dim2`: there is none of that name; give the loader `EmbeddingTables::lookup_specs` of the same tables");
    Ok(())
}
