//! What a model is trained for: [`TaskSpec`], plain data that is saved with the model.
//!
//! | Task | reads | head | loss | metrics |
//! |---|---|---|---|---|
//! | [`BinaryClassification`] | a label in `[0, 1]` | one linear unit | binary cross entropy | AUC, log loss |
//! | [`Regression`] | a number | one linear unit | squared error | RMSE |
//! | [`ItemRetrieval`] | an item id | none: a query and a candidate vector | sampled softmax | over the catalogue, see [`retrieval`](crate::retrieval) |

mod binary_classification;
mod columns;
mod item_retrieval;
mod one_number;
mod regression;

pub use binary_classification::{BinaryClassification, TemperatureOn};
pub use item_retrieval::ItemRetrieval;
pub use regression::Regression;

use burn::tensor::Tensor;
use emrys_loader::Batch;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

pub(crate) use columns::item_ids;
pub(crate) use item_retrieval::{CANDIDATE, QUERY};

use crate::metrics::{Metric, Predictions};
use crate::retrieval::ItemFrequencies;
use crate::{Problems, Result, Scope, Signature, Spec, Value};

/// What a model is trained for.
///
/// As JSON: `{"binary_classification": {"target": "click"}}`.
///
/// # Example
/// ```
/// use emrys_models::tasks::{BinaryClassification, TaskSpec};
///
/// let task: TaskSpec = BinaryClassification::new("click").into();
/// let json = serde_json::to_string(&task).unwrap();
/// assert_eq!(serde_json::from_str::<TaskSpec>(&json).unwrap(), task);
/// assert_eq!(task.name(), "click");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskSpec {
    /// The chance of one of two outcomes.
    BinaryClassification(BinaryClassification),
    /// A number.
    Regression(Regression),
    /// The items that fit a query.
    ItemRetrieval(ItemRetrieval),
}

impl From<BinaryClassification> for TaskSpec {
    fn from(task: BinaryClassification) -> Self {
        Self::BinaryClassification(task)
    }
}

impl From<Regression> for TaskSpec {
    fn from(task: Regression) -> Self {
        Self::Regression(task)
    }
}

impl From<ItemRetrieval> for TaskSpec {
    fn from(task: ItemRetrieval) -> Self {
        Self::ItemRetrieval(task)
    }
}

/// What every task knows to do.
trait Task {
    fn name(&self) -> &str;
    fn head(&self) -> Option<Spec>;
    fn columns(&self) -> Vec<&str>;
    fn check(&self, schema: &Schema, output: &Signature, scope: &Scope<'_>)
    -> Result<(), Problems>;
    fn loss(
        &self,
        output: Value,
        batch: &Batch,
        frequencies: Option<&ItemFrequencies>,
    ) -> Result<Tensor<1>>;
    fn scores(&self, output: Value) -> Result<Tensor<1>>;
    fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a>;
    fn labels(&self, batch: &Batch) -> Result<Option<Vec<f32>>>;
    fn weights(&self, batch: &Batch) -> Result<Option<Vec<f32>>>;
    fn metrics(&self) -> Vec<Box<dyn Metric>>;
}

impl TaskSpec {
    fn task(&self) -> &dyn Task {
        match self {
            Self::BinaryClassification(task) => task,
            Self::Regression(task) => task,
            Self::ItemRetrieval(task) => task,
        }
    }

    /// The key of the task's output and metrics: its target column, or the item's id column.
    pub fn name(&self) -> &str {
        self.task().name()
    }

    /// The block between the model's body and the task's output, if there is one. It is trained
    /// and saved with the model.
    pub fn head(&self) -> Option<Spec> {
        self.task().head()
    }

    /// The columns that the task reads from a batch besides the model's inputs.
    pub fn columns(&self) -> Vec<&str> {
        self.task().columns()
    }

    /// Checks that the columns are in the schema and that the head gives what the task needs.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn check(
        &self,
        schema: &Schema,
        output: &Signature,
        scope: &Scope<'_>,
    ) -> Result<(), Problems> {
        self.task().check(schema, output, scope)
    }

    /// The loss `[1]` of a batch, given what the head made of it. `frequencies` are those of the
    /// training data's items, for tasks that [ask for them](Self::frequencies_of).
    ///
    /// # Errors
    /// A column is missing, of another type, or holds a label that the task cannot use.
    pub fn loss(
        &self,
        output: Value,
        batch: &Batch,
        frequencies: Option<&ItemFrequencies>,
    ) -> Result<Tensor<1>> {
        self.task().loss(output, batch, frequencies)
    }

    /// The id column whose values must be counted over the training data for the loss, if any.
    pub fn frequencies_of(&self) -> Option<&str> {
        match self {
            Self::ItemRetrieval(task) => task.frequencies_of(),
            _ => None,
        }
    }

    /// One score a row `[B]`, on the scale of [`scale`](Self::scale).
    ///
    /// # Errors
    /// If the output is not what the head gives.
    pub fn scores(&self, output: Value) -> Result<Tensor<1>> {
        self.task().scores(output)
    }

    /// What the scores mean.
    pub fn scale<'a>(&self, scores: &'a [f32]) -> Predictions<'a> {
        self.task().scale(scores)
    }

    /// The labels of a batch, checked; `None` for tasks without labels.
    ///
    /// # Errors
    /// The target column is missing, of another type, or holds a label that the task cannot use.
    pub fn labels(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        self.task().labels(batch)
    }

    /// The weights of a batch, checked; `None` where every row counts once.
    ///
    /// # Errors
    /// The weight column is missing, of another type, or holds a negative weight or NaN.
    pub fn weights(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        self.task().weights(batch)
    }

    /// The metrics that the task is judged by, fresh.
    pub fn metrics(&self) -> Vec<Box<dyn Metric>> {
        self.task().metrics()
    }
}
