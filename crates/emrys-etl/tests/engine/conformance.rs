//! What must hold for every operator.

use emrys_etl::ops::{build, registry};
use emrys_etl::testing::conformance;

#[test]
fn every_operator_conforms() {
    let mut problems = Vec::new();
    for entry in registry() {
        for example in (entry.examples)() {
            let operator = build(entry.name, example.config.clone()).unwrap();
            problems.extend(conformance(&operator, &example));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
