//! Counts of the values of columns, taken without a group-by query for each column.
//!
//! All columns over the same rows are counted in one scan, in hash tables that the partitions share.
//! This holds all distinct values in memory, so it is done only where no limit of memory is set;
//! group-by queries spill.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::source_as_provider;
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{ExprSchemable, LogicalPlan, Projection, lit};
use datafusion::prelude::{DataFrame, Expr};
use futures::StreamExt;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use tokio::task::JoinSet;

use crate::functions::{by_entry, filled};
use crate::io::DatasetTable;
use crate::lookup::{EntryCounts, LookupError, ValueCounts, entry_by_row};
use crate::operator::{FitResults, GroupedRows, GroupedStatistic, leaf_type};
use crate::plan::graph::NodeId;
use crate::{Error, Result};

/// How many rows a partition counts at a time: for each of its columns a table comes into the
/// caches, which pays only for many rows.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The columns over the same rows whose values are counted.
pub(crate) struct CountScan {
    frame: DataFrame,
    columns: Vec<Expr>,
    asked: Vec<Asked>,
}

/// A statistic, and which of the columns belong to it.
struct Asked {
    node: NodeId,
    name: String,
    /// What it is, for people.
    label: String,
    /// The names of the results: the values, and their counts.
    results: [String; 2],
    columns: Vec<usize>,
}

/// Whether a statistic is nothing but counts of the values of one column (or several, stacked),
/// which can be counted here.
pub(super) fn is_countable(frame: &DataFrame, statistic: &GroupedStatistic) -> bool {
    let ([key], [(_, aggregate)]) = (&statistic.keys[..], &statistic.aggregates[..]) else {
        return false;
    };
    let can_count = |(name, expr): &(String, Expr)| {
        let data_type = expr.get_type(frame.schema());
        name == key && data_type.is_ok_and(|found| ValueCounts::supports(leaf_type(&found)))
    };
    *aggregate == count(lit(1))
        && !statistic.sources.is_empty()
        && statistic
            .sources
            .iter()
            .all(|source| matches!(&source.columns[..], [column] if can_count(column)))
}

