//! A click log with real signal, and the AUC that no model can beat on average.

mod attainable;
#[cfg(test)]
mod tests;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Float64Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::parquet_file::{self, BATCH_ROWS, ParquetFile};
use crate::{Error, Result};
use attainable::Attainable;
use world::{Impression, World};

/// Draws a log of impressions, each clicked or not, and says how well clicks can be predicted.
///
/// Users and items have long-tailed (Zipf-like) popularity and hidden tastes and traits. Part of a
/// taste is shared by the user's city and part of a trait by the item's category, so that side
/// features carry signal too. An impression is clicked with probability
///
/// ```text
/// sigmoid(bias + affinity(taste, traits) + user + item + device + tags + price + session)
/// ```
///
/// and the log's [`attainable_auc`](ClickLogSummary::attainable_auc) is the AUC of just this
/// probability on the validation rows: a model that knew everything but the dice would reach it.
///
/// | column | type | what it is |
/// |---|---|---|
/// | `user_id` | string | `u` and a number; popular users have many rows |
/// | `city` | string | of the user, 40 of long-tailed size |
/// | `device` | string | of the impression: `desktop`, `phone` or `tablet` |
/// | `session_seconds` | float64 | of the impression, log-normal, one in ten null |
/// | `item_id` | int64 | sparse numbers, as catalogues have them |
/// | `category` | string | of the item, 24 of long-tailed size |
/// | `tags` | list of strings | of the item, none to four of 30 |
/// | `price` | float64 | of the item, log-normal, one row in twenty null |
/// | `click` | int32 | the label: 1 if clicked, else 0 |
///
/// The same options and seed give the same rows on every machine. Rows are streamed: beside the
/// users and items, only a batch and 9 bytes per validation row are held.
///
/// # Example
/// ```
/// use emrys_datasets::synthetic::ClickLog;
///
/// let folder = tempfile::tempdir()?;
/// let log = ClickLog::new(5_000, 1_000).with_users(200).with_items(50).write(folder.path())?;
/// assert_eq!(log.train, folder.path().join("train"));
/// assert!(log.train.join("part_00000.parquet").is_file());
/// assert!(log.attainable_auc < 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClickLog {
    train_rows: u64,
    valid_rows: u64,
    users: u32,
    items: u32,
    rows_per_part: u64,
    overwrite: bool,
    seed: u64,
}

/// What [`ClickLog::write`] wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct ClickLogSummary {
    /// The folder of the training rows' part files.
    pub train: PathBuf,
    /// The folder of the validation rows' part files.
    pub valid: PathBuf,
    /// How many training rows there are.
    pub train_rows: u64,
    /// How many validation rows there are.
    pub valid_rows: u64,
    /// The share of the validation rows that are clicked, from 0 to 1.
    pub click_rate: f64,
    /// The exact AUC (ties count one half) of the true probabilities on the validation rows; NaN if
    /// they are all of one class.
    pub attainable_auc: f64,
    /// The mean log loss, in nats, of the true probabilities on the validation rows.
    pub attainable_log_loss: f64,
}

impl ClickLog {
    /// A log of the given numbers of training and validation rows.
    ///
    /// Unless changed: 3,000 users, 1,000 items, parts of 100,000 rows, seed 42.
    pub fn new(train_rows: u64, valid_rows: u64) -> ClickLog {
        ClickLog {
            train_rows,
            valid_rows,
            users: 3_000,
            items: 1_000,
            rows_per_part: 100_000,
            overwrite: false,
            seed: 42,
        }
    }

    /// Sets the number of users that may occur; at least 1, at most 10 million.
    #[must_use]
    pub fn with_users(mut self, users: u32) -> ClickLog {
        self.users = users;
        self
    }

    /// Sets the number of items that may occur; at least 1, at most 10 million.
    #[must_use]
    pub fn with_items(mut self, items: u32) -> ClickLog {
        self.items = items;
        self
    }

    /// Sets the rows of each part file but the last; at least 1.
    #[must_use]
    pub fn with_rows_per_part(mut self, rows: u64) -> ClickLog {
        self.rows_per_part = rows;
        self
    }

