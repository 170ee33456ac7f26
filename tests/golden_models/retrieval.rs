//! Cases of sampled losses and of the best items of a catalogue.

use burn::tensor::{Tensor, TensorData};
use emrys_models::losses::{
    Candidates, FalseNegatives, Reduction, SampledSoftmax, softmax_cross_entropy,
};
use emrys_models::retrieval::{Catalogue, Recommendation};

use crate::case::{Case, Outcome, Stop};
use crate::compare::{Tolerance, same, same_tensor};
use crate::losses::{same_gradient, tensor};

pub fn run(case: &Case) -> Option<Outcome> {
    Some(match (case.kind.as_str(), case.name.as_str()) {
        ("sampler", "contrastive_output") => contrastive(case),
        ("sampler", "popularity_logits_correction") => popularity_correction(case),
        ("retrieval", "tfrs_retrieval_task") => tfrs_task(case),
        ("retrieval", "brute_force_top_k") => brute_force(case),
        ("metric", "factorized_top_k") => factorized_top_k(case),
        _ => return None,
    })
}

/// `ln(p + 1e-16)` of each id, as Merlin has it.
fn merlin_log_q(probabilities: &[f64], ids: &[i64]) -> Vec<f32> {
    ids.iter()
        .map(|id| (probabilities[*id as usize] + 1e-16).ln() as f32)
        .collect()
}

/// Merlin's contrastive output: the positive, then negatives in or out of the batch.
fn contrastive(case: &Case) -> Outcome {
    let query = tensor::<2>(case, "inputs/query")?.require_grad();
    let positive_ids = case.tensor("inputs/positive_id")?.i64();
    let in_batch = case.text("negatives") == Some("in-batch");
    let item_name = if in_batch {
        "inputs/item"
    } else {
        "inputs/item_table"
    };
    let items = tensor::<2>(case, item_name)?.require_grad();
    let negative_ids = if in_batch {
        positive_ids.clone()
    } else {
        case.tensor("inputs/negative_id")?.i64()
    };
    let rows_of = |ids: &[i64]| -> Tensor<2> {
        if in_batch {
            return items.clone();
        }
        items
            .clone()
            .select(0, Tensor::from_data(ids, &items.device()))
    };

    let temperature = case.float("temperature").unwrap_or(1.0) as f32;
    let score = case.float("false_negative_score").unwrap_or(0.0) as f32;
    let downscore = case.params["downscore_false_negatives"].as_bool() == Some(true);
    let rule = if downscore {
        FalseNegatives::Replace(score)
    } else {
        FalseNegatives::Keep
    };
    let softmax = SampledSoftmax::new()
        .with_temperature(temperature)
        .with_log_q_weight(1.0 / temperature)
        .with_false_negatives(rule);
    let (mut positive_q, mut negative_q) = (None, None);
    if case.params["logq_correction"].as_bool() == Some(true) {
        let probabilities = &case.tensor("inputs/item_probability")?.values;
        positive_q = Some(merlin_log_q(probabilities, &positive_ids));
        negative_q = Some(merlin_log_q(probabilities, &negative_ids));
    }
    let logits = softmax.logits(
        query.clone(),
        rows_of(&positive_ids),
        rows_of(&negative_ids),
        Candidates {
            ids: Some(&positive_ids),
            log_q: positive_q.as_deref(),
        },
        Candidates {
            ids: Some(&negative_ids),
            log_q: negative_q.as_deref(),
        },
    );
    same_tensor(
        case,
        "outputs/logits",
        logits.clone(),
        Tolerance::ForwardWide,
    )?;
    let first = Tensor::zeros([positive_ids.len()], &query.device());
    let loss = Reduction::Mean.apply(softmax_cross_entropy(logits, first, 0.0), None);
    same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;
    same_gradient(
        case,
        "vectors",
        &loss,
        &[("inputs/query", &query), (item_name, &items)],
    )
}

/// The correction alone, on given scores: queries that pick out their row of the scores.
fn popularity_correction(case: &Case) -> Outcome {
    let scores = tensor::<2>(case, "inputs/logits")?;
    let [rows, columns] = scores.dims();
    let device = scores.device();
    let eye = || {
        let values = (0..rows * rows).map(|i| f32::from(u8::from(i / rows == i % rows)));
        Tensor::<2>::from_data(
            TensorData::new(values.collect::<Vec<_>>(), [rows, rows]),
            &device,
        )
    };
    let positives = eye() * scores.clone().narrow(1, 0, 1);
    let negatives = scores.narrow(1, 1, columns - 1).transpose();
    let frequencies = &case.tensor("inputs/item_frequency")?.values;
    let all: f64 = frequencies.iter().sum();
    let probabilities: Vec<f64> = frequencies.iter().map(|count| count / all).collect();
    let log_q = |name: &str| Ok::<_, Stop>(merlin_log_q(&probabilities, &case.tensor(name)?.i64()));
    let (positive_q, negative_q) = (log_q("inputs/positive_id")?, log_q("inputs/negative_id")?);
    let weight = case.float("reg_factor").unwrap_or(1.0) as f32;
    let logits = SampledSoftmax::new().with_log_q_weight(weight).logits(
        eye(),
        positives,
        negatives,
        Candidates {
            ids: None,
            log_q: Some(&positive_q),
        },
        Candidates {
            ids: None,
            log_q: Some(&negative_q),
        },
    );
    same_tensor(case, "outputs/logits", logits, Tolerance::ForwardWide)
}

