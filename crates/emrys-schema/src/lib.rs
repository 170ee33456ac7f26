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

mod column;
mod domain;
mod dtype;
mod error;
mod schema;
mod shape;
mod tag;

pub use column::{ColumnSchema, EmbeddingSize, Properties};
pub use domain::Domain;
pub use dtype::{DType, TimeUnit};
pub use error::{Error, Result, closest_name};
pub use schema::Schema;
pub use shape::{Dim, Shape};
pub use tag::{Tag, TagSet};
