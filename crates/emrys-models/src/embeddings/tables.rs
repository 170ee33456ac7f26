//! [`EmbeddingTables`]: all embedding tables of a model.

use std::collections::BTreeMap;

use emrys_loader::{LookupFeature, LookupSpec};

use super::error::EmbeddingError;
use super::initialize;
use super::matrix::RowMatrix;
use super::spec::{EmbeddingFeature, TableSpec};
use super::update::State;
use crate::optimizers::SparseOptimizer;

/// All embedding tables of a model, in host memory.
///
/// Tables of one width that are trained alike are stacked into one matrix, a *group*, and looked
/// up together. Features whose columns share a domain share a table by naming it.
///
/// # Determinism
/// Starting values depend on the seed and the table's name and shape; updates have the same bits
/// whatever the number of threads.
///
/// # Memory
/// 4 bytes per weight, and what the optimizer keeps per touched row
/// ([`SparseOptimizer`]). State is reserved at the first
/// update and takes memory where rows are touched.
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use emrys_loader::{Batch, Column};
/// use emrys_models::embeddings::{Combiner, EmbeddingFeature, EmbeddingTables, TableSpec};
/// use emrys_models::optimizers::SparseOptimizer;
///
/// let mut tables = EmbeddingTables::new(
///     vec![TableSpec::new("item", 100, 8)],
///     vec![
///         EmbeddingFeature::new("item_id", "item"),
///         EmbeddingFeature::new("history", "item").with_combiner(Combiner::Mean),
///     ],
///     42,
/// )?;
/// let batch = Batch::new([
///     ("item_id", Column::from(vec![3_i64, 7])),
///     ("history", Column::lists([vec![1_i64, 2, 2], vec![]])),
/// ])?
/// .with_lookups(&tables.lookup_specs())?;
///
/// let device = Device::default().autodiff();
/// let lookup = tables.gather(batch.plans(), &device)?;
/// let item = lookup.get("item_id").expect("the feature was declared");
/// assert_eq!(item.dims(), [2, 8]);
///
/// let before = tables.row("item", 3)?.to_vec();
/// let mut gradients = item.clone().sum().backward();
/// tables.apply(batch.plans(), &lookup, &mut gradients, &SparseOptimizer::sgd())?;
/// assert_ne!(tables.row("item", 3)?, before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmbeddingTables {
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) features: Vec<EmbeddingFeature>,
    pub(super) groups: Vec<Group>,
}

/// A table and its place.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) group: usize,
    pub(super) first_row: usize,
}

/// Tables of one width, stacked, that are trained alike.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) dim: usize,
    pub(super) trainable: bool,
    pub(super) optimizer: Option<SparseOptimizer>,
    /// The names of its tables, in the order they are stacked.
    pub(super) tables: Vec<String>,
    /// In the order of the lookup plan.
    pub(super) features: Vec<Member>,
    pub(super) weights: RowMatrix,
    pub(super) state: Option<State>,
}

/// A feature of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Its place in [`EmbeddingTables::features`].
    pub(super) index: usize,
    /// The first row of its table.
    pub(super) first_row: usize,
}

/// The tables that will become a group, while they are counted.
struct Stack {
    like: TableSpec,
    rows: usize,
}

impl Stack {
    fn takes(&self, table: &TableSpec) -> bool {
        self.like.dim == table.dim
            && self.like.trainable == table.trainable
            && self.like.optimizer == table.optimizer
    }

    fn into_group(self, others: &[Group]) -> Result<Group, EmbeddingError> {
        let mut name = format!("dim{}", self.like.dim);
        if !self.like.trainable {
            name += "-frozen";
        }
        if let Some(optimizer) = self.like.optimizer {
            name = name + "-" + optimizer.name();
        }
        if others.iter().any(|group| group.name == name) {
            name += &format!("-{}", others.len());
        }
        let weights = RowMatrix::zeros(self.rows, self.like.dim).map_err(|source| {
            memory_error(
                &self.like.name,
                self.rows.saturating_mul(self.like.dim),
                source,
            )
        })?;
        Ok(Group {
            name,
            dim: self.like.dim,
            trainable: self.like.trainable,
            optimizer: self.like.optimizer,
            tables: Vec::new(),
            features: Vec::new(),
            weights,
            state: None,
        })
    }
}

/// Says which table so many numbers were for.
pub(super) fn memory_error(table: &str, numbers: usize, source: std::io::Error) -> EmbeddingError {
    EmbeddingError::Memory {
        table: table.to_owned(),
        bytes: numbers.saturating_mul(size_of::<f32>()),
        source,
    }
}

impl EmbeddingTables {
    /// Makes the tables and draws their starting values.
    ///
    /// # Errors
    /// Tables or features declared twice, a table without rows or columns, a feature of a table
    /// that is not declared, too little memory.
    pub fn new(
        tables: Vec<TableSpec>,
        features: Vec<EmbeddingFeature>,
        seed: u64,
    ) -> Result<Self, EmbeddingError> {
        let mut made = Self::declare(tables, features)?;
        for table in made.tables.values() {
            let group = &mut made.groups[table.group];
            let rows = group
                .weights
                .row_range_mut(table.first_row, table.spec.rows);
            initialize::fill(&table.spec, seed, rows);
        }
        Ok(made)
    }

