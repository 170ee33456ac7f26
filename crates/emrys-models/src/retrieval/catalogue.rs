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
            return Err(Error::CatalogueLength {
                ids: ids.len(),
                vectors: vectors.dims()[0],
            });
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
            return Err(Error::ExclusionLists {
                queries: rows,
                lists: excluded.len(),
            });
        }
        let mut lists = Vec::with_capacity(rows);
        // A query of no rows must still hear of a wrong k.
        for start in (0..rows.max(1)).step_by(QUERIES) {
            let end = rows.min(start + QUERIES);
            let marks = (start..end)
                .map(|row| match excluded.get(row) {
                    Some(ids) => Marks {
                        excluded: self.rows_of(ids.as_ref()),
                        ..Marks::default()
                    },
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
        let mut rows: Vec<u32> = ids
            .iter()
            .filter_map(|id| self.rows.get(id).copied())
            .collect();
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
    tensor
        .into_data()
        .try_into_vec()
        .expect("models compute in f32")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    const NONE: &[Vec<i64>] = &[];

    fn catalogue(ids: Vec<i64>, items: &[[f32; 2]]) -> Result<Catalogue> {
        let numbers: Vec<f32> = items.iter().flatten().copied().collect();
        let vectors = TensorData::new(numbers, [items.len(), 2]);
        Catalogue::new(ids, Tensor::from_data(vectors, &Device::default()))
    }

    fn queries(rows: usize) -> Tensor<2> {
        Tensor::ones([rows, 2], &Device::default())
    }

    #[test]
    fn ids_above_32_bits_come_back_whole() {
        let big = i64::MAX - 1;
        let catalogue = catalogue(vec![big, 1], &[[1.0, 1.0], [0.0, 1.0]]).unwrap();
        let best = catalogue.top_k(queries(1), 1, NONE).unwrap();
        assert_eq!(
            best,
            [[Recommendation {
                id: big,
                score: 2.0
            }]]
        );
    }

    #[test]
    fn equal_scores_keep_the_order_of_the_catalogue_over_many_queries() {
        let catalogue = catalogue(vec![9, 4, 7], &[[1.0, 0.0]; 3]).unwrap();
        let lists = catalogue.top_k(queries(2 * QUERIES + 3), 2, NONE).unwrap();
        assert_eq!(lists.len(), 2 * QUERIES + 3);
        for list in lists {
            assert_eq!([list[0].id, list[1].id], [9, 4]);
        }
    }

    #[test]
    fn a_list_is_shorter_when_little_is_left() {
        let catalogue = catalogue(vec![1, 2, 3], &[[1.0, 0.0]; 3]).unwrap();
        let lists = catalogue
            .top_k(queries(2), 3, &[vec![1, 3, 99], vec![]])
            .unwrap();
        assert_eq!((lists[0].len(), lists[1].len()), (1, 3));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let text = |result: Result<_>| result.map(|_: Catalogue| ()).unwrap_err().to_string();
        insta::assert_snapshot!(text(catalogue(vec![1], &[[0.0; 2]; 2])), @"the catalogue has 1 ids but 2 vectors; give one vector for each id");
        insta::assert_snapshot!(text(catalogue(vec![8, 8], &[[0.0; 2]; 2])), @"the catalogue has item 8 twice; give each item once");
        let items = catalogue(vec![1, 2], &[[0.0; 2]; 2]).unwrap();
        let error = items.top_k(queries(1), 3, NONE).unwrap_err();
        insta::assert_snapshot!(error, @"cannot rank the best 3 of 2 candidates; ask for 1 to 2");
        let error = items.top_k(queries(0), 3, NONE).unwrap_err();
        assert!(matches!(error, Error::InvalidK { .. }));
        let error = items.top_k(queries(3), 1, &[vec![1]]).unwrap_err();
        insta::assert_snapshot!(error, @"3 queries but 1 lists of excluded items; give one for each query, or none");
        let wide = Tensor::ones([1, 3], &Device::default());
        let error = items.top_k(wide, 1, NONE).unwrap_err();
        insta::assert_snapshot!(error, @"queries have 3 numbers but items 2; take both from one model");
    }
}
