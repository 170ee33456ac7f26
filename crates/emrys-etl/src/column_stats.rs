//! What the columns of a data set hold, in one scan.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::functions_aggregate::expr_fn::{approx_distinct, count, max, min};
use datafusion::functions_nested::length::array_length;
use datafusion::logical_expr::{ExprFunctionExt, cast, ident, lit};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use emrys_schema::ColumnSchema;
use serde::Serialize;
use serde_json::{Number, Value, json};

use crate::functions::{ExactSquares, QUANTILES, exact_squares, quantile_histogram};
use crate::io::Dataset;
use crate::progress::Stage;
use crate::session::Session;
use crate::{Error, Result};

/// What a column holds.
///
/// A figure is absent where it makes no sense: texts have no mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnStats {
    /// The name of the column.
    pub column: String,
    /// Its type, as schemas show it.
    pub dtype: String,
    /// How many rows there are.
    pub rows: u64,
    /// How many of them are null.
    pub nulls: u64,
    /// How many are not a number (NaN), of floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nan: Option<u64>,
    /// How many different values there are besides null: exact for small types, else within about
    /// 2%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// The smallest value; NaN is left out.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub min: Value,
    /// The largest value; NaN is left out.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub max: Value,
    /// The mean of all numbers; of booleans the share of those that are true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The sample standard deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Values that a share of all numbers does not exceed, within one part in 2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// The lengths of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
}

/// Quantiles of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Quantiles {
    pub p01: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p99: f64,
}

/// How long lists are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// The mean, with empty lists and without nulls.
    pub mean: f64,
}

impl Dataset {
    /// Describes every column in one scan, in bounded memory.
    ///
    /// The results are the same for any number of threads.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use arrow::array::{Int64Array, RecordBatch};
    /// use emrys_etl::{Dataset, Session, SessionOptions};
    ///
    /// let prices = Int64Array::from(vec![Some(1), Some(3), None]);
    /// let batch = RecordBatch::try_from_iter([("price", Arc::new(prices) as _)])?;
    /// let dataset = Dataset::from_batches(batch.schema(), vec![batch])?;
    /// let stats = dataset.column_stats(&Session::new(SessionOptions::new())?)?;
    /// assert_eq!((stats[0].rows, stats[0].nulls, stats[0].mean), (3, 1, Some(2.0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn column_stats(&self, session: &Session) -> Result<Vec<ColumnStats>> {
        let columns: Vec<Described> = self
            .arrow_schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(number, field)| Described::new(number, field))
            .collect();
        let asked: Vec<Expr> = columns.iter().flat_map(Described::aggregates).collect();
        let query = async {
            let activity = "describing columns";
            session.begin(Stage::Scan, 1, self.num_rows());
            let frame = self.to_dataframe(session.context(), None)?;
            let rows = count(lit(1)).alias("rows");
            let frame = frame
                .aggregate(Vec::new(), asked.into_iter().chain([rows]).collect())
                .map_err(Error::query(activity))?;
            frame.collect().await.map_err(Error::query(activity))
        };
        let batches = session
            .run("describing columns", session.until_cancelled(query))
            .map_err(|error| self.blame(error))?;
        let row = batches
            .iter()
            .find(|batch| batch.num_rows() > 0)
            .ok_or_else(|| Error::Internal("aggregates gave no row".to_owned()))?;
        let results = Results { row };
        let rows = results.count("rows")?;
        columns
            .iter()
            .map(|column| column.read(&results, rows))
            .collect()
    }
}

/// A column, and what is asked of it.
struct Described {
    number: usize,
    name: String,
    dtype: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Float,
    Integer,
    Bool,
    /// Texts, dates, decimals: they are compared and counted.
    Ordered,
    List,
    /// Only nulls are counted.
    Other,
}

impl Described {
    fn new(number: usize, field: &arrow::datatypes::Field) -> Described {
        let dtype = match ColumnSchema::from_arrow(field) {
            Ok(column) => format!("{}{}", column.dtype(), column.shape()),
            Err(_) => field.data_type().to_string(),
        };
        let kind = match field.data_type() {
            data_type if data_type.is_floating() => Kind::Float,
            data_type if data_type.is_integer() => Kind::Integer,
            DataType::Boolean => Kind::Bool,
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Kind::List,
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Kind::Ordered,
            _ => Kind::Other,
        };
        Described {
            number,
            name: field.name().clone(),
            dtype,
            kind,
        }
    }

    fn key(&self, what: &str) -> String {
        format!("{}.{what}", self.number)
    }

    fn aggregates(&self) -> Vec<Expr> {
        let column = || ident(&self.name);
        let is_number = || {
            let is_nan = datafusion::functions::math::expr_fn::isnan(column());
            column().is_not_null().and(!is_nan)
        };
        let number = || match self.kind {
            Kind::Bool => cast(column(), DataType::Int8),
            Kind::List => array_length(column()),
            _ => column(),
        };
        let mut asked = vec![("count", count(column()))];
        match self.kind {
            Kind::Float => {
                let only = |aggregate: Expr| {
                    // Filters never fail on aggregates; without one, NaN would be the maximum.
                    aggregate
                        .clone()
                        .filter(is_number())
                        .build()
                        .unwrap_or(aggregate)
                };
                // Sketches count floats only inside of another type.
                let boxed = datafusion::functions::core::expr_fn::named_struct(vec![
                    lit("value"),
                    column(),
                ]);
                asked.push(("distinct", only(approx_distinct(boxed))));
                asked.push(("min", only(min(column()))));
                asked.push(("max", only(max(column()))));
            }
            Kind::Integer | Kind::Bool | Kind::Ordered => {
                asked.push(("distinct", approx_distinct(column())));
                asked.push(("min", min(column())));
                asked.push(("max", max(column())));
            }
            Kind::List => {
                asked.push(("min", min(number())));
                asked.push(("max", max(number())));
            }
            Kind::Other => {}
        }
        if !matches!(self.kind, Kind::Ordered | Kind::Other) {
            asked.push(("moments", exact_squares(cast(number(), DataType::Float64))));
        }
        if matches!(self.kind, Kind::Float | Kind::Integer) {
            asked.push(("quantiles", quantile_histogram(column())));
        }
        asked
            .into_iter()
            .map(|(what, aggregate)| aggregate.alias(self.key(what)))
            .collect()
    }

