//! The vectors of all items, once each.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use emrys_loader::Loader;

use super::UniqueRows;
use super::top_k::{Entry, Marks, best};
use crate::tasks::CANDIDATE;
use crate::{Error, Model, Result, Tower};

/// An item with its score for a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recommendation {
    /// The item's id.
    pub id: i64,
    /// Its dot product with the query.
    pub score: f32,
}

/// How many queries are scored at a time.
const QUERIES: usize = 256;

/// The ids and vectors of all items that can be recommended.
///
/// # Shapes
/// - vectors: `[N, D]` on the model's device, row `i` for `ids()[i]`
/// # Memory
/// The vectors, 8 bytes an id and a hash map of the ids. Scores are held for 256 queries and 4096
/// items at a time.
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use emrys_models::retrieval::Catalogue;
///
/// let device = Device::default();
/// let vectors = Tensor::from_floats([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], &device);
/// let catalogue = Catalogue::new(vec![10, 20, 1 << 40], vectors)?;
/// let query = Tensor::from_floats([[1.0, 0.2]], &device);
/// let best = catalogue.top_k(query, 2, &[[10]])?;
/// let ids: Vec<i64> = best[0].iter().map(|item| item.id).collect();
/// assert_eq!(ids, [1 << 40, 20]);
/// # Ok::<(), emrys_models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Catalogue {
    ids: Vec<i64>,
    vectors: Tensor<2>,
    rows: HashMap<i64, u32>,
}

impl Catalogue {
    /// A catalogue of given vectors `[N, D]`, one for each id.
    ///
    /// # Errors
    /// [`Error::CatalogueLength`] if there are not as many ids as vectors,
    /// [`Error::DuplicateItem`] if an id comes twice.
    pub fn new(ids: Vec<i64>, vectors: Tensor<2>) -> Result<Self> {
        let vectors = vectors.inner();
        if ids.len() != vectors.dims()[0] {
            return Err(Error::CatalogueLength { ids: ids.len(), vectors: vectors.dims()[0] });
        }
        let mut rows = HashMap::with_capacity(ids.len());
        for (row, id) in (0..).zip(&ids) {
            if rows.insert(*id, row).is_some() {
                return Err(Error::DuplicateItem { id: *id });
            }
        }
        Ok(Self { ids, vectors, rows })
    }

    /// Encodes each item of a data set once with the model's candidate tower: the first row of
    /// each value of `item_id`, in the order of the files. The data may be the items' own table
    /// or interactions.
    ///
    /// # Errors
    /// The model has no tower `candidate`; a column of it or the ids are not in the data; what
    /// reading gives.
    pub fn encode(model: &Model, items: &Loader, item_id: &str) -> Result<Self> {
        let tower = model.tower(CANDIDATE)?;
        let (mut ids, mut vectors) = (Vec::new(), Vec::new());
        let mut width = 0;
        for rows in UniqueRows::new(items, item_id, tower.input_columns(), tower.lookup_specs())? {
            let (new_ids, batch) = rows?;
            let encoded = encode(&tower, &batch)?;
            width = encoded.dims()[1];
            ids.extend(new_ids);
            vectors.extend(to_host(encoded));
        }
        let vectors = TensorData::new(vectors, [ids.len(), width]);
        Self::new(ids, Tensor::from_data(vectors, model.device()))
    }

    /// The ids, in the order of the rows.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// The vectors, `[N, D]`.
    pub fn vectors(&self) -> &Tensor<2> {
        &self.vectors
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The `k` best items of each query `[Q, D]`, best first, without those in `excluded` (ids,
    /// one list a query, or none at all). Exact; equal scores come in the order of the catalogue.
    ///
    /// A list is shorter than `k` where too few items are left.
    ///
    /// # Errors
    /// [`Error::InvalidK`] if `k` is 0 or greater than the catalogue, [`Error::QueryWidth`] if
    /// queries and items differ in width, [`Error::ExclusionLists`] if there is not one list a
    /// query.
    pub fn top_k(
        &self,
        queries: Tensor<2>,
        k: usize,
        excluded: &[impl AsRef<[i64]>],
    ) -> Result<Vec<Vec<Recommendation>>> {
        let rows = queries.dims()[0];
        if !excluded.is_empty() && excluded.len() != rows {
            return Err(Error::ExclusionLists { queries: rows, lists: excluded.len() });
        }
        let mut lists = Vec::with_capacity(rows);
        // A query of no rows must still hear of a wrong k.
        for start in (0..rows.max(1)).step_by(QUERIES) {
            let end = rows.min(start + QUERIES);
            let marks = (start..end)
                .map(|row| match excluded.get(row) {
                    Some(ids) => Marks { excluded: self.rows_of(ids.as_ref()), ..Marks::default() },
                    None => Marks::default(),
                })
                .collect();
            let entries = self.best(queries.clone().slice([start..end]), k, marks)?;
            lists.extend(entries.into_iter().map(|entries| {
                let recommend = |entry: Entry| Recommendation {
                    id: self.ids[entry.row as usize],
                    score: entry.score,
                };
                entries.into_iter().map(recommend).collect()
            }));
        }
        Ok(lists)
    }

    /// The best rows of each query of one block.
    pub(super) fn best(
        &self,
        queries: Tensor<2>,
        k: usize,
        marks: Vec<Marks>,
    ) -> Result<Vec<Vec<Entry>>> {
        let (query, item) = (queries.dims()[1], self.vectors.dims()[1]);
        if query != item {
            return Err(Error::QueryWidth { query, item });
        }
        let queries = queries.inner();
        best(self.len(), k, marks, |rows| {
            let items = self.vectors.clone().slice([rows]);
            Ok(to_host(queries.clone().matmul(items.transpose())))
        })
    }

    /// The rows of those ids that are in the catalogue, rising and distinct.
    pub(super) fn rows_of(&self, ids: &[i64]) -> Vec<u32> {
        let mut rows: Vec<u32> = ids.iter().filter_map(|id| self.rows.get(id).copied()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Writes the catalogue as one parquet file: the ids as column `id_column`, then the vectors
    /// as columns `"0"`, `"1"`, ... `"D-1"` of float32.
    ///
    /// The file appears under its name when it is whole.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_parquet(&self, path: impl AsRef<Path>, id_column: &str) -> Result<()> {
        super::export::write_vectors(path.as_ref(), id_column, &self.ids, &self.vectors)
    }
}

/// The vectors `[B, D]` that a tower makes of a batch with its plans.
pub(super) fn encode(tower: &Tower<'_>, batch: &emrys_loader::Batch) -> Result<Tensor<2>> {
    tower.forward(batch)
}

/// The numbers of a tensor, row by row.
pub(super) fn to_host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("models compute in f32")
}
