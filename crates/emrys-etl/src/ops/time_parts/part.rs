//! One part of points in time, as a function of the engine.

use std::f64::consts::TAU;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::compute::cast;
use arrow::compute::kernels::temporal::{DatePart, date_part};
use arrow::datatypes::{
    DataType, Float32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::Expr;
use serde::{Deserialize, Serialize};

use crate::lookup::plain_type;

/// A part of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimePart {
    /// The year.
    Year,
    /// The quarter of the year, from 1.
    Quarter,
    /// The month, from 1.
    Month,
    /// The week of ISO 8601, from 1: the week with the first Thursday of the year.
    Week,
    /// The day of the month, from 1.
    Day,
    /// The day of the year, from 1.
    DayOfYear,
    /// The day of the week, from 0, which is Monday.
    Weekday,
    /// The hour, from 0.
    Hour,
    /// The minute of the hour, from 0.
    Minute,
    /// The second of the minute, from 0.
    Second,
}

impl TimePart {
    /// The name in columns.
    pub(super) fn name(self) -> &'static str {
        match self {
            TimePart::Year => "year",
            TimePart::Quarter => "quarter",
            TimePart::Month => "month",
            TimePart::Week => "week",
            TimePart::Day => "day",
            TimePart::DayOfYear => "day_of_year",
            TimePart::Weekday => "weekday",
            TimePart::Hour => "hour",
            TimePart::Minute => "minute",
            TimePart::Second => "second",
        }
    }

    /// The first and the last value, of parts that return.
    fn range(self) -> Option<(i32, i32)> {
        Some(match self {
            TimePart::Year => return None,
            TimePart::Quarter => (1, 4),
            TimePart::Month => (1, 12),
            TimePart::Week => (1, 53),
            TimePart::Day => (1, 31),
            TimePart::DayOfYear => (1, 366),
            TimePart::Weekday => (0, 6),
            TimePart::Hour => (0, 23),
            TimePart::Minute | TimePart::Second => (0, 59),
        })
    }

    /// The last value, of parts that return.
    pub(super) fn last(self) -> Option<i32> {
        self.range().map(|(_, last)| last)
    }

    /// After how many values it returns, if it does.
    pub(super) fn period(self) -> Option<i32> {
        self.range().map(|(first, last)| last - first + 1)
    }

    /// Whether it is a part of the day, which dates do not have.
    pub(super) fn is_of_day(self) -> bool {
        matches!(self, TimePart::Hour | TimePart::Minute | TimePart::Second)
    }

    fn kernel(self) -> DatePart {
        match self {
            TimePart::Year => DatePart::Year,
            TimePart::Quarter => DatePart::Quarter,
            TimePart::Month => DatePart::Month,
            TimePart::Week => DatePart::WeekISO,
            TimePart::Day => DatePart::Day,
            TimePart::DayOfYear => DatePart::DayOfYear,
            TimePart::Weekday => DatePart::DayOfWeekMonday0,
            TimePart::Hour => DatePart::Hour,
            TimePart::Minute => DatePart::Minute,
            TimePart::Second => DatePart::Second,
        }
    }
}

/// How a part comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Number,
    Sine,
    Cosine,
}

impl Form {
    /// What follows the name of the part.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Form::Number => "",
            Form::Sine => "_sin",
            Form::Cosine => "_cos",
        }
    }
}

