//! What must hold for every operator, for tests of operators inside and outside of Emrys.
//!
//! ```
//! use std::sync::Arc;
//! use emrys_etl::operator::Operator;
//! use emrys_etl::ops::LogOp;
//! use emrys_etl::testing::conformance;
//!
//! for example in LogOp::examples() {
//!     let problems = conformance(&(Arc::new(LogOp) as _), &example);
//!     assert!(problems.is_empty(), "{problems:#?}");
//! }
//! ```

mod conformance;
mod table;

pub use conformance::conformance;
pub use table::{batch_from_json, batch_to_json};
