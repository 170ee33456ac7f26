//! From a rule to a decision about each row.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, not, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::count::{count, count_udaf};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast, ident, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;

use super::rule::{OPERATOR, Rule, start_of};
use crate::hash::{hash_array, hash_bits};
use crate::io::{Dataset, ROW_ID, ReadOptions};
use crate::{Error, Result, expression};

/// A column that tells which rows are held out, in a query of the split.
const HELD_OUT: &str = "__emrys_held_out";

/// A column of the number of a row among those of its key, and one of how many these are.
const RANK: &str = "__emrys_rank";
const ROWS: &str = "__emrys_rows";

/// A decision about each row.
pub(super) enum Selection {
    /// Rows whose numbers hash to less.
    Numbers { seed: u64, limit: u64 },
    /// Rows whose values in the columns hash to less.
    Keys {
        columns: Vec<String>,
        seed: u64,
        limit: u64,
    },
    /// Rows whose numbers are set.
    Rows(Bits),
    /// Rows for which the expression is true.
    Expr(Expr),
}

impl Selection {
    /// Finds out what must be known of the data beforehand.
    pub(super) async fn prepare(
        rule: &Rule,
        dataset: &Dataset,
        context: &SessionContext,
    ) -> Result<Selection> {
        let rows = dataset.num_rows();
        Ok(match rule {
            Rule::Random { fraction, seed } => Selection::Numbers {
                seed: *seed,
                limit: limit(rows, floor(*fraction, rows), *seed)?,
            },
            Rule::ByKey {
                columns,
                fraction,
                seed,
            } => Selection::Keys {
                columns: columns.clone(),
                seed: *seed,
                limit: share_of_all(*fraction),
            },
            Rule::FromTime { column, start } => {
                Selection::Expr(from(column, start_of(dataset, column, start)?))
            }
            Rule::Latest { column, fraction } => {
                let most = floor(*fraction, rows);
                Selection::Expr(from(
                    column,
                    quantile(dataset, context, column, most).await?,
                ))
            }
            Rule::LastPerKey {
                columns,
                time,
                rows,
            } => Selection::Rows(last_rows(dataset, context, columns, time, *rows).await?),
            Rule::Matching { expr } => {
                let fields = dataset.arrow_schema().fields().iter();
                let fields = fields.map(|field| field.as_ref().clone()).collect();
                Selection::Expr(expression::parse(OPERATOR, "expr", expr, fields)?)
            }
        })
    }

    /// The columns of the data, and what the decision needs.
    pub(super) fn frame(&self, dataset: &Dataset, context: &SessionContext) -> Result<DataFrame> {
        let row_id = matches!(self, Selection::Numbers { .. } | Selection::Rows(_));
        let frame = read(dataset, context, row_id)?;
        let Selection::Expr(expr) = self else {
            return Ok(frame);
        };
        let columns = dataset.schema().names().into_iter().map(ident);
        let columns = columns.chain([expr.clone().alias(HELD_OUT)]);
        frame
            .select(columns.collect::<Vec<_>>())
            .map_err(Error::query("planning the split"))
    }

    /// The rows for training and those held out.
    pub(super) fn divide(&self, mut batch: RecordBatch) -> Result<(RecordBatch, RecordBatch)> {
        let mask = match self {
            Selection::Keys {
                columns,
                seed,
                limit,
            } => by_key(&batch, columns, *seed, *limit)?,
            // The column of the decision is the last.
            _ => self.mask(&batch.remove_column(batch.num_columns() - 1)),
        };
        let filter = |mask: &BooleanArray| filter_record_batch(&batch, mask).map_err(internal);
        Ok((filter(&not(&mask).map_err(internal)?)?, filter(&mask)?))
    }

    fn mask(&self, column: &ArrayRef) -> BooleanArray {
        let numbers = || {
            let numbers = column.as_primitive::<Int64Type>().values().iter();
            numbers.map(|number| number.cast_unsigned())
        };
        match self {
            Selection::Numbers { seed, limit } => numbers()
                .map(|row| Some(key(*seed, row) < *limit))
                .collect(),
            Selection::Rows(bits) => numbers().map(|row| Some(bits.contains(row))).collect(),
            // Null is not true.
            Selection::Expr(_) | Selection::Keys { .. } => {
                let mask = column.as_boolean();
                match mask.null_count() {
                    0 => mask.clone(),
                    _ => prep_null_mask_filter(mask),
                }
            }
        }
    }
}

