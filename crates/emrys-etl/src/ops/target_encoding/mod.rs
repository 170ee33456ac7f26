//! See [`TargetEncoding`].

mod encode;
mod folds;
mod table;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, ident};
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Schema, Tag, TagSet};
use serde::{Deserialize, Serialize};

use super::PerColumn;
use crate::functions::{ExactSum, canonical, exact_sum, key_code};
use crate::lookup::key_name;
use crate::operator::{
    Example, FitResults, GroupedStatistic, InputSchema, Lowered, NewIds, Operator, Relation,
    Source, Statistic,
};
use crate::selector::Selected;
use crate::{Error, Result};

pub use folds::Folds;
pub use table::Encodings;
use table::{GroupTable, Target, sums_name};

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
/// Null is a category like any other. Rows whose target is null or NaN do not count.
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
    target: OneOrMany,
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
    out_col: Option<Vec<String>>,
    #[serde(default = "default_dtype")]
    out_dtype: DType,
    #[serde(default = "default_name_sep")]
    name_sep: String,
    #[serde(default = "default_drop_folds")]
    drop_folds: bool,
    #[serde(default)]
    folds_in_transform: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
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

impl TargetEncoding {
    /// Encodes by one target; see [`targets`](TargetEncoding::targets) for several.
    pub fn new(target: impl Into<String>) -> TargetEncoding {
        TargetEncoding::of(OneOrMany::One(target.into()))
    }

    /// Encodes by several targets, each on its own.
    pub fn targets(targets: impl IntoIterator<Item = impl Into<String>>) -> TargetEncoding {
        TargetEncoding::of(OneOrMany::Many(
            targets.into_iter().map(Into::into).collect(),
        ))
    }

    fn of(target: OneOrMany) -> TargetEncoding {
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
        self.out_col = Some(names.into_iter().map(Into::into).collect());
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

    /// Merlin's behaviour: data that were not trained on are encoded by folds as well, so that
    /// equal categories get different values. Off by default, and only for comparisons.
    #[must_use]
    pub fn with_folds_in_transform(mut self, folds_in_transform: bool) -> TargetEncoding {
        self.folds_in_transform = folds_in_transform;
        self
    }

    fn target_names(&self) -> &[String] {
        match &self.target {
            OneOrMany::One(target) => std::slice::from_ref(target),
            OneOrMany::Many(targets) => targets,
        }
    }

    /// The outputs in order: group, position of the target, name.
    fn outputs<'a>(&self, input: &'a InputSchema) -> Result<Vec<(&'a Selected, usize, String)>> {
        let mut outputs = Vec::new();
        for group in input.selected() {
            for (target, name) in self.target_names().iter().enumerate() {
                let default = format!("TE_{}_{name}", group.joined(&self.name_sep));
                outputs.push((group, target, default));
            }
        }
        if let Some(names) = &self.out_col {
            if names.len() != outputs.len() {
                return Err(invalid(
                    "out_col",
                    format!("{} names", names.len()),
                    format!(
                        "there are {} outputs, one per group and target",
                        outputs.len()
                    ),
                ));
            }
            for (output, name) in outputs.iter_mut().zip(names) {
                output.2.clone_from(name);
            }
        }
        Ok(outputs)
    }

    fn uses_folds(&self, training: bool) -> bool {
        self.kfold > 1 && (training || self.folds_in_transform)
    }

    /// How many folds are fitted.
    fn num_folds(&self) -> u32 {
        if self.uses_folds(true) { self.kfold } else { 1 }
    }

    fn given_mean(&self, target: &str) -> Option<f64> {
        let means = self.target_mean.as_ref()?;
        means.get(target).copied()
    }

    /// The statistics of each group.
    fn tables(&self, input: &InputSchema, results: &mut FitResults) -> Result<Vec<GroupTable>> {
        let storage = results.storage.clone();
        let tables = input.selected().iter().map(|group| {
            let rows = results.take_grouped(&group.joined("\u{1f}"))?;
            let targets = self.target_names().len();
            GroupTable::build(group.columns(), targets, self.num_folds(), rows, &storage)
        });
        tables.collect()
    }

