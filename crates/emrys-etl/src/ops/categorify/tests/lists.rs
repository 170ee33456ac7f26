//! List columns: each element has the id of its value.

use arrow::array::*;
use arrow::datatypes::{Int32Type, Int64Type};

use super::super::{Categorify, IdType};
use super::{array, fit, id_lists, ids, letters, lists, transform};
use crate::{cols, group};

#[test]
fn lists_are_encoded_by_element() {
    let columns = [("a", lists([Some("a"), Some("ae"), Some("bc"), Some("c")]))];
    let all = transform(&fit(cols(["a"]) >> Categorify::new(), &columns), &columns);
    assert_eq!(
        id_lists(&all["a"]),
        [vec![3], vec![3, 6], vec![5, 4], vec![4]].map(Some)
    );
    let node = cols(["a"])
        >> Categorify::new()
            .with_freq_threshold(2)
            .with_id_type(IdType::Int32);
    let frequent = transform(&fit(node, &columns), &columns);
    let expected =
        [[3].as_slice(), &[3, 2], &[2, 4], &[4]].map(|row| Some(row.iter().copied().map(Some)));
    let expected = ListArray::from_iter_primitive::<Int32Type, _, _>(expected);
    assert_eq!(
        frequent["a"].as_list::<i32>().iter().collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
}

#[test]
fn nulls_in_lists_are_1_and_null_lists_stay_null() {
    let columns = [("a", lists([Some("x-"), None, Some(""), Some("-yx")]))];
    let workflow = fit(cols(["a"]) >> Categorify::new(), &columns);
    let expected = [Some(vec![3, 1]), None, Some(vec![]), Some(vec![1, 4, 3])];
    assert_eq!(id_lists(&transform(&workflow, &columns)["a"]), expected);
}

#[test]
fn lists_have_buckets() {
    let columns = [("a", lists([Some("xx"), Some("y")]))];
    let workflow = fit(
        cols(["a"]) >> Categorify::new().with_freq_threshold(2).with_num_buckets(7),
        &columns,
    );
    let encoded = id_lists(&transform(&workflow, &[("a", lists([Some("xyqy")]))])["a"]);
    let row = encoded[0].clone().unwrap();
    assert_eq!(row[0], 9);
    assert_eq!(row[1], row[3]);
    assert!(row[1..].iter().all(|id| (2..9).contains(id)), "{row:?}");
}

#[test]
fn fixed_and_nested_lists_keep_their_shape() {
    let fixed = FixedSizeListArray::try_new(
        std::sync::Arc::new(arrow::datatypes::Field::new_list_field(
            arrow::datatypes::DataType::Utf8,
            true,
        )),
        2,
        letters("xyx-"),
        None,
    )
    .unwrap();
    let mut nested = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    nested.values().values().append_value("x");
    nested.values().append(true);
    nested.values().append(false);
    nested.append(true);
    nested.append(true);
    let columns = [("f", array(fixed)), ("n", array(nested.finish()))];
    let batch = transform(
        &fit(cols(["f", "n"]) >> Categorify::new(), &columns),
        &columns,
    );
    assert_eq!(
        batch["f"]
            .as_fixed_size_list()
            .values()
            .as_primitive::<Int64Type>()
            .values(),
        &[3, 4, 3, 1]
    );
    let outer = batch["n"].as_list::<i32>();
    assert_eq!((outer.value_length(0), outer.value_length(1)), (2, 0));
    assert_eq!(id_lists(outer.values()), [Some(vec![3]), None]);
}

#[test]
fn lists_and_single_values_share_a_vocabulary() {
    let columns = [
        ("author", letters("AEBC")),
        (
            "engaging",
            lists([Some("BC"), Some(""), Some("AD"), Some("A")]),
        ),
    ];
    let workflow = fit(group(["author", "engaging"]) >> Categorify::new(), &columns);
    let batch = transform(&workflow, &columns);
    assert_eq!(ids(&batch, "author"), [3, 7, 4, 5]);
    assert_eq!(
        id_lists(&batch["engaging"]),
        [vec![4, 5], vec![], vec![3, 6], vec![3]].map(Some)
    );
}