/// A part of a timestamp, a date, or an integer of the given unit.
pub(super) fn part_of(
    time: Expr,
    part: TimePart,
    form: Form,
    unit: TimeUnit,
    zone: Option<&str>,
) -> Expr {
    let function = PartOf {
        name: format!(
            "{}{}_{unit:?}_{}",
            part.name(),
            form.suffix(),
            zone.unwrap_or("UTC")
        ),
        part,
        form,
        unit,
        zone: zone.map(Arc::from),
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::new_from_impl(function).call(vec![time])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PartOf {
    /// Tells functions apart that are printed, so it has all that they differ in.
    name: String,
    part: TimePart,
    form: Form,
    unit: TimeUnit,
    zone: Option<Arc<str>>,
    signature: Signature,
}

impl PartOf {
    /// The times with the time zone whose clock is read. Times are in UTC, whatever zone they are
    /// shown in.
    fn times(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let array = cast(array, &plain_type(array.data_type()))?;
        let unit = match array.data_type() {
            DataType::Date32 | DataType::Date64 => return Ok(array),
            DataType::Timestamp(unit, _) => *unit,
            _ => self.unit,
        };
        let counts = cast(&array, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        macro_rules! times {
            ($unit:ty) => {{
                let times = counts.reinterpret_cast::<$unit>();
                Arc::new(times.with_timezone_opt(self.zone.clone())) as ArrayRef
            }};
        }
        Ok(match unit {
            TimeUnit::Second => times!(TimestampSecondType),
            TimeUnit::Millisecond => times!(TimestampMillisecondType),
            TimeUnit::Microsecond => times!(TimestampMicrosecondType),
            TimeUnit::Nanosecond => times!(TimestampNanosecondType),
        })
    }

    fn apply(&self, array: &ArrayRef) -> EngineResult<ArrayRef> {
        let numbers = date_part(&self.times(array)?, self.part.kernel())?;
        let Some((first, last)) = self.part.range().filter(|_| self.form != Form::Number) else {
            return Ok(numbers);
        };
        let period = f64::from(last - first + 1);
        let places: Vec<f32> = (first..=last)
            .map(|value| {
                let angle = TAU * f64::from(value - first) / period;
                let place = match self.form {
                    Form::Cosine => angle.cos(),
                    _ => angle.sin(),
                };
                place as f32
            })
            .collect();
        let numbers: &Int32Array = numbers.as_primitive::<Int32Type>();
        Ok(Arc::new(numbers.unary_opt::<_, Float32Type>(|number| {
            let at = usize::try_from(number - first).ok()?;
            places.get(at).copied()
        })))
    }
}

impl ScalarUDFImpl for PartOf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(match self.form {
            Form::Number => DataType::Int32,
            Form::Sine | Form::Cosine => DataType::Float32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let array = args.args[0].clone().into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.apply(&array)?))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Int64Array, TimestampMillisecondArray, TimestampSecondArray};

    use super::*;

    fn part(part: TimePart, zone: Option<&str>, times: impl Array + 'static) -> Vec<Option<i32>> {
        let function = PartOf {
            name: String::new(),
            part,
            form: Form::Number,
            unit: TimeUnit::Second,
            zone: zone.map(Arc::from),
            signature: Signature::any(1, Volatility::Immutable),
        };
        let parts = function.apply(&(Arc::new(times) as ArrayRef)).unwrap();
        parts.as_primitive::<Int32Type>().iter().collect()
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        // 2021-01-03 is the Sunday of week 53 of 2020, 2021-01-04 the Monday of week 1.
        let days = Date32Array::from(vec![18_630, 18_631]);
        assert_eq!(
            part(TimePart::Week, None, days.clone()),
            [Some(53), Some(1)]
        );
        assert_eq!(part(TimePart::Weekday, None, days), [Some(6), Some(0)]);
    }

    #[test]
    fn times_before_1970_and_leap_days_have_their_parts() {
        // 1969-12-31 23:59:59, and 2024-02-29 00:00:00.
        let times = Int64Array::from(vec![Some(-1), Some(1_709_164_800), None]);
        let of = |p| part(p, None, times.clone());
        assert_eq!(of(TimePart::Year), [Some(1969), Some(2024), None]);
        assert_eq!(of(TimePart::Second), [Some(59), Some(0), None]);
        assert_eq!(of(TimePart::Day), [Some(31), Some(29), None]);
        assert_eq!(of(TimePart::DayOfYear), [Some(365), Some(60), None]);
    }

    #[test]
    fn a_time_zone_follows_daylight_saving() {
        // 2024-01-15 12:00 and 2024-07-15 12:00 UTC.
        let times = [1_705_320_000, 1_721_044_800];
        let naive = TimestampSecondArray::from(times.to_vec());
        let berlin = part(TimePart::Hour, Some("Europe/Berlin"), naive.clone());
        assert_eq!(berlin, [Some(13), Some(14)]);
        // The zone in which a column is shown does not move its times.
        let shown = TimestampMillisecondArray::from_iter_values(times.map(|t| t * 1000))
            .with_timezone("America/New_York");
        assert_eq!(part(TimePart::Hour, None, shown), [Some(12), Some(12)]);
    }

    #[test]
    fn times_beyond_the_calendar_are_null() {
        assert_eq!(
            part(TimePart::Year, None, Int64Array::from(vec![i64::MAX])),
            [None]
        );
    }

    #[test]
    fn the_end_of_a_period_is_beside_its_start() {
        let places = |form| {
            let function = PartOf {
                name: String::new(),
                part: TimePart::Hour,
                form,
                unit: TimeUnit::Second,
                zone: None,
                signature: Signature::any(1, Volatility::Immutable),
            };
            let hours: ArrayRef = Arc::new(Int64Array::from_iter_values((0..24).map(|h| h * 3600)));
            let places = function.apply(&hours).unwrap();
            places.as_primitive::<Float32Type>().values().to_vec()
        };
        let (sines, cosines) = (places(Form::Sine), places(Form::Cosine));
        let steps: Vec<f32> = (0..24)
            .map(|h| (sines[h] - sines[(h + 1) % 24]).hypot(cosines[h] - cosines[(h + 1) % 24]))
            .collect();
        assert!(
            steps.iter().all(|step| (step - steps[0]).abs() < 1e-6),
            "{steps:?}"
        );
    }
}
