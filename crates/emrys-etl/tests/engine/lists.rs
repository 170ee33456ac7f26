//! Operators on lists.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use emrys_etl::ops::{Aggregate, DifferenceLag, ListAggregate, ListSlice, PadSide, ValueCount};
use emrys_etl::{Dataset, Workflow, cols};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{batch, collect, dataset, error, json as table, run};

#[test]
fn padding_that_no_batch_can_hold_is_refused() {
    let slice = ListSlice::first(1 << 30).with_padding(0);
    assert_eq!(
        error(cols(["x"]) >> slice, &json!({"x": [[1], [2], [3]]})),
        "list_slice: `pad` is true, to 1073741824 elements, but 3 rows of them are too many for one \
         batch; pad less, or set a smaller batch size"
    );
}

#[test]
fn padded_lists_have_one_length_and_keep_their_type() {
    let data = dataset(&json!({"x": [[1, 2, 3, 4], [5], [], null]}));
    let slice = ListSlice::first(3)
        .with_padding(9.0)
        .with_pad_side(PadSide::Left);
    let fitted = Workflow::new(cols(["x"]) >> slice).fit(&data).unwrap();
    let rows = collect(&fitted, &data);
    let element = Arc::new(Field::new_list_field(DataType::Int64, true));
    assert_eq!(
        rows.column(0).data_type(),
        &DataType::FixedSizeList(element, 3)
    );
    let lists = rows.column(0).as_fixed_size_list();
    assert_eq!(lists.null_count(), 0);
    let values = cast(lists.values(), &DataType::Int64).unwrap();
    let values = values.as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(values.values(), &[1, 2, 3, 9, 9, 5, 9, 9, 9, 9, 9, 9]);
}

#[test]
fn lists_of_text_need_a_text_to_fill_up() {
    let data = json!({"x": [["a"], []]});
    let node = cols(["x"]) >> ListSlice::last(2).with_padding("");
    assert_eq!(run(node, &data), json!({"x": [["a", ""], ["", ""]]}));
    let node = cols(["x"]) >> ListSlice::last(2).with_padding(0);
    assert_eq!(
        error(node, &data),
        "list_slice: `pad_value` is 0, but the elements of `x` are string; give a value of that type"
    );
    let node = cols(["x"]) >> ListSlice::last(2);
    assert_eq!(
        error(node, &json!({"x": [1]})),
        "list_slice: column `x` is int64, but a list is needed; leave it out"
    );
}

#[test]
fn the_outer_lists_of_lists_are_cut_and_filled_up_with_empty_ones() {
    let data = json!({"x": [[[1, 2], [3], [4]], [[5]], []]});
    let node = cols(["x"]) >> ListSlice::last(2);
    assert_eq!(run(node, &data), json!({"x": [[[3], [4]], [[5]], []]}));
    let node = cols(["x"]) >> ListSlice::last(2).with_padding(0);
    assert_eq!(
        run(node, &data),
        json!({"x": [[[3], [4]], [[5], []], [[], []]]})
    );
}

#[test]
fn all_kinds_of_lists_are_sliced() {
    let lists = batch(&json!({"x": [[7], [1, 2, 3], null, [4, 5]]}))
        .column(0)
        .clone();
    let element = Arc::new(Field::new_list_field(DataType::Int64, true));
    let large = cast(&lists, &DataType::LargeList(Arc::clone(&element))).unwrap();
    let fixed: ArrayRef = cast(
        &batch(&json!({"x": [[0, 0], [1, 2], [3, 4], [5, 6]]}))
            .column(0)
            .clone(),
        &DataType::FixedSizeList(element, 2),
    )
    .unwrap();
    let data = RecordBatch::try_from_iter_with_nullable([
        ("list", lists.slice(1, 3), true),
        ("large", large.slice(1, 3), true),
        ("fixed", fixed.slice(1, 3), true),
    ])
    .unwrap();
    let data = Dataset::from_batches(data.schema(), vec![data]).unwrap();
    let node = cols(["list", "large", "fixed"]);
    let last = node.clone() >> ListAggregate::new([Aggregate::Last, Aggregate::Len]);
    let fitted = Workflow::new(last).fit(&data).unwrap();
    assert_eq!(
        table(&collect(&fitted, &data)),
        json!({
            "list_last": [3, null, 5], "list_len": [3, null, 2],
            "large_last": [3, null, 5], "large_len": [3, null, 2],
            "fixed_last": [2, 4, 6], "fixed_len": [2, 2, 2],
        })
    );
    let fitted = Workflow::new(cols(["list", "large"]) >> ListSlice::first(2))
        .fit(&data)
        .unwrap();
    assert_eq!(
        table(&collect(&fitted, &data)),
        json!({"list": [[1, 2], null, [4, 5]], "large": [[1, 2], null, [4, 5]]})
    );
    let fitted = Workflow::new(cols(["fixed"]) >> ListSlice::last(1))
        .fit(&data)
        .unwrap();
    assert_eq!(
        fitted
            .output_schema()
            .get("fixed")
            .unwrap()
            .shape()
            .to_string(),
        "[1]"
    );
    assert_eq!(collect(&fitted, &data).num_rows(), 3);
}

