//! Functions that DataFusion does not have, used by several operators.

mod fill;
mod float_map;
mod identity;
mod key_code;
mod logarithm;
mod stable_moments;
mod sum_pair;

pub(crate) use fill::fill;
pub(crate) use float_map::FloatMap;
pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use stable_moments::{Moments, stable_moments};
