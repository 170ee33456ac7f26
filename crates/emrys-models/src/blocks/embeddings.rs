//! [`Embeddings`].

use std::collections::BTreeMap;

use burn::module::Module;
use emrys_schema::{ColumnSchema, Tag};
use serde::{Deserialize, Serialize};

use super::Selection;
use super::continuous_features::{input_schema, list_length};
use crate::embeddings::{Combiner, EmbeddingFeature, TableSpec, infer_embedding_dim};
use crate::{
    AnyTensor, Block, BlockSpec, Built, Initializer, Pass, Problems, Result, RowShape, Scope,
    Signature, Value,
};

/// The embedding of each categorical column of a raw batch.
///
/// There is one table per domain: columns whose domains have the same name share it. A table has as
/// many rows as the domain's greatest id plus one. Tables are no parameters of the block; they live
/// beside the blocks of a model, and only the rows of a batch ever meet a block.
///
/// # Shapes
/// - input: a raw batch
/// - output: for each column `[B, D]`; for lists of length T that are not combined `[B, T, D]`;
///   nothing if the schema has no such column
/// # Parameters
/// None. The tables start uniform in `[-0.05, 0.05)` unless told otherwise.
/// # Formula
/// One id: its row. A list: mean, sum, or sum divided by the square root of the length
/// ([`Combiner`]); an empty list gives zeros. In lists of one fixed length, id 0 is padding and is
/// left out (Merlin averages over it).
/// # Errors
/// At build: the input is not a raw batch; a name that is not in the schema; a column without an
/// integer domain; ragged lists without a combiner; a width of 0; columns that share a domain but
/// need tables of different sizes. At lookup: an id that is not in the table.
/// # Example
/// ```
/// use emrys_models::Initializer;
/// use emrys_models::blocks::Embeddings;
///
/// let embeddings = Embeddings::new(64)
///     .with_dim("genres", 16)
///     .with_initializer(Initializer::TruncatedNormal { mean: 0.0, std: 0.05 });
/// # let _ = embeddings;
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embeddings {
    columns: Selection,
    dim: EmbeddingDim,
    /// Per table: another width than `dim`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dims: BTreeMap<String, usize>,
    #[serde(default = "default_combiner")]
    combiner: Option<Combiner>,
    #[serde(default = "default_initializer")]
    initializer: Initializer,
    /// Tables that training does not change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own_tables: Option<String>,
}

/// How wide embeddings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmbeddingDim {
    /// All of one width.
    Fixed(usize),
    /// `ceil(2 * rows^0.25)`, rounded up to a multiple of 8.
    Inferred,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn default_combiner() -> Option<Combiner> {
    Some(Combiner::Mean)
}

fn default_initializer() -> Initializer {
    Initializer::EMBEDDING
}

impl Embeddings {
    /// Embeddings of width `dim` of all columns tagged [`Tag::Categorical`], without targets.
    pub fn new(dim: usize) -> Embeddings {
        Embeddings::with(EmbeddingDim::Fixed(dim))
    }

    /// Embeddings whose widths follow from the number of rows; see [`EmbeddingDim::Inferred`].
    pub fn inferred() -> Embeddings {
        Embeddings::with(EmbeddingDim::Inferred)
    }

    fn with(dim: EmbeddingDim) -> Embeddings {
        Embeddings {
            columns: Tag::Categorical.into(),
            dim,
            dims: BTreeMap::new(),
            combiner: default_combiner(),
            initializer: default_initializer(),
            frozen: Vec::new(),
            own_tables: None,
        }
    }

    /// Reads the columns of those names, with that tag, or of that schema instead.
    #[must_use]
    pub fn of(mut self, columns: impl Into<Selection>) -> Embeddings {
        self.columns = columns.into();
        self
    }

    /// The width of one table; a table is called as its domain, or else as its column.
    #[must_use]
    pub fn with_dim(mut self, table: impl Into<String>, dim: usize) -> Embeddings {
        self.dims.insert(table.into(), dim);
        self
    }

    /// How the embeddings of a list become one; [`Combiner::Mean`] by default.
    #[must_use]
    pub fn with_combiner(mut self, combiner: Combiner) -> Embeddings {
        self.combiner = Some(combiner);
        self
    }

    /// Keeps lists as lists of vectors; only for lists of one fixed length.
    #[must_use]
    pub fn without_combiner(mut self) -> Embeddings {
        self.combiner = None;
        self
    }

    /// How the tables start; [`Initializer::EMBEDDING`] by default.
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Embeddings {
        self.initializer = initializer;
        self
    }

    /// Training does not change this table.
    #[must_use]
    pub fn with_frozen(mut self, table: impl Into<String>) -> Embeddings {
        self.frozen.push(table.into());
        self
    }

