//! See [`Stat`].

use emrys_schema::DType;
use serde::{Deserialize, Serialize};

use super::records::kind_of;
use crate::lookup::WordKind;

/// A statistic of [`JoinGroupby`](super::JoinGroupby).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stat {
    /// The number of rows.
    Count,
    /// The sum of the values.
    Sum,
    /// The mean of the values.
    Mean,
    /// The standard deviation of the sample (`ddof = 1`).
    Std,
    /// The variance of the sample (`ddof = 1`).
    Var,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The number of distinct values.
    Nunique,
}

impl Stat {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stat::Count => "count",
            Stat::Sum => "sum",
            Stat::Mean => "mean",
            Stat::Std => "std",
            Stat::Var => "var",
            Stat::Min => "min",
            Stat::Max => "max",
            Stat::Nunique => "nunique",
        }
    }

    /// The type for a column of the given type.
    pub(super) fn dtype(self, of: DType) -> DType {
        match self {
            Stat::Count | Stat::Nunique => DType::Int32,
            Stat::Mean | Stat::Std | Stat::Var => DType::Float32,
            Stat::Sum => match kind_of(of) {
                WordKind::Signed => DType::Int64,
                WordKind::Unsigned => DType::UInt64,
                WordKind::Float => of,
            },
            Stat::Min | Stat::Max => of,
        }
    }
}
