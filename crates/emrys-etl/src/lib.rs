//! Graphs of feature-engineering operators that fit and transform data of any size.

mod error;
pub mod io;

pub use error::{Error, Result};
