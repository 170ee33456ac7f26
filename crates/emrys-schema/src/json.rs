//! Our own JSON, which loses nothing, and the choice between the formats.
//!
//! ```json
//! {
//!   "emrys_schema": 1,
//!   "columns": [
//!     {"name":"genres","dtype":"int64","shape":[[0,3]],"tags":["item"],"domain":{"int":{"min":0,"max":20}}},
//!     {"name":"rating","dtype":"float32","properties":{"source":"ratings.dat"}}
//!   ]
//! }
//! ```
//!
//! `emrys_schema` is the version of the format. A column is a line, to be searched and compared. Only `name` and `dtype` are required; keys that
//! this version does not know are errors, since they would be lost. A field is added to the format
//! together with a new version.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::distinct_columns;
use crate::{ColumnSchema, Error, Result, Schema};

/// The version of the format that is written, and the newest that is read.
const VERSION: u64 = 1;

/// How deep a property may be nested. JSON readers stop at 128 levels and protobuf's at 100, of
/// which each level of ours takes three.
const DEEPEST_PROPERTY: usize = 32;

const ORIGIN: &str = "schema JSON";

#[derive(Serialize)]
struct WrittenFile<'a> {
    emrys_schema: u64,
    columns: &'a [ColumnSchema],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    #[serde(rename = "emrys_schema")]
    _version: IgnoredAny,
    #[serde(deserialize_with = "distinct_columns::<_, ColumnSchema>")]
    columns: Vec<ColumnSchema>,
}

/// The keys by which our JSON and Merlin's are told apart.
#[derive(Deserialize)]
struct Flavour {
    emrys_schema: Option<Value>,
    feature: Option<IgnoredAny>,
}

impl Schema {
    /// The schema in our own JSON, which keeps everything, one line per column.
    ///
    /// ```
    /// use emrys_schema::{ColumnSchema, DType, Schema};
    ///
    /// let schema = Schema::new([ColumnSchema::new("when", DType::Date)])?;
    /// assert_eq!(Schema::from_json(&schema.to_json()?)?, schema);
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`].
    pub fn to_json(&self) -> Result<String> {
        self.check_properties()?;
        let lines: Vec<String> = self
            .iter()
            .map(|column| format!("\n    {}", to_line(column)))
            .collect();
        let end = if lines.is_empty() { "" } else { "\n  " };
        Ok(format!(
            "{{\n  \"emrys_schema\": {VERSION},\n  \"columns\": [{}{end}]\n}}\n",
            lines.join(",")
        ))
    }

    /// Reads our own JSON.
    ///
    /// # Errors
    /// [`Error::NewerFormat`] for a file of a later version; [`Error::Parse`], with line and
    /// column, for text that is not a schema.
    pub fn from_json(json: &str) -> Result<Schema> {
        let flavour: Flavour = parse(ORIGIN, json)?;
        let Some(version) = flavour.emrys_schema else {
            let hint = if flavour.feature.is_some() {
                "; it looks like Merlin's JSON, which `Schema::from_merlin_json` reads"
            } else {
                ""
            };
            return Err(Error::parse_at(
                ORIGIN,
                json,
                0,
                format!("no format version under `emrys_schema`{hint}"),
            ));
        };
        match version.as_u64() {
            Some(VERSION) => {}
            Some(found) if found > VERSION => {
                return Err(Error::NewerFormat {
                    origin: ORIGIN.to_owned(),
                    found,
                    supported: VERSION,
                });
            }
            _ => {
                let problem =
                    format!("format version {version} does not exist, expected {VERSION}");
                return Err(Error::parse_at(ORIGIN, json, 0, problem));
            }
        }
        let ReadFile { columns, .. } = parse(ORIGIN, json)?;
        Schema::new(columns)
    }

    /// Our own JSON on one line, for the footers of parquet files.
    ///
    /// # Errors
    /// [`Error::PropertyTooDeep`].
    pub fn to_footer_json(&self) -> Result<String> {
        self.check_properties()?;
        Ok(to_line(&WrittenFile {
            emrys_schema: VERSION,
            columns: self.columns(),
        }))
    }

    /// Reads [`Schema::to_footer_json`].
    ///
    /// # Errors
    /// As [`Schema::from_json`].
    pub fn from_footer_json(json: &str) -> Result<Schema> {
        Schema::from_json(json)
    }

    /// Reads a schema in any of the three formats: our JSON, Merlin's `schema.json` or
    /// `schema.pbtxt`.
    ///
    /// ```
    /// use emrys_schema::Schema;
    ///
    /// let ours = r#"{"emrys_schema": 1, "columns": [{"name": "x", "dtype": "int64"}]}"#;
    /// let merlins = r#"{"feature": [{"name": "x", "type": "INT"}]}"#;
    /// let text = r#"feature { name: "x" type: INT }"#;
    /// assert_eq!(Schema::from_text(ours)?, Schema::from_text(merlins)?);
    /// assert_eq!(Schema::from_text(ours)?, Schema::from_text(text)?);
    /// # Ok::<(), emrys_schema::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::Parse`].
    pub fn from_text(text: &str) -> Result<Schema> {
        match text.trim_start().chars().next() {
            None => Err(Error::parse_at(
                "schema text",
                text,
                0,
                "the text is empty, expected a schema",
            )),
            Some('{') => {
                let flavour: Flavour = parse(ORIGIN, text)?;
                if flavour.emrys_schema.is_none() && flavour.feature.is_some() {
                    Schema::from_merlin_json(text)
                } else {
                    Schema::from_json(text)
                }
            }
            Some(_) => Schema::from_pbtxt(text),
        }
    }

