//! Opening a data set and starting its epochs.

use std::sync::Arc;

use emrys_schema::Schema;

use crate::batch::Batch;
use crate::column::Column;
use crate::decode::Selection;
use crate::epoch::{Epoch, EpochPlan};
use crate::files::{Files, Paths};
use crate::lookup::LookupSpec;
use crate::order::Order;
use crate::planner::Planners;
use crate::{Error, LoaderConfig, LoaderState, Result};

/// Cuts parquet files into batches, shuffled anew each epoch.
///
/// Cloning is cheap: the footers of the files are read once.
#[derive(Debug, Clone)]
pub struct Loader {
    files: Arc<Files>,
    selection: Arc<Selection>,
    planners: Arc<Planners>,
    config: LoaderConfig,
}

impl Loader {
    /// Opens parquet files: one, a directory, a glob, or several of these.
    ///
    /// # Schema
    /// That of a directory is read from the `schema.json` or `schema.pbtxt` in it, that of lone files
    /// from their footers (key `emrys:schema`), and each from the other place if the first has none. Files
    /// without a schema give columns without tags.
    ///
    /// # Columns
    /// Those named by [`LoaderConfig::with_columns`]; else all columns of numbers, and all that are
    /// tagged categorical, continuous, embedding or target, in the schema's order. Columns become, by
    /// the type that the files have:
    ///
    /// | in the files | in batches |
    /// |---|---|
    /// | bool, int8, int16, int32, uint8, uint16, date | [`I32`](crate::Values::I32) |
    /// | int64, uint32, uint64, timestamp | [`I64`](crate::Values::I64) |
    /// | float16, float32 | [`F32`](crate::Values::F32) |
    /// | float64 | [`F64`](crate::Values::F64) |
    ///
    /// Lists are [ragged](crate::Layout::Ragged), or [fixed](crate::Layout::Fixed) where the schema
    /// gives one length. Nested lists, texts and decimals are refused.
    ///
    /// # Nulls and NaN
    /// Nulls among integers are an error, those among floats and NaNs are what
    /// [`LoaderConfig::with_missing`] says. A null list is an empty one.
    ///
    /// # Errors
    /// Settings of 0, no files or no rows, files that cannot be read or differ, columns that are
    /// missing or of types that batches do not have. Values are checked when they are read.
    pub fn open(paths: impl Into<Paths>, config: LoaderConfig) -> Result<Loader> {
        Loader::with_files(Files::open(&paths.into(), None)?, config)
    }

    /// Opens parquet files whose columns `schema` describes, whatever is written in or beside them.
    ///
    /// # Errors
    /// As for [`open`](Loader::open).
    pub fn open_with_schema(
        paths: impl Into<Paths>,
        schema: Schema,
        config: LoaderConfig,
    ) -> Result<Loader> {
        Loader::with_files(Files::open(&paths.into(), Some(schema))?, config)
    }

    fn with_files(files: Files, config: LoaderConfig) -> Result<Loader> {
        let selection = Selection::new(&files, &config)?;
        let planners = Planners::new(Vec::new(), config.threads());
        let loader = Loader {
            files: files.into(),
            selection: selection.into(),
            planners: planners.into(),
            config,
        };
        loader.check()?;
        Ok(loader)
    }

    fn check(&self) -> Result<()> {
        self.config.check()?;
        if self.len_batches() == 0 {
            let (rows, batch_size) = (self.num_rows(), self.config.batch_size());
            return Err(Error::NoFullBatch { rows, batch_size });
        }
        Ok(())
    }

    /// The same data and lookups with other settings.
    ///
    /// Where the columns of the lookups are left out, take the lookups away first:
    /// `loader.with_lookups([])?.with_config(config)`.
    ///
    /// # Errors
    /// Those of settings and columns, see [`open`](Loader::open).
    pub fn with_config(&self, config: LoaderConfig) -> Result<Loader> {
        let loader = Loader {
            files: Arc::clone(&self.files),
            selection: Selection::new(&self.files, &config)?.into(),
            planners: Arc::clone(&self.planners),
            config,
        };
        loader.check()?;
        loader.with_lookups(self.lookups().iter().cloned())
    }

