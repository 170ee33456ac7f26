//! Cases of kind `retrieval`.

use crate::case::{Case, Outcome};

pub fn run(_: &Case) -> Option<Outcome> {
    None
}
