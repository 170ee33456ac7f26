//! `movies.dat`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Builder, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use super::dat_file::{DatFile, UniqueIds};
use crate::parquet_file::{BATCH_ROWS, ParquetFile};
use crate::{Error, Result};

/// Writes `movies.dat` as parquet and returns its rows.
pub(super) fn convert(from: &Path, to: &Path) -> Result<u64> {
    let genre = Arc::new(Field::new("item", DataType::Utf8, false));
    let schema = Arc::new(Schema::new(vec![
        Field::new("movieId", DataType::Int64, false),
        Field::new("title", DataType::Utf8, false),
        Field::new("genres", DataType::List(Arc::clone(&genre)), false),
    ]));
    let mut lines = DatFile::open(from, &["MovieID", "Title", "Genres"])?;
    let mut file = ParquetFile::create(to, Arc::clone(&schema))?;
    let mut ids = UniqueIds::default();

    let (mut movie, mut title) = (Int64Builder::new(), StringBuilder::new());
    let mut genres = ListBuilder::new(StringBuilder::new()).with_field(genre);
    let mut more = true;
    while more {
        let mut rows = 0;
        while rows < BATCH_ROWS {
            more = lines.advance()?;
            if !more {
                break;
            }
            let [id, title_text, genres_text] = lines.fields()?;
            let id = lines.integer("MovieID", id)?;
            ids.insert(&lines, "MovieID", id)?;
            movie.append_value(id);
            title.append_value(title_text);
            for name in genres_text.split('|') {
                if name.is_empty() {
                    return Err(lines.bad_field(
                        "Genres",
                        genres_text,
                        "names separated by single bars",
                    ));
                }
                genres.values().append_value(name);
            }
            genres.append(true);
            rows += 1;
        }
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(movie.finish()),
                Arc::new(title.finish()),
                Arc::new(genres.finish()),
            ],
        );
        file.write(&batch.map_err(Error::arrow(from))?)?;
    }
    file.finish()
}
