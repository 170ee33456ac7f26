//! `users.dat`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use super::dat_file::{DatFile, UniqueIds};
use crate::parquet_file::{BATCH_ROWS, ParquetFile};
use crate::{Error, Result};

/// Writes `users.dat` as parquet and returns its rows.
pub(super) fn convert(from: &Path, to: &Path) -> Result<u64> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("userId", DataType::Int64, false),
        Field::new("gender", DataType::Utf8, false),
        Field::new("age", DataType::Int64, false),
        Field::new("occupation", DataType::Int64, false),
        Field::new("zipcode", DataType::Utf8, false),
    ]));
    let mut lines = DatFile::open(from, &["UserID", "Gender", "Age", "Occupation", "Zip-code"])?;
    let mut file = ParquetFile::create(to, Arc::clone(&schema))?;
    let mut ids = UniqueIds::default();

    let (mut user, mut age, mut occupation) = (
        Int64Builder::new(),
        Int64Builder::new(),
        Int64Builder::new(),
    );
    let (mut gender, mut zipcode) = (StringBuilder::new(), StringBuilder::new());
    let mut more = true;
    while more {
        let mut rows = 0;
        while rows < BATCH_ROWS {
            more = lines.advance()?;
            if !more {
                break;
            }
            let [id, gender_text, age_text, occupation_text, zipcode_text] = lines.fields()?;
            let id = lines.integer("UserID", id)?;
            ids.insert(&lines, "UserID", id)?;
            user.append_value(id);
            if !matches!(gender_text, "F" | "M") {
                return Err(lines.bad_field("Gender", gender_text, "`F` or `M`"));
            }
            gender.append_value(gender_text);
            age.append_value(lines.integer("Age", age_text)?);
            occupation.append_value(lines.integer("Occupation", occupation_text)?);
            zipcode.append_value(zipcode_text);
            rows += 1;
        }
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(user.finish()),
                Arc::new(gender.finish()),
                Arc::new(age.finish()),
                Arc::new(occupation.finish()),
                Arc::new(zipcode.finish()),
            ],
        );
        file.write(&batch.map_err(Error::arrow(from))?)?;
    }
    file.finish()
}
