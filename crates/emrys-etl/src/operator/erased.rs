//! The engine's side of operators: boxed, with states of unknown type.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use emrys_schema::Schema;
use serde_json::Value;

use super::{
    ArtifactReader, ArtifactWriter, Decode, FitResults, InputSchema, Lowered, NewIds, Operator,
    Relation, State, Statistic,
};
use crate::ops::{Entry, entry};
use crate::{Error, Result};

/// A fitted state of any operator.
pub type DynState = Arc<dyn State>;

/// An operator of any type; every [`Operator`] is one.
pub trait DynOperator: Debug + Send + Sync {
    /// See [`Operator::name`].
    fn name(&self) -> &'static str;
    /// What a [`Registry`](crate::ops::Registry) holds of an operator of this type.
    fn entry(&self) -> Entry;
    /// The configuration as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON.
    fn config(&self) -> Result<Value>;
    /// See [`Operator::learns`].
    fn is_fitted(&self) -> bool;
    /// See [`Operator::check`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn check(&self) -> Result<()>;
    /// See [`Operator::dependencies`].
    fn dependencies(&self) -> Vec<String>;
    /// See [`Operator::transform_dependencies`].
    fn transform_dependencies(&self) -> Vec<String>;
    /// See [`Operator::changes_rows`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn changes_rows(&self, state: Option<&DynState>) -> Result<bool>;
    /// See [`Operator::needs_row_id`].
    fn needs_row_id(&self) -> bool;
    /// See [`Operator::output_schema`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn output_schema(&self, input: &InputSchema, state: Option<&DynState>) -> Result<Schema>;
    /// See [`Operator::statistics`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>>;
    /// See [`Operator::fit`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<DynState>;
    /// See [`Operator::refit`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn refit(
        &self,
        state: &DynState,
        input: &InputSchema,
        results: FitResults,
        ids: NewIds,
    ) -> Result<DynState>;
    /// See [`Operator::lower`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn lower(&self, state: &DynState, input: &Relation) -> Result<Lowered>;
    /// See [`Operator::decoder`].
    #[allow(clippy::missing_errors_doc, reason = "documented in Operator")]
    fn decoder(
        &self,
        state: &DynState,
        input: &InputSchema,
        output: &str,
    ) -> Result<Option<Arc<dyn Decode>>>;
    /// See [`State::save`].
    #[allow(clippy::missing_errors_doc, reason = "documented in State")]
    fn save_state(&self, state: &DynState, artifacts: &mut ArtifactWriter) -> Result<Value>;
    /// See [`State::load`].
    #[allow(clippy::missing_errors_doc, reason = "documented in State")]
    fn load_state(&self, saved: Value, artifacts: &ArtifactReader) -> Result<DynState>;
}

impl<O: Operator> DynOperator for O {
    fn name(&self) -> &'static str {
        O::name()
    }

    fn entry(&self) -> Entry {
        entry::<O>()
    }

    fn config(&self) -> Result<Value> {
        serde_json::to_value(self)
            .map_err(|e| Error::Internal(format!("{} to JSON: {e}", O::name())))
    }

    fn is_fitted(&self) -> bool {
        self.learns()
    }

    fn check(&self) -> Result<()> {
        Operator::check(self)
    }

    fn dependencies(&self) -> Vec<String> {
        Operator::dependencies(self)
    }

    fn transform_dependencies(&self) -> Vec<String> {
        Operator::transform_dependencies(self)
    }

    fn changes_rows(&self, state: Option<&DynState>) -> Result<bool> {
        Operator::changes_rows(self, state.map(downcast::<O>).transpose()?)
    }

    fn needs_row_id(&self) -> bool {
        Operator::needs_row_id(self)
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&DynState>) -> Result<Schema> {
        Operator::output_schema(self, input, state.map(downcast::<O>).transpose()?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        Operator::statistics(self, input)
    }

    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<DynState> {
        Ok(Arc::new(Operator::fit(self, input, results)?))
    }

    fn refit(
        &self,
        state: &DynState,
        input: &InputSchema,
        results: FitResults,
        ids: NewIds,
    ) -> Result<DynState> {
        let state = downcast::<O>(state)?;
        Ok(Arc::new(Operator::refit(self, state, input, results, ids)?))
    }

    fn lower(&self, state: &DynState, input: &Relation) -> Result<Lowered> {
        Operator::lower(self, downcast::<O>(state)?, input)
    }

    fn decoder(
        &self,
        state: &DynState,
        input: &InputSchema,
        output: &str,
    ) -> Result<Option<Arc<dyn Decode>>> {
        Operator::decoder(self, downcast::<O>(state)?, input, output)
    }

    fn save_state(&self, state: &DynState, artifacts: &mut ArtifactWriter) -> Result<Value> {
        downcast::<O>(state)?.save(artifacts)
    }

    fn load_state(&self, saved: Value, artifacts: &ArtifactReader) -> Result<DynState> {
        Ok(Arc::new(O::State::load(saved, artifacts)?))
    }
}

fn downcast<O: Operator>(state: &DynState) -> Result<&O::State> {
    let any: &dyn Any = &**state;
    any.downcast_ref().ok_or_else(|| {
        Error::Internal(format!(
            "the state of {} belongs to another operator",
            O::name()
        ))
    })
}
