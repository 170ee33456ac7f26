//! Cases of metrics.

use emrys_models::metrics::{
    Auc, CatalogueMetrics, LogLoss, Metric, Predictions, RankingAt, Rmse, ScoredRows, ThresholdAuc,
    ranked_relevance,
};

use crate::case::{Case, Outcome, Stop};
use crate::compare::{Tolerance, same};

pub fn run(case: &Case) -> Option<Outcome> {
    Some(match (case.kind.as_str(), case.name.as_str()) {
        ("metric", "auc") => auc(case),
        ("metric", "ranking_at_k") => ranking(case),
        ("metric", "catalogue_metrics") => catalogue(case),
        _ => return None,
    })
}

fn auc(case: &Case) -> Outcome {
    let probabilities = case.tensor("inputs/probabilities")?.f32();
    let labels = case.tensor("inputs/labels")?.f32();
    let weights = case
        .tensors
        .get("inputs/sample_weight")
        .map(super::case::Golden::f32);
    let measure = |metric: &mut dyn Metric, weights: Option<&[f32]>| {
        let predictions = Predictions::Probabilities(&probabilities);
        // In two batches, which must not matter.
        let middle = labels.len() / 3;
        for rows in [0..middle, middle..labels.len()] {
            let predictions = match predictions {
                Predictions::Probabilities(all) => Predictions::Probabilities(&all[rows.clone()]),
                other => other,
            };
            let weights = weights.map(|weights| &weights[rows.clone()]);
            metric.update(ScoredRows {
                predictions,
                labels: &labels[rows],
                weights,
            });
        }
        [metric.value()]
    };
    let weighted = weights.as_deref();
    let value = measure(&mut Auc::new(), weighted);
    same(case, "outputs/auc_exact", &value, Tolerance::Metric)?;
    let value = measure(&mut ThresholdAuc::keras(), weighted);
    same(case, "outputs/auc_keras_200", &value, Tolerance::Forward)?;
    let value = measure(&mut LogLoss::new(), weighted);
    same(case, "outputs/log_loss", &value, Tolerance::Metric)?;
    let value = measure(&mut Rmse::new(), weighted);
    same(case, "outputs/rmse", &value, Tolerance::Metric)
}

/// All rules for ties where there are none, else the pessimistic one.
fn ranking(case: &Case) -> Outcome {
    let scores = case.tensor("inputs/scores")?;
    let columns = scores.shape[1];
    let scores = scores.f32();
    let labels: Vec<bool> = case
        .tensor("inputs/labels")?
        .values
        .iter()
        .map(|label| *label > 0.0)
        .collect();
    let mut compared = 0;
    for rule in ["any", "pessimistic"] {
        for (name, _) in case.under(&format!("outputs/{rule}/")) {
            let Some(metric) = name.strip_suffix("/per_row") else {
                continue;
            };
            let metric: RankingAt = metric.parse()?;
            let rows: Vec<f64> = std::iter::zip(scores.chunks(columns), labels.chunks(columns))
                .map(|(scores, labels)| {
                    let relevant = labels.iter().filter(|label| **label).count();
                    metric.of(&ranked_relevance(scores, labels), relevant)
                })
                .collect();
            let mean = rows.iter().sum::<f64>() / rows.len() as f64;
            same(
                case,
                &format!("outputs/{rule}/{name}"),
                &rows,
                Tolerance::Metric,
            )?;
            let name = format!("outputs/{rule}/{metric}/mean");
            same(case, &name, &[mean], Tolerance::Metric)?;
            compared += 1;
        }
    }
    if compared == 0 {
        return Err(Stop::Fail("nothing was compared".to_owned()));
    }
    Ok(())
}

fn catalogue(case: &Case) -> Outcome {
    let frequencies: Vec<u64> = case
        .tensor("inputs/item_frequency")?
        .i64()
        .into_iter()
        .map(i64::unsigned_abs)
        .collect();
    let lists = case.tensor("inputs/top_ids")?;
    for k in case.sizes("ks").unwrap_or_default() {
        let mut metrics = CatalogueMetrics::new(&frequencies, k);
        for list in lists.i64().chunks(lists.shape[1]) {
            metrics.update(list);
        }
        for (name, value) in [
            ("novelty", metrics.novelty()),
            ("popularity_bias", metrics.popularity_bias()),
            ("item_coverage", metrics.item_coverage()),
        ] {
            same(
                case,
                &format!("outputs/{name}_at_{k}"),
                &[value],
                Tolerance::Metric,
            )?;
        }
    }
    Ok(())
}
