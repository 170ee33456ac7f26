//! Nulls that are filled before they are numbered: the engine counts and numbers them as the value,
//! without filling anything.

use arrow::array::Array;
use emrys_etl::ops::{Categorify, FillMissing};
use emrys_etl::{Dataset, Workflow, cols};
use rstest::rstest;
use serde_json::{Value, json};

use crate::table::{collect, dataset, json as table};

/// The ids of `unseen` by categories of `seen`, both filled before.
fn ids(fill: &FillMissing, categorify: &Categorify, seen: &Value, unseen: &Value) -> Value {
    let node = cols(["x"]) >> fill.clone() >> categorify.clone();
    let fitted = Workflow::new(node).fit(&dataset(seen)).unwrap();
    table(&collect(&fitted, &dataset(unseen)))
}

/// The same in two steps, the second of which knows nothing of nulls.
fn ids_in_steps(
    fill: &FillMissing,
    categorify: &Categorify,
    seen: &Value,
    unseen: &Value,
) -> Value {
    let filled = |data: &Value| {
        let data = dataset(data);
        let workflow = Workflow::new(cols(["x"]) >> fill.clone());
        let batch = collect(&workflow.fit(&data).unwrap(), &data);
        assert_eq!(batch.column(0).null_count(), 0);
        Dataset::from_batches(batch.schema(), vec![batch]).unwrap()
    };
    let workflow = Workflow::new(cols(["x"]) >> categorify.clone());
    let fitted = workflow.fit(&filled(seen)).unwrap();
    table(&collect(&fitted, &filled(unseen)))
}

#[rstest]
#[case::integers(FillMissing::with(7), json!([7, 8, null, 8, 9, null, 8]), json!([null, 7, 8, 9, 5]))]
#[case::zero(FillMissing::with(0), json!([7, null, 8, 7, null, null]), json!([null, 0, 7, 8, 5]))]
#[case::wide(FillMissing::with(0), json!([-1, null, 1_i64 << 40, -1]), json!([null, 0, -1, 1_i64 << 40, 5]))]
#[case::texts(FillMissing::with("a"), json!(["a", "b", null, "b", "b"]), json!([null, "a", "b", "c"]))]
#[case::empty_text(FillMissing::with(""), json!(["a", null, null]), json!([null, "", "a", "c"]))]
#[case::long_text(
    FillMissing::with("a text of more than twelve bytes"),
    json!(["a", null, "a text of more than twelve bytes", null]),
    json!([null, "a text of more than twelve bytes", "a"])
)]
#[case::value_not_seen(FillMissing::with(3), json!([1, 2, 2]), json!([null, 1, 2, 3]))]
#[case::floats(FillMissing::with(2.0), json!([1.5, null, 2.0, 1.5, 1.5]), json!([null, 2.0, 1.5, 4.0]))]
fn they_are_as_if_filled(
    #[case] fill: FillMissing,
    #[case] seen: Value,
    #[case] unseen: Value,
    #[values(
        Categorify::new(),
        Categorify::new().with_freq_threshold(2),
        Categorify::new().with_max_size(4),
        Categorify::new().with_num_buckets(5).with_freq_threshold(2),
        Categorify::new().with_start_index(3)
    )]
    categorify: Categorify,
) {
    let (seen, unseen) = (json!({"x": seen}), json!({"x": unseen}));
    let found = ids(&fill, &categorify, &seen, &unseen);
    assert_eq!(found, ids_in_steps(&fill, &categorify, &seen, &unseen));
    let known = ids(&fill, &categorify, &seen, &seen);
    assert_eq!(known, ids_in_steps(&fill, &categorify, &seen, &seen));
}

#[test]
fn the_id_of_nulls_is_that_of_the_value() {
    let (seen, unseen) = (json!({"x": [7, 7, null, 8]}), json!({"x": [null, 7, 8, 9]}));
    let found = ids(&FillMissing::with(8), &Categorify::new(), &seen, &unseen);
    // 7 and 8 occur twice each, counting the null.
    assert_eq!(found, json!({"x": [4, 3, 4, 2]}));
}

#[test]
fn the_plans_fill_nothing() {
    let data = dataset(&json!({"x": [1, null]}));
    let node = cols(["x"]) >> FillMissing::with(7) >> Categorify::new();
    let workflow = Workflow::new(node);
    let plans = [
        workflow.explain(&data).unwrap(),
        workflow.fit(&data).unwrap().explain(&data).unwrap(),
    ];
    for plan in plans {
        assert!(
            plan.contains("TableScan") && !plan.contains("fill("),
            "{plan}"
        );
    }
}