    /// Does not share tables with other blocks of the model: the tables are called
    /// `<owner>/<domain>`.
    #[must_use]
    pub fn with_own_tables(mut self, owner: impl Into<String>) -> Embeddings {
        self.own_tables = Some(owner.into());
        self
    }

    /// The width of all embeddings, if they have one width.
    pub fn dim(&self) -> Option<usize> {
        match self.dim {
            EmbeddingDim::Fixed(dim) if self.dims.values().all(|other| *other == dim) => Some(dim),
            _ => None,
        }
    }

    fn owned(&self, name: &str) -> String {
        match &self.own_tables {
            Some(owner) => format!("{owner}/{name}"),
            None => name.to_owned(),
        }
    }

    fn lookup(&self, column: &ColumnSchema, scope: &mut Scope<'_>) -> Result<Lookup, Problems> {
        let name = column.name();
        let Some(rows) = column.cardinality().filter(|_| column.dtype().is_integer()) else {
            return Err(scope.problem(format!(
                "column `{name}` ({:?}) has no integer domain, so its table's rows cannot be \
                 counted; encode it with Categorify or set a domain",
                column.dtype()
            )));
        };
        let rows = usize::try_from(rows).map_err(|_| {
            scope.problem(format!(
                "column `{name}` needs a table of {rows} rows, more than this machine can address; \
                 hash its ids into fewer"
            ))
        })?;
        let domain = column.domain_name();
        let dim = match (self.dims.get(domain), self.dim) {
            (Some(&dim), _) | (None, EmbeddingDim::Fixed(dim)) => dim,
            (None, EmbeddingDim::Inferred) => infer_embedding_dim(rows, 2.0, true),
        };
        if dim == 0 {
            return Err(scope.problem(format!(
                "the embedding of `{name}` has width 0, expected at least 1"
            )));
        }
        let (list, length) = match column.shape().dims() {
            [] => (false, None),
            [one] => (true, one.length()),
            _ => {
                return Err(scope.problem(format!(
                    "column `{name}` holds lists of lists, expected ids or lists of ids"
                )));
            }
        };
        let shape = match (list, self.combiner, length) {
            (false, ..) | (true, Some(_), _) => RowShape::Vector(dim),
            (true, None, Some(length)) => {
                RowShape::Matrix(list_length(column, length, scope)?, dim)
            }
            (true, None, None) => {
                return Err(scope.problem(format!(
                    "column `{name}` holds lists of different lengths, which need a combiner; \
                     choose one with `with_combiner`"
                )));
            }
        };

        let table = TableSpec::new(self.owned(domain), rows, dim)
            .with_initializer(self.initializer)
            .with_trainable(!self.frozen.iter().any(|frozen| frozen == domain));
        let mut feature = EmbeddingFeature::new(name, &table.name).with_key(self.owned(name));
        if let (true, Some(combiner)) = (list, self.combiner) {
            feature = feature.with_combiner(combiner);
            if length.is_some() {
                feature = feature.with_padding_id(0);
            }
        }
        let key = feature.key.clone();
        scope.declare(table, feature)?;
        Ok(Lookup { key, shape })
    }
}

/// Where the embeddings of a column are found, and their shape.
#[derive(Debug, Clone)]
struct Lookup {
    key: String,
    shape: RowShape,
}

impl BlockSpec for Embeddings {
    const NAME: &'static str = "embeddings";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let columns = self.columns.resolve(input_schema(input, scope)?, scope)?;
        let lookups = Problems::gather(columns.iter().map(|column| {
            self.lookup(column, scope)
                .map(|lookup| (column.name().to_owned(), lookup))
        }))?;
        let output = lookups
            .iter()
            .map(|(name, lookup)| (name.clone(), lookup.shape))
            .collect();
        Ok(Built::new(
            EmbeddingsBlock { lookups },
            Signature::Dict(output),
        ))
    }
}

#[derive(Module, Debug)]
struct EmbeddingsBlock {
    /// Per column.
    #[module(skip)]
    lookups: Vec<(String, Lookup)>,
}

impl Block for EmbeddingsBlock {
    fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
        let features = input.into_features(Embeddings::NAME)?;
        let mut embeddings = BTreeMap::new();
        for (column, lookup) in &self.lookups {
            let rows = features.embedding(Embeddings::NAME, &lookup.key)?;
            let tensor = match lookup.shape {
                RowShape::Vector(_) => AnyTensor::Rank2(rows),
                RowShape::Matrix(length, width) => {
                    AnyTensor::Rank3(rows.reshape([features.batch_size(), length, width]))
                }
            };
            embeddings.insert(column.clone(), tensor);
        }
        Ok(Value::Dict(embeddings))
    }
}
