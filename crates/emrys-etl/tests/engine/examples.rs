//! Documentation that cannot rot: the examples of every operator are run.

use emrys_etl::ops::{build, registry};
use serde_json::Value;

use crate::table::run;

#[test]
fn every_example_gives_what_it_says() {
    let mut wrong = Vec::new();
    for entry in registry() {
        for example in (entry.examples)() {
            let operator = build(entry.name, example.config.clone()).unwrap();
            let node = example.inputs().apply(operator);
            let found = run(node, &example.input);
            if !close(&found, &example.output) {
                let (title, expected) = (example.title, example.output);
                wrong.push(format!(
                    "{}: {title}\n  found {found}\n  not   {expected}",
                    entry.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn close(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| close(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-6 * b.abs().max(1.0)
        }
        (a, b) => a == b,
    }
}

#[test]
fn names_are_unique_and_descriptions_are_sentences() {
    let entries = registry();
    let mut names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), entries.len());
    let poor: Vec<_> = entries
        .iter()
        .filter(|entry| {
            let text = entry.description;
            !text.ends_with('.') || !text.starts_with(|c: char| c.is_ascii_uppercase())
        })
        .map(|entry| entry.name)
        .collect();
    assert!(poor.is_empty(), "descriptions to mend: {poor:?}");
}