    fn fold(&self, input: &Relation) -> Result<Expr> {
        folds::fold(input, &self.folds, self.fold_seed, self.kfold)
    }
}

fn invalid(option: &str, value: String, expected: impl Into<String>) -> Error {
    Error::InvalidOption {
        operator: "target_encoding".to_owned(),
        option: option.to_owned(),
        value,
        expected: expected.into(),
    }
}

impl Operator for TargetEncoding {
    type State = Encodings;

    fn name() -> &'static str {
        "TargetEncoding"
    }

    fn description() -> &'static str {
        "Replaces categories by the smoothed mean of a target."
    }

    fn check(&self) -> Result<()> {
        if self.target_names().is_empty() {
            return Err(invalid(
                "target",
                "empty".to_owned(),
                "at least one target is needed",
            ));
        }
        if !(1..=255).contains(&self.kfold) {
            return Err(invalid(
                "kfold",
                self.kfold.to_string(),
                "it must lie between 1 and 255",
            ));
        }
        if !(self.p_smooth >= 0.0 && self.p_smooth.is_finite()) {
            return Err(invalid(
                "p_smooth",
                self.p_smooth.to_string(),
                "it must not be negative",
            ));
        }
        if let Folds::Hash(names) = &self.folds
            && names.is_empty()
        {
            return Err(invalid(
                "folds",
                "a hash of no columns".to_owned(),
                "name at least one column",
            ));
        }
        if !matches!(self.out_dtype, DType::Float32 | DType::Float64) {
            return Err(invalid(
                "out_dtype",
                self.out_dtype.to_string(),
                "it must be float32 or float64",
            ));
        }
        Ok(())
    }

    fn dependencies(&self) -> Vec<String> {
        let mut names = self.target_names().to_vec();
        if self.uses_folds(true) {
            names.extend_from_slice(self.folds.columns());
        }
        names
    }

    fn transform_dependencies(&self) -> Vec<String> {
        match self.uses_folds(false) {
            true => self.folds.columns().to_vec(),
            false => Vec::new(),
        }
    }

    fn needs_row_id(&self) -> bool {
        self.kfold > 1 && self.folds == Folds::RowNumber
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&Encodings>) -> Result<Schema> {
        input.require_scalars()?;
        // Targets are not there when other data are transformed.
        for target in self.target_names() {
            if let Ok(column) = input.column(target) {
                let number = |dtype: DType| dtype.is_numeric() || dtype == DType::Bool;
                input.require(column, "a number", number)?;
            }
        }
        for name in self.folds.columns() {
            if let Ok(column) = input.column(name)
                && column.shape().is_list()
            {
                return Err(Error::UnsupportedType {
                    operator: "target_encoding".to_owned(),
                    column: name.clone(),
                    found: format!("{}{}", column.dtype(), column.shape()),
                    expected: "folds need a single value per row".to_owned(),
                });
            }
        }
        let mut columns = Vec::new();
        for (group, _, name) in self.outputs(input)? {
            let mut tags = TagSet::EMPTY;
            for member in group.columns() {
                tags = tags.with(input.column(member)?.tags().iter().cloned());
            }
            let tags = tags
                .without([Tag::Categorical, Tag::Id, Tag::Target])
                .without([Tag::BinaryClassification, Tag::Regression])
                .with([Tag::Continuous]);
            columns.push(ColumnSchema::new(name, self.out_dtype).with_tags(tags.iter().cloned()));
        }
        if !self.drop_folds {
            columns.push(ColumnSchema::new(FOLD, DType::UInt8));
        }
        Ok(Schema::new(columns)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let target =
            |name: &String| -> Result<Expr> { Ok(cast(input.expr(name)?, DataType::Float64)) };
        let mut statistics = Vec::new();
        for name in self.target_names() {
            let expr = exact_sum(target(name)?);
            statistics.push(Statistic::Aggregate {
                name: name.clone(),
                expr,
            });
        }
        for group in input.selected() {
            let mut columns = Vec::new();
            let mut keys: Vec<String> = (0..group.columns().len()).map(key_name).collect();
            for (key, member) in keys.iter().zip(group.columns()) {
                let expr = canonical(input.expr(member)?, &input.arrow_type(member)?);
                columns.push((key.clone(), expr));
            }
            if self.uses_folds(true) {
                columns.push((FOLD.to_owned(), self.fold(input)?));
                keys.push(FOLD.to_owned());
            }
            let mut aggregates = Vec::new();
            for (i, name) in self.target_names().iter().enumerate() {
                columns.push((format!("target_{i}"), target(name)?));
                aggregates.push((sums_name(i), exact_sum(ident(format!("target_{i}")))));
            }
            statistics.push(Statistic::Large {
                order: table::order(group.columns().len(), self.num_folds()),
                grouped: GroupedStatistic {
                    name: group.joined("\u{1f}"),
                    sources: vec![Source {
                        columns,
                        flatten: None,
                    }],
                    keys,
                    aggregates,
                },
            });
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<Encodings> {
        let mut targets = Vec::new();
        for name in self.target_names() {
            let sum = ExactSum::from_scalar(results.aggregate(name)?)?;
            if sum.count == 0 {
                return Err(Error::Data {
                    operator: "target_encoding".to_owned(),
                    problem: format!("no row has a value of the target `{name}`"),
                });
            }
            targets.push(Target::new(sum, self.given_mean(name)));
        }
        let groups = self.tables(input, &mut results)?;
        let groups = groups.into_iter().map(Arc::new).collect();
        Ok(Encodings { targets, groups })
    }

    fn refit(
        &self,
        state: &Encodings,
        input: &InputSchema,
        mut results: FitResults,
        _ids: NewIds,
    ) -> Result<Encodings> {
        let mut targets = Vec::new();
        for (name, old) in self.target_names().iter().zip(&state.targets) {
            let mut sum = old.sum();
            if sum.count == 0 {
                return Err(invalid(
                    "refit",
                    "asked for".to_owned(),
                    "the workflow was saved without the sums that it needs; fit it on all data",
                ));
            }
            sum.merge(ExactSum::from_scalar(results.aggregate(name)?)?);
            sum.sum = sum.sum.rounded();
            targets.push(Target::new(sum, self.given_mean(name)));
        }
        let mut groups = Vec::new();
        for (group, new) in input
            .selected()
            .iter()
            .zip(self.tables(input, &mut results)?)
        {
            let old = state.table(group.columns())?;
            groups.push(Arc::new(old.merge(&new, &results.storage)?));
        }
        Ok(Encodings { targets, groups })
    }

    fn lower(&self, state: &Encodings, input: &Relation) -> Result<Lowered> {
        let fold = match self.uses_folds(input.is_training()) {
            true => Some(self.fold(input)?),
            false => None,
        };
        let dtype = ColumnSchema::new("", self.out_dtype)
            .to_arrow()?
            .data_type()
            .clone();
        let mut outputs = Vec::new();
        for (group, target, name) in self.outputs(input)? {
            let table = state.table(group.columns())?;
            let keys: Result<Vec<Expr>> = group
                .columns()
                .iter()
                .map(|member| input.expr(member))
                .collect();
            let code = key_code("target_encoding", table.table.index(), keys?);
            let mean = state.targets[target].mean;
            let value = encode::encoding(table, target, mean, self.p_smooth, code, fold.clone());
            outputs.push((name, cast(value, dtype.clone())));
        }
        if !self.drop_folds {
            let fold = match fold {
                Some(fold) => fold,
                None => datafusion::logical_expr::lit(0u8),
            };
            outputs.push((FOLD.to_owned(), fold));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Without folds; null is a category.",
            config: serde_json::json!({"target": "y", "kfold": 1, "p_smooth": 20, "out_dtype": "float64"}),
            input: serde_json::json!({
                "c": ["x", "y", "x", "y", "x", "y", null, "z"],
                "y": [1, 0, 1, 1, 0, 0, 1, 1],
            }),
            selection: serde_json::json!(["c"]),
            output: serde_json::json!({"TE_c_y": [
                14.5 / 23.0, 13.5 / 23.0, 14.5 / 23.0, 13.5 / 23.0, 14.5 / 23.0, 13.5 / 23.0,
                13.5 / 21.0, 13.5 / 21.0,
            ]}),
        }]
    }
}
