//! Schemas of names without types.

use emrys_etl::Workflow;
use emrys_etl::ops::registry;
use emrys_schema::{ColumnSchema, DType, Schema};

use crate::table::batch;

#[test]
fn every_operator_tells_its_outputs_from_names_alone() {
    let mut wrong = Vec::new();
    for entry in registry() {
        for example in (entry.examples)() {
            let operator = entry.build(example.config.clone()).unwrap();
            let workflow = Workflow::new(example.inputs().apply(operator));
            let input = batch(&example.input);
            let names: Vec<String> = input
                .schema()
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect();
            let untyped = names
                .iter()
                .map(|name| ColumnSchema::new(name, DType::Unknown));
            let found = workflow.output_schema(&Schema::new(untyped).unwrap());
            let expected: Vec<&str> = match example.output.as_object() {
                Some(columns) => columns.keys().map(String::as_str).collect(),
                None => continue,
            };
            match found {
                Ok(schema) if schema.names() == expected => {}
                Ok(schema) => wrong.push(format!(
                    "{}, {}: {:?} instead of {expected:?}",
                    entry.name,
                    example.title,
                    schema.names()
                )),
                Err(error) => wrong.push(format!("{}, {}: {error}", entry.name, example.title)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
