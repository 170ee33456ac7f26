//! The life of a [`Groupby`]: checks, schema, plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_fn::ExprFunctionExt;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::prelude::{DataFrame, Expr};
use emrys_schema::{ColumnSchema, Dim, Schema, Shape};

use super::Groupby;
use super::table::{GroupSpec, GroupTable, Output, key_name};
use crate::functions::{Aggregate, RangeAggregate};
use crate::io::ROW_ID;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::ops::aggregates::{require_type, result_column};
use crate::ops::columns::is_missing;
use crate::ops::one_or_many::OneOrMany;
use crate::{Error, Result};

impl Groupby {
    fn keys(&self) -> &[String] {
        self.groupby_cols.as_slice()
    }

    /// The aggregates that come out, in order: column, aggregate and name.
    fn outputs<'a>(
        &self,
        input: &'a InputSchema,
    ) -> Result<Vec<(&'a ColumnSchema, RangeAggregate, String)>> {
        let aggregates = self.aggs.of(input)?.into_iter();
        let wanted = aggregates.filter(|(column, _)| {
            !self.aggs.are_for_all() || !self.keys().iter().any(|key| key == column.name())
        });
        Ok(wanted
            .map(|(column, kind)| {
                let name = format!("{}{}{kind}", column.name(), self.name_sep);
                let integer_sums = self.integer_sums;
                (column, RangeAggregate { kind, integer_sums }, name)
            })
            .collect())
    }

    fn list_shape(&self, column: &ColumnSchema) -> Shape {
        let max = self.max_length;
        let min = self.min_length.max(1);
        let lists = Dim {
            min: max.map_or(min, |max| min.min(max)),
            max,
        };
        let inner = column.shape().dims().iter().copied();
        Shape::new(std::iter::once(lists).chain(inner).collect::<Vec<_>>())
    }

    fn invalid(option: &str, value: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::InvalidOption {
            operator: "groupby".to_owned(),
            option: option.to_owned(),
            value: value.into(),
            expected: expected.into(),
        }
    }

    /// What the groups are made of, for the engine.
    fn spec(&self, input: &Relation) -> Result<GroupSpec> {
        let ascending = self.is_ascending();
        let outputs = self
            .outputs(input)?
            .into_iter()
            .map(|(column, aggregate, name)| {
                // The earliest row is the last one where the order descends.
                let kind = match aggregate.kind {
                    Aggregate::First if !ascending => Aggregate::Last,
                    Aggregate::Last if !ascending => Aggregate::First,
                    kind => kind,
                };
                Output {
                    column: column.name().to_owned(),
                    aggregate: RangeAggregate { kind, ..aggregate },
                    name,
                }
            });
        Ok(GroupSpec {
            keys: self.keys().to_vec(),
            order: self.order(),
            outputs: outputs.collect(),
            min_length: usize::try_from(self.min_length).unwrap_or(usize::MAX),
            max_length: self
                .max_length
                .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
            latest_first: !ascending,
        })
    }

    /// The rows to be grouped: only the columns that are needed.
    fn rows(&self, input: &Relation, spec: &mut GroupSpec) -> Result<DataFrame> {
        let mut frame = input.frame.clone();
        if !self.null_keys {
            for key in self.keys() {
                let missing = is_missing(input.expr(key)?, &input.arrow_type(key)?);
                frame = frame
                    .filter(!missing)
                    .map_err(Error::query("leaving out missing keys"))?;
            }
        }
        spec.order.push((ROW_ID.to_owned(), true));
        if repeats_row_ids(frame.logical_plan())? {
            // Copies of a row have its number; their values tell them apart.
            let scalars = input.columns().filter(|column| !column.shape().is_list());
            spec.order
                .extend(scalars.map(|column| (column.name().to_owned(), true)));
        }
        let columns = spec.input_columns(spec.outputs.iter());
        let columns: Result<Vec<Expr>> = columns
            .iter()
            .map(|name| match *name {
                ROW_ID => input.row_id(),
                name => Ok(input.expr(name)?.alias(name)),
            })
            .collect();
        frame
            .select(columns?)
            .map_err(Error::query("selecting the rows to group"))
    }
}

/// Whether rows of a plan may have the same number: those that a join or a list was spread into.
fn repeats_row_ids(plan: &LogicalPlan) -> Result<bool> {
    use datafusion::common::tree_node::TreeNode;
    plan.exists(|part| {
        Ok(matches!(
            part,
            LogicalPlan::Unnest(_) | LogicalPlan::Join(_)
        ))
    })
    .map_err(Error::query("looking for repeated rows"))
}

impl Operator for Groupby {
    type State = ();

