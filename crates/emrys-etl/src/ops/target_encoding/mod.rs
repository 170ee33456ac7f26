//! See [`TargetEncoding`].

mod encode;
mod folds;
mod operator;
mod table;

use emrys_schema::DType;
use serde::{Deserialize, Serialize};

use super::PerColumn;
use super::one_or_many::OneOrMany;

pub use folds::Folds;
pub use table::Encodings;

/// What messages and files call the operator.
const OPERATOR: &str = "target_encoding";

/// Replaces categories by the smoothed mean of a target over the rows of the category.
///
/// For a category with `n` rows whose targets sum to `s`, and the mean `m` of the target over all
/// rows, the encoding is `(s + p_smooth * m) / (n + p_smooth)`. A row of the training data in fold
/// `f` gets the encoding of the rows of its category in all *other* folds, so that no row sees its
/// own target; all other data get the encoding of all training rows.
///
/// # Fits
/// Count and sum of each target for every category and fold, in one group-by per column or group;
/// sums do not depend on the number of threads. The fold of a row is a hash of its number in the
/// data set and the seed (see [`Folds`]), so it does not depend on the partitioning either.
/// Memory: 24 bytes for each category, target and fold, and the look-up table; with a limit of
/// memory the engine sorts on disk, and tables that take too much of it are looked up there (see
/// [`StateStorage`](crate::StateStorage)).
///
/// Learning from more data adds counts and sums up, as if fitted on the old and the new data at
/// once. Folds by row number begin anew with the new data; those of a column or a hash are the
/// same.
/// # Output
/// For each column or group and each target `TE_<group>_<target>`, as `float32` or the type of
/// [`with_dtype`](TargetEncoding::with_dtype); rows and order are kept.
/// # Schema
/// The tags of the group without `categorical`, `id` and `target`, and `continuous`.
/// # Nulls, NaN and empty input
/// Null is a category like any other, and NaN is null; with
/// [`with_nulls_as_mean`](TargetEncoding::with_nulls_as_mean) the mean of the target, as for unseen
/// values. Rows whose target is null or NaN do not count.
/// # Unseen values
/// The mean of the target.
/// # List columns
/// Refused at build.
/// # Errors
/// At build: no or unknown target; a target that is not a number; an option out of range; wrong
/// number of names. At fit: no row has a target.
/// # Compared with Merlin
/// Merlin applies random folds to validation and serving data too, gives null categories wrong and
/// even infinite values, needs the target to transform, and passes the target's tags on to the
/// features. [`with_folds_in_transform`](TargetEncoding::with_folds_in_transform) brings back the
/// first of these for comparisons.
/// # Example
/// ```
/// use emrys_etl::{Dataset, Workflow, cols, ops::TargetEncoding};
/// # use arrow::array::{ArrayRef, AsArray, Float32Array, Int64Array, RecordBatch, StringArray};
/// # use std::sync::Arc;
/// # let city: ArrayRef = Arc::new(StringArray::from(vec!["rome", "rome", "oslo"]));
/// # let click: ArrayRef = Arc::new(Int64Array::from(vec![1, 0, 1]));
/// # let batch = RecordBatch::try_from_iter([("city", city), ("click", click)]).unwrap();
/// # let clicks = Dataset::from_batches(batch.schema(), vec![batch])?;
/// let encoding = TargetEncoding::new("click").with_kfold(1).with_p_smooth(1.0);
/// let fitted = Workflow::new(cols(["city"]) >> encoding).fit(&clicks)?;
/// let rows = fitted.transform(&clicks)?.collect()?;
/// let encoded: &Float32Array = rows[0]["TE_city_click"].as_primitive();
/// assert_eq!(encoded.value(0), (1.0 + 2.0 / 3.0) / (2.0 + 1.0));
/// # Ok::<(), emrys_etl::Error>(())
/// ```
/// # References
/// Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetEncoding {
    target: OneOrMany<String>,
    #[serde(default)]
    target_mean: Option<PerColumn<f64>>,
    #[serde(default = "default_kfold")]
    kfold: u32,
    #[serde(default)]
    folds: Folds,
    #[serde(default = "default_fold_seed")]
    fold_seed: Option<u64>,
    #[serde(default = "default_p_smooth")]
    p_smooth: f64,
    #[serde(default)]
    out_col: Option<OneOrMany<String>>,
    #[serde(default = "default_dtype")]
    out_dtype: DType,
    #[serde(default = "default_name_sep")]
    name_sep: String,
    #[serde(default = "default_drop_folds")]
    drop_folds: bool,
    #[serde(default)]
    nulls_as_mean: bool,
    #[serde(default)]
    folds_in_transform: bool,
}