/// The hash that decides about the row of a number: no two rows have the same.
fn key(seed: u64, row: u64) -> u64 {
    hash_bits(
        hash_bits(seed ^ 0x5370_6c69_7420_726f)
            .wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    )
}

/// The limit below which just `wanted` of the keys of so many rows are.
///
/// The keys are computed twice instead of being held: once to count them by their first bits, once
/// to look at those about which the count does not decide.
fn limit(rows: u64, wanted: u64, seed: u64) -> Result<u64> {
    const BITS: u32 = 16;
    let prefix = |key: u64| (key >> (u64::BITS - BITS)) as usize;
    let mut counts = vec![0u64; 1 << BITS];
    for row in 0..rows {
        counts[prefix(key(seed, row))] += 1;
    }
    let mut below = 0;
    for (number, count) in counts.iter().enumerate() {
        if below + count > wanted {
            let mut near: Vec<u64> = (0..rows)
                .map(|row| key(seed, row))
                .filter(|key| prefix(*key) == number)
                .collect();
            near.sort_unstable();
            let index = usize::try_from(wanted - below)
                .map_err(|_| Error::Internal("more rows than memory has addresses".into()))?;
            return Ok(near[index]);
        }
        below += count;
    }
    // Fewer are wanted than there are, so this is for no rows at all.
    Ok(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a count is a count"
)]
fn floor(fraction: f64, rows: u64) -> u64 {
    (fraction * rows as f64).floor() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of all hashes is a hash"
)]
fn share_of_all(fraction: f64) -> u64 {
    (fraction * 2f64.powi(64)) as u64
}

fn by_key(batch: &RecordBatch, columns: &[String], seed: u64, limit: u64) -> Result<BooleanArray> {
    let mut hashes = vec![hash_bits(seed ^ 0x5370_6c69_7420_6b65); batch.num_rows()];
    let mut known = vec![true; batch.num_rows()];
    for name in columns {
        let column = batch
            .column_by_name(name)
            .ok_or_else(|| Error::Internal(format!("the column `{name}` was lost")))?;
        let values = hash_array(column).map_err(|error| Error::Data {
            operator: OPERATOR.into(),
            problem: format!("`{name}` cannot be hashed ({error})"),
        })?;
        for (hash, value) in hashes.iter_mut().zip(values) {
            // Depends on the order of the columns, so that equal values do not cancel out.
            *hash = hash_bits(hash.rotate_left(5) ^ value);
        }
        if column.null_count() > 0 {
            for (row, known) in known.iter_mut().enumerate() {
                *known &= column.is_valid(row);
            }
        }
    }
    let mask = hashes
        .iter()
        .zip(known)
        .map(|(hash, known)| known && *hash < limit);
    Ok(BooleanArray::new(mask.collect::<BooleanBuffer>(), None))
}

fn from(column: &str, start: ScalarValue) -> Expr {
    ident(column).gt_eq(Expr::Literal(start, None))
}

fn read(dataset: &Dataset, context: &SessionContext, row_id: bool) -> Result<DataFrame> {
    let table = dataset.table(ReadOptions {
        row_id,
        ..ReadOptions::default()
    })?;
    context
        .read_table(table)
        .map_err(Error::query("reading the data set"))
}

/// The earliest time from which on there are at most so many rows.
async fn quantile(
    dataset: &Dataset,
    context: &SessionContext,
    column: &str,
    most: u64,
) -> Result<ScalarValue> {
    let activity = "finding the quantile of time";
    let times = async {
        read(dataset, context, false)?
            .select(vec![ident(column)])
            .and_then(|frame| frame.filter(ident(column).is_not_null()))
            .and_then(|frame| frame.aggregate(vec![ident(column)], vec![count(lit(1)).alias(ROWS)]))
            .and_then(|frame| frame.sort(vec![ident(column).sort(false, false)]))
            .map_err(Error::query(activity))?
            .execute_stream()
            .await
            .map_err(Error::query(activity))
    };
    let mut times = times.await?;
    let mut rows = 0;
    let mut found = None;
    'search: while let Some(batch) = times.next().await {
        let batch = batch.map_err(Error::query(activity))?;
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            rows += counts.value(row).cast_unsigned();
            if rows > most {
                break 'search;
            }
            found = Some(
                ScalarValue::try_from_array(batch.column(0), row)
                    .map_err(Error::query(activity))?,
            );
        }
    }
    found.ok_or_else(|| Error::Data {
        operator: OPERATOR.into(),
        problem: match rows {
            0 => format!("`{column}` has no value, so no row is the last in time"),
            rows => format!(
                "the last value of `{column}` alone has {rows} rows, but at most {most} are to be \
                 held out; raise the fraction"
            ),
        },
    })
}

