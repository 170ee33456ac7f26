//! Declarations of tables and of the features that look rows up in them.

use serde::{Deserialize, Serialize};

use crate::Initializer;
use crate::optimizers::SparseOptimizer;

/// Declares an embedding table: `rows` vectors of width `dim`, one for each id of a domain.
///
/// # Example
/// ```
/// use emrys_models::embeddings::TableSpec;
///
/// // Ids 0 to 1680, learned; and the same table with fixed weights (to be set before training).
/// let learned = TableSpec::new("movie", 1681, 64);
/// let fixed = TableSpec::new("movie", 1681, 64).with_trainable(false);
/// assert!(learned.trainable && !fixed.trainable);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The table's name; features share a table by naming it. By convention the domain's name.
    pub name: String,
    /// The number of rows: the domain's maximum plus 1.
    pub rows: usize,
    /// The width of a row.
    pub dim: usize,
    /// How rows start.
    #[serde(default = "default_initializer")]
    pub initializer: Initializer,
    /// Whether training changes the rows.
    #[serde(default = "default_trainable")]
    pub trainable: bool,
    /// The optimizer of this table, where it is not the one that all tables get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<SparseOptimizer>,
}

const fn default_initializer() -> Initializer {
    Initializer::EMBEDDING
}

const fn default_trainable() -> bool {
    true
}

impl TableSpec {
    /// A trainable table whose rows start uniform in `[-0.05, 0.05)`, as in Keras.
    pub fn new(name: impl Into<String>, rows: usize, dim: usize) -> Self {
        Self {
            name: name.into(),
            rows,
            dim,
            initializer: Initializer::EMBEDDING,
            trainable: true,
            optimizer: None,
        }
    }

    /// Sets how rows start.
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }

    /// Sets whether training changes the rows; a table that is not trainable stays bit-identical.
    #[must_use]
    pub fn with_trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// Gives the table its own optimizer: lazy Adam for the largest tables, say.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: SparseOptimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }
}

/// How the vectors of a list become one.
///
/// With `n` vectors `v_1 .. v_n` (repeated ids count as often as they occur); a list of none gives
/// zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Combiner {
    /// `sum(v_i) / n`
    Mean,
    /// `sum(v_i)`
    Sum,
    /// `sum(v_i) / sqrt(n)`
    SqrtN,
}

impl Combiner {
    /// What the sum of `n` vectors is multiplied with.
    pub(super) fn scale(self, n: usize) -> f32 {
        match self {
            Self::Sum => 1.0,
            _ if n == 0 => 0.0,
            Self::Mean => 1.0 / n as f32,
            Self::SqrtN => 1.0 / (n as f32).sqrt(),
        }
    }
}

/// Declares that the ids of a column are looked up in a table.
///
/// # Shapes
/// - one id per row: `[B, D]`
/// - a list per row, with a combiner: `[B, D]`
/// - a list per row, without: one row per id, `[B * T, D]` for lists of one length `T`, `[V, D]`
///   for `V` ids in ragged lists
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingFeature {
    /// The name under which the vectors are found; the column's, unless set.
    pub key: String,
    /// The column of ids.
    pub column: String,
    /// The table.
    pub table: String,
    /// How lists are combined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combiner: Option<Combiner>,
    /// An id that pads lists: it is left out of what the combiner combines, and its row never
    /// changes through this feature. Without a combiner it is an ordinary id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_id: Option<i64>,
}

impl EmbeddingFeature {
    /// Ids of `column` are rows of `table`; lists are not combined.
    pub fn new(column: impl Into<String>, table: impl Into<String>) -> Self {
        let column = column.into();
        Self {
            key: column.clone(),
            column,
            table: table.into(),
            combiner: None,
            padding_id: None,
        }
    }

    /// Sets the name under which the vectors are found, for a column that is looked up twice.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Combines the vectors of each list into one.
    #[must_use]
    pub fn with_combiner(mut self, combiner: Combiner) -> Self {
        self.combiner = Some(combiner);
        self
    }

    /// Leaves an id out of what is combined: 0, where lists are padded with it.
    #[must_use]
    pub fn with_padding_id(mut self, id: i64) -> Self {
        self.padding_id = Some(id);
        self
    }
}