    /// Refuses properties that could be written but not read back.
    pub(crate) fn check_properties(&self) -> Result<()> {
        for column in self {
            for (key, value) in column.properties() {
                if deeper_than(DEEPEST_PROPERTY, value) {
                    return Err(Error::PropertyTooDeep {
                        column: column.name().to_owned(),
                        property: key.clone(),
                        limit: DEEPEST_PROPERTY,
                    });
                }
            }
        }
        Ok(())
    }
}

/// JSON on one line.
fn to_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("schemas have string keys and no writer that fails")
}

/// JSON indented for reading, with a newline at the end.
pub(crate) fn to_lines(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value);
    json.expect("schemas have string keys and no writer that fails") + "\n"
}

fn deeper_than(levels: usize, value: &Value) -> bool {
    match value {
        Value::Array(values) => {
            levels == 0 || values.iter().any(|value| deeper_than(levels - 1, value))
        }
        Value::Object(map) => {
            levels == 0 || map.values().any(|value| deeper_than(levels - 1, value))
        }
        _ => false,
    }
}

/// Reads JSON, with the place of an error as [`Error::Parse`] has it.
pub(crate) fn parse<'de, T: Deserialize<'de>>(origin: &str, json: &'de str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        // serde_json counts bytes, and 0 when it failed before the first one of a line.
        let line = json
            .split('\n')
            .nth(error.line().saturating_sub(1))
            .unwrap_or_default();
        let before = &line[..line.floor_char_boundary(error.column().saturating_sub(1))];
        Error::Parse {
            origin: origin.to_owned(),
            line: error.line().max(1),
            column: before.chars().count() + 1,
            problem: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Dim, Domain, EmbeddingSize, Shape, Tag, TimeUnit};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_format_is_readable() {
        let schema = Schema::new([
            ColumnSchema::new("genres", DType::Int64)
                .with_shape(Shape::ragged(0, Some(3)))
                .with_tags([Tag::Item, Tag::Categorical])
                .with_domain(Domain::int(0, 20).named("genre"))
                .with_embedding_size(EmbeddingSize {
                    cardinality: 21,
                    dimension: 16,
                }),
            ColumnSchema::new("when", DType::Timestamp(TimeUnit::Millisecond)),
        ])
        .unwrap();
        insta::assert_snapshot!(schema.to_json().unwrap(), @r#"
        {
          "emrys_schema": 1,
          "columns": [
            {"name":"genres","dtype":"int64","shape":[[0,3]],"tags":["item","categorical"],"domain":{"int":{"name":"genre","min":0,"max":20}},"properties":{"embedding_sizes":{"cardinality":21,"dimension":16}}},
            {"name":"when","dtype":"timestamp[ms]"}
          ]
        }
        "#);
        assert_eq!(
            Schema::default().to_json().unwrap(),
            "{\n  \"emrys_schema\": 1,\n  \"columns\": []\n}\n"
        );
    }

    #[test]
    fn a_newer_version_is_refused_even_if_it_has_other_fields() {
        let error = Schema::from_text(r#"{"emrys_schema": 2, "groups": []}"#).unwrap_err();
        insta::assert_snapshot!(error, @"schema JSON has format version 2, but this Emrys reads up to 1; update Emrys");
    }

    #[test]
    fn errors_tell_line_and_column() {
        let errors = [
            "{\n  \"emrys_schema\": 1,\n  \"columns\": [{\"name\": \"größe\", \"dtype\": \"int\"}]\n}",
            "{\"emrys_schema\": 1, \"columns\": [\n{\"name\": \"a\", \"dtype\": \"int8\"},\n{\"name\": \"a\", \"dtype\": \"int8\"}]}",
            "{\"emrys_schema\": 1, \"columns\": [{\"name\": \"a\", \"dtype\": \"int8\", \"tags\": [\"id\", \"continuous\"]}]}",
            "{\"emrys_schema\": 1, \"columns\": [",
            "{\"emrys_schema\": \"one\", \"columns\": []}",
            "{\"columns\": []}",
            "[1, 2]",
            " \n ",
        ]
        .map(|text| Schema::from_text(text).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r#"
        schema JSON, line 3, column 47: `int` is not an element type; did you mean `int8`? (types: unknown, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, string, binary, date, timestamp[s], timestamp[ms], timestamp[us], timestamp[ns])
        schema JSON, line 3, column 31: column `a` occurs twice; rename one of the two
        schema JSON, line 1, column 92: tags `id` and `continuous` exclude each other; keep one of them
        schema JSON, line 1, column 32: EOF while parsing a list
        schema JSON, line 1, column 1: format version "one" does not exist, expected 1
        schema JSON, line 1, column 1: no format version under `emrys_schema`
        schema.pbtxt, line 1, column 1: found `[`, expected the name of a type in brackets
        schema text, line 1, column 1: the text is empty, expected a schema
        "#);
    }

    #[test]
    fn our_reader_points_to_the_one_of_merlins_json() {
        let error = Schema::from_json(r#"{"feature": []}"#).unwrap_err();
        insta::assert_snapshot!(error, @"schema JSON, line 1, column 1: no format version under `emrys_schema`; it looks like Merlin's JSON, which `Schema::from_merlin_json` reads");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        let schema =
            Schema::new([ColumnSchema::new("x", DType::Int8).with_property("p", deep)]).unwrap();
        insta::assert_snapshot!(schema.to_json().unwrap_err(), @"property `p` of column `x` is nested deeper than 32 levels; flatten it");

        let text = format!("{{\"emrys_schema\": {}", "[".repeat(1_000_000));
        assert!(matches!(
            Schema::from_text(&text),
            Err(Error::Parse { line: 1, .. })
        ));
    }

    fn dims() -> impl Strategy<Value = Dim> {
        (0_u64..9, proptest::option::of(0_u64..9)).prop_map(|(min, more)| Dim {
            min,
            max: more.map(|more| min + more),
        })
    }

    fn domains() -> impl Strategy<Value = Domain> {
        let name = proptest::option::of("\\PC{0,8}");
        let range = prop_oneof![
            any::<(i64, i64)>().prop_map(|(min, max)| Domain::int(min, max)),
            (-1000_i32..1000, 0_i32..1000)
                .prop_map(|(min, max)| Domain::float(f64::from(min) / 16.0, f64::from(max) / 16.0)),
        ];
        (name, range).prop_map(|(name, range)| match name {
            Some(name) => range.named(name),
            None => range,
        })
    }

    fn properties() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i16>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("\\PC{0,6}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    fn columns() -> impl Strategy<Value = ColumnSchema> {
        (
            "\\PC{0,10}",
            proptest::sample::select(DType::ALL),
            proptest::collection::vec(dims(), 0..3),
            proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(Tag::VOCABULARY),
                    "\\PC{1,8}".prop_map(Tag::from),
                ],
                0..4,
            ),
            proptest::option::of(domains()),
            proptest::collection::vec(("\\PC{0,6}", properties()), 0..3),
        )
            .prop_map(|(name, dtype, dims, tags, domain, properties)| {
                ColumnSchema::new(name, dtype)
                    .with_shape(Shape::new(dims))
                    .with_tags(tags)
                    .with_domain(domain)
                    .with_properties(properties.into_iter().collect())
            })
    }

    proptest! {
        #[test]
        fn our_json_loses_nothing(columns in proptest::collection::vec(columns(), 0..4)) {
            let schema = columns.into_iter().fold(Schema::default(), Schema::with_column);
            let read = Schema::from_json(&schema.to_json().unwrap()).unwrap();
            prop_assert_eq!(&read, &schema);
            // Equality ignores the order of tags and keys; the text does not.
            prop_assert_eq!(read.to_footer_json().unwrap(), schema.to_footer_json().unwrap());
        }
    }
}
