//! The schema that drives Emrys from raw columns to trained models.
//!
//! A [`Schema`] is an ordered list of [`ColumnSchema`]s. Each column has a name, a [`DType`], a
//! [`Shape`] (scalar, fixed list or ragged list), a set of [`Tag`]s that say what it means
//! (`USER_ID`, `CONTINUOUS`, `TARGET`...), an optional [`Domain`] and free properties. Workflows
//! produce schemas, loaders and models read them.
//!
//! ```
//! use emrys_schema::{ColumnSchema, DType, Domain, Schema, Tag};
//!
//! let schema = Schema::new([
//!     ColumnSchema::new("user_id", DType::Int32)
//!         .with_tags([Tag::UserId, Tag::Categorical])
//!         .with_domain(Domain::int(0, 6042)),
//!     ColumnSchema::new("rating", DType::Float32).with_tags([Tag::Target, Tag::Regression]),
//! ])?;
//! assert_eq!(schema.select_by_tag(Tag::UserId).names(), ["user_id"]);
//! assert_eq!(schema.get("user_id").unwrap().cardinality(), Some(6043));
//! # Ok::<(), emrys_schema::Error>(())
//! ```
//!
//! # Files
//!
//! | Format | Writes | Reads |
//! |---|---|---|
//! | our JSON, lossless, versioned | [`Schema::to_json`], `schema.json` | [`Schema::from_json`] |
//! | the same on one line, in Arrow metadata and parquet footers under [`FOOTER_KEY`] | [`Schema::to_footer_json`], [`Schema::embed_in`] | [`Schema::from_footer_json`], [`Schema::embedded_in`] |
//! | Merlin's text, TensorFlow Metadata | [`Schema::to_pbtxt`], `schema.pbtxt` | [`Schema::from_pbtxt`] |
//! | Merlin's JSON, TensorFlow Metadata | [`Schema::to_merlin_json`] | [`Schema::from_merlin_json`] |
//!
//! [`Schema::write_dir`] writes the first and the third into a directory; [`Schema::read`] reads
//! whichever a file or directory holds. Text that is no schema is an error with line and column.
//!
//! Merlin's formats know less than ours. What becomes of the rest:
//!
//! | In the schema | In Merlin's files | Read back by us | Read by Merlin |
//! |---|---|---|---|
//! | string | `type: BYTES`; Merlin itself writes no type | string | string |
//! | bool, binary, date, timestamp | no type; the name in the property `emrys_dtype` | the same | unknown |
//! | unsigned integer | `INT`, `dtype_item_size`; the name in `emrys_dtype` | the same | signed |
//! | unknown | no type | unknown | unknown |
//! | float in a property that is whole, such as 7.0 | a double | integer 7 | 7.0 |
//! | integer of a property beyond 2^53 | exact in JSON, a rounded double in pbtxt | exact or rounded | rounded |
//! | bounds of a float domain | all digits | the same | rounded to 32 bits from pbtxt; infinity as the text `Infinity` |
//! | domain of another kind than the type (integers of a float column) | kept | the same | dropped |
//! | properties named `domain`, `value_count`, `_dims`, `is_list`, `is_ragged`, `dtype_item_size`, `emrys_dtype` | not written: Merlin keeps other things under these names | absent | absent |
//! | order of tags | kept | the same | none: a set |
//!
//! The other way round, of Merlin's files we do not keep the bounds of the batch dimension, the
//! comments of annotations, and the fields of TensorFlow Metadata that Merlin does not read
//! (presence, lifecycle, environments, string domains, comparators...). They are skipped without an
//! error; names that TensorFlow Metadata does not have are errors in pbtxt.

mod arrow;
mod column;
mod display;
mod domain;
mod dtype;
mod error;
mod file;
mod json;
mod merlin;
mod schema;
mod shape;
mod tag;

pub use self::arrow::FOOTER_KEY;
pub use column::{ColumnSchema, EmbeddingSize, Properties};
pub use domain::Domain;
pub use dtype::{DType, TimeUnit};
pub use error::{Error, Result, closest_name, name_candidates};
pub use file::{SCHEMA_JSON, SCHEMA_PBTXT};
pub use schema::Schema;
pub use shape::{Dim, Shape};
pub use tag::{Tag, TagSet};