impl CountScan {
    pub(super) fn new(frame: DataFrame) -> CountScan {
        CountScan {
            frame,
            columns: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Adds a statistic that is [countable](is_countable).
    pub(super) fn add(
        &mut self,
        node: NodeId,
        label: String,
        statistic: GroupedStatistic,
    ) -> Result<()> {
        let (Some(key), Some((aggregate, _))) = (
            statistic.keys.into_iter().next(),
            statistic.aggregates.into_iter().next(),
        ) else {
            return Err(Error::Internal("counts of nothing".to_owned()));
        };
        let mut columns = Vec::new();
        for (_, expr) in statistic.sources.into_iter().flat_map(|s| s.columns) {
            columns.push(self.columns.len());
            let name = column_name(self.columns.len());
            self.columns.push(expr.alias(name));
        }
        self.asked.push(Asked {
            node,
            name: statistic.name,
            label,
            results: [key, aggregate],
            columns,
        });
        Ok(())
    }

    fn plan(&self) -> Result<DataFrame> {
        self.frame
            .clone()
            .select(self.columns.clone())
            .map_err(Error::query("planning counts"))
    }

    /// What it answers.
    pub(crate) fn label(&self) -> String {
        let labels: Vec<&str> = self
            .asked
            .iter()
            .map(|asked| asked.label.as_str())
            .collect();
        format!("counts in one scan: {}", labels.join("; "))
    }

    /// Its plan after optimisation.
    pub(crate) fn logical_plan(&self) -> Result<LogicalPlan> {
        Ok(self.unfilled()?.0.into_parts().1)
    }

    /// What is to be scanned, and for each column the value that its nulls stand for.
    ///
    /// Nulls that were to be filled are counted as nulls, and as the value in the end. Columns that a
    /// scan may have as the entries of dictionaries are asked for so.
    fn unfilled(&self) -> Result<(DataFrame, Vec<Option<ArrayRef>>)> {
        let frame = self.plan()?;
        let (state, plan) = frame.into_parts();
        let plan = state
            .optimize(&plan)
            .map_err(Error::query("planning counts"))?;
        let mut nulls_as = vec![None; self.columns.len()];
        let plan = match plan {
            LogicalPlan::Projection(projection) => {
                let columns = projection.expr.iter().zip(projection.schema.fields());
                let columns = columns.zip(&mut nulls_as).map(|((expr, field), nulls_as)| {
                    match filled(expr, projection.input.schema()) {
                        None => expr.clone(),
                        Some((operand, value)) => {
                            *nulls_as = Some(value);
                            operand.alias(field.name())
                        }
                    }
                });
                let columns = columns.map(|expr| match comes_by_entry(&expr, &projection.input) {
                    true => by_entry(expr),
                    false => expr,
                });
                let columns = columns.collect();
                Projection::try_new(columns, Arc::clone(&projection.input))
                    .map(LogicalPlan::Projection)
                    .map_err(Error::query("planning counts"))?
            }
            other => other,
        };
        Ok((DataFrame::new(state, plan), nulls_as))
    }

    /// Scans the rows.
    pub(super) async fn run(self) -> Result<HashMap<NodeId, FitResults>> {
        let (frame, nulls_as) = self.unfilled()?;
        let streams = frame
            .execute_stream_partitioned()
            .await
            .map_err(Error::query("planning counts"))?;
        let schema = streams.first().map(|stream| stream.schema());
        let types: Vec<DataType> = schema.iter().flat_map(|s| leaf_types(s)).collect();
        let columns = types.len();
        let tables = Arc::new(Tables::new(&types, streams.len()));
        let mut tasks = JoinSet::new();
        for (partition, mut stream) in streams.into_iter().enumerate() {
            let tables = Arc::clone(&tables);
            tasks.spawn(async move {
                let (mut waiting, mut rows) = (Vec::new(), 0);
                let mut open = Vec::new();
                open.resize_with(columns, || None);
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(Error::query("counting"))?;
                    rows += batch.num_rows();
                    waiting.push(batch);
                    if rows >= ROWS_AT_ONCE {
                        tables.add(partition, &waiting, &mut open)?;
                        (waiting, rows) = (Vec::new(), 0);
                    }
                }
                tables.add(partition, &waiting, &mut open)?;
                tables.add_open(partition, open)
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.map_err(|error| match error.try_into_panic() {
                Ok(panic) => Error::panicked("counting", &*panic),
                Err(error) => Error::Internal(format!("a counting task was lost: {error}")),
            })??;
        }
        let tables = Arc::into_inner(tables)
            .ok_or_else(|| Error::Internal("a counting task was lost".to_owned()))?;
        let mut parts = tables.into_parts();
        for (parts, value) in parts.iter_mut().zip(&nulls_as) {
            if let Some(value) = value {
                for counts in parts {
                    counts
                        .count_nulls_as(value)
                        .map_err(|error| failed(&error))?;
                }
            }
        }
        self.results(parts)
    }

    fn results(self, parts: Vec<Vec<ValueCounts>>) -> Result<HashMap<NodeId, FitResults>> {
        let mut parts: BTreeMap<usize, Vec<ValueCounts>> = parts.into_iter().enumerate().collect();
        let work: Vec<(Asked, Vec<ValueCounts>)> = self
            .asked
            .into_iter()
            .map(|asked| {
                let columns = asked.columns.iter();
                let parts = columns.filter_map(|column| parts.remove(column)).flatten();
                let parts = parts.collect();
                (asked, parts)
            })
            .collect();
        let batches = work
            .into_par_iter()
            .map(|(asked, parts)| {
                let batch = added_up(&asked.results, parts)?;
                Ok((asked.node, asked.name, batch))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut results: HashMap<NodeId, FitResults> = HashMap::new();
        for (node, name, batch) in batches {
            let results = results.entry(node).or_default();
            let rows = GroupedRows::from_batches(batch.schema(), vec![batch]);
            results.grouped.insert(name, rows);
        }
        Ok(results)
    }
}

fn leaf_types(schema: &Schema) -> impl Iterator<Item = DataType> {
    let fields = schema.fields().iter();
    fields.map(|field| leaf_type(field.data_type()).clone())
}

/// The hash tables of each column.
///
/// Partitions take turns with the tables: while one counts a column, the others count other
/// columns. So memory does not grow with the number of threads, as long as there are more columns
/// than threads; a column has as many tables as are needed for all threads to be busy.
struct Tables {
    columns: Vec<Vec<Mutex<ValueCounts>>>,
    partitions: usize,
}

impl Tables {
    fn new(types: &[DataType], partitions: usize) -> Tables {
        let copies = partitions.div_ceil(types.len().max(1)).max(1);
        let tables = |data_type| {
            let table = |_| Mutex::new(ValueCounts::new(data_type));
            (0..copies).map(table).collect()
        };
        Tables {
            columns: types.iter().map(tables).collect(),
            partitions,
        }
    }

    /// Counts the rows of batches, beginning at a column of the partition's own. `open` holds what the
    /// partition has counted of the dictionary of each column, as the next batches may share it.
    fn add(
        &self,
        partition: usize,
        batches: &[RecordBatch],
        open: &mut [Option<EntryCounts>],
    ) -> Result<()> {
        let mut busy = Vec::new();
        for column in self.columns_from(partition) {
            let mut work = Vec::new();
            for batch in batches {
                let values = leaves(batch.column(column))?;
                work.extend(to_count(values, &mut open[column]));
            }
            match self.free(column) {
                _ if work.is_empty() => {}
                Some(counts) => count_all(counts, work)?,
                None => busy.push((column, work)),
            }
        }
        for (column, work) in busy {
            count_all(self.own(partition, column), work)?;
        }
        Ok(())
    }

    /// Counts what a partition has counted of its last dictionaries.
    fn add_open(&self, partition: usize, mut open: Vec<Option<EntryCounts>>) -> Result<()> {
        for column in self.columns_from(partition) {
            if let Some(counted) = open[column].take() {
                count_all(self.own(partition, column), vec![Work::Entries(counted)])?;
            }
        }
        Ok(())
    }

    /// All columns, beginning at one of the partition's own.
    fn columns_from(&self, partition: usize) -> impl Iterator<Item = usize> {
        let columns = self.columns.len();
        let first = partition * columns / self.partitions;
        (0..columns).map(move |i| (first + i) % columns)
    }

    /// A table of the column that nobody is counting in.
    fn free(&self, column: usize) -> Option<MutexGuard<'_, ValueCounts>> {
        self.columns[column]
            .iter()
            .find_map(|copy| match copy.try_lock() {
                Ok(counts) => Some(counts),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            })
    }

    /// The table of the column that is the partition's own, when nobody else is counting in it.
    fn own(&self, partition: usize, column: usize) -> MutexGuard<'_, ValueCounts> {
        let copies = &self.columns[column];
        unpoisoned(copies[partition % copies.len()].lock())
    }

    fn into_parts(self) -> Vec<Vec<ValueCounts>> {
        let of_column = |copies: Vec<Mutex<ValueCounts>>| {
            let copies = copies.into_iter();
            copies.map(|copy| unpoisoned(copy.into_inner())).collect()
        };
        self.columns.into_iter().map(of_column).collect()
    }
}

/// What is to be counted of a column.
enum Work {
    Rows(ArrayRef),
    Entries(EntryCounts),
}

/// What is to be counted now that rows have come. Those that share a dictionary are counted in
/// `open`, for as long as it is the same one.
fn to_count(values: ArrayRef, open: &mut Option<EntryCounts>) -> Option<Work> {
    if !matches!(values.data_type(), DataType::Dictionary(key, _) if **key == DataType::Int32) {
        return Some(Work::Rows(values));
    }
    if let Some(rows) = entry_by_row(&values) {
        return Some(Work::Rows(Arc::clone(rows)));
    }
    let last = match open {
        Some(counted) if counted.takes(&values) => None,
        _ => open.replace(EntryCounts::of(&values)),
    };
    if let Some(counted) = open {
        counted.add(&values);
    }
    last.map(Work::Entries)
}

fn count_all(mut counts: MutexGuard<'_, ValueCounts>, work: Vec<Work>) -> Result<()> {
    for work in work {
        let counted = match work {
            Work::Rows(values) => counts.add(&values),
            Work::Entries(entries) => counts.add_entries(&entries),
        };
        counted.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Whether a scan may have an expression as the entries of a dictionary: one over a column of
/// parquet files that has one value in each row.
fn comes_by_entry(expr: &Expr, input: &LogicalPlan) -> bool {
    let LogicalPlan::TableScan(scan) = input else {
        return false;
    };
    let (Ok(table), Ok(data_type)) = (
        source_as_provider(&scan.source),
        expr.get_type(input.schema()),
    ) else {
        return false;
    };
    let mut columns = expr.column_refs().into_iter();
    let (Some(column), None) = (columns.next(), columns.next()) else {
        return false;
    };
    let is_counted = data_type.is_integer() || data_type == DataType::Utf8View;
    let table = table.downcast_ref::<DatasetTable>();
    is_counted && table.is_some_and(|table| table.has_entries(column.name()))
}

/// A task that panics fails the whole run, so what it left does not matter.
fn unpoisoned<T>(result: std::result::Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

fn column_name(position: usize) -> String {
    format!("counted_{position}")
}

fn failed(error: &LookupError) -> Error {
    Error::Internal(format!("values cannot be counted: {error}"))
}

/// Adds up the counts of several tables and of stacked columns.
fn added_up(names: &[String; 2], parts: Vec<ValueCounts>) -> Result<RecordBatch> {
    let sum = parts.into_iter().map(Ok).reduce(|a, b| a?.merge(b?));
    let sum = sum.ok_or_else(|| Error::Internal("counts of nothing".to_owned()))?;
    let (values, counts) = sum
        .and_then(ValueCounts::finish)
        .map_err(|error| failed(&error))?;
    let [value, count] = names;
    let schema = Schema::new(vec![
        Field::new(value, values.data_type().clone(), true),
        Field::new(count, DataType::Int64, false),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![values, counts])
        .map_err(|error| failed(&error.into()))
}

/// The innermost elements of lists; values that are not lists as they are. Null lists have none.
fn leaves(values: &ArrayRef) -> Result<ArrayRef> {
    let elements = match values.data_type() {
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let offsets = lists.value_offsets();
            let (start, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
            let lengths = |list: usize| (offsets[list + 1] - offsets[list]) as usize;
            without_null_lists(values, lists.values().slice(start, end - start), lengths)?
        }
        DataType::LargeList(_) => {
            let lists = values.as_list::<i64>();
            let offsets = lists.value_offsets();
            let (start, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
            let lengths = |list: usize| (offsets[list + 1] - offsets[list]) as usize;
            without_null_lists(values, lists.values().slice(start, end - start), lengths)?
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let lists = values.as_fixed_size_list();
            without_null_lists(values, Arc::clone(lists.values()), |_| length)?
        }
        _ => return Ok(Arc::clone(values)),
    };
    leaves(&elements)
}

/// The elements of lists without those that lie behind null lists.
fn without_null_lists(
    lists: &ArrayRef,
    elements: ArrayRef,
    lengths: impl Fn(usize) -> usize,
) -> Result<ArrayRef> {
    if lists.null_count() == 0 {
        return Ok(elements);
    }
    let kept = (0..lists.len())
        .flat_map(|list| std::iter::repeat_n(Some(lists.is_valid(list)), lengths(list)))
        .collect::<arrow::array::BooleanArray>();
    filter(&elements, &kept).map_err(|error| failed(&error.into()))
}