fn default_kfold() -> u32 {
    3
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the option has a default that is not none"
)]
fn default_fold_seed() -> Option<u64> {
    Some(42)
}

fn default_p_smooth() -> f64 {
    20.0
}

fn default_dtype() -> DType {
    DType::Float32
}

fn default_name_sep() -> String {
    "_".to_owned()
}

fn default_drop_folds() -> bool {
    true
}

/// The column that holds the fold of each row, if it is asked for.
const FOLD: &str = "__fold__";

/// Folds are numbered by bytes.
const MOST_FOLDS: u32 = u8::MAX as u32;

impl TargetEncoding {
    /// Encodes by one target; see [`targets`](TargetEncoding::targets) for several.
    pub fn new(target: impl Into<String>) -> TargetEncoding {
        TargetEncoding::of(OneOrMany::One(target.into()))
    }

    /// Encodes by several targets, each on its own.
    pub fn targets(targets: impl IntoIterator<Item = impl Into<String>>) -> TargetEncoding {
        TargetEncoding::of(targets.into_iter().collect())
    }

    fn of(target: OneOrMany<String>) -> TargetEncoding {
        TargetEncoding {
            target,
            target_mean: None,
            kfold: default_kfold(),
            folds: Folds::default(),
            fold_seed: default_fold_seed(),
            p_smooth: default_p_smooth(),
            out_col: None,
            out_dtype: default_dtype(),
            name_sep: default_name_sep(),
            drop_folds: default_drop_folds(),
            nulls_as_mean: false,
            folds_in_transform: false,
        }
    }

    /// The number of folds, 3 by default; 1 encodes the training data with their own targets,
    /// which leaks them.
    #[must_use]
    pub fn with_kfold(mut self, kfold: u32) -> TargetEncoding {
        self.kfold = kfold;
        self
    }

    /// How many rows with the mean target are added to every category, 20 by default.
    #[must_use]
    pub fn with_p_smooth(mut self, p_smooth: f64) -> TargetEncoding {
        self.p_smooth = p_smooth;
        self
    }

    /// Where the fold of a row comes from; its number in the data set by default.
    #[must_use]
    pub fn with_folds(mut self, folds: Folds) -> TargetEncoding {
        self.folds = folds;
        self
    }

    /// The seed of the folds, 42 by default; `None` gives row `i` the fold `i % kfold`.
    #[must_use]
    pub fn with_fold_seed(mut self, seed: impl Into<Option<u64>>) -> TargetEncoding {
        self.fold_seed = seed.into();
        self
    }

    /// Given means of the targets, in the place of those of the data.
    #[must_use]
    pub fn with_target_mean(mut self, mean: impl Into<PerColumn<f64>>) -> TargetEncoding {
        self.target_mean = Some(mean.into());
        self
    }

    /// Names of the outputs, all targets of the first group first.
    #[must_use]
    pub fn with_names(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> TargetEncoding {
        self.out_col = Some(names.into_iter().collect());
        self
    }

    /// The type of the outputs, `float32` (the default) or `float64`.
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> TargetEncoding {
        self.out_dtype = dtype;
        self
    }

    /// Also puts out the fold of each row, as `__fold__` (`uint8`); off by default.
    #[must_use]
    pub fn with_fold_column(mut self, fold_column: bool) -> TargetEncoding {
        self.drop_folds = !fold_column;
        self
    }

    /// Encodes a null, and a group in which any member is null, by the mean of the target, as if it
    /// were unseen; rows with nulls still count for that mean. Off by default: null is a category.
    #[must_use]
    pub fn with_nulls_as_mean(mut self, nulls_as_mean: bool) -> TargetEncoding {
        self.nulls_as_mean = nulls_as_mean;
        self
    }

    /// Merlin's behaviour: data that were not trained on are encoded by folds as well, so that
    /// equal categories get different values. Off by default, and only for comparisons.
    #[must_use]
    pub fn with_folds_in_transform(mut self, folds_in_transform: bool) -> TargetEncoding {
        self.folds_in_transform = folds_in_transform;
        self
    }
}
