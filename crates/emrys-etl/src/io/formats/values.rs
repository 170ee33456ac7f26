//! From texts to values of a type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{
    Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use emrys_schema::{DType, TimeUnit};

use crate::io::open_options::ColumnType;

/// The values of texts; if one is none of the type, the error is its place.
///
/// A guessed type does not take what it was not guessed from: digits with leading zeros, which
/// are names rather than numbers, and times finer than its unit.
pub(crate) fn convert(
    texts: &StringArray,
    column_type: ColumnType,
    guessed: bool,
) -> Result<ArrayRef, usize> {
    macro_rules! numbers {
        ($type:ty) => {
            primitive::<$type>(texts, |text| match guessed && has_leading_zeros(text) {
                true => None,
                false => <$type as Parser>::parse(text),
            })
        };
    }
    macro_rules! times {
        ($type:ty, $nanoseconds:expr) => {
            primitive::<$type>(texts, |text| match guessed {
                true => exact_time(text, $nanoseconds),
                false => <$type as Parser>::parse(text),
            })
        };
    }
    let dtype = match column_type {
        ColumnType::Hex => return primitive::<Int32Type>(texts, hex),
        ColumnType::Plain(dtype) => dtype,
    };
    match dtype {
        DType::Bool => boolean(texts),
        DType::Int8 => numbers!(Int8Type),
        DType::Int16 => numbers!(Int16Type),
        DType::Int32 => numbers!(Int32Type),
        DType::Int64 => numbers!(Int64Type),
        DType::UInt8 => numbers!(UInt8Type),
        DType::UInt16 => numbers!(UInt16Type),
        DType::UInt32 => numbers!(UInt32Type),
        DType::UInt64 => numbers!(UInt64Type),
        DType::Float16 => numbers!(Float16Type),
        DType::Float32 => numbers!(Float32Type),
        DType::Float64 => numbers!(Float64Type),
        DType::Date => primitive::<Date32Type>(texts, <Date32Type as Parser>::parse),
        DType::Timestamp(TimeUnit::Second) => times!(TimestampSecondType, 1_000_000_000),
        DType::Timestamp(TimeUnit::Millisecond) => times!(TimestampMillisecondType, 1_000_000),
        DType::Timestamp(TimeUnit::Microsecond) => times!(TimestampMicrosecondType, 1_000),
        DType::Timestamp(TimeUnit::Nanosecond) => times!(TimestampNanosecondType, 1),
        // Other types are refused before anything is read.
        _ => Ok(Arc::new(texts.clone())),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef, usize> {
    let mut values = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        values.push(match texts.is_null(row) {
            true => T::Native::default(),
            false => parse(texts.value(row).trim_ascii()).ok_or(row)?,
        });
    }
    let array = PrimitiveArray::<T>::new(values.into(), texts.nulls().cloned());
    Ok(Arc::new(array))
}

fn boolean(texts: &StringArray) -> Result<ArrayRef, usize> {
    let mut values = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        values.push(match texts.is_null(row) {
            true => false,
            false => match texts.value(row).trim_ascii() {
                "0" => false,
                "1" => true,
                text => truth(text).ok_or(row)?,
            },
        });
    }
    Ok(Arc::new(BooleanArray::new(
        values.into(),
        texts.nulls().cloned(),
    )))
}

fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The signed number of the same 32 bits.
fn hex(text: &str) -> Option<i32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = digits
        .then(|| u32::from_str_radix(text, 16).ok())
        .flatten()?;
    Some(bits.cast_signed())
}

/// Whether digits begin with a zero that a number would not have.
fn has_leading_zeros(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
}

/// Whether a float holds the number; long rows of digits are names, of which it would lose some.
fn is_float(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        true => Int64Type::parse(text).is_some(),
        false => Float64Type::parse(text).is_some(),
    }
}

fn exact_time(text: &str, unit: i64) -> Option<i64> {
    let nanoseconds = <TimestampNanosecondType as Parser>::parse(text)?;
    (nanoseconds % unit == 0).then_some(nanoseconds.div_euclid(unit))
}

/// Which types all texts seen so far could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    any: bool,
    bool: bool,
    int: bool,
    uint: bool,
    float: bool,
    date: bool,
    time: bool,
}

impl Guess {
    pub(crate) fn new() -> Guess {
        Guess {
            any: false,
            bool: true,
            int: true,
            uint: true,
            float: true,
            date: true,
            time: true,
        }
    }

