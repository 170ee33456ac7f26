//! The life of a [`JoinGroupby`]: checks, schema, statistics, plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::count::count;
use datafusion::functions_aggregate::min_max::{max, min};
use datafusion::logical_expr::{cast, ident, lit};
use emrys_schema::{ColumnSchema, DType, Schema, Tag, TagSet};
use serde_json::json;

use super::distinct::DistinctCounts;
use super::records::{
    Continuous, Group, GroupStatistics, ROWS, Statistics, max_name, min_name, sums_name,
};
use super::{JoinGroupby, OPERATOR, Stat, lookup};
use crate::functions::{canonical, exact_squares, exact_sum, key_code, summed_type};
use crate::lookup::key_name;
use crate::operator::{
    Example, FitResults, GroupedStatistic, InputSchema, Lowered, NewIds, Operator, Order, Relation,
    Source, Statistic,
};
use crate::ops::keyed_statistics::{failed, not_fitted};
use crate::selector::Selected;
use crate::storage::Storage;
use crate::{Error, Result};

/// An output column.
struct Output<'a> {
    group: &'a Selected,
    /// The position among `cont_cols`; none for the number of rows.
    column: Option<usize>,
    stat: Stat,
    name: String,
}

impl JoinGroupby {
    fn columns(&self) -> &[String] {
        self.cont_cols.as_deref().unwrap_or_default()
    }

    fn asks_for(&self, stats: &[Stat]) -> bool {
        self.stats.iter().any(|stat| stats.contains(stat))
    }

