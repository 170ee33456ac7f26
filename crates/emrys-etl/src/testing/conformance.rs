//! See [`conformance`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;

use super::batch_from_json;
use crate::operator::{DynOperator, Example, NewIds};
use crate::ops::Registry;
use crate::{Dataset, Error, FittedWorkflow, Node, Result, SessionOptions, Workflow};

/// Runs an operator on the input of an example in every form that data come in; what is wrong.
///
/// - The same rows give the same output, bit for bit: in one batch or one batch a row, on one
///   thread or several, as part of larger arrays, with texts as dictionaries.
/// - Fitting on a part and learning from the rest gives what fitting on all rows gives.
/// - Fitting twice stores the same bytes; a saved and loaded workflow gives the same output.
/// - What comes out has the columns and types that the schema promised without data.
/// - No rows in, no rows out; one row, or nothing but nulls, give an output or an error that a user
///   can act on.
pub fn conformance(operator: &Arc<dyn DynOperator>, example: &Example) -> Vec<String> {
    let check = Check {
        registry: Registry::default().with_entry(operator.entry()),
        node: example.inputs().apply(Arc::clone(operator)),
        label: format!("{}, {}", operator.name(), example.title),
        problems: Vec::new(),
    };
    match batch_from_json(&example.input) {
        Ok(input) => check.run(&input),
        Err(error) => vec![format!("{}: {error}", check.label)],
    }
}

struct Check {
    /// With the operator, which may be one of another crate.
    registry: Registry,
    node: Node,
    label: String,
    problems: Vec<String>,
}

impl Check {
    fn run(mut self, input: &RecordBatch) -> Vec<String> {
        let whole = SessionOptions::new().with_threads(1);
        let (fitted, expected) = match self.fit_and_transform(vec![input.clone()], whole) {
            Ok(done) => done,
            Err(error) => {
                self.problem("as it is", &error.to_string());
                return self.problems;
            }
        };
        for (form, batches) in forms(input) {
            match batches {
                Ok(batches) => self.same_output(&form, batches, &expected),
                Err(error) => self.problem(&form, &error.to_string()),
            }
        }
        if let Err(error) = self.promises(&fitted, input, &expected) {
            self.problem("schema", &error.to_string());
        }
        if let Err(error) = self.saved(&fitted, input, &expected) {
            self.problem("saved and loaded", &error.to_string());
        }
        if let Err(error) = self.learned_in_parts(&fitted, input) {
            self.problem("learned in two parts", &error.to_string());
        }
        self.no_rows(&fitted, input);
        for (form, batch) in [
            ("one row", input.slice(0, input.num_rows().min(1))),
            ("no rows to fit on", input.slice(0, 0)),
            ("nothing but nulls", nulls(input)),
        ] {
            let options = SessionOptions::new().with_threads(1);
            if let Err(error) = self.fit_and_transform(vec![batch], options)
                && !error.is_user()
            {
                self.problem(form, &error.to_string());
            }
        }
        self.problems
    }

    fn problem(&mut self, form: &str, problem: &str) {
        self.problems
            .push(format!("{} ({form}): {problem}", self.label));
    }

    fn fit_and_transform(
        &self,
        batches: Vec<RecordBatch>,
        options: SessionOptions,
    ) -> Result<(FittedWorkflow, RecordBatch)> {
        let data = dataset(batches)?;
        let fitted = Workflow::new(self.node.clone())
            .with_options(options)
            .fit(&data)?;
        let output = transform(&fitted, &data)?;
        Ok((fitted, output))
    }

    fn same_output(&mut self, form: &str, batches: Vec<RecordBatch>, expected: &RecordBatch) {
        let options = SessionOptions::new().with_threads(3).with_batch_size(2);
        match self.fit_and_transform(batches, options) {
            Ok((_, found)) if found == *expected => {}
            Ok((_, found)) => self.problem(form, &format!("gives {found:?}, not {expected:?}")),
            Err(error) => self.problem(form, &error.to_string()),
        }
    }

    fn promises(
        &mut self,
        fitted: &FittedWorkflow,
        input: &RecordBatch,
        output: &RecordBatch,
    ) -> Result<()> {
        let data = dataset(vec![input.clone()])?;
        let promised = Workflow::new(self.node.clone()).output_schema(data.schema())?;
        let known = fitted.output_schema();
        if promised.names() != known.names() {
            let (promised, known) = (promised.names(), known.names());
            self.problem("schema", &format!("promises {promised:?}, gives {known:?}"));
        }
        let arrow = known.to_arrow()?;
        for (field, found) in arrow.fields().iter().zip(output.schema().fields()) {
            let leaf = crate::operator::leaf_type;
            if leaf(field.data_type()) != leaf(found.data_type()) {
                let (name, promised, found) = (field.name(), field.data_type(), found.data_type());
                self.problem(
                    "schema",
                    &format!("`{name}` is {found}, promised is {promised}"),
                );
            }
        }
        for (promised, known) in promised.iter().zip(known.iter()) {
            if promised.dtype() != known.dtype() || promised.tags() != known.tags() {
                let name = known.name();
                self.problem(
                    "schema",
                    &format!("fitting changes type or tags of `{name}`"),
                );
            }
        }
        Ok(())
    }