#[test]
fn lengths_are_learned() {
    let data = dataset(&json!({"a": [[1], [1, 2, 3]], "b": [null, ["x"]], "c": [1, 2]}));
    let fitted = Workflow::new(cols(["a", "b", "c"]) >> ValueCount::default())
        .fit(&data)
        .unwrap();
    let shape = |name: &str| {
        fitted
            .output_schema()
            .get(name)
            .unwrap()
            .shape()
            .to_string()
    };
    assert_eq!(
        [shape("a"), shape("b"), shape("c")],
        ["[1..3]", "[0..1]", ""]
    );
    let empty = dataset(&json!({"a": [[], []]}));
    let fitted = Workflow::new(cols(["a"]) >> ValueCount::default())
        .fit(&empty)
        .unwrap();
    assert_eq!(
        fitted.output_schema().get("a").unwrap().shape().to_string(),
        "[0..]"
    );
}

#[test]
fn lists_that_all_have_one_length_become_fixed_ones() {
    let data = dataset(&json!({"v": [[1.0, 2.0], [3.0, 4.0]]}));
    let fitted = Workflow::new(cols(["v"]) >> ValueCount::default())
        .fit(&data)
        .unwrap();
    assert_eq!(
        fitted.output_schema().get("v").unwrap().shape().to_string(),
        "[2]"
    );
    assert_eq!(
        collect(&fitted, &data)
            .column(0)
            .as_fixed_size_list()
            .value_length(),
        2
    );
    let other = dataset(&json!({"v": [[1.0, 2.0], [3.0]]}));
    assert_eq!(
        fitted
            .transform(&other)
            .unwrap()
            .collect()
            .unwrap_err()
            .to_string(),
        "value_count: a list of `v` has 1 elements, but all had 2 when the workflow was fitted; let \
         ListSlice pad or cut them before"
    );
}

#[test]
fn differences_stay_within_lists() {
    let data = json!({"t": [[10, 12, null, 20], [], null, [5]]});
    let node = cols(["t"]) >> DifferenceLag::new(Vec::<String>::new()).with_shifts([1, -2]);
    assert_eq!(
        run(node, &data),
        json!({
            "t_difference_lag_1": [[null, 2.0, null, null], [], null, [null]],
            "t_difference_lag_-2": [[null, -8.0, null, null], [], null, [null]],
        })
    );
}

#[test]
fn aggregates_of_lists_refuse_what_makes_no_sense() {
    let data = json!({"l": [["a"]], "x": [1]});
    let node = cols(["l"]) >> ListAggregate::new([Aggregate::Sum]);
    assert_eq!(
        error(node, &data),
        "list_aggregate: column `l` is string[0..], but a number for `sum` is needed; cast it or \
         leave it out"
    );
    let node = cols(["x"]) >> ListAggregate::new([Aggregate::Len]);
    assert_eq!(
        error(node, &data),
        "list_aggregate: column `x` is int64, but a list is needed; leave it out"
    );
    let node = cols(["l"]) >> ListAggregate::new([Aggregate::List]);
    assert!(error(node, &data).starts_with(
        "list_aggregate: `aggs` is `list`, but there is no such aggregate; did you mean `last`?"
    ));
}

/// What Python's slice keeps.
fn python_slice(list: &[i64], start: i64, end: Option<i64>) -> Vec<i64> {
    let length = list.len() as i64;
    let (start, end) = match end {
        None if start > 0 => (0, start),
        None => (start, length),
        Some(end) => (start, end),
    };
    let at = |position: i64| match position < 0 {
        true => (length + position).max(0),
        false => position.min(length),
    };
    let (start, end) = (at(start), at(end));
    (start..end)
        .map(|position| list[position as usize])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn slices_are_those_of_python(
        lists in prop::collection::vec(prop::option::weighted(0.8, prop::collection::vec(0i64..9, 0..7)), 1..20),
        start in -5i64..6,
        length in prop::option::of(1i64..6),
    ) {
        let end = length.map(|length| start + length);
        // A slice from before the end to a place from the start is another matter.
        prop_assume!(start != 0 && end.is_none_or(|end| end != 0 && (start < 0) == (end < 0)));
        let slice = match (start, end) {
            (_, Some(end)) => ListSlice::between(start, end),
            (start, None) if start > 0 => ListSlice::first(start as u32),
            (start, None) => ListSlice::last(start.unsigned_abs() as u32),
        };
        // One list at least, so that the column is one of lists.
        let lists: Vec<Option<Vec<i64>>> = lists.into_iter().chain([Some(vec![1])]).collect();
        let expected: Vec<Option<Vec<i64>>> = lists
            .iter()
            .map(|list| list.as_ref().map(|list| python_slice(list, start, end)))
            .collect();
        let found = run(cols(["x"]) >> slice, &json!({"x": lists}));
        prop_assert_eq!(found, json!({"x": expected}));
    }
}
