//! Functions that DataFusion does not have, used by several operators.

mod identity;
mod key_code;
mod quantile_histogram;
mod stable_moments;
mod sum_pair;

pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use quantile_histogram::{QUANTILES, quantile_histogram};
pub(crate) use stable_moments::{Moments, stable_moments};
