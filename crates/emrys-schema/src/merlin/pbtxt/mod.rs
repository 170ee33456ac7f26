//! `schema.pbtxt`: protobuf's text of the message.

mod read;
#[cfg(test)]
mod tests;
mod write;

use super::feature::Feature;
use super::text_format::parse;
use crate::{Error, Result, Schema};
use read::columns;
use write::feature_text;

const ORIGIN: &str = "schema.pbtxt";

impl Schema {
    /// The schema as Merlin's `schema.pbtxt`; see the [front page](crate#files) for what it loses.
    ///
    /// ```
    /// use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
    ///
    /// let schema = Schema::new([ColumnSchema::new("user", DType::Int32)
    ///     .with_tags([Tag::Categorical])
    ///     .with_domain(Domain::int(0, 6040))])?;
    /// let text = schema.to_pbtxt()?;
    /// assert!(text.starts_with("feature {\n  name: \"user\"\n  type: INT\n  int_domain {\n    max: 6040\n"));
    /// assert_eq!(Schema::from_pbtxt(&text)?, schema);
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`].
    pub fn to_pbtxt(&self) -> Result<String> {
        self.check_properties()?;
        Ok(self
            .iter()
            .map(|column| feature_text(Feature::from(column)))
            .collect())
    }

    /// Reads Merlin's `schema.pbtxt`. Fields of TensorFlow Metadata that Merlin does not use are
    /// ignored.
    ///
    /// # Errors
    /// [`Error::Parse`], with line and column.
    pub fn from_pbtxt(text: &str) -> Result<Schema> {
        let columns = parse(text).and_then(|fields| columns(&fields));
        Schema::new(
            columns.map_err(|problem| Error::parse_at(ORIGIN, text, problem.at, problem.text))?,
        )
    }
}
