//! Functions that DataFusion does not have, used by several operators.

mod distinct;
mod distribution;
mod identity;
mod key_code;
mod stable_moments;
mod strict_cast;
mod sum_pair;
mod value_hash;

pub(crate) use distinct::{DistinctHashes, smallest_hashes};
pub(crate) use distribution::{Distribution, Number, StoredDistribution, value_distribution};
pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use stable_moments::{Moments, stable_moments};
pub(crate) use strict_cast::strict_cast;
pub(crate) use value_hash::value_hash;
