//! From two towers to recommendations: the catalogue, its best items for a query, and how good
//! they are.
//!
//! | For | see |
//! |---|---|
//! | the vectors of all items, once each | [`Catalogue`] |
//! | the k best items of a query, exactly | [`Catalogue::top_k`] |
//! | recall, NDCG... over the whole catalogue | [`RetrievalEvaluation`] |
//! | what ranking by popularity would reach | [`RetrievalEvaluation::popularity`] |
//! | who has seen what, to leave it out | [`Interactions`] |
//! | how often each item was seen | [`ItemFrequencies`] |
//! | the first row of each id of a data set | [`UniqueRows`] |
//!
//! Scores are computed for a block of queries and a block of the catalogue at a time, so memory
//! does not grow with their product.

mod catalogue;
mod evaluation;
mod export;
mod frequencies;
mod interactions;
mod popularity;
mod top_k;
mod unique_rows;

pub use catalogue::{Catalogue, Recommendation};
pub use evaluation::RetrievalEvaluation;
pub use frequencies::ItemFrequencies;
pub use interactions::Interactions;
pub use unique_rows::UniqueRows;
