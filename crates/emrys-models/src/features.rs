//! [`Features`]: a batch as the first block of a model sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{Error, Result};

/// The columns of a batch on the device, and the embeddings that were looked up for it.
///
/// Embedding tables do not live in blocks: the rows that a batch needs are gathered beforehand,
/// and a block only picks the tensors of its features. So a step never costs more than its batch,
/// however large the tables are.
///
/// Clones share the tensors.
#[derive(Debug, Clone)]
pub struct Features {
    parts: Arc<Parts>,
}

#[derive(Debug, Clone)]
struct Parts {
    batch_size: usize,
    columns: BTreeMap<String, Tensor<2>>,
    embeddings: BTreeMap<String, Tensor<2>>,
}

impl Features {
    /// A batch of that many rows, without columns.
    pub fn new(batch_size: usize) -> Features {
        let parts = Parts {
            batch_size,
            columns: BTreeMap::new(),
            embeddings: BTreeMap::new(),
        };
        Features {
            parts: Arc::new(parts),
        }
    }

    /// Adds a column of numbers, `[B, 1]`, or `[B, T]` for lists of one length.
    #[must_use]
    pub fn with_column(mut self, name: impl Into<String>, column: Tensor<2>) -> Features {
        Arc::make_mut(&mut self.parts)
            .columns
            .insert(name.into(), column);
        self
    }

    /// Adds a feature's embeddings, `[B, D]`; for lists that are not pooled, `[B * T, D]`.
    #[must_use]
    pub fn with_embedding(mut self, key: impl Into<String>, rows: Tensor<2>) -> Features {
        Arc::make_mut(&mut self.parts)
            .embeddings
            .insert(key.into(), rows);
        self
    }

    /// The number of rows.
    pub fn batch_size(&self) -> usize {
        self.parts.batch_size
    }

    /// The names of the columns of numbers, in order.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.parts.columns.keys().map(String::as_str)
    }

    /// A column of numbers, `[B, 1]` or `[B, T]`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] in the name of `reader`.
    pub fn column(&self, reader: &str, name: &str) -> Result<Tensor<2>> {
        self.parts
            .columns
            .get(name)
            .cloned()
            .ok_or_else(|| Error::MissingColumn {
                reader: reader.to_owned(),
                column: name.to_owned(),
                available: self.column_names().map(str::to_owned).collect(),
            })
    }

    /// The embeddings that were looked up under `key`.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] in the name of `reader`.
    pub fn embedding(&self, reader: &str, key: &str) -> Result<Tensor<2>> {
        self.parts
            .embeddings
            .get(key)
            .cloned()
            .ok_or_else(|| Error::MissingColumn {
                reader: reader.to_owned(),
                column: key.to_owned(),
                available: self.parts.embeddings.keys().cloned().collect(),
            })
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .column_names()
            .chain(self.parts.embeddings.keys().map(String::as_str))
            .collect();
        write!(
            f,
            "a raw batch of {} rows with {}",
            self.batch_size(),
            names.join(", ")
        )
    }
}