/// The task of TensorFlow Recommenders: the positives on the diagonal.
fn tfrs_task(case: &Case) -> Outcome {
    if !case.params["num_hard_negatives"].is_null() {
        return Err(Stop::Skip(
            "there is no mining of hard negatives in Emrys yet".to_owned(),
        ));
    }
    let query = tensor::<2>(case, "inputs/query")?.require_grad();
    let candidate = tensor::<2>(case, "inputs/candidate")?.require_grad();
    let mut softmax = SampledSoftmax::new().with_false_negatives(FalseNegatives::Keep);
    if let Some(temperature) = case.float("temperature") {
        softmax = softmax.with_temperature(temperature as f32);
    }
    let ids = case
        .tensors
        .get("inputs/candidate_ids")
        .map(super::case::Golden::i64);
    if case.params["remove_accidental_hits"].as_bool() == Some(true) {
        softmax = softmax.with_false_negatives(FalseNegatives::Add(f32::MIN / 100.0));
    }
    let log_q: Option<Vec<f32>> = case
        .tensors
        .get("inputs/candidate_sampling_probability")
        .map(|q| {
            q.values
                .iter()
                .map(|q| q.clamp(1e-6, 1.0).ln() as f32)
                .collect()
        });
    let known = Candidates {
        ids: ids.as_deref(),
        log_q: log_q.as_deref(),
    };
    let scores = softmax.in_batch_logits(query.clone(), candidate.clone(), known);
    same_tensor(case, "outputs/scores", scores, Tolerance::ForwardWide)?;
    let rows = softmax.in_batch(query.clone(), candidate.clone(), known);
    same_tensor(
        case,
        "outputs/per_row",
        rows.clone(),
        Tolerance::ForwardWide,
    )?;
    let weights = match case.tensors.contains_key("inputs/sample_weight") {
        true => Some(tensor::<1>(case, "inputs/sample_weight")?),
        false => None,
    };
    let loss = Reduction::Sum.apply(rows, weights);
    same_tensor(case, "loss", loss.clone(), Tolerance::Forward)?;
    let inputs = [("inputs/query", &query), ("inputs/candidate", &candidate)];
    same_gradient(case, "vectors", &loss, &inputs)
}

fn ids_and_scores(lists: &[Vec<Recommendation>]) -> (Vec<f64>, Vec<f64>) {
    lists
        .iter()
        .flatten()
        .map(|item| (item.id as f64, f64::from(item.score)))
        .unzip()
}

fn brute_force(case: &Case) -> Outcome {
    let ids = case.tensor("inputs/candidate_ids")?.i64();
    let catalogue = Catalogue::new(ids, tensor(case, "inputs/candidates")?)?;
    let k = case.float("k").unwrap_or_default() as usize;
    let lists = catalogue.top_k(tensor(case, "inputs/query")?, k, &[] as &[Vec<i64>])?;
    let (ids, scores) = ids_and_scores(&lists);
    same(case, "outputs/ids", &ids, Tolerance::Exact)?;
    same(case, "outputs/scores", &scores, Tolerance::Exact)?;
    let targets = case.tensor("inputs/target")?.i64();
    let hits: Vec<f64> = std::iter::zip(&lists, targets)
        .flat_map(|(list, target)| list.iter().map(move |item| f64::from(item.id == target)))
        .collect();
    same(case, "outputs/hits", &hits, Tolerance::Exact)
}

/// What is decided by ids; the peer's other mode counts ties in favour of the model.
fn factorized_top_k(case: &Case) -> Outcome {
    let ids = case.tensor("inputs/candidate_ids")?.i64();
    let catalogue = match Catalogue::new(ids.clone(), tensor(case, "inputs/candidates")?) {
        Err(error @ emrys_models::Error::DuplicateItem { .. }) => {
            return Err(Stop::Skip(format!("Emrys refuses it: {error}")));
        }
        catalogue => catalogue?,
    };
    let query = || tensor::<2>(case, "inputs/query");
    let width = |name: &str| Ok::<_, Stop>(case.tensor(name)?.shape[1]);
    let lists = catalogue.top_k(query()?, width("outputs/top_ids")?, &[] as &[Vec<i64>])?;
    let (top_ids, scores) = ids_and_scores(&lists);
    same(case, "outputs/top_ids", &top_ids, Tolerance::Exact)?;
    same(case, "outputs/top_scores", &scores, Tolerance::Exact)?;

    let rows = case.tensor("inputs/true_row")?.i64();
    for k in case.sizes("ks").unwrap_or_default() {
        let is_hit = |(list, row): (&Vec<Recommendation>, &i64)| {
            list.iter()
                .take(k)
                .any(|item| item.id == ids[*row as usize])
        };
        let hits = std::iter::zip(&lists, &rows)
            .filter(|pair| is_hit(*pair))
            .count();
        let share = hits as f64 / rows.len() as f64;
        same(
            case,
            &format!("outputs/id/top_{k}"),
            &[share],
            Tolerance::Metric,
        )?;
    }
    if let Some(excluded) = case.tensors.get("inputs/exclusions") {
        let lists: Vec<Vec<i64>> = excluded
            .i64()
            .chunks(excluded.shape[1])
            .map(<[i64]>::to_vec)
            .collect();
        let lists = catalogue.top_k(query()?, width("outputs/excluded/top_ids")?, &lists)?;
        let (ids, scores) = ids_and_scores(&lists);
        same(case, "outputs/excluded/top_ids", &ids, Tolerance::Exact)?;
        same(
            case,
            "outputs/excluded/top_scores",
            &scores,
            Tolerance::Exact,
        )?;
    }
    Ok(())
}
