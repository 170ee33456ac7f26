//! `users.dat`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::dat_file::{DatFile, Rows, UniqueIds};
use crate::Result;

/// The rows of `users.dat`.
#[derive(Default)]
pub(super) struct Users {
    ids: UniqueIds,
    user: Int64Builder,
    gender: StringBuilder,
    age: Int64Builder,
    occupation: Int64Builder,
    zipcode: StringBuilder,
}

impl Rows for Users {
    const LAYOUT: &'static [&'static str] = &["UserID", "Gender", "Age", "Occupation", "Zip-code"];

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("userId", DataType::Int64, false),
            Field::new("gender", DataType::Utf8, false),
            Field::new("age", DataType::Int64, false),
            Field::new("occupation", DataType::Int64, false),
            Field::new("zipcode", DataType::Utf8, false),
        ]))
    }

    fn push(&mut self, file: &DatFile) -> Result<()> {
        let [id, gender, age, occupation, zipcode] = file.fields()?;
        let id = file.integer("UserID", id)?;
        self.ids.insert(file, "UserID", id)?;
        self.user.append_value(id);
        if !matches!(gender, "F" | "M") {
            return Err(file.bad_field("Gender", gender, "`F` or `M`"));
        }
        self.gender.append_value(gender);
        self.age.append_value(file.integer("Age", age)?);
        self.occupation
            .append_value(file.integer("Occupation", occupation)?);
        self.zipcode.append_value(zipcode);
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.user.finish()),
            Arc::new(self.gender.finish()),
            Arc::new(self.age.finish()),
            Arc::new(self.occupation.finish()),
            Arc::new(self.zipcode.finish()),
        ]
    }
}