/// The last rows of every key that has more.
async fn last_rows(
    dataset: &Dataset,
    context: &SessionContext,
    columns: &[String],
    time: &str,
    rows: u64,
) -> Result<Bits> {
    let activity = "finding the last rows of every key";
    let keys: Vec<Expr> = columns.iter().map(ident).collect();
    let mut frame = read(dataset, context, true)?;
    for key in &keys {
        frame = frame
            .filter(key.clone().is_not_null())
            .map_err(Error::query(activity))?;
    }
    let needed = columns.iter().map(String::as_str).chain([time, ROW_ID]);
    let mut distinct: Vec<&str> = Vec::new();
    for name in needed {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    let rank = row_number()
        .partition_by(keys.clone())
        .order_by(vec![
            ident(time).sort(false, false),
            ident(ROW_ID).sort(false, false),
        ])
        .build();
    let total = Expr::from(WindowFunction::new(count_udaf(), vec![lit(1)]));
    let total = total.partition_by(keys).build();
    let rows = lit(rows);
    let last = async {
        frame
            .select(distinct.into_iter().map(ident).collect::<Vec<_>>())?
            .window(vec![rank?.alias(RANK), total?.alias(ROWS)])?
            .filter(
                ident(RANK)
                    .lt_eq(rows.clone())
                    .and(cast(ident(ROWS), DataType::UInt64).gt(rows)),
            )?
            .select(vec![cast(ident(ROW_ID), DataType::UInt64)])?
            .execute_stream()
            .await
    };
    let mut last = last.await.map_err(Error::query(activity))?;
    let mut bits = Bits::new(dataset.num_rows())?;
    while let Some(batch) = last.next().await {
        let batch = batch.map_err(Error::query(activity))?;
        for row in batch.column(0).as_primitive::<UInt64Type>().values() {
            bits.insert(*row);
        }
    }
    Ok(bits)
}

/// A set of row numbers.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn new(rows: u64) -> Result<Bits> {
        let words = usize::try_from(rows.div_ceil(64)).map_err(|_| {
            Error::Internal("a data set has more rows than memory has addresses".into())
        })?;
        Ok(Bits(vec![0; words]))
    }

    fn insert(&mut self, row: u64) {
        self.0[(row / 64) as usize] |= 1 << (row % 64);
    }

    fn contains(&self, row: u64) -> bool {
        self.0[(row / 64) as usize] & 1 << (row % 64) != 0
    }
}

fn internal(error: ArrowError) -> Error {
    Error::Internal(format!("a batch cannot be divided: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(rows: u64, wanted: u64, seed: u64) -> Vec<u64> {
        let limit = limit(rows, wanted, seed).unwrap();
        (0..rows).filter(|row| key(seed, *row) < limit).collect()
    }

    #[test]
    fn just_as_many_rows_as_wanted_are_chosen() {
        for rows in [1, 2, 5, 9, 1000, 100_003] {
            for wanted in [0, rows / 5, rows / 2, rows - 1] {
                assert_eq!(chosen(rows, wanted, 7).len() as u64, wanted, "{rows} rows");
            }
        }
        assert_ne!(chosen(1000, 200, 7), chosen(1000, 200, 8));
    }

    #[test]
    fn every_row_is_equally_likely_to_be_chosen() {
        let mut counts = [0u32; 10];
        for seed in 0..10_000 {
            for row in chosen(10, 3, seed) {
                counts[row as usize] += 1;
            }
        }
        // The standard deviation of each count is 46; the band is five of them.
        assert!(
            counts.iter().all(|count| (2_770..3_230).contains(count)),
            "{counts:?}"
        );
    }
}
