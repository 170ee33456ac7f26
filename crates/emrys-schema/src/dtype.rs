//! The element types of columns.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The type of one element of a column; lists have the type of their leaves.
///
/// In text and in JSON a type is its name:
///
/// ```
/// use emrys_schema::{DType, TimeUnit};
///
/// assert_eq!(DType::Timestamp(TimeUnit::Microsecond).to_string(), "timestamp[us]");
/// assert_eq!("uint16".parse::<DType>()?, DType::UInt16);
/// assert!("flaot32".parse::<DType>().unwrap_err().to_string().contains("did you mean `float32`?"));
/// # Ok::<(), emrys_schema::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum DType {
    /// Not known, as in schema files of Merlin for strings.
    #[default]
    Unknown,
    /// True or false.
    Bool,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// IEEE half precision.
    Float16,
    /// IEEE single precision.
    Float32,
    /// IEEE double precision.
    Float64,
    /// UTF-8 text.
    String,
    /// Raw bytes.
    Binary,
    /// Days since 1970-01-01.
    Date,
    /// A point in time in the given unit since 1970-01-01 UTC; zones are not kept.
    Timestamp(TimeUnit),
}

/// The unit of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

impl DType {
    /// Every type, in the order of the documentation.
    pub const ALL: &'static [DType] = &[
        DType::Unknown,
        DType::Bool,
        DType::Int8,
        DType::Int16,
        DType::Int32,
        DType::Int64,
        DType::UInt8,
        DType::UInt16,
        DType::UInt32,
        DType::UInt64,
        DType::Float16,
        DType::Float32,
        DType::Float64,
        DType::String,
        DType::Binary,
        DType::Date,
        DType::Timestamp(TimeUnit::Second),
        DType::Timestamp(TimeUnit::Millisecond),
        DType::Timestamp(TimeUnit::Microsecond),
        DType::Timestamp(TimeUnit::Nanosecond),
    ];

    /// Whether it is a signed or unsigned integer.
    pub fn is_integer(self) -> bool {
        self.is_signed_integer() || self.is_unsigned_integer()
    }

    /// Whether it is a signed integer.
    pub fn is_signed_integer(self) -> bool {
        matches!(
            self,
            DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64
        )
    }

    /// Whether it is an unsigned integer.
    pub fn is_unsigned_integer(self) -> bool {
        matches!(
            self,
            DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64
        )
    }

    /// Whether it is a floating-point number.
    pub fn is_float(self) -> bool {
        matches!(self, DType::Float16 | DType::Float32 | DType::Float64)
    }

    /// Whether it is an integer or a float.
    pub fn is_numeric(self) -> bool {
        self.is_integer() || self.is_float()
    }

    /// The size of an element in bits, where it is fixed.
    pub fn bits(self) -> Option<u32> {
        match self {
            DType::Bool => Some(1),
            DType::Int8 | DType::UInt8 => Some(8),
            DType::Int16 | DType::UInt16 | DType::Float16 => Some(16),
            DType::Int32 | DType::UInt32 | DType::Float32 | DType::Date => Some(32),
            DType::Int64 | DType::UInt64 | DType::Float64 | DType::Timestamp(_) => Some(64),
            DType::Unknown | DType::String | DType::Binary => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DType::Unknown => "unknown",
            DType::Bool => "bool",
            DType::Int8 => "int8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Int64 => "int64",
            DType::UInt8 => "uint8",
            DType::UInt16 => "uint16",
            DType::UInt32 => "uint32",
            DType::UInt64 => "uint64",
            DType::Float16 => "float16",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::String => "string",
            DType::Binary => "binary",
            DType::Date => "date",
            DType::Timestamp(TimeUnit::Second) => "timestamp[s]",
            DType::Timestamp(TimeUnit::Millisecond) => "timestamp[ms]",
            DType::Timestamp(TimeUnit::Microsecond) => "timestamp[us]",
            DType::Timestamp(TimeUnit::Nanosecond) => "timestamp[ns]",
        })
    }
}

impl FromStr for DType {
    type Err = Error;

    /// Reads the name that `Display` writes.
    fn from_str(name: &str) -> Result<DType, Error> {
        DType::ALL
            .iter()
            .find(|dtype| dtype.to_string() == name)
            .copied()
            .ok_or_else(|| Error::UnknownDType {
                name: name.to_owned(),
            })
    }
}

impl TryFrom<String> for DType {
    type Error = Error;

    fn try_from(name: String) -> Result<DType, Error> {
        name.parse()
    }
}

impl From<DType> for String {
    fn from(dtype: DType) -> String {
        dtype.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_from_its_name() {
        for dtype in DType::ALL {
            assert_eq!(dtype.to_string().parse::<DType>().unwrap(), *dtype);
        }
    }

    #[test]
    fn kinds_of_numbers_exclude_each_other() {
        for dtype in DType::ALL {
            let kinds = [
                dtype.is_signed_integer(),
                dtype.is_unsigned_integer(),
                dtype.is_float(),
            ];
            let kinds = kinds.iter().filter(|kind| **kind).count();
            assert_eq!(kinds, usize::from(dtype.is_numeric()), "{dtype}");
            assert_eq!(
                dtype.is_integer(),
                dtype.is_signed_integer() || dtype.is_unsigned_integer()
            );
        }
    }
}