    /// The tables with all weights 0, to be read from a file with
    /// [`load_weights`](Self::load_weights).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn zeros(
        tables: Vec<TableSpec>,
        features: Vec<EmbeddingFeature>,
    ) -> Result<Self, EmbeddingError> {
        Self::declare(tables, features)
    }

    fn declare(
        specs: Vec<TableSpec>,
        features: Vec<EmbeddingFeature>,
    ) -> Result<Self, EmbeddingError> {
        let mut by_name = BTreeMap::new();
        for spec in specs {
            if spec.rows == 0 || spec.dim == 0 {
                let TableSpec {
                    name: table,
                    rows,
                    dim,
                    ..
                } = spec;
                return Err(EmbeddingError::EmptyTable { table, rows, dim });
            }
            if let Some(twice) = by_name.insert(spec.name.clone(), spec) {
                return Err(EmbeddingError::DuplicateTable { table: twice.name });
            }
        }

        // In order of names, so that the order of declaration changes nothing.
        let mut stacks: Vec<Stack> = Vec::new();
        let mut tables = BTreeMap::new();
        for (name, spec) in by_name {
            let group = stacks
                .iter()
                .position(|stack| stack.takes(&spec))
                .unwrap_or_else(|| {
                    stacks.push(Stack {
                        like: spec.clone(),
                        rows: 0,
                    });
                    stacks.len() - 1
                });
            let first_row = stacks[group].rows;
            stacks[group].rows = stacks[group].rows.saturating_add(spec.rows);
            tables.insert(
                name,
                Table {
                    spec,
                    group,
                    first_row,
                },
            );
        }

        let mut groups = Vec::with_capacity(stacks.len());
        for stack in stacks {
            groups.push(stack.into_group(&groups)?);
        }
        for (name, table) in &tables {
            groups[table.group].tables.push(name.clone());
        }
        let mut made = Self {
            tables,
            features: Vec::new(),
            groups,
        };
        for feature in features {
            if made.features.iter().any(|other| other.key == feature.key) {
                return Err(EmbeddingError::DuplicateFeature { key: feature.key });
            }
            let &Table {
                group, first_row, ..
            } = made.table(&feature.table)?;
            let index = made.features.len();
            made.groups[group]
                .features
                .push(Member { index, first_row });
            made.features.push(feature);
        }
        Ok(made)
    }

    /// What the loader must look up for each batch: one plan per group that has features.
    pub fn lookup_specs(&self) -> Vec<LookupSpec> {
        self.groups
            .iter()
            .filter(|group| !group.features.is_empty())
            .map(|group| {
                let features = group.features.iter().map(|member| {
                    let feature = &self.features[member.index];
                    let rows = self.tables[&feature.table].spec.rows as u64;
                    LookupFeature::new(&feature.column, member.first_row as u64, rows)
                });
                LookupSpec::new(&group.name, features)
            })
            .collect()
    }

    /// The declarations of the tables, in order of their names.
    pub fn specs(&self) -> impl Iterator<Item = &TableSpec> {
        self.tables.values().map(|table| &table.spec)
    }

    /// The features, in the order they were declared.
    pub fn features(&self) -> &[EmbeddingFeature] {
        &self.features
    }

    /// The number of weights of all tables.
    pub fn num_parameters(&self) -> usize {
        self.specs().map(|spec| spec.rows * spec.dim).sum()
    }

    /// The weights of a table, row after row.
    ///
    /// # Errors
    /// There is no such table.
    pub fn weights(&self, table: &str) -> Result<&[f32], EmbeddingError> {
        let table = self.table(table)?;
        Ok(self.groups[table.group]
            .weights
            .row_range(table.first_row, table.spec.rows))
    }

    /// Sets the weights of a table, row after row: pretrained vectors, say.
    ///
    /// Optimizer state stays as it is.
    ///
    /// # Errors
    /// There is no such table; `weights` is not rows times width numbers.
    pub fn set_weights(&mut self, table: &str, weights: &[f32]) -> Result<(), EmbeddingError> {
        let Table {
            spec,
            group,
            first_row,
        } = self.table(table)?;
        if weights.len() != spec.rows * spec.dim {
            return Err(EmbeddingError::WrongSize {
                table: spec.name.clone(),
                rows: spec.rows,
                dim: spec.dim,
                expected: spec.rows * spec.dim,
                found: weights.len(),
            });
        }
        let (group, first_row, rows) = (*group, *first_row, spec.rows);
        let target = self.groups[group].weights.row_range_mut(first_row, rows);
        target.copy_from_slice(weights);
        Ok(())
    }

    /// The vector of an id.
    ///
    /// # Errors
    /// There is no such table; the id is not one of its rows.
    pub fn row(&self, table: &str, id: i64) -> Result<&[f32], EmbeddingError> {
        let Table {
            spec,
            group,
            first_row,
        } = self.table(table)?;
        let row = usize::try_from(id).ok().filter(|row| *row < spec.rows);
        let row = row.ok_or_else(|| EmbeddingError::IdOutOfRange {
            table: spec.name.clone(),
            id,
            rows: spec.rows,
        })?;
        Ok(self.groups[*group].weights.row_range(first_row + row, 1))
    }

    /// The vectors of ids, one after the other.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn rows(&self, table: &str, ids: &[i64]) -> Result<Vec<f32>, EmbeddingError> {
        let mut rows = Vec::with_capacity(ids.len() * self.table(table)?.spec.dim);
        for id in ids {
            rows.extend_from_slice(self.row(table, *id)?);
        }
        Ok(rows)
    }

    /// The declaration of a table.
    ///
    /// # Errors
    /// There is no such table.
    pub fn spec(&self, table: &str) -> Result<&TableSpec, EmbeddingError> {
        Ok(&self.table(table)?.spec)
    }

    pub(super) fn table(&self, name: &str) -> Result<&Table, EmbeddingError> {
        self.tables
            .get(name)
            .ok_or_else(|| EmbeddingError::UnknownTable {
                table: name.to_owned(),
                available: self.tables.keys().cloned().collect(),
            })
    }
}
