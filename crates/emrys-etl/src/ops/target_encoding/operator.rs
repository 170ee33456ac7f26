//! The life of [`TargetEncoding`] in a workflow.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, ident, lit, when};
use datafusion::prelude::Expr;
use emrys_schema::{ColumnSchema, DType, Schema, Tag, TagSet};

use super::table::{self, Encodings, GroupTable, Target, sums_name};
use super::{FOLD, Folds, MOST_FOLDS, OPERATOR, TargetEncoding, encode, folds};
use crate::functions::{ExactSum, canonical, exact_sum, key_code};
use crate::lookup::key_name;
use crate::operator::{
    Example, FitResults, GroupedStatistic, InputSchema, Lowered, NewIds, Operator, Relation,
    Source, Statistic,
};
use crate::ops::keyed_statistics::not_fitted;
use crate::ops::one_or_many::OneOrMany;
use crate::selector::Selected;
use crate::{Error, Result};

impl TargetEncoding {
    fn target_names(&self) -> &[String] {
        self.target.as_slice()
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
        if let Some(names) = self.out_col.as_ref().map(OneOrMany::as_slice) {
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
            table::build(group.columns(), targets, self.num_folds(), rows, &storage)
        });
        tables.collect()
    }

    /// The code of each row's category in its table, zero for the mean.
    fn code(&self, table: &GroupTable, input: &Relation) -> Result<Expr> {
        let mut keys = Vec::new();
        let mut is_null = lit(false);
        for member in table.table.members() {
            let key = input.expr(member)?;
            let canonical = canonical(key.clone(), &input.arrow_type(member)?);
            is_null = is_null.or(canonical.is_null());
            keys.push(key);
        }
        let code = key_code(OPERATOR, table.table.index(), keys);
        match self.nulls_as_mean {
            false => Ok(code),
            true => when(is_null, lit(0_u32))
                .otherwise(code)
                .map_err(Error::query("encoding nulls")),
        }
    }

    fn fold(&self, input: &Relation) -> Result<Expr> {
        folds::fold(input, &self.folds, self.fold_seed, self.kfold)
    }

    /// Refuses statistics, such as those of an edited save, that are not of these columns, targets
    /// and folds.
    fn check_state(&self, input: &InputSchema, state: &Encodings) -> Result<()> {
        for selected in input.selected() {
            let table = state.table(selected.columns())?;
            let targets = self.target_names().len();
            if state.targets.len() != targets || table.records.folds() != self.num_folds() {
                return Err(not_fitted(OPERATOR, selected.columns()));
            }
        }
        Ok(())
    }
}

fn invalid(option: &str, value: String, expected: impl Into<String>) -> Error {
    Error::InvalidOption {
        operator: OPERATOR.to_owned(),
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
        if !(1..=MOST_FOLDS).contains(&self.kfold) {
            return Err(invalid(
                "kfold",
                self.kfold.to_string(),
                format!("it must lie between 1 and {MOST_FOLDS}"),
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

    fn output_schema(&self, input: &InputSchema, state: Option<&Encodings>) -> Result<Schema> {
        input.require_scalars()?;
        if let Some(state) = state {
            self.check_state(input, state)?;
        }
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
                    operator: OPERATOR.to_owned(),
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
                    operator: OPERATOR.to_owned(),
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
            groups.push(Arc::new(old.merge(OPERATOR, &new, &results.storage)?));
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
            let code = self.code(table, input)?;
            let mean = state.targets[target].mean;
            let value = encode::encoding(table, target, mean, self.p_smooth, code, fold.clone());
            outputs.push((name, cast(value, dtype.clone())));
        }
        if !self.drop_folds {
            let fold = match fold {
                Some(fold) => fold,
                None => lit(0_u8),
            };
            outputs.push((FOLD.to_owned(), fold));
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
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
            },
            Example {
                title: "Nulls are encoded by the mean, 0.75.",
                config: serde_json::json!({
                    "target": "y", "kfold": 1, "p_smooth": 0, "nulls_as_mean": true,
                }),
                input: serde_json::json!({"c": ["x", null, "x", "z"], "y": [1, 1, 0, 1]}),
                selection: serde_json::json!(["c"]),
                output: serde_json::json!({"TE_c_y": [0.5, 0.75, 0.5, 1.0]}),
            },
        ]
    }
}
