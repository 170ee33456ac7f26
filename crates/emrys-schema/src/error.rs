//! What can go wrong with a schema.

use std::path::{Path, PathBuf};

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
    #[error("column `{name}` is not in the schema{}", describe_columns(.name, .available))]
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
    /// A text does not name a [`DType`](crate::DType).
    #[error("`{name}` is not an element type{}", suggest_dtype(.name))]
    UnknownDType {
        /// The text.
        name: String,
    },
    /// A column has an Arrow type that no [`DType`](crate::DType) and shape describe.
    #[error(
        "column `{column}` has the Arrow type {arrow}, which a schema cannot describe; cast it or drop the column"
    )]
    UnsupportedArrowType {
        /// The column.
        column: String,
        /// The type.
        arrow: String,
    },
    /// A column has no Arrow type.
    #[error("column `{column}` has no Arrow type: {reason}")]
    NoArrowType {
        /// The column.
        column: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A property is nested so deep that the readers of the file formats would refuse it.
    #[error(
        "property `{property}` of column `{column}` is nested deeper than {limit} levels; flatten it"
    )]
    PropertyTooDeep {
        /// The column.
        column: String,
        /// The key of the property.
        property: String,
        /// How deep it may be.
        limit: usize,
    },
    /// A text is not a schema in the expected format.
    #[error("{origin}, line {line}, column {column}: {problem}")]
    Parse {
        /// The format, or the file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What was found, and what was expected.
        problem: String,
    },
    /// A schema file was written by a newer Emrys.
    #[error(
        "{origin} has format version {found}, but this Emrys reads up to {supported}; update Emrys"
    )]
    NewerFormat {
        /// The format, or the file.
        origin: String,
        /// The version in the file.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// A directory holds no schema.
    #[error("no schema in `{}`; expected `schema.json`, `.merlin/schema.json` or `schema.pbtxt` there", .directory.display())]
    NoSchemaFile {
        /// The directory.
        directory: PathBuf,
    },
    /// A file or directory cannot be read or written.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// `read`, `write` or `create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Names the file in errors about its text.
    pub(crate) fn in_file(mut self, path: &Path) -> Error {
        if let Error::Parse { origin, .. } | Error::NewerFormat { origin, .. } = &mut self {
            *origin = format!("`{}`", path.display());
        }
        self
    }

    /// An error at a byte of a text; a position beyond its end is the end.
    pub(crate) fn parse_at(
        origin: &str,
        text: &str,
        at: usize,
        problem: impl Into<String>,
    ) -> Error {
        let before = &text[..text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error::Parse {
            origin: origin.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: problem.into(),
        }
    }
}

/// The candidate nearest to a misspelt name, if one is near enough to be meant.
///
/// ```
/// use emrys_schema::closest_name;
///
/// assert_eq!(closest_name("user_idd", ["item_id", "user_id"]), Some("user_id"));
/// assert_eq!(closest_name("price", ["item_id", "user_id"]), None);
/// ```
pub fn closest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let distance =
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= name.len().max(candidate.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?` or nothing.
pub(crate) fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest_name(name, candidates).map_or_else(String::new, |closest| {
        format!("; did you mean `{closest}`?")
    })
}

/// What an error says after a name that is not among others: `; did you mean ...? (what: ...)`,
/// listing at most ten of them.
///
/// ```
/// use emrys_schema::name_candidates;
///
/// let known = ["item_id".to_owned(), "user_id".to_owned()];
/// assert_eq!(
///     name_candidates("user_idd", &known, "columns"),
///     "; did you mean `user_id`? (columns: item_id, user_id)"
/// );
/// ```
pub fn name_candidates(name: &str, available: &[String], what: &str) -> String {
    let suggestion = suggest(name, available.iter().map(String::as_str));
    let shown = available
        .iter()
        .take(10)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match available.len().saturating_sub(10) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{suggestion} ({what}: {shown}{more})")
}

fn describe_columns(name: &str, available: &[String]) -> String {
    if available.is_empty() {
        return "; it has no columns".to_owned();
    }
    name_candidates(name, available, "columns")
}

fn suggest_dtype(name: &str) -> String {
    let names: Vec<String> = crate::DType::ALL.iter().map(ToString::to_string).collect();
    format!(
        "{} (types: {})",
        suggest(name, names.iter().map(String::as_str)),
        names.join(", ")
    )
}
