//! Merlin's `schema.json`: proto3's JSON of the message.

use serde::{Deserialize, Serialize};

use super::feature::{Feature, whole_numbers};
use crate::json::{parse, to_lines};
use crate::schema::distinct_columns;
use crate::{ColumnSchema, Result, Schema};

const ORIGIN: &str = "Merlin schema JSON";

#[derive(Serialize)]
struct WrittenSchema {
    feature: Vec<Feature>,
}

#[derive(Deserialize)]
struct ReadSchema {
    #[serde(deserialize_with = "distinct_columns::<_, ReadColumn>")]
    feature: Vec<ColumnSchema>,
}

/// A column that is read from a feature, so that errors have the place of the feature.
#[derive(Deserialize)]
#[serde(try_from = "Feature")]
struct ReadColumn(ColumnSchema);

impl TryFrom<Feature> for ReadColumn {
    type Error = String;

    fn try_from(mut feature: Feature) -> Result<ReadColumn, String> {
        for properties in &mut feature.annotation.extra_metadata {
            // A packed `Any` names its type; Merlin writes the bare object.
            if properties.contains_key("@type") {
                *properties = match properties.shift_remove("value") {
                    Some(serde_json::Value::Object(value)) => value,
                    _ => {
                        return Err(format!(
                            "column `{}`: `extraMetadata` holds no object",
                            feature.name
                        ));
                    }
                };
            }
            properties.values_mut().for_each(whole_numbers);
        }
        ColumnSchema::try_from(feature).map(ReadColumn)
    }
}

impl From<ReadColumn> for ColumnSchema {
    fn from(column: ReadColumn) -> ColumnSchema {
        column.0
    }
}

impl Schema {
    /// The schema as Merlin's `schema.json`; see the [front page](crate#files) for what it loses.
    ///
    /// ```
    /// use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
    ///
    /// let schema = Schema::new([ColumnSchema::new("user", DType::Int32)
    ///     .with_tags([Tag::Categorical])
    ///     .with_domain(Domain::int(0, 6040))])?;
    /// let json = schema.to_merlin_json()?;
    /// assert!(json.contains(r#""max": "6040""#));
    /// assert_eq!(Schema::from_merlin_json(&json)?, schema);
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`](crate::Error::PropertyTooDeep).
    pub fn to_merlin_json(&self) -> Result<String> {
        self.check_properties()?;
        let schema = WrittenSchema {
            feature: self.iter().map(Feature::from).collect(),
        };
        Ok(to_lines(&schema))
    }

    /// Reads Merlin's `schema.json`. Fields that Merlin does not use are ignored.
    ///
    /// # Errors
    /// [`Error::Parse`](crate::Error::Parse), with line and column.
    pub fn from_merlin_json(json: &str) -> Result<Schema> {
        let ReadSchema { feature } = parse(ORIGIN, json)?;
        Schema::new(feature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use serde_json::json;

    #[test]
    fn a_packed_any_is_read_as_well() {
        let any =
            json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"own": 7.0}});
        let json = json!({"feature": [{"name": "x", "type": "INT", "annotation": {"extraMetadata": [any]}}]});
        let column = ColumnSchema::new("x", DType::Int64).with_property("own", 7);
        assert_eq!(
            Schema::from_merlin_json(&json.to_string()).unwrap(),
            Schema::new([column]).unwrap()
        );
    }

    #[test]
    fn errors_tell_line_and_column() {
        let errors = [
            "{\"feature\": [\n  {\"name\": \"x\"},\n  {\"name\": \"x\"}\n]}",
            "{\"feature\": [\n  {\"name\": \"x\",\n   \"valueCount\": {\"max\": \"many\"}}\n]}",
            "{\"feature\": [\n  {\"name\": \"x\",\n   \"annotation\": {\"tag\": [\"id\", \"continuous\"]}}\n]}",
            "{\"feature\": 7}",
            "{}",
            "",
        ]
        .map(|text| Schema::from_merlin_json(text).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r#"
        Merlin schema JSON, line 4, column 1: column `x` occurs twice; rename one of the two
        Merlin schema JSON, line 3, column 32: found "many", expected a 64-bit integer, as a number or a string
        Merlin schema JSON, line 4, column 1: column `x`: tags `id` and `continuous` exclude each other; keep one of them
        Merlin schema JSON, line 1, column 13: invalid type: integer `7`, expected a list of columns
        Merlin schema JSON, line 1, column 2: missing field `feature`
        Merlin schema JSON, line 1, column 1: EOF while parsing a value
        "#);
    }
}
