//! Two towers find what shoppers buy.

use std::fs::File;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int64Type};
use emrys_loader::{Loader, LoaderConfig};
use emrys_models::Error;
use emrys_models::metrics::RankingMetric;
use emrys_models::retrieval::{Catalogue, Interactions, ItemFrequencies, RetrievalEvaluation};
use emrys_models::tasks::ItemRetrieval;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::data::{Folder, GOODS, SHOPPERS, purchase_schema, purchases, quiet, two_tower};

fn load(path: &std::path::Path) -> Loader {
    let config = LoaderConfig::new(256)
        .with_shuffle(true)
        .with_drop_last(true);
    Loader::open_with_schema(path, purchase_schema(), config).unwrap()
}

fn task() -> ItemRetrieval {
    ItemRetrieval::new("item_id")
        .with_temperature(0.1)
        .with_log_q_correction(true)
}

#[test]
fn two_towers_beat_popularity_by_half() {
    let folder = Folder::new();
    let (train, valid) = purchases(&folder);
    let (train, valid) = (load(&train), load(&valid));
    let mut model = two_tower(task());
    quiet()
        .with_epochs(25)
        .fit(&mut model, &train, None)
        .unwrap();

    let catalogue = Catalogue::encode(&model, &train, "item_id").unwrap();
    let seen = Interactions::read(&train, "user_id", "item_id").unwrap();
    assert_eq!(seen.len(), SHOPPERS as usize * 9);
    let evaluation = RetrievalEvaluation::new("user_id", "item_id").with_excluded(&seen);
    let found = evaluation.model(&model, &valid, &catalogue).unwrap();
    let frequencies = ItemFrequencies::read(&train, "item_id").unwrap();
    let popular = evaluation
        .popularity(&frequencies, &valid, &catalogue)
        .unwrap();
    assert_eq!(
        (found.rows(), popular.rows()),
        (SHOPPERS as usize, SHOPPERS as usize)
    );
    let recall = |evaluation: &emrys_models::metrics::Evaluation| evaluation.get("recall_at_10");
    let (found, popular) = (recall(&found).unwrap(), recall(&popular).unwrap());
    assert!(popular > 0.02, "{popular}");
    assert!(found > 1.5 * popular, "{found} beside {popular}");
}

#[test]
fn what_a_shopper_has_is_not_recommended_and_what_is_unknown_is_missed() {
    let folder = Folder::new();
    let (train, valid) = purchases(&folder);
    let (train, valid) = (load(&train), load(&valid));
    let model = two_tower(task());
    let catalogue = Catalogue::encode(&model, &train, "item_id").unwrap();
    let held_out = Interactions::read(&valid, "user_id", "item_id").unwrap();
    let k = catalogue.len();
    let recall = RankingMetric::Recall.at(k);
    let at_all = RetrievalEvaluation::new("user_id", "item_id").with_metrics([recall]);
    let known = |user: &i64| {
        let items = held_out.items(*user);
        let known = items
            .iter()
            .filter(|item| catalogue.ids().contains(item))
            .count();
        known as f64 / items.len() as f64
    };
    let expected = held_out.users().iter().map(known).sum::<f64>() / f64::from(SHOPPERS);
    let all = at_all.model(&model, &valid, &catalogue).unwrap();
    assert!((all.get(&recall.to_string()).unwrap() - expected).abs() < 1e-12);

    let error = at_all
        .with_excluded(&held_out)
        .model(&model, &valid, &catalogue)
        .unwrap_err();
    insta::assert_snapshot!(error, @"no user has an item to be found: all held-out items are excluded for their users; hold out others");
    let too_many = RankingMetric::Recall.at(k + 1);
    let error = RetrievalEvaluation::new("user_id", "item_id")
        .with_metrics([too_many])
        .model(&model, &valid, &catalogue)
        .unwrap_err();
    assert!(matches!(error, Error::InvalidK { .. }), "{error}");
}

#[test]
fn the_catalogue_is_written_with_ids_and_numbered_columns() {
    let folder = Folder::new();
    let (train, _) = purchases(&folder);
    let model = two_tower(task());
    let catalogue = Catalogue::encode(&model, &load(&train), "item_id").unwrap();
    assert!(catalogue.len() <= GOODS as usize);
    let path = folder.path("items.parquet");
    catalogue.write_parquet(&path, "item_id").unwrap();
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = file.build().unwrap().map(Result::unwrap).collect();
    let [rows] = &batches[..] else {
        panic!("{} batches", batches.len())
    };
    assert_eq!(rows.num_columns(), 17);
    assert_eq!(
        rows.column(0).as_primitive::<Int64Type>().values(),
        catalogue.ids()
    );
    let vectors: Vec<f32> = catalogue
        .vectors()
        .clone()
        .into_data()
        .try_to_vec()
        .unwrap();
    for column in 0..16 {
        let numbers = rows.column_by_name(&column.to_string()).unwrap();
        let expected: Vec<f32> = vectors.iter().skip(column).step_by(16).copied().collect();
        assert_eq!(
            numbers.as_primitive::<Float32Type>().values(),
            &expected[..]
        );
    }
    assert!(!path.with_extension("parquet.partial").exists());
}

#[test]
fn a_batch_of_one_pair_teaches_nothing_and_breaks_nothing() {
    let folder = Folder::new();
    let (train, _) = purchases(&folder);
    let config = LoaderConfig::new(1);
    let train = Loader::open_with_schema(train, purchase_schema(), config).unwrap();
    let mut model = two_tower(task());
    let before = Catalogue::encode(&model, &train, "item_id").unwrap();
    let history = quiet()
        .with_max_steps(3)
        .fit(&mut model, &train, None)
        .unwrap();
    assert!(history.last().is_none());
    let after = Catalogue::encode(&model, &train, "item_id").unwrap();
    assert_eq!(
        before.vectors().clone().into_data(),
        after.vectors().clone().into_data()
    );
}
