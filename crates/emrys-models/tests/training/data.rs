//! Small data sets with known structure, and models for them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, RecordBatch};
use burn::tensor::Device;
use emrys_loader::{Loader, LoaderConfig};
use emrys_models::blocks::{Embeddings, L2Norm, Mlp};
use emrys_models::models::{Dlrm, TwoTower};
use emrys_models::tasks::{BinaryClassification, ItemRetrieval, TaskSpec};
use emrys_models::trainer::{Progress, Trainer};
use emrys_models::{Compose, Model, ModelSpec};
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

pub const USERS: i32 = 60;
pub const ITEMS: i32 = 40;

/// A folder that is removed when the test ends, with parquet files in it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes columns in row groups of 500 rows.
    pub fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let path = self.path(name);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(500))
            .build();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        path
    }
}

pub fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

pub fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub fn floats(values: impl IntoIterator<Item = f32>) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(values))
}

pub fn click_schema() -> Schema {
    let id = |name: &str, max: i32| {
        ColumnSchema::new(name, DType::Int32)
            .with_tags([Tag::Categorical])
            .with_domain(Domain::int(0, i64::from(max)))
    };
    Schema::new([
        id("user", USERS - 1),
        id("item", ITEMS - 1),
        ColumnSchema::new("price", DType::Float32).with_tags([Tag::Continuous]),
        ColumnSchema::new("click", DType::Int32)
            .with_tags([Tag::BinaryClassification, Tag::Target]),
    ])
    .unwrap()
}

/// Clicks, and the chance that each had.
pub struct Clicks {
    pub file: PathBuf,
    pub chances: Vec<f32>,
    pub labels: Vec<f32>,
}

/// Clicks that depend on whether user and item are of one taste, and on the price.
pub fn clicks(folder: &Folder, name: &str, rows: usize, seed: u64) -> Clicks {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut users, mut items, mut prices) = (Vec::new(), Vec::new(), Vec::new());
    let (mut chances, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let (user, item) = (rng.random_range(0..USERS), rng.random_range(0..ITEMS));
        let price: f32 = rng.random_range(-1.0..1.0);
        let taste = if user % 4 == item % 4 { 1.6 } else { -0.8 };
        let chance = 1.0 / (1.0 + (-(taste - 1.2 * price)).exp());
        users.push(user);
        items.push(item);
        prices.push(price);
        chances.push(chance);
        labels.push(i32::from(rng.random::<f32>() < chance));
    }
    let file = folder.write(
        name,
        vec![
            ("user", ints(users)),
            ("item", ints(items)),
            ("price", floats(prices)),
            ("click", ints(labels.iter().copied())),
        ],
    );
    Clicks {
        file,
        chances,
        labels: labels.iter().map(|label| *label as f32).collect(),
    }
}

pub fn load(file: &Path, config: LoaderConfig) -> Loader {
    Loader::open_with_schema(file, click_schema(), config).unwrap()
}

/// A DLRM with dropout, so that training is random.
pub fn dlrm_spec(task: impl Into<TaskSpec>) -> ModelSpec {
    let body = Dlrm::new(Embeddings::new(8))
        .with_bottom(Mlp::new([8]))
        .with_top(Mlp::new([16]).with_dropout(0.1));
    ModelSpec::new(body).with_task(task)
}

pub fn dlrm() -> Model {
    let spec = dlrm_spec(BinaryClassification::new("click"));
    spec.build(&click_schema(), &Device::default(), 7).unwrap()
}

pub fn quiet() -> Trainer {
    Trainer::new()
        .with_progress(Progress::Quiet)
        .with_learning_rate(0.01)
}

pub const CLUSTERS: i32 = 8;
pub const SHOPPERS: i32 = 240;
pub const GOODS: i32 = 200;

pub fn purchase_schema() -> Schema {
    let id = |name: &str, max: i32, tag: Tag| {
        ColumnSchema::new(name, DType::Int64)
            .with_tags([Tag::Categorical, tag])
            .with_domain(Domain::int(0, i64::from(max)))
    };
    Schema::new([
        id("user_id", SHOPPERS - 1, Tag::UserId),
        id("item_id", GOODS - 1, Tag::ItemId),
    ])
    .unwrap()
}

/// Purchases of shoppers who mostly stay in their cluster, where some goods sell much better than
/// others: files for training and held out, without a pair twice.
pub fn purchases(folder: &Folder) -> (PathBuf, PathBuf) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut pairs = [Vec::new(), Vec::new()];
    for user in 0..SHOPPERS {
        let mut bought = std::collections::BTreeSet::new();
        while bought.len() < 12 {
            let cluster = if rng.random::<f32>() < 0.9 {
                user % CLUSTERS
            } else {
                rng.random_range(0..CLUSTERS)
            };
            let rank = (rng.random::<f32>().powi(2) * (GOODS / CLUSTERS) as f32) as i32;
            let item = rank * CLUSTERS + cluster;
            if bought.insert(item) {
                let held_out = usize::from(bought.len() > 9);
                pairs[held_out].push((i64::from(user), i64::from(item)));
            }
        }
    }
    let [train, valid] = pairs.map(|pairs| -> Vec<(&str, ArrayRef)> {
        let (users, items): (Vec<i64>, Vec<i64>) = pairs.into_iter().unzip();
        vec![("user_id", longs(users)), ("item_id", longs(items))]
    });
    (
        folder.write("train.parquet", train),
        folder.write("valid.parquet", valid),
    )
}

pub fn two_tower(task: ItemRetrieval) -> Model {
    let tower = || Mlp::new([16]).with_last_linear().connect(L2Norm::new());
    let body = TwoTower::new(Embeddings::new(16), tower(), tower());
    let spec = ModelSpec::new(body).with_task(task);
    spec.build(&purchase_schema(), &Device::default(), 3)
        .unwrap()
}
