//! Cases of kind `block` that are about embedding tables alone.

use burn::tensor::{Device, Tensor};
use emrys_loader::{Batch, Column};
use emrys_models::embeddings::{
    Combiner, EmbeddingBatch, EmbeddingFeature, EmbeddingTables, TableSpec, infer_embedding_dim,
};
use emrys_models::optimizers::SparseOptimizer;
use emrys_schema::Domain;

use crate::case::{Case, Outcome, Stop};
use crate::compare::{Tolerance, numbers, same, same_as, same_tensor};
use crate::network::on_device;

pub fn run(case: &Case) -> Option<Outcome> {
    if case.kind != "block" {
        return None;
    }
    Some(match case.name.as_str() {
        "infer_embedding_dim" => infer_dim(case),
        "embedding_bag" | "embeddings" => lookup_and_gradient(case),
        "embedding_padded_list" => padded_list(case),
        _ => return None,
    })
}

fn infer_dim(case: &Case) -> Outcome {
    let cardinalities = case.tensor("inputs/cardinality")?.i64();
    let multiplier = case.float("multiplier").unwrap_or(2.0);
    for (name, multiple_of_8) in [("outputs/dim", false), ("outputs/dim_multiple_of_8", true)] {
        let dims: Vec<f64> = cardinalities
            .iter()
            .map(|rows| infer_embedding_dim(*rows as usize, multiplier, multiple_of_8) as f64)
            .collect();
        same(case, name, &dims, Tolerance::Exact)?;
    }
    Ok(())
}

fn combiner(name: &str) -> Combiner {
    match name {
        "mean" => Combiner::Mean,
        "sum" => Combiner::Sum,
        "sqrtn" => Combiner::SqrtN,
        other => panic!("combiner `{other}`"),
    }
}

/// The case's tables, with its weights.
fn tables_of(case: &Case, features: Vec<EmbeddingFeature>) -> Result<EmbeddingTables, Stop> {
    let weights = || case.under("weights/embeddings.");
    let specs =
        weights().map(|(name, golden)| TableSpec::new(name, golden.shape[0], golden.shape[1]));
    let mut tables = EmbeddingTables::new(specs.collect(), features, 0)?;
    for (name, golden) in weights() {
        tables.set_weights(name, &golden.f32())?;
    }
    Ok(tables)
}

/// The case's columns of ids.
fn batch_of(case: &Case, tables: &EmbeddingTables) -> Result<Batch, Stop> {
    let mut columns = Vec::new();
    for (name, golden) in case.under("inputs/") {
        if let Some(column) = name.strip_suffix("__values") {
            let offsets = case.tensor(&format!("inputs/{column}__offsets"))?.i32();
            columns.push((column, Column::ragged(golden.i64(), offsets)?));
        } else if !name.ends_with("__offsets") {
            columns.push((name, Column::fixed(golden.i64(), golden.shape[1])?));
        }
    }
    Ok(Batch::new(columns)?.with_lookups(&tables.lookup_specs())?)
}

fn vectors<'a>(lookup: &'a EmbeddingBatch, key: &str) -> Result<&'a Tensor<2>, Stop> {
    lookup
        .get(key)
        .ok_or_else(|| Stop::Fail(format!("`{key}` was not looked up")))
}

fn lookup_and_gradient(case: &Case) -> Outcome {
    let schema = case
        .schema()
        .ok_or_else(|| Stop::Fail("the case has no schema".to_owned()))?;
    let name = case
        .text("combiner")
        .or_else(|| case.text("sequence_combiner"));
    let is_list = |column: &str| {
        case.tensors
            .contains_key(&format!("inputs/{column}__values"))
    };
    let features = schema.columns().iter().map(|column| {
        let table = column.domain().and_then(Domain::name);
        let feature = EmbeddingFeature::new(column.name(), table.unwrap_or(column.name()));
        match name {
            Some(name) if is_list(column.name()) => feature.with_combiner(combiner(name)),
            _ => feature,
        }
    });
    let mut tables = tables_of(case, features.collect())?;
    let batch = batch_of(case, &tables)?;
    let device = Device::default().autodiff();
    let lookup = tables.gather(batch.plans(), &device)?;

    let mut loss = Tensor::<1>::zeros([1], &device);
    for (output, probe) in case.under("probe/") {
        let vectors = vectors(&lookup, if output == "y" { "tags" } else { output })?;
        same_tensor(
            case,
            &format!("outputs/{output}"),
            vectors.clone(),
            Tolerance::Forward,
        )?;
        loss = loss + (vectors.clone() * on_device::<2>(probe, &device)).sum();
    }
    same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;

    // Gradient descent with rate 1 subtracts the gradient itself.
    let descent = SparseOptimizer::sgd().with_learning_rate(1.0);
    tables.apply(batch.plans(), &lookup, &mut loss.backward(), &descent)?;
    for (table, start) in case.under("weights/embeddings.") {
        let moved = start.values.iter().zip(tables.weights(table)?);
        let gradient: Vec<f64> = moved
            .map(|(start, after)| start - f64::from(*after))
            .collect();
        let name = format!("grads/weights/embeddings.{table}");
        same(case, &name, &gradient, Tolerance::Gradient)?;
    }
    Ok(())
}

/// Lists padded with id 0: averaged over the padding as the peer does, and without it. The peer's
/// maximum is not compared; there is no such combiner.
fn padded_list(case: &Case) -> Outcome {
    for name in ["mean", "sum", "sqrtn"] {
        let feature = EmbeddingFeature::new("tags", "tags").with_combiner(combiner(name));
        let masked = feature.clone().with_key("masked").with_padding_id(0);
        let tables = tables_of(case, vec![feature, masked])?;
        let lookup = tables.gather(batch_of(case, &tables)?.plans(), &Device::default())?;
        let found = |key| -> Result<Vec<f64>, Stop> { Ok(numbers(vectors(&lookup, key)?.clone())) };
        let masked = format!("masked/{name}");
        same(case, &masked, &found("masked")?, Tolerance::Forward)?;
        if let Some(padded) = case.tensors.get(&format!("outputs/{name}")) {
            same_as(case, name, padded, &found("tags")?, Tolerance::Forward)?;
        }
    }
    Ok(())
}
