//! The engine from outside: graphs, rounds, rows, saved workflows, and every operator's examples.

mod examples;
mod graphs;
mod joins;
mod properties;
mod saved;
mod table;
mod target_encoding;
