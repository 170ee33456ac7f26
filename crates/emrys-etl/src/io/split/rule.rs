//! Which rows are held out.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use serde::{Deserialize, Serialize};

use crate::io::Dataset;
use crate::io::plain::plain_type;
use crate::{Error, Result, expression};

/// The name of splits in errors.
pub(super) const OPERATOR: &str = "split";

/// Which rows are held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Rule {
    Random {
        fraction: f64,
        #[serde(default)]
        seed: u64,
    },
    ByKey {
        columns: Vec<String>,
        fraction: f64,
        #[serde(default)]
        seed: u64,
    },
    FromTime {
        column: String,
        start: String,
    },
    Latest {
        column: String,
        fraction: f64,
    },
    LastPerKey {
        columns: Vec<String>,
        time: String,
        rows: u64,
    },
    Matching {
        expr: String,
    },
}

impl Rule {
    /// Compares the rule with the columns of the data.
    pub(super) fn check(&self, dataset: &Dataset) -> Result<()> {
        match self {
            Rule::Random { fraction, .. } => check_fraction(*fraction),
            Rule::ByKey {
                columns, fraction, ..
            } => {
                check_fraction(*fraction)?;
                check_keys(dataset, columns)
            }
            Rule::FromTime { column, start } => start_of(dataset, column, start).map(|_| ()),
            Rule::Latest { column, fraction } => {
                check_fraction(*fraction)?;
                check_time(dataset, column).map(|_| ())
            }
            Rule::LastPerKey {
                columns,
                time,
                rows,
            } => {
                if *rows == 0 {
                    return Err(invalid("rows", "0", "at least 1 row is needed"));
                }
                check_keys(dataset, columns)?;
                check_time(dataset, time).map(|_| ())
            }
            Rule::Matching { expr } => {
                let fields = dataset.arrow_schema().fields();
                let fields: Vec<_> = fields.iter().map(|field| field.as_ref().clone()).collect();
                let parsed = expression::parse(OPERATOR, "expr", expr, fields.clone())?;
                let (_, field) = expression::compile(parsed, fields)
                    .map_err(Error::query(format!("compiling `{expr}`")))?;
                match field.data_type() {
                    DataType::Boolean => Ok(()),
                    other => Err(invalid(
                        "expr",
                        &format!("`{expr}`"),
                        &format!(
                            "it gives {other}; a comparison is needed, which is true or false"
                        ),
                    )),
                }
            }
        }
    }
}

/// The point in time that the text stands for, as a value of the column.
pub(super) fn start_of(dataset: &Dataset, column: &str, start: &str) -> Result<ScalarValue> {
    let data_type = check_time(dataset, column)?;
    let parsed = ScalarValue::try_from_string(start.to_owned(), &data_type);
    match parsed {
        Ok(value) if !value.is_null() => Ok(value),
        _ => Err(invalid(
            "start",
            &format!("`{start}`"),
            &format!("`{column}` holds {data_type}; write it as a value of the column"),
        )),
    }
}

fn check_fraction(fraction: f64) -> Result<()> {
    match fraction > 0.0 && fraction < 1.0 {
        true => Ok(()),
        false => Err(invalid(
            "fraction",
            &fraction.to_string(),
            "more than 0 and less than 1 is needed",
        )),
    }
}

fn check_keys(dataset: &Dataset, columns: &[String]) -> Result<()> {
    if columns.is_empty() {
        return Err(invalid("columns", "[]", "at least 1 column is needed"));
    }
    for column in columns {
        let data_type = type_of(dataset, column)?;
        if data_type.is_floating() || data_type.is_nested() {
            return Err(Error::UnsupportedType {
                operator: OPERATOR.into(),
                column: column.clone(),
                found: data_type.to_string(),
                expected: "keys are integers, booleans, texts, dates or timestamps; cast it".into(),
            });
        }
    }
    Ok(())
}

fn check_time(dataset: &Dataset, column: &str) -> Result<DataType> {
    let data_type = type_of(dataset, column)?;
    let has_order =
        data_type.is_numeric() || data_type.is_temporal() || data_type == DataType::Utf8;
    match has_order {
        true => Ok(data_type),
        false => Err(Error::UnsupportedType {
            operator: OPERATOR.into(),
            column: column.to_owned(),
            found: data_type.to_string(),
            expected: "times are numbers, dates, timestamps or texts in the order of time; cast it"
                .into(),
        }),
    }
}

fn type_of(dataset: &Dataset, column: &str) -> Result<DataType> {
    let fields = dataset.arrow_schema().fields();
    match fields.find(column) {
        Some((_, field)) => Ok(plain_type(field.data_type())),
        None => Err(Error::UnknownColumn {
            operator: OPERATOR.into(),
            column: column.to_owned(),
            available: fields.iter().map(|field| field.name().clone()).collect(),
        }),
    }
}

fn invalid(option: &str, value: &str, expected: &str) -> Error {
    Error::InvalidOption {
        operator: OPERATOR.into(),
        option: option.into(),
        value: value.into(),
        expected: expected.into(),
    }
}
