//! Schemas as tables for people.

use std::fmt;

use crate::column::EMBEDDING_SIZES;
use crate::{ColumnSchema, Schema, Tag};

/// Longer cells are cut: paths and statistics would push everything else off the screen.
const WIDEST_CELL: usize = 60;

impl fmt::Display for Schema {
    /// A table of one line per column; headings without any entry are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("(no columns)\n");
        }
        let headings = ["name", "dtype", "tags", "domain", "embedding", "properties"];
        let rows: Vec<_> = self.iter().map(cells).collect();
        let widths: [usize; 6] = std::array::from_fn(|cell| {
            rows.iter()
                .map(|row| row[cell].chars().count())
                .max()
                .filter(|width| *width > 0)
                .map_or(0, |width| width.max(headings[cell].len()))
        });
        write_row(f, &widths, headings.map(str::to_owned))?;
        write_row(f, &widths, widths.map(|width| "-".repeat(width)))?;
        rows.into_iter()
            .try_for_each(|row| write_row(f, &widths, row))
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, widths: &[usize; 6], row: [String; 6]) -> fmt::Result {
    let cells: Vec<String> = row
        .into_iter()
        .zip(widths)
        .filter(|(_, width)| **width > 0)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    writeln!(f, "{}", cells.join("  ").trim_end())
}

fn cells(column: &ColumnSchema) -> [String; 6] {
    let size = column.embedding_size();
    let properties = column
        .properties()
        .iter()
        .filter(|(key, _)| size.is_none() || *key != EMBEDDING_SIZES)
        .map(|(key, value)| format!("{key}: {value}"));
    [
        column.name().to_owned(),
        format!("{}{}", column.dtype(), column.shape()),
        join(column.tags().iter().map(Tag::to_string)),
        column
            .domain()
            .map_or_else(String::new, ToString::to_string),
        size.map_or_else(String::new, |size| {
            format!("{} x {}", size.cardinality, size.dimension)
        }),
        join(properties),
    ]
    .map(|cell| printable(&cell))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Control characters escaped, so that a name cannot break the table, and long text cut.
fn printable(cell: &str) -> String {
    let mut shown = String::new();
    for (place, char) in cell.chars().enumerate() {
        match char {
            _ if place == WIDEST_CELL => {
                shown.push('…');
                break;
            }
            _ if char.is_control() => shown.extend(char.escape_default()),
            _ => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use crate::{ColumnSchema, DType, Domain, EmbeddingSize, Schema, Shape, Tag};

    #[test]
    fn columns_are_shown_as_an_aligned_table() {
        let schema = Schema::new([
            ColumnSchema::new("user", DType::Int64)
                .with_tags([Tag::Categorical, Tag::UserId])
                .with_domain(Domain::int(0, 6).named("user"))
                .with_embedding_size(EmbeddingSize {
                    cardinality: 7,
                    dimension: 16,
                })
                .with_property("num_buckets", serde_json::Value::Null)
                .with_property(
                    "cat_path",
                    "out/categories/unique.user.parquet, in the folder of the workflow",
                ),
            ColumnSchema::new("genres", DType::Int64)
                .with_shape(Shape::ragged(0, Some(3)))
                .with_tags([Tag::Categorical])
                .with_domain(Domain::int(0, 7)),
            ColumnSchema::new("größe\n", DType::Float32).with_domain(Domain::float(-1.0, 0.5)),
            ColumnSchema::new("click", DType::Int8)
                .with_tags([Tag::Target, Tag::BinaryClassification]),
        ])
        .unwrap();
        insta::assert_snapshot!(schema, @r#"
        name     dtype        tags                           domain       embedding  properties
        -------  -----------  -----------------------------  -----------  ---------  -------------------------------------------------------------
        user     int64        categorical, user, id          user [0, 6]  7 x 16     num_buckets: null, cat_path: "out/categories/unique.user.par…
        genres   int64[0..3]  categorical                    [0, 7]
        größe\n  float32                                     [-1.0, 0.5]
        click    int8         target, binary_classification
        "#);
    }

    #[test]
    fn empty_headings_are_left_out() {
        let schema = Schema::new([ColumnSchema::new("x", DType::Bool)]).unwrap();
        assert_eq!(schema.to_string(), "name  dtype\n----  -----\nx     bool\n");
        assert_eq!(Schema::default().to_string(), "(no columns)\n");
    }
}
