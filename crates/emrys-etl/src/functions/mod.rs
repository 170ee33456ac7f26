//! Functions that DataFusion does not have, used by several operators.

mod identity;
mod key_code;
mod list_aggregate;
mod lists;
mod range_aggregate;
mod stable_moments;
mod sum_pair;

pub(crate) use identity::Shared;
pub(crate) use key_code::key_code;
pub(crate) use list_aggregate::list_aggregate;
pub(crate) use lists::{Lists, list_array};
pub use range_aggregate::Aggregate;
pub(crate) use range_aggregate::RangeAggregate;
pub(crate) use stable_moments::{Moments, stable_moments};
