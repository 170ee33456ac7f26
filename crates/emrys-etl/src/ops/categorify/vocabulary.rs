//! The fitted state of one vocabulary.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::DataType;

use super::encode::IdType;
use super::state::data_error;
use crate::lookup::{LookupError, ValueIndex, canonical, plain_type, strict_cast};
use crate::storage::{ColumnSink, Storage};
use crate::{Error, Result};

/// The operator in messages about vocabularies outside of a workflow.
const OPERATOR: &str = "categorify";

/// The id of a null.
pub(super) const NULL_ID: u32 = 1;
/// The first id of values that are not in the vocabulary.
pub(super) const FIRST_UNSEEN_ID: u32 = 2;

/// The known values of a column, of several columns that share them, or of tuples of columns, and
/// their ids.
///
/// | id | meaning |
/// |---|---|
/// | 0 | padding; never given to a value |
/// | 1 | null or NaN; for tuples: nothing but nulls |
/// | 2 to 1 + B | any other value, by its hash; B is [`num_buckets`](Vocabulary::num_buckets) |
/// | 2 + B and up | the values, in order |
pub struct Vocabulary {
    name: String,
    columns: Vec<String>,
    values: Vec<ArrayRef>,
    num_buckets: u32,
    observed: Option<Observed>,
    /// The counted values that were left out, in no particular order, if they were to be kept.
    rest: Option<Counted>,
    pub(super) index: ValueIndex,
}

/// Values, one array per member of a tuple, and how often each was counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) values: Vec<ArrayRef>,
    pub(super) counts: Int64Array,
}

/// What was counted when a vocabulary was made from data.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// How often each value of the vocabulary occurred.
    pub counts: Int64Array,
    /// The number of nulls.
    pub nulls: u64,
    /// How often values occurred that were left out of the vocabulary.
    pub left_out: u64,
}

/// The name of a vocabulary, and how its ids are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The name of the vocabulary, and of its files.
    pub(super) name: String,
    /// The columns that hold the values; one, but for tuples.
    pub(super) columns: Vec<String>,
    /// The number of ids for values that are not in the vocabulary, at least one.
    pub(super) num_buckets: u32,
}

impl Layout {
    /// The id of the first value.
    pub(super) fn first_id(&self) -> u32 {
        FIRST_UNSEEN_ID.saturating_add(self.num_buckets)
    }
}

/// An array in a mapped file.
fn on_disk(array: &ArrayRef, storage: &Storage) -> Result<ArrayRef> {
    let bytes = array.get_array_memory_size();
    let mut sink = ColumnSink::new(array.data_type(), storage, true, array.len(), bytes)?;
    sink.append(array)?;
    sink.finish()
}

/// Ids of one kind, as NVTabular's files call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRange {
    pub(super) kind: &'static str,
    pub(super) first: u64,
    pub(super) ids: u64,
    /// How many values of the kind were counted, if any were.
    pub(super) observed: Option<u64>,
}

impl Vocabulary {
    /// Numbers distinct values in their order; no row may be null (for tuples: nothing but nulls).
    pub(super) fn new(
        layout: Layout,
        values: Vec<ArrayRef>,
        observed: Option<Observed>,
    ) -> Result<Vocabulary, LookupError> {
        let index = ValueIndex::build(&values, layout.first_id(), NULL_ID)?;
        Ok(Vocabulary::with_index(
            layout, values, observed, None, index,
        ))
    }

    /// The same, in memory or on disk as `storage` decides.
    pub(super) fn stored(
        layout: Layout,
        values: Vec<ArrayRef>,
        observed: Option<Observed>,
        rest: Option<Counted>,
        storage: &Storage,
    ) -> Result<Vocabulary, LookupError> {
        let rows = values.first().map_or(0, |values| values.len());
        let bytes: usize = values
            .iter()
            .map(|values| values.get_array_memory_size())
            .sum();
        let tables = ValueIndex::expected_bytes(rows, values.len());
        if rows == 0 || !storage.is_on_disk(bytes + 8 * rows + tables) {
            let index = ValueIndex::build(&values, layout.first_id(), NULL_ID)?;
            return Ok(Vocabulary::with_index(
                layout, values, observed, rest, index,
            ));
        }
        let index = ValueIndex::build_on_disk(&values, layout.first_id(), NULL_ID, storage)?;
        let values = values
            .iter()
            .map(|values| on_disk(values, storage))
            .collect::<Result<_>>()?;
        let observed = observed
            .map(|observed| {
                let counts: ArrayRef = Arc::new(observed.counts);
                let counts = on_disk(&counts, storage)?;
                Ok::<_, Error>(Observed {
                    counts: counts.as_primitive().clone(),
                    ..observed
                })
            })
            .transpose()?;
        Ok(Vocabulary::with_index(
            layout, values, observed, rest, index,
        ))
    }

    /// A vocabulary whose values are indexed already.
    pub(super) fn with_index(
        layout: Layout,
        values: Vec<ArrayRef>,
        observed: Option<Observed>,
        rest: Option<Counted>,
        index: ValueIndex,
    ) -> Vocabulary {
        let Layout {
            name,
            columns,
            num_buckets,
        } = layout;
        Vocabulary {
            name,
            columns,
            values,
            num_buckets,
            observed,
            rest,
            index,
        }
    }