    fn saved(
        &mut self,
        fitted: &FittedWorkflow,
        input: &RecordBatch,
        expected: &RecordBatch,
    ) -> Result<()> {
        let folder = tempfile::tempdir().map_err(Error::io("create", "a temporary folder"))?;
        let path = folder.path().join("workflow");
        fitted.save(&path)?;
        let data = dataset(vec![input.clone()])?;
        let loaded = FittedWorkflow::load_with(&path, self.registry.clone())?;
        if transform(&loaded, &data)? != *expected {
            self.problem("saved and loaded", "gives another output");
        }
        let again = folder.path().join("again");
        let options = SessionOptions::new().with_threads(2).with_batch_size(2);
        Workflow::new(self.node.clone())
            .with_options(options)
            .fit(&data)?
            .save(&again)?;
        let (first, second) = (files(&path)?, files(&again)?);
        for (name, bytes) in &first {
            if second.get(name) != Some(bytes) {
                self.problem("fitted twice", &format!("`{name}` differs"));
            }
        }
        if first.len() != second.len() {
            self.problem("fitted twice", "stores other files");
        }
        Ok(())
    }

    /// Fitting on one part of the rows and learning from the other is fitting on all.
    fn learned_in_parts(&mut self, whole: &FittedWorkflow, input: &RecordBatch) -> Result<()> {
        let middle = input.num_rows() / 2;
        let first = dataset(vec![input.slice(0, middle)])?;
        let second = dataset(vec![input.slice(middle, input.num_rows() - middle)])?;
        if input.slice(0, middle) == input.slice(middle, input.num_rows() - middle) {
            // The same data are not learned from twice.
            return Ok(());
        }
        // A part may hold too little to be fitted on.
        let Ok(fitted) = Workflow::new(self.node.clone()).fit(&first) else {
            return Ok(());
        };
        let refitted = match fitted.refit(&second, NewIds::ByCount) {
            // An operator may say that an option does not allow it.
            Err(Error::InvalidOption { .. }) => return Ok(()),
            refitted => refitted?,
        };
        // Rows that none of both was fitted on.
        let twice = concat_batches(&input.schema(), [input, input]).map_err(arrow_error)?;
        let twice = dataset(vec![twice])?;
        let (found, expected) = (transform(&refitted, &twice)?, transform(whole, &twice)?);
        if found != expected {
            let problem = format!("gives {found:?}, not {expected:?}");
            self.problem("learned in two parts", &problem);
        }
        Ok(())
    }

    fn no_rows(&mut self, fitted: &FittedWorkflow, input: &RecordBatch) {
        let empty = dataset(vec![input.slice(0, 0)]);
        match empty.and_then(|empty| transform(fitted, &empty)) {
            Ok(output) if output.num_rows() == 0 => {}
            Ok(output) => self.problem("no rows", &format!("gives {output:?}")),
            Err(error) => self.problem("no rows", &error.to_string()),
        }
    }
}

/// The same rows in other forms.
fn forms(input: &RecordBatch) -> Vec<(String, Result<Vec<RecordBatch>>)> {
    let rows = input.num_rows();
    let mut forms: Vec<(String, Result<Vec<RecordBatch>>)> = [1, 2, 3]
        .map(|length| {
            let parts = (0..rows).step_by(length);
            let parts = parts.map(|start| input.slice(start, length.min(rows - start)));
            (format!("batches of {length} rows"), Ok(parts.collect()))
        })
        .into();
    let three = concat_batches(&input.schema(), [input, input, input]);
    forms.push((
        "part of larger arrays".to_owned(),
        three
            .map(|three| vec![three.slice(rows, rows)])
            .map_err(arrow_error),
    ));
    forms.push(("texts as dictionaries".to_owned(), dictionaries(input)));
    forms
}

fn dictionaries(input: &RecordBatch) -> Result<Vec<RecordBatch>> {
    let encode = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8 => {
            let encoded = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
            cast(column, &encoded).map_err(arrow_error)
        }
        _ => Ok(Arc::clone(column)),
    };
    let columns = input.columns().iter().map(encode);
    with_columns(input, columns.collect::<Result<_>>()?).map(|batch| vec![batch])
}

fn nulls(input: &RecordBatch) -> RecordBatch {
    let columns = input.columns().iter();
    let columns = columns.map(|column| new_null_array(column.data_type(), column.len()));
    with_columns(input, columns.collect()).unwrap_or_else(|_| input.slice(0, 0))
}

fn with_columns(input: &RecordBatch, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let schema = input.schema();
    let named = schema.fields().iter().zip(columns);
    RecordBatch::try_from_iter_with_nullable(
        named.map(|(field, column)| (field.name(), column, true)),
    )
    .map_err(arrow_error)
}

fn dataset(batches: Vec<RecordBatch>) -> Result<Dataset> {
    let schema = batches
        .first()
        .map(RecordBatch::schema)
        .ok_or_else(|| Error::Internal("a conformance test without batches".to_owned()))?;
    Dataset::from_batches(schema, batches)
}

fn transform(fitted: &FittedWorkflow, data: &Dataset) -> Result<RecordBatch> {
    let batches = fitted.transform(data)?.collect()?;
    match batches.first() {
        Some(first) => concat_batches(&first.schema(), &batches).map_err(arrow_error),
        None => Ok(RecordBatch::new_empty(Arc::new(
            fitted.output_schema().to_arrow()?,
        ))),
    }
}

/// All files below a folder, by relative path.
fn files(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                found.insert(name, fs::read(&path).map_err(Error::io("read", &path))?);
            }
        }
    }
    Ok(found)
}

fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::query("a conformance test")(error.into())
}
