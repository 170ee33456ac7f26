//! What can go wrong with a schema.

use crate::Tag;

/// The result of schema operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two columns have the same name.
    #[error("column `{name}` occurs twice; rename one of the two")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column is not in the schema.
    #[error("column `{name}` is not in the schema{}", describe_candidates(.name, .available))]
    UnknownColumn {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        available: Vec<String>,
    },
    /// Two tags of a column exclude each other.
    #[error("tags `{first}` and `{second}` exclude each other; keep one of them")]
    TagCollision {
        /// The tag that was there.
        first: Tag,
        /// The tag that was added.
        second: Tag,
    },
}

/// The candidate nearest to a misspelt name, if one is near enough to be meant.
pub fn closest_name<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= name.len().max(candidate.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...? (columns: ...)`, listing at most ten names.
fn describe_candidates(name: &str, available: &[String]) -> String {
    let mut text = String::new();
    if let Some(closest) = closest_name(name, available.iter().map(String::as_str)) {
        text += &format!("; did you mean `{closest}`?");
    }
    let shown = available.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if available.len() > 10 {
        format!(" and {} more", available.len() - 10)
    } else {
        String::new()
    };
    text + &format!(" (columns: {shown}{more})")
}
