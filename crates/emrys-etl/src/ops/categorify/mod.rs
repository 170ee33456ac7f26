//! See [`Categorify`].

mod build;
mod decode;
mod embedding_rule;
mod encode;
mod files;
mod layout;
mod legacy;
mod operator;
mod read;
mod refit;
mod state;
mod stream;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PerColumn;
pub use embedding_rule::EmbeddingRule;
pub use encode::IdType;
pub use state::Vocabularies;
pub use vocabulary::{Observed, Vocabulary};

/// Maps each category to a dense integer id, most frequent first.
///
/// | id | meaning |
/// |---|---|
/// | 0 | padding; never given to a value |
/// | 1 | null or NaN |
/// | 2 to 1 + B | values that are not in the vocabulary, by their hash; B is `num_buckets`, or 1 |
/// | 2 + B and up | the vocabulary, by falling count; equal counts by rising value |
///
/// A selection may hold groups of columns. With [`EncodeType::Joint`] the columns of a group share
/// one vocabulary, and each is encoded; with [`EncodeType::Combo`] the group's tuples of values are
/// the categories, and one column comes out.
///
/// # Fits
/// Counts every distinct value of every column or group, one query each over only its columns, in
/// one round. Lists are counted by element. Strings are ordered by their bytes, tuples member by
/// member with null first; the vocabulary does not depend on the partitioning. Memory: the distinct
/// values with their counts; with a limit of memory the engine sorts them on disk, and a vocabulary
/// that takes too much of the limit is looked up on disk
/// (see [`StateStorage`](crate::StateStorage)), with the same ids.
///
/// Learning from more data ([`NewIds`](crate::operator::NewIds)): known values keep their ids and
/// new ones follow, or all are numbered as if fitted on the old and the new data. For this the
/// counts of values that were left out are kept (see [`with_kept_counts`](Categorify::with_kept_counts)).
/// Given vocabularies stay as they are, unless they are extended.
/// # Output
/// One column per input under the same name, for a combination one column under the joined names;
/// single columns come before groups. Rows and their order are kept. `int64` unless
/// [`with_id_type`](Categorify::with_id_type) says otherwise; no id is null.
/// # Schema
/// Tag `categorical`; domain from 0 to cardinality - 1 under the vocabulary's name (shared by
/// the columns of a group); properties `num_buckets`, `freq_threshold`, `max_size`, `cat_path` (the
/// name of the vocabulary's file in a saved workflow) and `embedding_sizes`. Domain and
/// `embedding_sizes` are known once it is fitted. Tags and properties of the input are kept, except
/// for combinations.
/// # Nulls, NaN and empty input
/// Null and NaN become 1, and so does a combination of nothing but nulls; with a null among other
/// members it is a category like any other. -0.0 is 0.0. A column without any value has the
/// cardinality 3.
/// # Unseen values
/// Become `2 + hash % B`, a function of the value alone (see [`hash`](crate::hash)); for a
/// combination, of the exclusive or of its members' hashes.
/// # List columns
/// Each element is encoded, a null element as 1; lengths are kept, null lists stay null. Lists
/// cannot be combined, but may share a vocabulary with other columns.
/// # Errors
/// At build: `freq_threshold` together with `max_size`; `num_buckets` of 0; a `max_size` too small
/// for the reserved ids; an option for a column that is not selected; columns of different kinds
/// that share a vocabulary; a combination of lists, or with a given vocabulary. At fit: more
/// categories than the id type can number; a given vocabulary with repeated values, of another type
/// than its column, or in a file that cannot be read. At transform: a fraction in a column whose
/// vocabulary holds integers.
/// # Compared with Merlin
/// Same ids as NVTabular 23.06 and later, with its defects mended: ties are ordered by value
/// whatever the number of values; buckets depend on the value alone; nulls in lists are nulls;
/// null lists, columns of nothing but nulls, and integers that arrive as floats work; groups with
/// `num_buckets` use the buckets; `name_sep` does not disturb the counts; `single_table` shares
/// padding, null and unseen ids. Columns missing in a `num_buckets` map have one bucket.
/// # Example
/// ```
/// use emrys_etl::ops::{Categorify, IdType};
/// use emrys_etl::{Workflow, cols};
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let categories = Categorify::new().with_freq_threshold(2).with_id_type(IdType::Int32);
/// let schema = Schema::new([ColumnSchema::new("genre", DType::String)])?;
/// let output = Workflow::new(cols(["genre"]) >> categories).output_schema(&schema)?;
/// let genre = output.column("genre")?;
/// assert_eq!(genre.dtype(), DType::Int32);
/// assert!(genre.has_tag(Tag::Categorical));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// # References
/// NVTabular's `Categorify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Categorify {
    freq_threshold: PerColumn<u64>,
    max_size: PerColumn<u64>,
    num_buckets: Option<PerColumn<u32>>,
    encode_type: EncodeType,
    name_sep: String,
    vocabs: BTreeMap<String, GivenVocabulary>,
    dtype: Option<IdType>,
    single_table: bool,
    embedding_rule: EmbeddingRule,
    extend: bool,
    keep_counts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u32>,
    /// Into how many files NVTabular splits a vocabulary; it changes no id, and ours is one file.
    #[serde(skip_serializing)]
    split_out: IgnoredAny,
}

/// What a group of columns in the selection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodeType {
    /// The columns share one vocabulary.
    #[default]
    Joint,
    /// The tuples of their values are the categories.
    Combo,
}

/// A vocabulary that is not learned from the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GivenVocabulary {
    /// A parquet file of values, as Emrys and NVTabular store them.
    File(PathBuf),
    /// The values in order; nulls are left out.
    Values(Vec<Value>),
}

