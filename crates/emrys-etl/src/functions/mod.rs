//! Functions that DataFusion does not have, used by several operators.

mod canonical;
mod distinct;
mod distribution;
mod exact_sums;
mod fill;
mod float_map;
mod identity;
mod key_code;
mod list_aggregate;
mod lists;
mod logarithm;
mod lossless_cast;
mod quantile_histogram;
mod range_aggregate;
mod strict_cast;
mod sum_pair;
mod value_hash;
mod wide_sums;

pub(crate) use canonical::canonical;
pub(crate) use distinct::{DistinctHashes, smallest_hashes};
pub(crate) use distribution::{Distribution, Number, StoredDistribution, value_distribution};
pub(crate) use exact_sums::{ExactSquares, ExactSum, exact_squares, exact_sum, summed_type};
pub(crate) use fill::{fill, filled, put_at_nulls};
pub(crate) use float_map::FloatMap;
pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use list_aggregate::list_aggregate;
pub(crate) use lists::{Lists, element_of, list_array};
pub(crate) use lossless_cast::lossless_cast;
pub(crate) use quantile_histogram::{QUANTILES, quantile_histogram};
pub use range_aggregate::Aggregate;
pub(crate) use range_aggregate::RangeAggregate;
pub(crate) use strict_cast::strict_cast;
pub(crate) use sum_pair::SumPair;
pub(crate) use value_hash::value_hash;