    /// Takes a text into account that is not null.
    pub(crate) fn see(&mut self, text: &str) {
        let text = text.trim_ascii();
        self.any = true;
        self.bool = self.bool && truth(text).is_some();
        let number = !has_leading_zeros(text);
        self.int = self.int && number && Int64Type::parse(text).is_some();
        self.uint = self.uint && number && UInt64Type::parse(text).is_some();
        self.float = self.float && number && is_float(text);
        self.date = self.date && text.len() == 10 && Date32Type::parse(text).is_some();
        self.time = self.time && text.len() > 10 && exact_time(text, 1_000).is_some();
    }

    /// What the texts of both could be.
    pub(crate) fn and(self, other: Guess) -> Guess {
        Guess {
            any: self.any || other.any,
            bool: self.bool && other.bool,
            int: self.int && other.int,
            uint: self.uint && other.uint,
            float: self.float && other.float,
            date: self.date && other.date,
            time: self.time && other.time,
        }
    }

    pub(crate) fn dtype(self) -> DType {
        match self {
            Guess { any: false, .. } => DType::String,
            Guess { bool: true, .. } => DType::Bool,
            Guess { int: true, .. } => DType::Int64,
            Guess { uint: true, .. } => DType::UInt64,
            Guess { float: true, .. } => DType::Float64,
            Guess { date: true, .. } => DType::Date,
            Guess { time: true, .. } => DType::Timestamp(TimeUnit::Microsecond),
            _ => DType::String,
        }
    }
}

/// The text as errors show it.
pub(crate) fn shown(text: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(MOST) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["1", "-2", "+3"], DType::Int64)]
    #[case(&["1", "2.5"], DType::Float64)]
    #[case(&["1e3", "nan"], DType::Float64)]
    #[case(&["1", "007"], DType::String)]
    #[case(&["0", "0.5", "-0"], DType::Float64)]
    #[case(&["18446744073709551615", "0"], DType::UInt64)]
    #[case(&["18446744073709551615", "-1"], DType::String)]
    #[case(&["99999999999999999999"], DType::String)]
    #[case(&["true", "False"], DType::Bool)]
    #[case(&["true", "1"], DType::String)]
    #[case(&["2020-01-31", "1969-12-31"], DType::Date)]
    #[case(&["2020-01-31 10:11:12", "2020-01-31T10:11:12.123456Z"], DType::Timestamp(TimeUnit::Microsecond))]
    #[case(&["2020-01-31 10:11:12.123456789"], DType::String)]
    #[case(&["2020-01-31", "x"], DType::String)]
    #[case(&[], DType::String)]
    fn types_are_guessed_from_all_values(#[case] texts: &[&str], #[case] dtype: DType) {
        let mut guess = Guess::new();
        for text in texts {
            guess.see(text);
        }
        assert_eq!(guess.dtype(), dtype);
        assert_eq!(guess.and(Guess::new()), guess);
        let guessed = convert(&StringArray::from(texts.to_vec()), dtype.into(), true);
        assert_eq!(guessed.map(|array| array.len()), Ok(texts.len()));
    }

    #[test]
    fn hexadecimal_digits_are_the_bits_of_an_int32() {
        let texts = StringArray::from(vec![Some("68fd1e64"), None, Some("ffffffff"), Some("0")]);
        let values = convert(&texts, ColumnType::Hex, false).unwrap();
        let values: Vec<_> = values.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(values, [Some(0x68fd_1e64), None, Some(-1), Some(0)]);
        for bad in ["", "1ffffffff", "+1", "g"] {
            let texts = StringArray::from(vec!["1", bad]);
            assert_eq!(
                convert(&texts, ColumnType::Hex, false).err(),
                Some(1),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_no_value_is_placed() {
        let bad = |texts: Vec<&str>, dtype: DType, guessed| {
            convert(&StringArray::from(texts), dtype.into(), guessed).err()
        };
        assert_eq!(bad(vec!["1", "2", "1.5"], DType::Int64, true), Some(2));
        assert_eq!(bad(vec!["300"], DType::UInt8, false), Some(0));
        assert_eq!(bad(vec![" 7 ", "8"], DType::Int8, false), None);
        assert_eq!(bad(vec!["7", "07"], DType::Int64, false), None);
        assert_eq!(bad(vec!["7", "07"], DType::Int64, true), Some(1));
        assert_eq!(bad(vec!["1", "0", "TRUE"], DType::Bool, false), None);
        assert_eq!(bad(vec!["yes"], DType::Bool, false), Some(0));
        assert_eq!(
            bad(
                vec!["1969-12-31T23:59:59.5Z"],
                DType::Timestamp(TimeUnit::Second),
                true
            ),
            Some(0)
        );
    }
}
