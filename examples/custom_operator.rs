//! An operator of your own, in a program of your own.
//!
//! You learn how an operator says which columns come out, what it must know of the data, and how
//! its result is computed; that it is fitted in the same scans as all others; and that a workflow
//! which has it is saved, and loaded through a registry that knows it.
//!
//! ```text
//! cargo run --release --example custom_operator
//! ```

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{cast, lit};
use datafusion::scalar::ScalarValue;
use emrys::etl::operator::{
    FitResults, InputSchema, Lowered, NewIds, Operator, Relation, Statistic,
};
use emrys::etl::ops::Registry;
use emrys::etl::{Error as EtlError, Result};
use emrys::prelude::*;
use serde::{Deserialize, Serialize};

/// How long before the newest event an event was, in units of `unit` seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recency {
    unit: i64,
}

impl Recency {
    const DAYS: Recency = Recency { unit: 86_400 };
}

impl Operator for Recency {
    /// The newest time of each column. Whatever serde can store is a state.
    type State = BTreeMap<String, i64>;

    fn name() -> &'static str {
        "Recency"
    }

    fn description() -> &'static str {
        "Turns times into their distance from the newest time of the training data."
    }

    fn check(&self) -> Result<()> {
        if self.unit > 0 {
            return Ok(());
        }
        Err(EtlError::InvalidOption {
            operator: "recency".to_owned(),
            option: "unit".to_owned(),
            value: self.unit.to_string(),
            expected: "it must be a positive number of seconds".to_owned(),
        })
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&Self::State>) -> Result<Schema> {
        input.require_scalars()?;
        let columns = input.columns().map(|column| {
            input.require(column, "a time in seconds", DType::is_integer)?;
            let name = format!("{}_age", column.name());
            Ok(ColumnSchema::new(name, DType::Float64).with_tags([Tag::Continuous]))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let newest = input.columns().map(|column| {
            Ok(Statistic::Aggregate {
                name: column.name().to_owned(),
                expr: max(cast(input.expr(column.name())?, DataType::Int64)),
            })
        });
        newest.collect()
    }

    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<Self::State> {
        let newest = input.columns().map(|column| {
            let name = column.name();
            match results.aggregate(name)? {
                ScalarValue::Int64(Some(newest)) => Ok((name.to_owned(), *newest)),
                _ => Err(EtlError::Data {
                    operator: input.operator().to_owned(),
                    problem: format!("`{name}` has no time at all; leave it out"),
                }),
            }
        });
        newest.collect()
    }

    fn refit(
        &self,
        state: &Self::State,
        input: &InputSchema,
        results: FitResults,
        _ids: NewIds,
    ) -> Result<Self::State> {
        let mut newest = self.fit(input, results)?;
        for (column, time) in &mut newest {
            *time = state.get(column).copied().unwrap_or(i64::MIN).max(*time);
        }
        Ok(newest)
    }

    fn lower(&self, state: &Self::State, input: &Relation) -> Result<Lowered> {
        let columns = input.columns().map(|column| {
            let name = column.name();
            let newest = lit(state.get(name).copied().unwrap_or_default());
            let age = newest - cast(input.expr(name)?, DataType::Int64);
            let units = cast(age, DataType::Float64) / lit(self.unit as f64);
            Ok((format!("{name}_age"), units))
        });
        Ok(Lowered::Columns(columns.collect::<Result<_>>()?))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let user: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "ann"]));
    let time: ArrayRef = Arc::new(Int64Array::from(vec![1_000_000, 1_172_800, 1_043_200]));
    let events = RecordBatch::try_from_iter([("user", user), ("time", time)])?;
    let data = Dataset::from_batches(events.schema(), vec![events])?;

    let features = (cols(["user"]) >> Categorify::new()) + (cols(["time"]) >> Recency::DAYS);
    let workflow = Workflow::new(features).fit(&data)?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("workflow");
    workflow.save(&path)?;

    println!("without the registry:");
    match FittedWorkflow::load(&path) {
        Err(error) => println!("  {error}\n"),
        Ok(_) => return Err("an unknown operator was loaded".into()),
    }
    let loaded = FittedWorkflow::load_with(&path, Registry::default().with::<Recency>())?;
    let rows = loaded.transform(&data)?.collect()?;
    if rows != workflow.transform(&data)?.collect()? {
        return Err("the loaded workflow gives something else".into());
    }
    println!("with it:\n{}", pretty_format_batches(&rows)?);
    let operators = Registry::default().entries().len();
    println!(
        "{}",
        serde_json::json!({"operators": operators, "rows": data.num_rows()})
    );
    Ok(())
}
