//! Optimizers: dense ones for the parameters of blocks, sparse ones for rows of embedding tables.
//!
//! Both are plain, serialisable values with documented defaults. The formulas are Keras' (in
//! particular its places of epsilon), so that a model moved from Merlin or TFRS trains the same.
//!
//! | | state | used for |
//! |---|---|---|
//! | [`DenseOptimizer`] | one tensor per parameter, in Burn's `ModuleOptimizer` | blocks |
//! | [`SparseOptimizer`] | rows beside the rows of a table, updated in place | embedding tables |

mod dense;
mod sparse;

pub use dense::{DenseOptimizer, load_dense_state, save_dense_state};
pub use sparse::SparseOptimizer;
pub(crate) use sparse::{RowUpdate, RowUpdateVisitor};
