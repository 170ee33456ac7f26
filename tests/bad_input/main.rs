//! What bad input gets: the exact message of each error, with its causes.
//!
//! One table per area. All differences of a table are shown together.

mod data;
mod etl;
mod loader;
mod models;
mod saved;
mod schema;
mod table;
