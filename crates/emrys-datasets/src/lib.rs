//! Readers of public recommender data sets, and synthetic data with real signal.
//!
//! Everything here goes from a source to parquet files, streaming and in bounded memory, so that
//! workflows, loaders and engines outside Emrys can go on from there:
//!
//! - [`movielens`] reads MovieLens 1M as published.
//! - [`split`] divides the rows of a parquet file at random, the same way for the same seed.
//! - [`synthetic`] draws a click log whose best attainable AUC is known.
//!
//! Nothing is downloaded: the licences of the public sets ask every user to fetch them from their
//! publisher.
//!
//! ```
//! use emrys_datasets::synthetic::ClickLog;
//!
//! let folder = tempfile::tempdir()?;
//! let log = ClickLog::new(2_000, 500).with_seed(7).write(folder.path())?;
//! assert_eq!((log.train_rows, log.valid_rows), (2_000, 500));
//! assert!(log.attainable_auc > 0.7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
pub mod movielens;
mod parquet_file;
pub mod split;
pub mod synthetic;

pub use error::{Error, Result};
