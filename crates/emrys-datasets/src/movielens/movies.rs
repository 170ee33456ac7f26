//! `movies.dat`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::dat_file::{DatFile, Rows, UniqueIds};
use crate::Result;

/// The rows of `movies.dat`.
pub(super) struct Movies {
    ids: UniqueIds,
    movie: Int64Builder,
    title: StringBuilder,
    genres: ListBuilder<StringBuilder>,
}

impl Default for Movies {
    fn default() -> Self {
        Movies {
            ids: UniqueIds::default(),
            movie: Int64Builder::new(),
            title: StringBuilder::new(),
            genres: ListBuilder::new(StringBuilder::new()).with_field(genre()),
        }
    }
}

fn genre() -> FieldRef {
    Arc::new(Field::new("item", DataType::Utf8, false))
}

impl Rows for Movies {
    const LAYOUT: &'static [&'static str] = &["MovieID", "Title", "Genres"];

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("movieId", DataType::Int64, false),
            Field::new("title", DataType::Utf8, false),
            Field::new("genres", DataType::List(genre()), false),
        ]))
    }

    fn push(&mut self, file: &DatFile) -> Result<()> {
        let [id, title, genres] = file.fields()?;
        let id = file.integer("MovieID", id)?;
        self.ids.insert(file, "MovieID", id)?;
        self.movie.append_value(id);
        self.title.append_value(title);
        for name in genres.split('|') {
            if name.is_empty() {
                return Err(file.bad_field("Genres", genres, "names separated by single bars"));
            }
            self.genres.values().append_value(name);
        }
        self.genres.append(true);
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.movie.finish()),
            Arc::new(self.title.finish()),
            Arc::new(self.genres.finish()),
        ]
    }
}
