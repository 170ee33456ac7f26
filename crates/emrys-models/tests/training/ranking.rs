//! Clicks are learnt, to the same bits each time.

use emrys_loader::LoaderConfig;
use emrys_models::metrics::{Auc, Metric, Predictions, ScoredRows};

use crate::data::{Folder, clicks, dlrm, load, quiet};

#[test]
fn a_dlrm_comes_near_the_attainable_auc() {
    let folder = Folder::new();
    let train = clicks(&folder, "train.parquet", 12_000, 1);
    let valid = clicks(&folder, "valid.parquet", 4_000, 2);
    let mut attainable = Auc::new();
    attainable.update(ScoredRows::new(
        Predictions::Probabilities(&valid.chances),
        &valid.labels,
    ));
    let attainable = attainable.value();

    let config = LoaderConfig::new(256).with_shuffle(true).with_seed(5);
    let (train, valid) = (load(&train.file, config.clone()), load(&valid.file, config));
    let mut model = dlrm();
    let trainer = quiet().with_epochs(4);
    let before = trainer
        .evaluate(&model, &valid)
        .unwrap()
        .get("auc")
        .unwrap();
    let history = trainer.fit(&mut model, &train, Some(&valid)).unwrap();
    let auc = history.last().unwrap().valid("auc").unwrap();
    assert!(attainable > 0.75, "{attainable}");
    assert!((before - 0.5).abs() < 0.1, "{before}");
    assert!(
        auc > attainable - 0.03 && auc < attainable + 0.01,
        "{auc} of {attainable}"
    );

    let losses: Vec<f64> = history.epochs().iter().map(|epoch| epoch.loss).collect();
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    let evaluation = trainer.evaluate(&model, &valid).unwrap();
    assert_eq!(evaluation.get("auc"), Some(auc));
    assert_eq!(evaluation.rows(), 4_000);
    let (loss, log_loss) = (
        evaluation.get("loss").unwrap(),
        evaluation.get("log_loss").unwrap(),
    );
    assert!((loss - log_loss).abs() < 1e-6, "{loss} and {log_loss}");
}

#[test]
fn the_same_seeds_give_the_same_bits_whatever_the_threads() {
    let folder = Folder::new();
    let train = clicks(&folder, "train.parquet", 3_000, 1).file;
    let run = |threads: usize, seed: u64| {
        let config = LoaderConfig::new(128)
            .with_shuffle(true)
            .with_threads(threads);
        let train = load(&train, config);
        let mut model = dlrm();
        let history = quiet()
            .with_seed(seed)
            .fit(&mut model, &train, Some(&train))
            .unwrap();
        let report = history.last().unwrap().clone();
        (
            report.loss.to_bits(),
            report.valid("log_loss").unwrap().to_bits(),
        )
    };
    assert_eq!(run(1, 0), run(4, 0));
    assert_ne!(run(1, 0), run(1, 1), "dropout depends on the seed");
}

#[test]
fn a_batch_of_one_row_is_trained_on() {
    let folder = Folder::new();
    let file = clicks(&folder, "train.parquet", 20, 1).file;
    let train = load(&file, LoaderConfig::new(1));
    let history = quiet().fit(&mut dlrm(), &train, None).unwrap();
    assert_eq!(history.last().unwrap().rows, 20);
    assert!(history.last().unwrap().loss.is_finite());
}
