//! Graphs of feature-engineering operators that fit and transform data of any size.

mod error;
pub mod hash;
pub mod io;
mod lookup;

pub use error::{Error, Result};
