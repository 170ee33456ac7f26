//! Parquet files become shuffled batches of host columns, with the embedding rows of each batch
//! found ahead.
//!
//! A [`Loader`] opens files once and gives any number of [epochs](Loader::epoch); each is an iterator
//! of [`Batch`]es that threads prepare in the background, in bounded memory. The order of rows
//! depends on the seed and the epoch alone, so runs repeat, and an epoch can be
//! [resumed](Loader::epoch_from) from a saved [`LoaderState`]. With [lookups](Loader::with_lookups),
//! each batch carries a [`LookupPlan`] per group of embedding tables: the distinct rows that it
//! needs, and where each id's row is among them.
//!
//! ```
//! use emrys_loader::{Loader, LoaderConfig, LookupFeature, LookupSpec};
//! # use std::{fs::File, sync::Arc};
//! # use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
//! # use parquet::arrow::ArrowWriter;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("clicks.parquet");
//! # let records = RecordBatch::try_from_iter([
//! #     ("user_id", Arc::new(Int32Array::from_iter_values((0..10).map(|row| row % 4))) as ArrayRef),
//! #     ("click", Arc::new(Float32Array::from_iter_values((0..10).map(|row| (row % 2) as f32)))),
//! # ])?;
//! # let mut writer = ArrowWriter::try_new(File::create(&path)?, records.schema(), None)?;
//! # writer.write(&records)?;
//! # writer.close()?;
//! // 10 rows of `user_id` (0 to 3) and `click`.
//! let loader = Loader::open(&path, LoaderConfig::new(4).with_shuffle(true).with_seed(42))?
//!     .with_lookups([LookupSpec::new("dim16", [LookupFeature::new("user_id", 0, 4)])])?;
//! assert_eq!(loader.len_batches(), 3);
//!
//! let mut rows = 0;
//! for batch in loader.epoch(0)? {
//!     let batch = batch?;
//!     rows += batch.num_rows();
//!     // Each id's row can be found among the batch's rows.
//!     let plan = batch.plan("dim16")?;
//!     let positions = &plan.feature("user_id")?.positions;
//!     for (id, position) in batch.i32("user_id")?.iter().zip(positions) {
//!         assert_eq!(plan.unique[*position as usize], i64::from(*id));
//!     }
//! }
//! assert_eq!(rows, 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod column;
mod config;
mod decode;
mod epoch;
mod error;
mod files;
mod folders;
mod from_arrow;
mod loader;
mod lookup;
mod order;
mod planner;
mod pool;
mod state;

pub use batch::Batch;
pub use column::{Column, Layout, Values};
pub use config::{LoaderConfig, Missing};
pub use epoch::Epoch;
pub use error::{Error, Result};
pub use files::Paths;
pub use loader::Loader;
pub use lookup::{FeaturePositions, LookupFeature, LookupPlan, LookupSpec, plan};
pub use state::LoaderState;
