//! Division of a data set into training and validation rows.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::{filter_record_batch, not};
use arrow::record_batch::RecordBatchReader;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::parquet_file::{self, ParquetFile};
use crate::{Error, Result};

/// Divides the rows of a parquet file at random, the same way for the same seed and row count.
///
/// Exactly `floor(fraction * rows)` rows become validation rows, and every set of that many rows is
/// equally likely: as if all rows were shuffled and the last ones held out. Both outputs keep the
/// order of the input, since shuffling is the loader's work.
///
/// One pass, in memory independent of the number of rows (selection sampling, Knuth, *The Art of
/// Computer Programming* vol. 2, 3.4.2, algorithm S).
///
/// # Example
/// ```
/// use emrys_datasets::split::RandomSplit;
/// use emrys_datasets::synthetic::ClickLog;
///
/// let folder = tempfile::tempdir()?;
/// let log = ClickLog::new(1_000, 10).write(folder.path())?;
/// let rows = RandomSplit::new(0.2, 42)?.write(
///     log.train.join("part_00000.parquet"),
///     folder.path().join("a.parquet"),
///     folder.path().join("b.parquet"),
/// )?;
/// assert_eq!((rows.train_rows, rows.valid_rows), (800, 200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomSplit {
    valid_fraction: f64,
    seed: u64,
}

/// How many rows went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitRows {
    /// Rows for training.
    pub train_rows: u64,
    /// Rows held out.
    pub valid_rows: u64,
}

impl RandomSplit {
    /// A split that holds out a fraction of the rows.
    ///
    /// # Errors
    /// [`Error::BadOption`] unless the fraction is above 0 and below 1.
    pub fn new(valid_fraction: f64, seed: u64) -> Result<RandomSplit> {
        if valid_fraction > 0.0 && valid_fraction < 1.0 {
            Ok(RandomSplit {
                valid_fraction,
                seed,
            })
        } else {
            Err(bad_fraction(valid_fraction))
        }
    }

    /// Writes the training and the validation rows of `input` to two files, replacing older ones.
    ///
    /// # Errors
    /// [`Error::EmptyFile`]; [`Error::Io`], [`Error::Parquet`], [`Error::Arrow`] as they occur.
    pub fn write(
        self,
        input: impl AsRef<Path>,
        train: impl AsRef<Path>,
        valid: impl AsRef<Path>,
    ) -> Result<SplitRows> {
        let input = input.as_ref();
        let (rows, batches) = parquet_file::open(input)?;
        if rows == 0 {
            return Err(Error::EmptyFile {
                path: input.to_owned(),
            });
        }
        let schema = batches.schema();
        let mut train = ParquetFile::create(train.as_ref(), Arc::clone(&schema))?;
        let mut valid = ParquetFile::create(valid.as_ref(), schema)?;

        let mut selection = Selection::new(rows, self.valid_fraction, self.seed);
        for batch in batches {
            let batch = batch.map_err(Error::arrow(input))?;
            let held_out: BooleanArray = (0..batch.num_rows())
                .map(|_| Some(selection.draw()))
                .collect();
            let select = |mask: &BooleanArray| filter_record_batch(&batch, mask);
            train.write(
                &not(&held_out)
                    .and_then(|mask| select(&mask))
                    .map_err(Error::arrow(input))?,
            )?;
            valid.write(&select(&held_out).map_err(Error::arrow(input))?)?;
        }
        Ok(SplitRows {
            train_rows: train.finish()?,
            valid_rows: valid.finish()?,
        })
    }
}

fn bad_fraction(value: impl Display) -> Error {
    Error::BadOption {
        option: "valid_fraction",
        value: value.to_string(),
        expected: "more than 0 and less than 1",
    }
}

/// Draws `needed` of the `remaining` rows, one decision per row.
struct Selection {
    remaining: u64,
    needed: u64,
    rng: ChaCha8Rng,
}

impl Selection {
    fn new(rows: u64, fraction: f64, seed: u64) -> Selection {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a count is a count"
        )]
        let needed = (fraction * rows as f64).floor() as u64;
        Selection {
            remaining: rows,
            needed,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn draw(&mut self) -> bool {
        // `needed` is never more than `remaining`, so the range below is not empty.
        let selected = self.needed > 0 && self.rng.random_range(0..self.remaining) < self.needed;
        self.remaining = self.remaining.saturating_sub(1);
        self.needed -= u64::from(selected);
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(rows: u64, fraction: f64, seed: u64) -> Vec<u64> {
        let mut selection = Selection::new(rows, fraction, seed);
        (0..rows).filter(|_| selection.draw()).collect()
    }

    #[test]
    fn the_number_of_held_out_rows_is_exact() {
        for rows in [1, 2, 4, 5, 9, 1_000_209] {
            assert_eq!(selected(rows, 0.2, 7).len() as u64, rows / 5, "{rows} rows");
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(selected(1_000, 0.2, 7), selected(1_000, 0.2, 7));
        assert_ne!(selected(1_000, 0.2, 7), selected(1_000, 0.2, 8));
    }

    #[test]
    fn every_row_is_equally_likely() {
        let mut counts = [0u32; 10];
        for seed in 0..10_000 {
            for row in selected(10, 0.3, seed) {
                counts[row as usize] += 1;
            }
        }
        // The standard deviation of each count is 46; the band is five of them.
        assert!(
            counts.iter().all(|count| (2_770..3_230).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn fractions_outside_zero_and_one_are_refused() {
        for fraction in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(matches!(
                RandomSplit::new(fraction, 1),
                Err(Error::BadOption { .. })
            ));
        }
        insta::assert_snapshot!(
            RandomSplit::new(1.5, 1).unwrap_err(),
            @"valid_fraction is 1.5, expected more than 0 and less than 1"
        );
    }
}