    fn outputs<'a>(&self, input: &'a InputSchema) -> Vec<Output<'a>> {
        let mut outputs = Vec::new();
        for group in input.selected() {
            let (joined, sep) = (group.joined(&self.name_sep), &self.name_sep);
            let mut has_count = false;
            // Without columns there is nothing to count but rows.
            let columns = self.columns().iter().enumerate().map(Some);
            let none = self.columns().is_empty().then_some(None);
            for column in columns.chain(none) {
                for stat in &self.stats {
                    let (position, name) = match (stat, column) {
                        (Stat::Count, _) if has_count => continue,
                        (Stat::Count, _) => (None, format!("{joined}{sep}count")),
                        (_, None) => continue,
                        (stat, Some((at, column))) => {
                            let name = format!("{joined}{sep}{column}{sep}{}", stat.name());
                            (Some(at), name)
                        }
                    };
                    has_count |= *stat == Stat::Count;
                    outputs.push(Output {
                        group,
                        column: position,
                        stat: *stat,
                        name,
                    });
                }
            }
        }
        outputs
    }

    /// What is known of each column for a key.
    fn layout(&self, input: &InputSchema) -> Result<Vec<Continuous>> {
        let columns = self.columns().iter();
        columns
            .map(|name| Ok(self.known_of(name, input.column(name)?.dtype())))
            .collect()
    }

    fn known_of(&self, name: &str, dtype: DType) -> Continuous {
        Continuous {
            name: name.to_owned(),
            dtype,
            squares: self.asks_for(&[Stat::Std, Stat::Var]),
            extremes: self.asks_for(&[Stat::Min, Stat::Max]),
            distinct: self.asks_for(&[Stat::Nunique]),
        }
    }

    /// Refuses statistics, such as those of an edited save, that are not of these columns.
    fn check_state(&self, input: &InputSchema, state: &GroupStatistics) -> Result<()> {
        for selected in input.selected() {
            let found = &state.group(selected.columns())?.records.columns;
            let fits =
                |(name, found): (&String, &Continuous)| *found == self.known_of(name, found.dtype);
            let same = found.len() == self.columns().len();
            if !same || !self.columns().iter().zip(found).all(fits) {
                return Err(not_fitted(OPERATOR, selected.columns()));
            }
        }
        Ok(())
    }

    fn group(
        &self,
        input: &InputSchema,
        selected: &Selected,
        results: &mut FitResults,
        storage: &Storage,
    ) -> Result<Group> {
        let members = selected.columns();
        let records = Statistics::new(self.layout(input)?);
        let rows = results.take_grouped(&statistic_name(selected, None))?;
        let by_key = key_order(members.len());
        let mut distinct = Vec::new();
        for at in 0..records.columns.len() {
            if records.distinct_at(at).is_some() {
                let rows = results.take_grouped(&statistic_name(selected, Some(at)))?;
                distinct.push((at, rows.in_order(&value_order(members.len()))?));
            }
        }
        let mut counts = distinct
            .iter()
            .map(|(at, rows)| Ok((*at, DistinctCounts::new(rows, members.len())?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| failed(OPERATOR, members, error))?;
        let layout = records.clone();
        let complete = |record: &mut [u64]| {
            for (column, counts) in &mut counts {
                if let Some(at) = layout.distinct_at(*column) {
                    record[at] = counts.next_count()?.cast_unsigned();
                }
            }
            Ok(())
        };
        Group::build(OPERATOR, members, rows, &by_key, records, storage, complete)
    }
}

/// The column of values in the query of distinct ones.
const VALUE: &str = "value";

fn key_order(members: usize) -> Vec<Order> {
    (0..members).map(key_name).map(Order::rising).collect()
}

fn value_order(members: usize) -> Vec<Order> {
    let mut order = key_order(members);
    order.push(Order::rising(VALUE));
    order
}

/// The name of the statistics of a group, or of the distinct values of a column in it.
fn statistic_name(group: &Selected, distinct: Option<usize>) -> String {
    let keys = group.joined("\u{1f}");
    match distinct {
        Some(column) => format!("{keys}, distinct values of column {column}"),
        None => keys,
    }
}

fn column_name(column: usize) -> String {
    format!("column_{column}")
}

fn invalid(option: &str, value: &str, expected: &str) -> Error {
    Error::InvalidOption {
        operator: OPERATOR.to_owned(),
        option: option.to_owned(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}

fn arrow_type(dtype: DType) -> Result<DataType> {
    Ok(ColumnSchema::new("", dtype).to_arrow()?.data_type().clone())
}

impl Operator for JoinGroupby {
    type State = GroupStatistics;

    fn name() -> &'static str {
        "JoinGroupby"
    }

    fn description() -> &'static str {
        "Gives each row the statistics of all training rows with the same key."
    }

    fn check(&self) -> Result<()> {
        let distinct: BTreeSet<&Stat> = self.stats.iter().collect();
        if self.stats.is_empty() || distinct.len() < self.stats.len() {
            return Err(invalid(
                "stats",
                if self.stats.is_empty() {
                    "empty"
                } else {
                    "a list with repetitions"
                },
                "name each statistic that is wanted once: count, sum, mean, std, var, min, max, nunique",
            ));
        }
        if self.columns().is_empty() && self.stats != [Stat::Count] {
            return Err(invalid(
                "cont_cols",
                "empty",
                "statistics other than count are of columns; name them",
            ));
        }
        Ok(())
    }

    fn dependencies(&self) -> Vec<String> {
        self.columns().to_vec()
    }

    fn transform_dependencies(&self) -> Vec<String> {
        Vec::new()
    }

    fn output_schema(
        &self,
        input: &InputSchema,
        state: Option<&GroupStatistics>,
    ) -> Result<Schema> {
        input.require_scalars()?;
        if let Some(state) = state {
            self.check_state(input, state)?;
        }
        let mut columns = Vec::with_capacity(self.columns().len());
        for (at, name) in self.columns().iter().enumerate() {
            // The values are not there when other data are transformed.
            let fitted = state.and_then(|state| state.groups.first()?.records.columns.get(at));
            let column = match (input.column(name), fitted) {
                (Err(_), Some(fitted)) => ColumnSchema::new(name, fitted.dtype),
                (column, _) => column?.clone(),
            };
            let is_number = column.dtype() == DType::Unknown
                || (column.dtype().is_numeric() && !column.shape().is_list());
            if !is_number {
                return Err(Error::UnsupportedType {
                    operator: input.operator().to_owned(),
                    column: name.clone(),
                    found: format!("{}{}", column.dtype(), column.shape()),
                    expected: "a single number per row is needed; cast it or leave it out"
                        .to_owned(),
                });
            }
            columns.push(column);
        }
        let columns = self.outputs(input).into_iter().map(|output| {
            let (dtype, tags) = match output.column {
                Some(at) => {
                    let column = &columns[at];
                    let tags = column.tags().iter().cloned();
                    (column.dtype(), TagSet::EMPTY.with(tags))
                }
                None => {
                    let key = input.column(&output.group.columns()[0])?;
                    let tags = TagSet::EMPTY.with(key.tags().iter().cloned());
                    (DType::Int32, tags.without([Tag::Categorical, Tag::Id]))
                }
            };
            let tags = tags.without([Tag::Target, Tag::BinaryClassification, Tag::Regression]);
            let column = ColumnSchema::new(output.name, output.stat.dtype(dtype));
            Ok(column.with_tags(tags.iter().cloned()))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let layout = self.layout(input)?;
        let mut values = Vec::new();
        for (at, column) in layout.iter().enumerate() {
            let summed = summed_type(&input.arrow_type(&column.name)?);
            let expr = canonical(cast(input.expr(&column.name)?, summed.clone()), &summed);
            values.push((column_name(at), expr));
        }
        let mut statistics = Vec::new();
        for group in input.selected() {
            let names: Vec<String> = (0..group.columns().len()).map(key_name).collect();
            let mut keys = Vec::new();
            for (key, member) in names.iter().zip(group.columns()) {
                let expr = canonical(input.expr(member)?, &input.arrow_type(member)?);
                keys.push((key.clone(), expr));
            }
            let mut aggregates = vec![(ROWS.to_owned(), count(lit(1)))];
            for (at, column) in layout.iter().enumerate() {
                let values = || ident(column_name(at));
                let sums = match column.squares {
                    true => exact_squares(values()),
                    false => exact_sum(values()),
                };
                aggregates.push((sums_name(at), sums));
                if column.extremes {
                    aggregates.push((min_name(at), min(values())));
                    aggregates.push((max_name(at), max(values())));
                }
            }
            statistics.push(Statistic::Large {
                order: key_order(names.len()),
                grouped: GroupedStatistic {
                    name: statistic_name(group, None),
                    sources: vec![Source {
                        columns: keys.iter().chain(&values).cloned().collect(),
                        flatten: None,
                    }],
                    keys: names.clone(),
                    aggregates,
                },
            });
            for (at, column) in layout.iter().enumerate().filter(|(_, c)| c.distinct) {
                let value = (VALUE.to_owned(), values[at].1.clone());
                let source = keys.iter().cloned().chain([value]);
                debug_assert_eq!(column.name, self.columns()[at], "columns are in order");
                statistics.push(Statistic::Large {
                    order: value_order(names.len()),
                    grouped: GroupedStatistic {
                        name: statistic_name(group, Some(at)),
                        sources: vec![Source {
                            columns: source.collect(),
                            flatten: None,
                        }],
                        keys: names.iter().cloned().chain([VALUE.to_owned()]).collect(),
                        aggregates: vec![(ROWS.to_owned(), count(lit(1)))],
                    },
                });
            }
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, mut results: FitResults) -> Result<GroupStatistics> {
        let storage = results.storage.clone();
        let groups = input.selected().iter().map(|selected| {
            let group = self.group(input, selected, &mut results, &storage)?;
            Ok(Arc::new(group))
        });
        Ok(GroupStatistics {
            groups: groups.collect::<Result<_>>()?,
        })
    }

    fn refit(
        &self,
        state: &GroupStatistics,
        input: &InputSchema,
        mut results: FitResults,
        _ids: NewIds,
    ) -> Result<GroupStatistics> {
        if self.asks_for(&[Stat::Nunique]) {
            return Err(invalid(
                "stats",
                "a list with nunique",
                "numbers of distinct values do not add up with those of more data; leave it out, or \
                 fit the workflow on all data",
            ));
        }
        let storage = results.storage.clone();
        let groups = input.selected().iter().map(|selected| {
            let new = self.group(input, selected, &mut results, &storage)?;
            let old = state.group(selected.columns())?;
            Ok(Arc::new(old.merge(OPERATOR, &new, &storage)?))
        });
        Ok(GroupStatistics {
            groups: groups.collect::<Result<_>>()?,
        })
    }

    fn lower(&self, state: &GroupStatistics, input: &Relation) -> Result<Lowered> {
        let outputs = self.outputs(input).into_iter().map(|output| {
            let group = state.group(output.group.columns())?;
            let keys = output.group.columns().iter().map(|key| input.expr(key));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            let code = key_code(OPERATOR, group.table.index(), keys);
            let dtype = output
                .column
                .map_or(DType::Int64, |at| group.records.columns[at].dtype);
            let dtype = output.stat.dtype(dtype);
            let expr =
                lookup::statistic(group, output.column, output.stat, arrow_type(dtype)?, code);
            Ok((output.name, expr))
        });
        Ok(Lowered::Columns(outputs.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "The rows of each author, and what they cost together.",
                config: json!({"cont_cols": ["cost"], "stats": ["count", "sum", "mean"]}),
                input: json!({"author": ["A", "A", "A", "B"], "cost": [100, 200, 300, 400]}),
                selection: json!(["author"]),
                output: json!({
                    "author_count": [3, 3, 3, 1],
                    "author_cost_sum": [600, 600, 600, 400],
                    "author_cost_mean": [200.0, 200.0, 200.0, 400.0],
                }),
            },
            Example {
                title: "A null key is a key; null values count as rows only.",
                config: json!({"cont_cols": ["x"], "stats": ["count", "var", "max", "nunique"]}),
                input: json!({"k": ["a", "a", "a", null], "x": [1, null, 3, 5]}),
                selection: json!(["k"]),
                output: json!({
                    "k_count": [3, 3, 3, 1],
                    "k_x_var": [2.0, 2.0, 2.0, null],
                    "k_x_max": [3, 3, 3, 5],
                    "k_x_nunique": [2, 2, 2, 1],
                }),
            },
            Example {
                title: "Statistics by a pair of columns.",
                config: json!({"cont_cols": ["cost"], "stats": ["sum"]}),
                input: json!({
                    "author": ["A", "A", "A", "B"],
                    "user": ["B", "B", "C", "C"],
                    "cost": [100, 200, 300, 400],
                }),
                selection: json!([["author", "user"]]),
                output: json!({"author_user_cost_sum": [300, 300, 300, 400]}),
            },
        ]
    }
}
