//! See [`TimeParts`].

mod part;

use arrow::array::timezone::Tz;
use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation, map_leaves};
use crate::{Error, Result};

pub use part::TimePart;
use part::{Form, part_of};

/// Takes points in time apart: hour, weekday, month and so on, also as points on a circle.
///
/// | part | values | period |
/// |---|---|---|
/// | `year` | | |
/// | `quarter` | 1 to 4 | 4 |
/// | `month` | 1 to 12 | 12 |
/// | `week` | 1 to 53, of ISO 8601 | 53 |
/// | `day` | 1 to 31 | 31 |
/// | `day_of_year` | 1 to 366 | 366 |
/// | `weekday` | 0 (Monday) to 6 | 7 |
/// | `hour` | 0 to 23 | 24 |
/// | `minute`, `second` | 0 to 59 | 60 |
///
/// # Output
/// A column `<column>_<part>` of `int32` for each column and part; with
/// [`with_cyclic`](TimeParts::with_cyclic) also `<column>_<part>_sin` and `<column>_<part>_cos` of
/// `float32`, the place on a circle of that period, on which 23 and 0 o'clock are neighbours (not
/// for years, which do not return). The times themselves do not come out.
/// # Schema
/// Parts are tagged `categorical` and have a domain that starts at 0, years have neither; places on
/// circles are tagged `continuous` with the domain -1 to 1. Other tags are kept, except `time`.
/// # Nulls, NaN and empty input
/// Null stays null, and so become times beyond the calendar (262,000 years).
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Each element.
/// # Errors
/// At build: no part, or one twice; an unknown time zone; a column that is neither a timestamp, a
/// date nor an integer; an integer without [`with_unit`](TimeParts::with_unit); hours, minutes or
/// seconds of a date.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::{TimePart, TimeParts}};
/// use emrys_schema::{ColumnSchema, DType, Schema, TimeUnit};
///
/// let schema = Schema::new([ColumnSchema::new("ts", DType::Int64)])?;
/// let parts = TimeParts::new([TimePart::Hour, TimePart::Weekday]).with_unit(TimeUnit::Second);
/// let output = Workflow::new(cols(["ts"]) >> parts).output_schema(&schema)?;
/// assert_eq!(output.names(), ["ts_hour", "ts_weekday"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeParts {
    parts: Vec<TimePart>,
    #[serde(default)]
    unit: Option<Unit>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    cyclic: bool,
}

/// The unit of integers, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Unit {
    #[serde(rename = "s")]
    Second,
    #[serde(rename = "ms")]
    Millisecond,
    #[serde(rename = "us")]
    Microsecond,
    #[serde(rename = "ns")]
    Nanosecond,
}

impl From<TimeUnit> for Unit {
    fn from(unit: TimeUnit) -> Unit {
        match unit {
            TimeUnit::Second => Unit::Second,
            TimeUnit::Millisecond => Unit::Millisecond,
            TimeUnit::Microsecond => Unit::Microsecond,
            TimeUnit::Nanosecond => Unit::Nanosecond,
        }
    }
}

impl From<Unit> for arrow::datatypes::TimeUnit {
    fn from(unit: Unit) -> arrow::datatypes::TimeUnit {
        match unit {
            Unit::Second => arrow::datatypes::TimeUnit::Second,
            Unit::Millisecond => arrow::datatypes::TimeUnit::Millisecond,
            Unit::Microsecond => arrow::datatypes::TimeUnit::Microsecond,
            Unit::Nanosecond => arrow::datatypes::TimeUnit::Nanosecond,
        }
    }
}

impl TimeParts {
    /// These parts of each column.
    pub fn new(parts: impl IntoIterator<Item = TimePart>) -> TimeParts {
        TimeParts {
            parts: parts.into_iter().collect(),
            unit: None,
            time_zone: None,
            cyclic: false,
        }
    }

    /// What columns of integers count since 1970-01-01 00:00 UTC; needed for these alone.
    #[must_use]
    pub fn with_unit(mut self, unit: TimeUnit) -> TimeParts {
        self.unit = Some(unit.into());
        self
    }

    /// The time zone whose clocks and calendar count, UTC by default: a name (`Europe/Berlin`) or
    /// an offset (`+02:00`). Dates have no time zone.
    #[must_use]
    pub fn with_time_zone(mut self, zone: impl Into<String>) -> TimeParts {
        self.time_zone = Some(zone.into());
        self
    }

    /// Whether places on a circle are added for each part, off by default.
    #[must_use]
    pub fn with_cyclic(mut self, cyclic: bool) -> TimeParts {
        self.cyclic = cyclic;
        self
    }