impl Default for Categorify {
    fn default() -> Categorify {
        Categorify {
            freq_threshold: PerColumn::All(0),
            max_size: PerColumn::All(0),
            num_buckets: None,
            encode_type: EncodeType::Joint,
            name_sep: "_".to_owned(),
            vocabs: BTreeMap::new(),
            dtype: None,
            single_table: false,
            embedding_rule: EmbeddingRule::default(),
            extend: false,
            keep_counts: true,
            start_index: None,
            split_out: IgnoredAny,
        }
    }
}

impl Categorify {
    /// Every value is a category, and unseen values have one id.
    pub fn new() -> Categorify {
        Categorify::default()
    }

    /// Leaves values out that occur less often than this; default 0, none. Not together with
    /// [`with_max_size`](Self::with_max_size).
    #[must_use]
    pub fn with_freq_threshold(mut self, count: impl Into<PerColumn<u64>>) -> Categorify {
        self.freq_threshold = count.into();
        self
    }

    /// Limits the number of ids, padding, null and unseen ids included: the vocabulary keeps the
    /// `max_size - 2 - num_buckets` most frequent values; default 0, no limit.
    #[must_use]
    pub fn with_max_size(mut self, ids: impl Into<PerColumn<u64>>) -> Categorify {
        self.max_size = ids.into();
        self
    }

    /// Gives unseen values, and those left out, so many ids by their hash; default 1.
    #[must_use]
    pub fn with_num_buckets(mut self, buckets: impl Into<PerColumn<u32>>) -> Categorify {
        self.num_buckets = Some(buckets.into());
        self
    }

    /// Says what groups of columns mean; default [`EncodeType::Joint`].
    #[must_use]
    pub fn with_encode_type(mut self, encode_type: EncodeType) -> Categorify {
        self.encode_type = encode_type;
        self
    }

    /// Joins the names of a group's columns with this; default `_`.
    #[must_use]
    pub fn with_name_sep(mut self, separator: impl Into<String>) -> Categorify {
        self.name_sep = separator.into();
        self
    }

    /// Numbers a column's values (or a joint group's, by its joined name) in the given order,
    /// without counting them. Nulls are left out.
    #[must_use]
    pub fn with_vocabulary(
        mut self,
        column: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Categorify {
        let values = values.into_iter().map(Into::into).collect();
        self.vocabs
            .insert(column.into(), GivenVocabulary::Values(values));
        self
    }

    /// Takes a column's values from a parquet file that Emrys or NVTabular stored.
    #[must_use]
    pub fn with_vocabulary_file(
        mut self,
        column: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Categorify {
        self.vocabs
            .insert(column.into(), GivenVocabulary::File(path.into()));
        self
    }

    /// Counts the columns of given vocabularies too, and appends what they do not hold to them by
    /// falling count; `freq_threshold` and `max_size` hold for what is appended. Default no.
    #[must_use]
    pub fn with_extended_vocabularies(mut self, extend: bool) -> Categorify {
        self.extend = extend;
        self
    }

    /// Keeps the counts of values that `freq_threshold` or `max_size` left out, which learning from
    /// more data needs to add up; default yes. Without them it starts to count these values anew,
    /// and cannot renumber.
    #[must_use]
    pub fn with_kept_counts(mut self, keep: bool) -> Categorify {
        self.keep_counts = keep;
        self
    }

    /// Gives the ids that NVTabular gave up to 23.05, from this index on, to serve models that were
    /// trained with them; default none, the ids of the [table](Categorify) above.
    ///
    /// | id | meaning |
    /// |---|---|
    /// | start | null, and without buckets every value that is not in the vocabulary |
    /// | start + 1 and up | the vocabulary, by falling count, N values |
    /// | start + 1 + N and up | with `num_buckets`: values not in the vocabulary, by their hash |
    ///
    /// With `num_buckets` but neither `freq_threshold` nor `max_size` there is no vocabulary: the id
    /// of every value, null included, is `start + hash % num_buckets`. `max_size` counts null and the
    /// buckets. Not together with [`with_single_table`](Self::with_single_table).
    ///
    /// From ids back to values, the start is null and ids below it are padding; a bucket stands for
    /// no value, so without a vocabulary every id is null (or has its
    /// [marker](crate::operator::Markers)). Files of saved vocabularies number their values as the
    /// table above does, whatever the start.
    #[must_use]
    pub fn with_start_index(mut self, index: u32) -> Categorify {
        self.start_index = Some(index);
        self
    }

    /// The type of the ids; default [`IdType::Int64`], as in NVTabular.
    #[must_use]
    pub fn with_id_type(mut self, id_type: IdType) -> Categorify {
        self.dtype = Some(id_type);
        self
    }

    /// Numbers the vocabularies one after another, so that one embedding table serves all columns;
    /// they share the ids of padding, null and unseen values. Default no.
    #[must_use]
    pub fn with_single_table(mut self, single: bool) -> Categorify {
        self.single_table = single;
        self
    }

    /// How wide embeddings are suggested to be; default NVTabular's rule.
    #[must_use]
    pub fn with_embedding_rule(mut self, rule: EmbeddingRule) -> Categorify {
        self.embedding_rule = rule;
        self
    }

    fn ids(&self) -> IdType {
        self.dtype.unwrap_or_default()
    }

    /// The columns that limits and buckets are given for.
    fn named_columns(&self) -> BTreeSet<&str> {
        let buckets = self
            .num_buckets
            .iter()
            .flat_map(|option| option.iter().map(|(name, _)| name));
        self.freq_threshold
            .iter()
            .map(|(name, _)| name)
            .chain(self.max_size.iter().map(|(name, _)| name))
            .chain(buckets)
            .flatten()
            .collect()
    }
}