    fn read(&self, results: &Results<'_>, rows: u64) -> Result<ColumnStats> {
        let present = results.count(&self.key("count"))?;
        let moments = match results.has(&self.key("moments")) {
            true => Some(ExactSquares::from_array(results.array(&self.key("moments"))?)?[0]),
            false => None,
        };
        let is_list = self.kind == Kind::List;
        let distinct = self.key("distinct");
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let numbers = moments.filter(|_| !is_list);
        let (min, max) = (
            results.value(&self.key("min"))?,
            results.value(&self.key("max"))?,
        );
        let lengths = match (is_list, moments, min.as_u64(), max.as_u64()) {
            (true, Some(moments), Some(min), Some(max)) => Some(Lengths {
                min,
                max,
                mean: moments.total.mean(),
            }),
            _ => None,
        };
        Ok(ColumnStats {
            column: self.name.clone(),
            dtype: self.dtype.clone(),
            rows,
            nulls: rows - present,
            nan: match (self.kind, moments) {
                (Kind::Float, Some(moments)) => {
                    Some(present.saturating_sub(moments.total.count.unsigned_abs()))
                }
                _ => None,
            },
            distinct: match results.has(&distinct) {
                true => Some(results.count(&distinct)?),
                false => None,
            },
            min: if is_list { Value::Null } else { min },
            max: if is_list { Value::Null } else { max },
            mean: numbers.and_then(|moments| finite(moments.total.mean())),
            std: numbers.and_then(|moments| finite(moments.variance().sqrt())),
            quantiles: results.quantiles(&self.key("quantiles"))?,
            lengths,
        })
    }
}

/// The one row of all aggregates.
struct Results<'a> {
    row: &'a RecordBatch,
}

impl Results<'_> {
    fn has(&self, name: &str) -> bool {
        self.row.column_by_name(name).is_some()
    }

    fn array(&self, name: &str) -> Result<&arrow::array::ArrayRef> {
        self.row
            .column_by_name(name)
            .ok_or_else(|| Error::Internal(format!("the aggregate {name} is missing")))
    }

    fn scalar(&self, name: &str) -> Result<ScalarValue> {
        ScalarValue::try_from_array(self.array(name)?, 0)
            .map_err(Error::query("reading aggregates"))
    }

    fn count(&self, name: &str) -> Result<u64> {
        match self.scalar(name)? {
            ScalarValue::Int64(Some(count)) => Ok(count.unsigned_abs()),
            ScalarValue::UInt64(Some(count)) => Ok(count),
            other => Err(Error::Internal(format!(
                "the aggregate {name} is {other:?}"
            ))),
        }
    }

    /// Null if there is none.
    fn value(&self, name: &str) -> Result<Value> {
        if !self.has(name) {
            return Ok(Value::Null);
        }
        let scalar = self.scalar(name)?;
        if scalar.is_null() {
            return Ok(Value::Null);
        }
        Ok(match &scalar {
            ScalarValue::Boolean(Some(flag)) => json!(flag),
            ScalarValue::Int8(Some(v)) => json!(v),
            ScalarValue::Int16(Some(v)) => json!(v),
            ScalarValue::Int32(Some(v)) => json!(v),
            ScalarValue::Int64(Some(v)) => json!(v),
            ScalarValue::UInt8(Some(v)) => json!(v),
            ScalarValue::UInt16(Some(v)) => json!(v),
            ScalarValue::UInt32(Some(v)) => json!(v),
            ScalarValue::UInt64(Some(v)) => json!(v),
            // JSON has no infinity.
            ScalarValue::Float32(Some(v)) => {
                Number::from_f64(f64::from(*v)).map_or_else(|| json!(v.to_string()), Value::Number)
            }
            ScalarValue::Float64(Some(v)) => {
                Number::from_f64(*v).map_or_else(|| json!(v.to_string()), Value::Number)
            }
            other => json!(other.to_string()),
        })
    }

    fn quantiles(&self, name: &str) -> Result<Option<Quantiles>> {
        if !self.has(name) {
            return Ok(None);
        }
        let lists = self.array(name)?.as_list::<i32>();
        if lists.is_null(0) {
            return Ok(None);
        }
        let values = lists.value(0);
        let values = values.as_primitive::<Float64Type>().values();
        let found: [f64; QUANTILES.len()] = values
            .as_ref()
            .try_into()
            .map_err(|_| Error::Internal("quantiles are missing".to_owned()))?;
        let [p01, p25, p50, p75, p99] = found;
        Ok(Some(Quantiles {
            p01,
            p25,
            p50,
            p75,
            p99,
        }))
    }
}

#[cfg(test)]
mod tests;
