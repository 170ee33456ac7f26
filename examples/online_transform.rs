//! From a saved workflow to the features of one request, and of a stream of them.
//!
//! You learn how a workflow is made ready to serve without the columns that it only learned from;
//! that one row is transformed as a whole data set is, bit for bit, in a fraction of a millisecond;
//! how a stream of rows is transformed; and how ids become values again.
//!
//! ```text
//! cargo run --release --example online_transform
//! ```

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::util::pretty::pretty_format_batches;
use emrys::datasets::synthetic::ClickLog;
use emrys::etl::operator::Markers;
use emrys::etl::{Session, SessionOptions};
use emrys::prelude::*;
use futures::stream::{self, TryStreamExt};

const REQUESTS: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = ClickLog::new(20_000, REQUESTS as u64)
        .with_users(500)
        .with_items(200)
        .write(folder.path().join("raw"))?;

    println!("1. fitted, cut down to what a request has, saved and loaded");
    let ids = cols(["user_id", "item_id", "city"]) >> Categorify::new().with_num_buckets(8);
    let price = cols(["price"]) >> LogOp >> Normalize::default() >> FillMissing::with(0.0);
    let rates = cols(["user_id", "item_id"]) >> TargetEncoding::new("click");
    let click = cols(["click"]) >> TagAs::BINARY_TARGET;
    let fitted = Workflow::new(ids + price + rates + click).fit(&Dataset::open(&log.train)?)?;
    let path = folder.path().join("workflow");
    fitted.remove_inputs(["click"])?.save(&path)?;
    let workflow = FittedWorkflow::load(&path)?;
    println!("   in:  {}", workflow.input_schema().names().join(", "));
    println!("   out: {}", workflow.output_schema().names().join(", "));

    println!("\n2. one row at a time");
    let valid = Dataset::open(&log.valid)?;
    let expected = workflow.transform(&valid)?.collect()?;
    let expected = concat_batches(&expected[0].schema(), &expected)?;
    let requests = requests(&valid, &workflow)?;
    // The first batch is compiled.
    workflow.transform_batch(&requests.slice(0, 1))?;
    let started = Instant::now();
    for row in 0..REQUESTS {
        let features = workflow.transform_batch(&requests.slice(row, 1))?;
        if features != expected.slice(row, 1) {
            return Err(format!("row {row} differs from that of the data set").into());
        }
    }
    let milliseconds = 1e3 * started.elapsed().as_secs_f64() / REQUESTS as f64;
    println!("   {REQUESTS} rows as in the data set, bit for bit, in {milliseconds:.3} ms each");

    println!("\n3. as a stream");
    let batches: Vec<_> = (0..REQUESTS)
        .step_by(64)
        .map(|row| Ok(requests.slice(row, 64.min(REQUESTS - row))))
        .collect();
    let schema = requests.schema();
    let transformed = workflow.transform_stream(&schema, stream::iter(batches))?;
    let transformed: Vec<RecordBatch> = futures::executor::block_on(transformed.try_collect())?;
    let batches = transformed.len();
    if concat_batches(&expected.schema(), &transformed)? != expected {
        return Err("the stream differs from the data set".into());
    }
    println!("   {batches} batches, the same rows");

    println!("\n4. a request with a user and a city that nobody has seen, and back again");
    let strange = [("user_id", "nobody"), ("city", "Atlantis")];
    let stranger = with_texts(&requests.slice(0, 1), &strange)?;
    let features = workflow.transform_batch(&stranger)?;
    let inverse = workflow
        .inverse()?
        .with_markers(Markers::new().with_unseen("-1"));
    let back = inverse.batch(&features)?;
    println!("{}", pretty_format_batches(&[features])?);
    println!("{}", pretty_format_batches(&[back])?);

    println!(
        "\n{}",
        serde_json::json!({"requests": REQUESTS, "milliseconds": milliseconds})
    );
    Ok(())
}

/// The rows of a data set with the columns that the workflow needs, as requests would bring them.
fn requests(data: &Dataset, workflow: &FittedWorkflow) -> Result<RecordBatch, Box<dyn Error>> {
    let session = Session::new(SessionOptions::new())?;
    let columns = workflow.input_schema().names();
    let frame = data.to_dataframe(session.context(), Some(&columns))?;
    let batches = session.block_on(frame.collect())?;
    Ok(concat_batches(&batches[0].schema(), &batches)?)
}

/// A row with other texts in some of its columns.
fn with_texts(row: &RecordBatch, texts: &[(&str, &str)]) -> Result<RecordBatch, Box<dyn Error>> {
    let schema = row.schema();
    let named = schema.fields().iter().zip(row.columns());
    let columns = named.map(|(field, values)| {
        let text = texts.iter().find(|(name, _)| name == field.name());
        let values = match text {
            Some((_, text)) => Arc::new(StringArray::from(vec![*text])) as ArrayRef,
            None => Arc::clone(values),
        };
        (field.name(), values, true)
    });
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