    fn forms(&self, part: TimePart) -> &'static [Form] {
        if self.cyclic && part.period().is_some() {
            &[Form::Number, Form::Sine, Form::Cosine]
        } else {
            &[Form::Number]
        }
    }

    fn check_column(&self, input: &InputSchema, column: &ColumnSchema) -> Result<()> {
        let dtype = column.dtype();
        let refused = |expected: String| Error::UnsupportedType {
            operator: input.operator().to_owned(),
            column: column.name().to_owned(),
            found: format!("{dtype}{}", column.shape()),
            expected,
        };
        match dtype {
            DType::Timestamp(_) | DType::Unknown => Ok(()),
            DType::Date => match self.parts.iter().find(|part| part.is_of_day()) {
                None => Ok(()),
                Some(part) => Err(refused(format!(
                    "a date has no {}; leave the part out",
                    part.name()
                ))),
            },
            _ if dtype.is_integer() && self.unit.is_some() => Ok(()),
            _ if dtype.is_integer() => Err(refused(
                "it may count seconds or milliseconds; say which by `unit`".to_owned(),
            )),
            _ => Err(refused(
                "a timestamp, a date or an integer is needed; cast it or leave it out".to_owned(),
            )),
        }
    }
}

fn output_column(column: &ColumnSchema, part: TimePart, form: Form) -> ColumnSchema {
    let output = column
        .clone()
        .with_name(output_name(column, part, form))
        .with_dtype(DType::Int32)
        .with_domain(None)
        .without_tags([Tag::Time, Tag::Continuous, Tag::Categorical]);
    match (form, part.last()) {
        (Form::Number, None) => output,
        (Form::Number, Some(last)) => {
            let domain = Domain::int(0, i64::from(last)).named(output.name());
            output.with_domain(domain).with_tags([Tag::Categorical])
        }
        (Form::Sine | Form::Cosine, _) => output
            .with_dtype(DType::Float32)
            .with_domain(Domain::float(-1.0, 1.0))
            .with_tags([Tag::Continuous]),
    }
}

fn output_name(column: &ColumnSchema, part: TimePart, form: Form) -> String {
    format!("{}_{}{}", column.name(), part.name(), form.suffix())
}

impl Operator for TimeParts {
    type State = ();

    fn name() -> &'static str {
        "TimeParts"
    }

    fn description() -> &'static str {
        "Takes points in time apart into hour, weekday, month and so on."
    }

    fn check(&self) -> Result<()> {
        let invalid = |option: &str, value: String, expected: &str| Error::InvalidOption {
            operator: "time_parts".to_owned(),
            option: option.to_owned(),
            value,
            expected: expected.to_owned(),
        };
        if self.parts.is_empty() {
            let expected = "at least one part is needed, such as hour";
            return Err(invalid("parts", "empty".to_owned(), expected));
        }
        for (i, part) in self.parts.iter().enumerate() {
            if self.parts[..i].contains(part) {
                let value = format!("{} twice", part.name());
                return Err(invalid("parts", value, "each is needed once"));
            }
        }
        match self
            .time_zone
            .as_ref()
            .map(|zone| (zone, zone.parse::<Tz>()))
        {
            Some((zone, Err(_))) => Err(invalid(
                "time_zone",
                format!("`{zone}`"),
                "there is no such zone; use a name such as Europe/Berlin, or an offset such as \
                 +02:00",
            )),
            _ => Ok(()),
        }
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let mut columns = Vec::new();
        for column in input.columns() {
            self.check_column(input, column)?;
            for part in &self.parts {
                let forms = self.forms(*part).iter();
                columns.extend(forms.map(|form| output_column(column, *part, *form)));
            }
        }
        Ok(Schema::new(columns)?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        let unit = self.unit.unwrap_or(Unit::Second).into();
        let zone = self.time_zone.as_deref();
        let mut outputs = Vec::new();
        for column in input.columns() {
            let data_type = input.arrow_type(column.name())?;
            for part in &self.parts {
                for form in self.forms(*part) {
                    let expr = input.expr(column.name())?;
                    let value = map_leaves(expr, &data_type, |time, _| {
                        Ok(part_of(time, *part, *form, unit, zone))
                    })?;
                    outputs.push((output_name(column, *part, *form), value));
                }
            }
        }
        Ok(Lowered::Columns(outputs))
    }

    fn examples() -> Vec<Example> {
        vec![
            Example {
                title: "Friday, 2023-11-17, 22:13:20 UTC.",
                config: serde_json::json!({
                    "parts": ["year", "month", "day", "weekday", "hour"], "unit": "s",
                }),
                input: serde_json::json!({"ts": [1_700_259_200, null]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "ts_year": [2023, null],
                    "ts_month": [11, null],
                    "ts_day": [17, null],
                    "ts_weekday": [4, null],
                    "ts_hour": [22, null],
                }),
            },
            Example {
                title: "Seven and twenty-two o'clock in Tokyo, also on a circle.",
                config: serde_json::json!({
                    "parts": ["hour"], "unit": "ms", "time_zone": "Asia/Tokyo", "cyclic": true,
                }),
                input: serde_json::json!({"ts": [1_700_258_400_000_i64, 1_700_226_000_000_i64]}),
                selection: serde_json::Value::Null,
                output: serde_json::json!({
                    "ts_hour": [7, 22],
                    "ts_hour_sin": [0.965_925_8, -0.5],
                    "ts_hour_cos": [-0.258_819_04, 0.866_025_4],
                }),
            },
        ]
    }
}