    fn name() -> &'static str {
        "Groupby"
    }

    fn description() -> &'static str {
        "Makes one row of all rows with the same keys."
    }

    fn check(&self) -> Result<()> {
        if self.keys().is_empty() {
            return Err(Groupby::invalid(
                "groupby_cols",
                "empty",
                "at least one column is needed",
            ));
        }
        for (option, columns) in [
            ("groupby_cols", &self.groupby_cols),
            ("sort_cols", &self.sort_cols),
        ] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = columns.as_slice().iter().find(|name| !seen.insert(*name)) {
                return Err(Groupby::invalid(
                    option,
                    format!("`{twice}` twice"),
                    "each column counts once; remove one",
                ));
            }
        }
        if let OneOrMany::Many(directions) = &self.ascending {
            let (found, needed) = (directions.len(), self.sort_cols.as_slice().len());
            if found != needed {
                return Err(Groupby::invalid(
                    "ascending",
                    format!("a list of {found}"),
                    format!("there are {needed} sort columns; give one direction for each"),
                ));
            }
        }
        if self.max_length == Some(0) {
            return Err(Groupby::invalid(
                "max_length",
                "0",
                "lists need room for one element; leave it out for whole lists",
            ));
        }
        self.aggs.check("groupby", &Aggregate::ALL)
    }

    fn dependencies(&self) -> Vec<String> {
        let columns = self.keys().iter().chain(self.sort_cols.as_slice());
        columns.cloned().collect()
    }

    fn changes_rows(&self, _state: Option<&()>) -> Result<bool> {
        Ok(true)
    }

    fn needs_row_id(&self) -> bool {
        true
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        for name in self.keys().iter().chain(self.sort_cols.as_slice()) {
            let column = input.column(name)?;
            if column.shape().is_list() {
                return Err(Error::UnsupportedType {
                    operator: input.operator().to_owned(),
                    column: name.clone(),
                    found: format!("{}{}", column.dtype(), column.shape()),
                    expected: "keys and sort columns hold single values; use another".to_owned(),
                });
            }
        }
        let keys = self.keys().iter().filter_map(|key| input.schema().get(key));
        let mut columns: Vec<ColumnSchema> = keys.cloned().collect();
        for (column, aggregate, name) in self.outputs(input)? {
            require_type(input, column, aggregate.kind, column.shape().is_list())?;
            let result = result_column(column, name, aggregate);
            columns.push(match aggregate.kind {
                Aggregate::List => result.with_shape(self.list_shape(column)),
                _ => result,
            });
        }
        if columns.is_empty() {
            return Err(Groupby::invalid(
                "aggs",
                "for no input",
                "there is nothing to put out; select keys or columns to aggregate",
            ));
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let mut spec = self.spec(input)?;
        let rows = self.rows(input, &mut spec)?;
        let mut columns: Vec<Expr> = Vec::new();
        for (i, key) in self.keys().iter().enumerate() {
            if input.schema().get(key).is_some() {
                columns.push(ident(key_name(i)).alias(key));
            }
        }
        columns.extend(spec.outputs.iter().map(|output| ident(&output.name)));
        let by_keys: Vec<_> = (0..spec.keys.len())
            .map(|i| ident(key_name(i)).sort(true, false))
            .collect();
        let number = || row_number().order_by(by_keys.clone()).build();
        let build = || {
            // Groups are numbered as rows are, for operators that need the order of rows.
            let number = cast(number()?, arrow::datatypes::DataType::Int64) - lit(1i64);
            columns.push(number.alias(ROW_ID));
            let (session, plan) = rows.into_parts();
            let table = provider_as_source(Arc::new(GroupTable::new(plan, spec)?));
            let groups = LogicalPlanBuilder::scan("groups", table, None)?.build()?;
            DataFrame::new(session, groups)
                .sort(by_keys.clone())?
                .select(columns)
        };
        build()
            .map(Lowered::Rows)
            .map_err(Error::query("grouping rows"))
    }

    fn examples() -> Vec<Example> {
        let events = serde_json::json!({
            "user": [2, 1, 1, 2, 1], "ts": [5, 3, 1, 2, 2], "item": ["a", "b", "c", "d", "e"],
        });
        vec![
            Example {
                title: "The items of each user by time, and when the first came.",
                config: serde_json::json!({
                    "groupby_cols": "user", "sort_cols": "ts",
                    "aggs": {"item": "list", "ts": ["first", "count"]},
                }),
                input: events.clone(),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "user": [1, 2], "ts_first": [1, 2], "ts_count": [3, 2],
                    "item_list": [["c", "e", "b"], ["d", "a"]],
                }),
            },
            Example {
                title: "The last two items of users with at least three.",
                config: serde_json::json!({
                    "groupby_cols": "user", "sort_cols": "ts", "aggs": "list",
                    "max_length": 2, "min_length": 3,
                }),
                input: events,
                selection: serde_json::json!(["user", "item"]),
                output: serde_json::json!({"user": [1], "item_list": [["e", "b"]]}),
            },
            Example {
                title: "Missing keys go, missing values stay in lists.",
                config: serde_json::json!({
                    "groupby_cols": "u", "aggs": ["list", "sum", "mean"], "name_sep": "-",
                }),
                input: serde_json::json!({"u": [1, null, 1, 2], "x": [1.5, 2.0, null, null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "u": [1, 2], "x-list": [[1.5, null], [null]], "x-sum": [1.5, 0.0],
                    "x-mean": [1.5, null],
                }),
            },
        ]
    }
}
