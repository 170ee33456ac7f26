//! The element types of columns.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of one element of a column; lists have the type of their leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
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
    /// A point in time without a zone, in the given unit since 1970-01-01.
    Timestamp(TimeUnit),
}

/// The unit of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// Whether it is a signed or unsigned integer.
    pub fn is_integer(self) -> bool {
        self.is_signed_integer() || self.is_unsigned_integer()
    }

    /// Whether it is a signed integer.
    pub fn is_signed_integer(self) -> bool {
        matches!(self, DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64)
    }

    /// Whether it is an unsigned integer.
    pub fn is_unsigned_integer(self) -> bool {
        matches!(self, DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64)
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
        f.write_str(match self {
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
