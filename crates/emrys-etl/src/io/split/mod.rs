//! Rows for training and rows held out.

mod rule;
mod selection;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema as ArrowSchema;
use datafusion::execution::SendableRecordBatchStream;
use emrys_schema::Schema;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use self::rule::Rule;
use self::selection::Selection;
use super::atomic::{AtomicDir, Existing};
use super::writer::{Output, Writer, Written, common_schema, is_remote, local_path, run_tasks};
use super::{Dataset, Manifest, WriteOptions};
use crate::session::Session;
use crate::{Error, Result};

/// The file that tells how a folder was split.
pub const SPLIT_FILE: &str = "_split.json";

/// Divides a data set into rows for training and rows held out for validation.
///
/// The same rule divides the same data in the same way, however many threads there are. One pass
/// over the data writes both parts; [`latest`](Split::latest) and
/// [`last_per_key`](Split::last_per_key) read the columns they need once before.
///
/// | rule | held out |
/// |---|---|
/// | [`random`](Split::random) | a fraction of the rows |
/// | [`by_key`](Split::by_key) | all rows of a fraction of the users |
/// | [`from_time`](Split::from_time) | the rows from a point in time on |
/// | [`latest`](Split::latest) | the last fraction of the rows in time |
/// | [`last_per_key`](Split::last_per_key) | the last rows of every user |
/// | [`matching`](Split::matching) | the rows for which an SQL expression is true |
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use emrys_etl::io::{Split, WriteOptions};
/// use emrys_etl::{Dataset, Session, SessionOptions};
///
/// let user: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 1, 2, 3]));
/// let time: ArrayRef = Arc::new(Int64Array::from(vec![10, 30, 20, 20, 50, 40]));
/// let batch = RecordBatch::try_from_iter([("user", user), ("time", time)])?;
/// let clicks = Dataset::from_batches(batch.schema(), vec![batch])?;
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("clicks");
/// let session = Session::new(SessionOptions::new())?;
/// let split = Split::last_per_key(["user"], "time", 1);
/// let written = split.write(&clicks, &session, &out, &WriteOptions::new())?;
///
/// // User 3 has one row only, from which there would be nothing to learn if it were held out.
/// assert_eq!((written.train.rows, written.valid.rows), (4, 2));
/// assert_eq!(Dataset::open(out.join("valid"))?.num_rows(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split {
    rule: Rule,
}

/// What [`Split::write`] has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitOutput {
    /// The rows for training, in the folder `train`.
    pub train: Manifest,
    /// The rows held out, in the folder `valid`.
    pub valid: Manifest,
}

impl Split {
    /// Holds out `fraction` of the rows, at random: exactly `floor(fraction * rows)`, and every
    /// set of that many rows is about equally likely. The seed and the numbers of the rows alone
    /// decide.
    pub fn random(fraction: f64, seed: u64) -> Split {
        Split::of(Rule::Random { fraction, seed })
    }

    /// Holds out all rows of a fraction of the users, sessions or whatever the columns name.
    ///
    /// The seed and the values alone decide, so that a user is on the same side in every data
    /// set. The fraction is one of the users, and is met about. Rows without a value in all
    /// columns are for training.
    pub fn by_key(
        columns: impl IntoIterator<Item = impl Into<String>>,
        fraction: f64,
        seed: u64,
    ) -> Split {
        Split::of(Rule::ByKey {
            columns: columns.into_iter().map(Into::into).collect(),
            fraction,
            seed,
        })
    }

    /// Holds out the rows from a point in time on, which is written as the column's values are
    /// shown: `2024-05-01`, `2024-05-01T12:00:00` or `978300760`. Rows without a time are for
    /// training.
    pub fn from_time(column: impl Into<String>, start: impl ToString) -> Split {
        Split::of(Rule::FromTime {
            column: column.into(),
            start: start.to_string(),
        })
    }

    /// Holds out the last rows in time: as many as possible up to `fraction` of all rows, such
    /// that rows of one time stay together. The point in time is found exactly. Rows without a
    /// time are for training.
    pub fn latest(column: impl Into<String>, fraction: f64) -> Split {
        Split::of(Rule::Latest {
            column: column.into(),
            fraction,
        })
    }

    /// Holds out the last `rows` rows in time of every user, or whatever the key columns name.
    ///
    /// Of rows of one time, those that come later in the data set are the later ones; rows
    /// without a time are the first. Users with no more than `rows` rows are for training
    /// wholly, since nothing could be learnt about them otherwise; so are rows without a value in
    /// a key column. A bit per row is held in memory, and the sort by users spills to disk.
    pub fn last_per_key(
        columns: impl IntoIterator<Item = impl Into<String>>,
        time: impl Into<String>,
        rows: u64,
    ) -> Split {
        Split::of(Rule::LastPerKey {
            columns: columns.into_iter().map(Into::into).collect(),
            time: time.into(),
            rows,
        })
    }

    /// Holds out the rows for which an SQL expression over the columns is true, neither false nor
    /// null: `rating > 3 AND country = 'it'`.
    pub fn matching(expr: impl Into<String>) -> Split {
        Split::of(Rule::Matching { expr: expr.into() })
    }

    fn of(rule: Rule) -> Split {
        Split { rule }
    }

