//! Predictions for every row of a data set.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use emrys_loader::{Batch, Epoch, Layout, Loader, Values};

use super::Trainer;
use super::evaluate::to_host;
use crate::loading::in_file_order;
use crate::metrics::Predictions;
use crate::parquet_file::ParquetFile;
use crate::{Error, Model, Network, Pass, Result};

impl Trainer {
    /// Predicts every row of a data set, in the order of its files, whatever the loader is set to.
    /// Labels are not read.
    ///
    /// What comes is a stream of record batches with a float32 column for each task, named as
    /// the task: the probability for a binary classification, the value for a regression, the
    /// score of the row's own item for a retrieval. `keep` names columns of the data, one number
    /// a row, that are put before them, such as ids.
    ///
    /// # Errors
    /// A column is not in the data or holds lists; what reading gives.
    ///
    /// # Example
    /// ```no_run
    /// # use emrys_loader::Loader;
    /// # use emrys_models::{Model, trainer::Trainer};
    /// # fn run(model: &Model, data: &Loader) -> emrys_models::Result<()> {
    /// let rows = Trainer::new().predict(model, data, &["user_id"])?.write_parquet("scores.parquet")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn predict<'a>(
        &self,
        model: &'a Model,
        data: &Loader,
        keep: &[&str],
    ) -> Result<PredictionStream<'a>> {
        let mut columns = model.input_columns();
        columns.extend(
            keep.iter()
                .filter(|name| !model.input_columns().contains(name)),
        );
        let loader = in_file_order(data, columns, model.lookup_specs())?;
        let mut fields = Vec::new();
        for name in keep {
            let column = loader.schema().column(name)?;
            let values = loader.sample_batch()?;
            fields.push(Field::new(
                column.name(),
                kept(&values, name)?.data_type().clone(),
                false,
            ));
        }
        let tasks = model.tasks().iter();
        fields.extend(tasks.map(|task| Field::new(task.name(), DataType::Float32, false)));
        Ok(PredictionStream {
            model,
            network: model.network().valid(),
            epoch: loader.epoch(0)?,
            keep: keep.iter().map(|name| (*name).to_owned()).collect(),
            schema: Arc::new(Schema::new(fields)),
        })
    }
}

/// Predictions, batch by batch; see [`Trainer::predict`].
pub struct PredictionStream<'a> {
    model: &'a Model,
    network: Network,
    epoch: Epoch,
    keep: Vec<String>,
    schema: SchemaRef,
}

impl PredictionStream<'_> {
    /// The columns of the record batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes all predictions to one parquet file, which appears under its name when it is whole,
    /// and says how many there are.
    ///
    /// # Errors
    /// If the file cannot be written, and what predicting gives.
    pub fn write_parquet(self, path: impl AsRef<Path>) -> Result<usize> {
        let mut file = ParquetFile::create(path.as_ref(), Arc::clone(&self.schema))?;
        let mut rows = 0;
        for batch in self {
            let batch = batch?;
            rows += batch.num_rows();
            file.write(&batch)?;
        }
        file.finish()?;
        Ok(rows)
    }

    fn predict(&self, batch: &Batch) -> Result<RecordBatch> {
        let pass = Pass::evaluation();
        let lookup = self.model.gather(batch, &pass)?;
        let features = self.model.features(batch, &lookup, &pass)?;
        let outputs = self.network.forward(&features, &pass)?;
        let mut columns = Vec::new();
        for name in &self.keep {
            columns.push(kept(batch, name)?);
        }
        for task in self.model.tasks() {
            let scores = task.scores(outputs.get(task.name()).clone())?;
            let values = match task.scale(&[]) {
                Predictions::Logits(_) => sigmoid(scores),
                Predictions::Probabilities(_) | Predictions::Values(_) => scores,
            };
            columns.push(Arc::new(Float32Array::from(to_host(values))));
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        Ok(rows.expect("all columns have the rows of the batch"))
    }
}

impl Iterator for PredictionStream<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.epoch.next()? {
            Ok(batch) => self.predict(&batch),
            Err(error) => Err(error.into()),
        })
    }
}

/// A column of a batch as Arrow has it.
fn kept(batch: &Batch, name: &str) -> Result<ArrayRef> {
    let column = batch.column(name)?;
    if !matches!(column.layout(), Layout::Scalar) {
        return Err(Error::UnexpectedColumn {
            column: name.to_owned(),
            expected: "one number a row".to_owned(),
            found: "lists".to_owned(),
        });
    }
    Ok(match column.values() {
        Values::F32(values) => Arc::new(Float32Array::from(values.clone())),
        Values::F64(values) => Arc::new(Float64Array::from(values.clone())),
        Values::I32(values) => Arc::new(Int32Array::from(values.clone())),
        Values::I64(values) => Arc::new(Int64Array::from(values.clone())),
    })
}