    /// The same loader, whose threads also find the rows of embedding tables that each batch needs.
    ///
    /// # Errors
    /// [`Error::NotInBatch`] for a column that is not loaded, [`Error::IdsNotInteger`],
    /// [`Error::GroupTooLarge`].
    pub fn with_lookups(&self, specs: impl IntoIterator<Item = LookupSpec>) -> Result<Loader> {
        let specs: Vec<LookupSpec> = specs.into_iter().collect();
        for spec in &specs {
            spec.check()?;
            for feature in &spec.features {
                self.selection.check_ids(&self.files, &feature.column)?;
            }
        }
        let planners = Planners::new(specs, self.config.threads());
        Ok(Loader {
            planners: planners.into(),
            ..self.clone()
        })
    }

    /// The columns that are loaded; the targets among them have the tag
    /// [`Target`](emrys_schema::Tag::Target).
    pub fn schema(&self) -> &Schema {
        &self.selection.schema
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The lookups that are planned for each batch.
    pub fn lookups(&self) -> &[LookupSpec] {
        self.planners.specs()
    }

    /// The rows of the data set.
    pub fn num_rows(&self) -> usize {
        self.files.rows
    }

    /// The batches of an epoch.
    pub fn len_batches(&self) -> usize {
        let (rows, batch_size) = (self.num_rows(), self.config.batch_size());
        if self.config.drop_last() {
            rows / batch_size
        } else {
            rows.div_ceil(batch_size)
        }
    }

    /// Starts an epoch.
    ///
    /// When shuffled, its order is a function of the seed, the number of the epoch, and the row
    /// groups of the files; not of threads and timing, and not of the batch size.
    ///
    /// # Errors
    /// [`Error::Threads`] if no threads can be started. Errors of files and values come from the
    /// iterator.
    pub fn epoch(&self, epoch: u64) -> Result<Epoch> {
        self.epoch_from(&LoaderState::new(epoch, self.num_rows(), &self.config))
    }

    /// Goes on with an epoch behind the batches that were done when the state was taken: exactly
    /// those follow that would have followed then.
    ///
    /// Chunks that are done are not read again.
    ///
    /// # Errors
    /// [`Error::StateMismatch`] if the state is of other data or settings, [`Error::Threads`].
    pub fn epoch_from(&self, state: &LoaderState) -> Result<Epoch> {
        state.check(&LoaderState::new(
            state.epoch(),
            self.num_rows(),
            &self.config,
        ))?;
        let (done, batches, batch_size) = (
            state.batches_done(),
            self.len_batches(),
            self.config.batch_size(),
        );
        if done > batches {
            let (saved, current) = (done as u64, batches as u64);
            return Err(Error::StateMismatch {
                setting: "batches_done",
                saved,
                current,
            });
        }
        let plan = EpochPlan {
            files: Arc::clone(&self.files),
            selection: Arc::clone(&self.selection),
            planners: Arc::clone(&self.planners),
            config: self.config.clone(),
            order: Order::new(&self.config, state.epoch()),
            rows: done * batch_size..(batches * batch_size).min(self.num_rows()),
        };
        Epoch::start(plan, state.clone(), batches - done)
    }

    /// The first batch in the order of the files, read at once and without threads.
    ///
    /// # Errors
    /// Those of files, values and lookups.
    pub fn sample_batch(&self) -> Result<Batch> {
        let rows = u32::try_from(self.config.batch_size().min(self.num_rows())).unwrap_or(u32::MAX);
        let mut columns: Vec<Column> = Vec::new();
        for part in &self.files.parts {
            let decoded = self.selection.decode(&self.files, *part)?;
            columns = if columns.is_empty() {
                decoded
            } else {
                let pairs = columns.into_iter().zip(decoded);
                pairs
                    .map(|(column, more)| column.followed_by(vec![more]))
                    .collect::<Result<_>>()?
            };
            if columns
                .first()
                .is_some_and(|column| column.num_rows() >= rows as usize)
            {
                break;
            }
        }
        let order: Vec<u32> = (0..rows).collect();
        let columns = columns.iter().map(|column| column.take(&order)).collect();
        let mut batch = Batch::from_parts(Arc::clone(&self.selection.names), columns);
        batch.set_plans(self.planners.plan(&batch)?);
        Ok(batch)
    }
}