    /// Writes the rows for training to the folder `train` within `out`, and those held out to
    /// `valid`; both keep the order of the rows, unless the options shuffle them.
    ///
    /// A local folder `out` appears when both are whole. The options say whether it may replace
    /// another split. In an object store each part for itself is either whole or known not to be.
    /// Either part may come out without rows.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a fraction that is not between 0 and 1 or an expression that
    /// does not fit the columns, [`Error::UnknownColumn`], [`Error::UnsupportedType`] for keys
    /// that are floats or lists and times that have no order, [`Error::Data`] if the last point
    /// in time alone has more rows than [`latest`](Split::latest) may hold out; those of
    /// [`write_partitions`](super::write_partitions).
    pub fn write(
        &self,
        dataset: &Dataset,
        session: &Session,
        out: impl AsRef<Path>,
        options: &WriteOptions,
    ) -> Result<SplitOutput> {
        let out = local_path(out.as_ref());
        let activity = format!("writing `{}`", out.display());
        let split = async {
            self.rule.check(dataset)?;
            let existing = match options.overwrite() {
                true => Existing::ReplaceIfHolds(SPLIT_FILE),
                false => Existing::Refuse,
            };
            let folder = match is_remote(out) {
                true => None,
                false => Some(AtomicDir::create(out, existing)?),
            };
            let selection = Selection::prepare(&self.rule, dataset, session.context()).await?;
            let streams = selection
                .frame(dataset, session.context())?
                .execute_stream_partitioned()
                .await
                .map_err(Error::query("planning the split"))?;
            let written = self
                .write_parts(dataset, streams, selection, folder.as_ref(), out, options)
                .await?;
            if let Some(folder) = folder {
                let rule = serde_json::to_string_pretty(self).map_err(|error| {
                    Error::Internal(format!("a rule does not serialise: {error}"))
                })?;
                let path = folder.path().join(SPLIT_FILE);
                fs::write(&path, rule + "\n").map_err(Error::io("write", path))?;
                folder.commit()?;
            }
            Ok(written)
        };
        session
            .run(&activity, split)
            .map_err(|error| dataset.blame(error))
    }

    async fn write_parts(
        &self,
        dataset: &Dataset,
        streams: Vec<SendableRecordBatchStream>,
        selection: Selection,
        folder: Option<&AtomicDir>,
        out: &Path,
        options: &WriteOptions,
    ) -> Result<SplitOutput> {
        let arrow = common_schema(&streams)?;
        // A column that only the decision needs comes after those of the data.
        let data = arrow.fields().iter().take(dataset.schema().len());
        let arrow = ArrowSchema::new(data.cloned().collect::<Vec<_>>());
        let paths: [PathBuf; 2] = ["train", "valid"].map(|part| out.join(part));
        let schema = dataset.schema();
        let train = begin(folder, "train", &arrow, schema, &paths[0], options).await?;
        let valid = match begin(folder, "valid", &arrow, schema, &paths[1], options).await {
            Ok(valid) => valid,
            Err(error) => return Err(train.discard(error).await),
        };
        let activity = format!("writing `{}`", out.display());

        let written = divide_all(streams, selection, &train, &valid, &activity).await;
        let written = match written {
            Ok(written) => written,
            Err(error) => return Err(train.discard(valid.discard(error).await).await),
        };
        let (in_train, in_valid) = written.into_iter().unzip();
        let train = match train.finish_all(in_train, &activity).await {
            Ok(train) => train,
            Err(error) => return Err(valid.discard(error).await),
        };
        let valid = valid.finish_all(in_valid, &activity).await?;
        Ok(SplitOutput { train, valid })
    }
}

/// Begins one part: in the folder that appears as a whole, or at its own address.
async fn begin<'a>(
    folder: Option<&AtomicDir>,
    part: &str,
    arrow: &ArrowSchema,
    schema: &Schema,
    path: &'a Path,
    options: &'a WriteOptions,
) -> Result<Output<'a>> {
    match folder {
        Some(folder) => {
            Output::create_within(folder.path().join(part), arrow, schema, path, options)
        }
        None => Output::create(arrow, schema, path, options).await,
    }
}

async fn divide_all(
    streams: Vec<SendableRecordBatchStream>,
    selection: Selection,
    train: &Output<'_>,
    valid: &Output<'_>,
    activity: &str,
) -> Result<Vec<(Written, Written)>> {
    let selection = Arc::new(selection);
    let groups = train.group(streams);
    let count = groups.len();
    let mut tasks = Vec::with_capacity(count);
    for (number, streams) in groups.into_iter().enumerate() {
        let mut writers = (train.writer(number, count)?, valid.writer(number, count)?);
        let selection = Arc::clone(&selection);
        let activity = activity.to_owned();
        tasks.push(async move {
            for stream in streams {
                if let Err(error) = divide(stream, &selection, &mut writers, &activity).await {
                    writers.0.abort().await;
                    writers.1.abort().await;
                    return Err(error);
                }
            }
            Ok((writers.0.finish().await?, writers.1.finish().await?))
        });
    }
    run_tasks(tasks, activity).await
}

async fn divide(
    mut stream: SendableRecordBatchStream,
    selection: &Selection,
    (train, valid): &mut (Writer, Writer),
    activity: &str,
) -> Result<()> {
    while let Some(batch) = stream.next().await {
        let batch: RecordBatch = batch.map_err(Error::query(activity))?;
        let (kept, held_out) = selection.divide(batch)?;
        train.write(&kept).await?;
        valid.write(&held_out).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