    /// Allows [`write`](ClickLog::write) to replace folders that exist; false unless set.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> ClickLog {
        self.overwrite = overwrite;
        self
    }

    /// Sets the seed of everything random.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> ClickLog {
        self.seed = seed;
        self
    }

    /// Writes the log to the folders `train` and `valid` inside `folder`.
    ///
    /// # Errors
    /// - [`Error::BadOption`]: a number of rows, users, items or rows per part that is out of range.
    /// - [`Error::OutputExists`]: `train` or `valid` is there, and overwriting was not allowed.
    /// - [`Error::Io`], [`Error::Parquet`], [`Error::Arrow`] as they occur.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<ClickLogSummary> {
        self.check()?;
        let train = folder.as_ref().join("train");
        let valid = folder.as_ref().join("valid");
        for output in [&train, &valid] {
            self.make_way(output)?;
        }

        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let world = World::draw(self.users, self.items, &mut rng);
        self.write_parts(&train, self.train_rows, &world, &mut rng, |_, _| {})?;
        let mut attainable = Attainable::default();
        self.write_parts(
            &valid,
            self.valid_rows,
            &world,
            &mut rng,
            |probability, clicked| {
                attainable.push(probability, clicked);
            },
        )?;
        Ok(ClickLogSummary {
            train,
            valid,
            train_rows: self.train_rows,
            valid_rows: self.valid_rows,
            click_rate: attainable.click_rate(),
            attainable_log_loss: attainable.log_loss(),
            attainable_auc: attainable.auc(),
        })
    }

    fn check(&self) -> Result<()> {
        const SIZES: std::ops::RangeInclusive<u32> = 1..=10_000_000;
        let bad = |option, value: u64, expected| {
            Err(Error::BadOption {
                option,
                value: value.to_string(),
                expected,
            })
        };
        for (option, value) in [("users", self.users), ("items", self.items)] {
            if !SIZES.contains(&value) {
                return bad(option, value.into(), "1 to 10 million");
            }
        }
        let counts = [
            ("train_rows", self.train_rows),
            ("valid_rows", self.valid_rows),
            ("rows_per_part", self.rows_per_part),
        ];
        match counts.into_iter().find(|(_, value)| *value == 0) {
            Some((option, value)) => bad(option, value, "at least 1"),
            None => Ok(()),
        }
    }

    fn make_way(&self, output: &Path) -> Result<()> {
        if !output.exists() {
            return Ok(());
        }
        if !self.overwrite {
            return Err(Error::OutputExists {
                path: output.to_owned(),
            });
        }
        fs::remove_dir_all(output).map_err(Error::io("remove", output))
    }

    /// Draws rows into part files; `note` sees the true probability and the label of each.
    fn write_parts(
        &self,
        folder: &Path,
        rows: u64,
        world: &World,
        rng: &mut ChaCha8Rng,
        mut note: impl FnMut(f64, bool),
    ) -> Result<()> {
        // The folder gets its name when it is whole, so that a part of a log is never taken for one.
        let unfinished = folder.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(Error::io("remove", &unfinished))?;
        }
        parquet_file::create_folder(&unfinished)?;

        let mut columns = Columns::default();
        for part in 0..rows.div_ceil(self.rows_per_part) {
            let path = unfinished.join(format!("part_{part:05}.parquet"));
            let mut file = ParquetFile::create(&path, columns.schema())?;
            let mut left = self.rows_per_part.min(rows - part * self.rows_per_part);
            while left > 0 {
                let batch_rows = left.min(BATCH_ROWS as u64);
                for _ in 0..batch_rows {
                    let impression = world.impression(rng);
                    let probability = world.probability(&impression);
                    let clicked = rng.random::<f64>() < probability;
                    note(probability, clicked);
                    columns.push(world, &impression, clicked);
                }
                file.write(&columns.finish().map_err(Error::arrow(&path))?)?;
                left -= batch_rows;
            }
            file.finish()?;
        }
        fs::rename(&unfinished, folder).map_err(Error::io("create", folder))
    }
}

/// The builders of one batch.
struct Columns {
    schema: SchemaRef,
    user_id: StringBuilder,
    city: StringBuilder,
    device: StringBuilder,
    session_seconds: Float64Builder,
    item_id: Int64Builder,
    category: StringBuilder,
    tags: ListBuilder<StringBuilder>,
    price: Float64Builder,
    click: Int32Builder,
}

impl Default for Columns {
    fn default() -> Columns {
        let tag = Arc::new(Field::new("item", DataType::Utf8, false));
        let schema = Schema::new(vec![
            Field::new("user_id", DataType::Utf8, false),
            Field::new("city", DataType::Utf8, false),
            Field::new("device", DataType::Utf8, false),
            Field::new("session_seconds", DataType::Float64, true),
            Field::new("item_id", DataType::Int64, false),
            Field::new("category", DataType::Utf8, false),
            Field::new("tags", DataType::List(Arc::clone(&tag)), false),
            Field::new("price", DataType::Float64, true),
            Field::new("click", DataType::Int32, false),
        ]);
        Columns {
            schema: Arc::new(schema),
            user_id: StringBuilder::new(),
            city: StringBuilder::new(),
            device: StringBuilder::new(),
            session_seconds: Float64Builder::new(),
            item_id: Int64Builder::new(),
            category: StringBuilder::new(),
            tags: ListBuilder::new(StringBuilder::new()).with_field(tag),
            price: Float64Builder::new(),
            click: Int32Builder::new(),
        }
    }
}

impl Columns {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn push(&mut self, world: &World, impression: &Impression, clicked: bool) {
        let user = &world.users[impression.user];
        let item = &world.items[impression.item];
        self.user_id.append_value(&user.id);
        self.city.append_value(format!("city_{:02}", user.city));
        self.device.append_value(world::DEVICES[impression.device]);
        self.session_seconds
            .append_option(impression.session_seconds);
        self.item_id.append_value(item.id);
        self.category
            .append_value(format!("category_{:02}", item.category));
        for tag in &item.tags {
            self.tags.values().append_value(format!("tag_{tag:02}"));
        }
        self.tags.append(true);
        self.price
            .append_option(impression.price_shown.then_some(item.price));
        self.click.append_value(i32::from(clicked));
    }

    fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        RecordBatch::try_new(
            self.schema(),
            vec![
                Arc::new(self.user_id.finish()),
                Arc::new(self.city.finish()),
                Arc::new(self.device.finish()),
                Arc::new(self.session_seconds.finish()),
                Arc::new(self.item_id.finish()),
                Arc::new(self.category.finish()),
                Arc::new(self.tags.finish()),
                Arc::new(self.price.finish()),
                Arc::new(self.click.finish()),
            ],
        )
    }
}
