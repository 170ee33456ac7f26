//! Functions that DataFusion does not have, used by several operators.

mod canonical;
mod exact_sums;
mod identity;
mod key_code;
mod stable_moments;
mod sum_pair;

pub(crate) use canonical::canonical;
pub(crate) use exact_sums::{ExactSquares, ExactSum, exact_squares, exact_sum, summed_type};
pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use stable_moments::{Moments, stable_moments};
pub(crate) use sum_pair::SumPair;
