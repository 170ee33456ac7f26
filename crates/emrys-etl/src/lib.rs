//! Graphs of feature-engineering operators that fit and transform data of any size.

mod error;
pub mod io;
mod session;

pub use error::{Error, Result};
pub use io::{Dataset, ReadOptions};
pub use session::{Session, SessionOptions};