    /// Numbers the given values in their order; nulls are left out.
    ///
    /// # Errors
    /// [`Error::Data`] if a value occurs twice or cannot be looked up, such as a list;
    /// [`Error::InvalidOption`] for no buckets.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow::array::{ArrayRef, Int32Array, StringArray};
    /// use emrys_etl::ops::{IdType, Vocabulary};
    ///
    /// let genres: ArrayRef = Arc::new(StringArray::from(vec!["drama", "comedy"]));
    /// let vocabulary = Vocabulary::from_values("genre", &genres, 1)?;
    /// let rows: ArrayRef = Arc::new(StringArray::from(vec![Some("comedy"), None, Some("noir")]));
    /// let expected: ArrayRef = Arc::new(Int32Array::from(vec![4, 1, 2]));
    /// assert_eq!(&vocabulary.ids(&[rows], IdType::Int32)?, &expected);
    /// # Ok::<(), emrys_etl::Error>(())
    /// ```
    pub fn from_values(name: &str, values: &ArrayRef, num_buckets: u32) -> Result<Vocabulary> {
        if num_buckets == 0 {
            return Err(Error::InvalidOption {
                operator: OPERATOR.to_owned(),
                option: "num_buckets".to_owned(),
                value: "0".to_owned(),
                expected: "unseen values need an id; use 1".to_owned(),
            });
        }
        let layout = Layout {
            name: name.to_owned(),
            columns: vec![name.to_owned()],
            num_buckets,
        };
        let number = || {
            let plain = strict_cast(values, &plain_type(values.data_type()))?;
            let plain = canonical(&plain);
            let known = filter(&plain, &is_not_null(&plain)?)?;
            Vocabulary::new(layout, vec![known], None)
        };
        number().map_err(|error| data_error(OPERATOR, name, error))
    }

    /// The ids of the rows of a column (for tuples: of several columns of one length), which are
    /// not lists; no id is null.
    ///
    /// # Errors
    /// [`Error::Data`] if the values cannot be compared with those of the vocabulary, or if the
    /// columns are not as many as those of the vocabulary and of one length.
    pub fn ids(&self, columns: &[ArrayRef], id_type: IdType) -> Result<ArrayRef> {
        if columns.len() != self.columns.len()
            || columns
                .windows(2)
                .any(|pair| pair[0].len() != pair[1].len())
        {
            return Err(Error::Data {
                operator: OPERATOR.to_owned(),
                problem: format!(
                    "`{}` is made of {} columns, got {}; give those columns, of one length",
                    self.name,
                    self.columns.len(),
                    columns.len()
                ),
            });
        }
        let ids = self.encode(columns, 0);
        let ids = ids.map_err(|error| data_error(OPERATOR, &self.name, error))?;
        Ok(id_type.array(&ids))
    }

    /// The name: the column's, or the joined names of several.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the members of a tuple; else the vocabulary's own name.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values in order of their ids, one array per member of a tuple.
    pub fn values(&self) -> &[ArrayRef] {
        &self.values
    }

    /// What was counted, if the vocabulary was not given.
    pub fn observed(&self) -> Option<&Observed> {
        self.observed.as_ref()
    }

    /// The counted values that were left out, if they were kept.
    pub(super) fn rest(&self) -> Option<&Counted> {
        self.rest.as_ref()
    }

    /// The name and how the ids are laid out.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            name: self.name.clone(),
            columns: self.columns.clone(),
            num_buckets: self.num_buckets,
        }
    }

    /// How much memory the look-up table takes, without the values; zero if it lies on disk.
    pub fn index_bytes(&self) -> usize {
        self.index.num_bytes()
    }

    /// The number of ids for values that are not in the vocabulary.
    pub fn num_buckets(&self) -> u32 {
        self.num_buckets
    }

    /// The id of the first value.
    pub fn first_id(&self) -> u32 {
        FIRST_UNSEEN_ID + self.num_buckets
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.first().map_or(0, |values| values.len())
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of ids: padding, null, unseen values, and the vocabulary.
    pub fn cardinality(&self) -> u64 {
        u64::from(self.first_id()) + self.len() as u64
    }

    /// How the ids are laid out.
    pub(super) fn meta(&self) -> [IdRange; 4] {
        let observed = |count: fn(&Observed) -> u64| self.observed.as_ref().map(count);
        let in_vocabulary = |observed: &Observed| {
            observed
                .counts
                .values()
                .iter()
                .map(|count| count.unsigned_abs())
                .sum()
        };
        let range = |kind, first, ids, observed| IdRange {
            kind,
            first,
            ids,
            observed,
        };
        let buckets = u64::from(self.num_buckets);
        [
            range("pad", 0, 1, observed(|_| 0)),
            range("null", 1, 1, observed(|observed| observed.nulls)),
            range("oov", 2, buckets, observed(|observed| observed.left_out)),
            range(
                "unique",
                2 + buckets,
                self.len() as u64,
                observed(in_vocabulary),
            ),
        ]
    }

    /// Whether columns of these types can be encoded; the position of the first that cannot is
    /// part of the error.
    pub(super) fn check_types(&self, types: &[&DataType]) -> Result<(), (usize, LookupError)> {
        self.index.check(types)
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Vocabulary) -> bool {
        let identity = |v: &Vocabulary| (v.name.clone(), v.columns.clone(), v.num_buckets);
        identity(self) == identity(other)
            && self.observed == other.observed
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| a == b)
    }
}

impl fmt::Debug for Vocabulary {
    /// Without the values, of which there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .field("num_buckets", &self.num_buckets)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
