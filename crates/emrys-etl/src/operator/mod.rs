//! The contract of operators: the only file that an author of operators must read.
//!
//! An operator is a plain value: a serialisable configuration that is pure until it is fitted.
//! Its methods are written in the order of its life:
//!
//! 1. [`check`](Operator::check) looks at the configuration alone;
//! 2. [`output_schema`](Operator::output_schema) says which columns come out, before any data is
//!    read;
//! 3. [`statistics`](Operator::statistics) declares what fitting needs to know of the data;
//! 4. [`fit`](Operator::fit) turns those statistics into the [`State`];
//! 5. [`lower`](Operator::lower) turns the state into expressions, or into a new relation if the
//!    operator changes rows.
//!
//! The engine does the rest: it decides in which round an operator is fitted, runs the queries,
//! fuses expressions into projections, names the operator in errors, saves and loads.

pub(crate) mod any_float;
mod decode;
mod erased;
mod example;
mod grouped;
mod list_values;
mod relation;
mod state;
mod statistic;

use std::any::TypeId;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::prelude::{DataFrame, Expr};
use emrys_schema::Schema;
use serde::{Serialize, de::DeserializeOwned};

pub use decode::{Decode, Markers};
pub use erased::{DynOperator, DynState};
pub use example::Example;
pub use grouped::GroupedRows;
pub(crate) use grouped::{GroupedWriter, batch_bytes};
pub use list_values::{leaf_type, map_leaves};
pub use relation::{InputSchema, Relation};
pub use state::{ArtifactBatches, ArtifactReader, ArtifactWriter, State};
pub use statistic::{FitResults, GroupedStatistic, Order, Source, Statistic};

use crate::Result;

/// A step of a workflow.
///
/// Configurations serialise under the names that NVTabular gives to its arguments, so that a
/// declarative graph deserialises straight into them; unknown keys are refused
/// (`#[serde(deny_unknown_fields)]`).
pub trait Operator: Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What fitting learns; `()` for operators that learn nothing.
    type State: State;

    /// The stable name under which the operator is stored, such as `Categorify`.
    fn name() -> &'static str;

    /// One sentence on what it does, for listings.
    fn description() -> &'static str;

    /// Refuses configurations that make no sense whatever the input.
    ///
    /// # Errors
    /// Usually [`Error::InvalidOption`](crate::Error::InvalidOption).
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Names of columns that the operator reads besides its inputs, such as a target.
    ///
    /// They are looked up in nodes given by [`Node::depends_on`](crate::Node::depends_on), then
    /// in the inputs, then in the data set (or in the output of the last operator upstream that
    /// changed rows). They are not part of the output.
    fn dependencies(&self) -> Vec<String> {
        Vec::new()
    }

    /// The [`dependencies`](Operator::dependencies) that are also needed to transform data the
    /// operator was not fitted on; all by default. A target encoding needs its target for the
    /// training data only, and so transforms data that have none.
    fn transform_dependencies(&self) -> Vec<String> {
        self.dependencies()
    }

    /// Whether rows are removed, repeated, reordered or aggregated.
    ///
    /// If so, [`lower`](Operator::lower) returns [`Lowered::Rows`], and the outputs cannot be
    /// combined with columns that still have the old rows.
    ///
    /// # Errors
    /// If it depends on a file that cannot be read.
    fn changes_rows(&self, _state: Option<&Self::State>) -> Result<bool> {
        Ok(false)
    }

    /// Whether the operator asks for [`Relation::row_id`].
    fn needs_row_id(&self) -> bool {
        false
    }

    /// Whether fitting learns anything from the data; by default if there is a state at all.
    ///
    /// An operator with options under which it learns nothing is ready before any round: its
    /// [`fit`](Operator::fit) is then called without columns and results.
    fn learns(&self) -> bool {
        TypeId::of::<Self::State>() != TypeId::of::<()>()
    }

    /// The columns that come out; `state` is there once the operator is fitted.
    ///
    /// Must not depend on the data otherwise: names, types and tags are the same before and
    /// after fitting, domains and properties may become known.
    ///
    /// # Errors
    /// Every error that can be seen from the schema.
    fn output_schema(&self, input: &InputSchema, state: Option<&Self::State>) -> Result<Schema>;

    /// What fitting needs to know of the data; nothing by default.
    ///
    /// # Errors
    /// If an expression cannot be built.
    fn statistics(&self, _input: &Relation) -> Result<Vec<Statistic>> {
        Ok(Vec::new())
    }

    /// Makes the state from the statistics that were asked for.
    ///
    /// # Errors
    /// If the data do not allow it.
    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<Self::State>;

    /// Brings a state up to date with more data; `results` are the statistics of the new data
    /// alone.
    ///
    /// Numeric statistics become what fitting on the old and the new data together would give.
    /// Known categories keep their ids unless [`NewIds::ByCount`] asks for what that fit would
    /// give.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) unless the operator implements it.
    fn refit(
        &self,
        _state: &Self::State,
        input: &InputSchema,
        _results: FitResults,
        _ids: NewIds,
    ) -> Result<Self::State> {
        Err(crate::Error::InvalidOption {
            operator: input.operator().to_owned(),
            option: "refit".to_owned(),
            value: "asked for".to_owned(),
            expected: "it cannot learn from more data; fit the workflow on all data".to_owned(),
        })
    }

    /// The outputs as expressions over the inputs, or as a new relation.
    ///
    /// # Errors
    /// If an expression cannot be built.
    fn lower(&self, state: &Self::State, input: &Relation) -> Result<Lowered>;

    /// How the ids of an output column are turned back into values; `None`, the default, if the
    /// output holds no ids.
    ///
    /// # Errors
    /// If the state is not one of this input.
    fn decoder(
        &self,
        _state: &Self::State,
        _input: &InputSchema,
        _output: &str,
    ) -> Result<Option<Arc<dyn Decode>>> {
        Ok(None)
    }

    /// Examples with their results; they are shown in the reference and run as tests.
    fn examples() -> Vec<Example> {
        Vec::new()
    }
}

/// Which ids categories have after a workflow has learned from more data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewIds {
    /// Known categories keep theirs, new ones follow: trained embeddings stay valid.
    #[default]
    Append,
    /// All are numbered anew by their counts in the old and the new data, as if the workflow were
    /// fitted on both.
    ByCount,
}

/// An operator as the engine runs it.
#[derive(Debug)]
pub enum Lowered {
    /// One expression per output column, row by row.
    Columns(Vec<(String, Expr)>),
    /// New rows: a relation made from [`Relation::dataframe`], whose columns are the outputs
    /// (and the row id, where [`Relation::dataframe`] has it and rows still are rows).
    Rows(DataFrame),
}

/// The name of an operator as it appears in messages: `HashBucket` becomes `hash_bucket`.
pub(crate) fn message_name(name: &str) -> String {
    let mut text = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() {
            if i > 0 {
                text.push('_');
            }
            text.push(c.to_ascii_lowercase());
        } else {
            text.push(c);
        }
    }
    text
}
