//! What is learned of numbers in two steps is what is learned at once.

use emrys_etl::ops::{
    Bucketize, Categorify, DataStats, DropLowCardinality, FillMedian, NormalizeMinMax,
    ReduceDtypeSize,
};
use emrys_etl::{Dataset, FittedWorkflow, NewIds, Node, Workflow, all_columns, cols};
use rstest::rstest;
use serde_json::{Value, json};

use crate::table::{collect, dataset};

/// Some rows, those of the second half in another range.
fn rows(range: std::ops::Range<i64>) -> Dataset {
    let values = |value: &dyn Fn(i64) -> Value| range.clone().map(value).collect::<Vec<_>>();
    let number = |i: i64| (i * 7919) % 1009 + i * i / 50;
    dataset(&json!({
        "i": values(&|i| if i % 9 == 0 { Value::Null } else { json!(number(i) - 400) }),
        "x": values(&|i| if i % 7 == 0 { Value::Null } else { json!(number(i) as f64 / 3.0) }),
        "l": values(&|i| json!((0..i % 4).map(|k| number(i + k)).collect::<Vec<_>>())),
    }))
}

fn in_two_steps(node: &Node) -> FittedWorkflow {
    let fitted = Workflow::new(node.clone()).fit(&rows(0..300)).unwrap();
    fitted.refit(&rows(300..700), NewIds::Append).unwrap()
}

fn at_once(node: &Node) -> FittedWorkflow {
    Workflow::new(node.clone()).fit(&rows(0..700)).unwrap()
}

#[rstest]
#[case::range(all_columns() >> NormalizeMinMax::default())]
#[case::median(all_columns() >> FillMedian::default())]
#[case::approximate_median(all_columns() >> FillMedian::default().with_approximate(true))]
#[case::quantiles(all_columns() >> Bucketize::quantiles(7))]
#[case::approximate_quantiles(all_columns() >> Bucketize::quantiles(7).with_approximate(true))]
#[case::types(all_columns() >> ReduceDtypeSize::default())]
fn in_two_steps_as_at_once(#[case] node: Node) {
    let (refitted, fitted) = (in_two_steps(&node), at_once(&node));
    assert_eq!(refitted.output_schema(), fitted.output_schema());
    let other = rows(100..650);
    assert_eq!(collect(&refitted, &other), collect(&fitted, &other));
}

#[rstest]
#[case::exact(DataStats::default())]
#[case::approximate(DataStats::default().with_approximate(true))]
fn statistics_of_two_parts_are_those_of_all_rows(#[case] operator: DataStats) {
    let node = all_columns() >> operator;
    let (refitted, fitted) = (in_two_steps(&node), at_once(&node));
    let (refitted, fitted) = (DataStats::of(&refitted), DataStats::of(&fitted));
    assert_eq!(refitted.len(), 3);
    for (mut found, expected) in refitted.into_iter().zip(fitted) {
        for (number, right) in [
            (&mut found.mean, expected.mean),
            (&mut found.std, expected.std),
        ] {
            let (value, right) = (number.unwrap(), right.unwrap());
            assert!(
                (value - right).abs() <= 1e-12 * right.abs(),
                "{value}, not {right}"
            );
            *number = Some(right);
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn a_column_comes_back_once_it_has_more_categories() {
    let ids = cols(["c"]) >> Categorify::default() >> DropLowCardinality::default();
    let node = ids + cols(["v"]);
    let first = dataset(&json!({"c": ["a", "a"], "v": [1, 2]}));
    let fitted = Workflow::new(node).fit(&first).unwrap();
    assert_eq!(fitted.output_schema().names(), ["v"]);
    let second = dataset(&json!({"c": ["b", "a"], "v": [3, 4]}));
    let refitted = fitted.refit(&second, NewIds::Append).unwrap();
    assert_eq!(refitted.output_schema().names(), ["c", "v"]);
}
