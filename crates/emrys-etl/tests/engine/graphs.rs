//! Graph algebra, rounds, and rows.

use emrys_etl::ops::{
    Bucketize, Categorify, EncodeType, FillMissing, Filter, Lambda, LogOp, Normalize, Rename, TagAs,
};
use emrys_etl::{Selector, Workflow, all_columns, cols, group, group_of, select, tagged};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use serde_json::json;

use crate::table::{collect, dataset, error, json as as_json, run};

#[test]
fn sums_and_differences_keep_the_order() {
    let data = json!({"a": [1], "b": [2], "c": [3]});
    assert_eq!(
        run(cols(["c"]) + cols(["a"]), &data),
        json!({"c": [3], "a": [1]})
    );
    assert_eq!(
        run(all_columns() - ["b"], &data),
        json!({"a": [1], "c": [3]})
    );
    assert_eq!(
        run(all_columns() - cols(["a", "b"]), &data),
        json!({"c": [3]})
    );
    assert_eq!(
        run(all_columns().subset(["c", "b"]), &data),
        json!({"c": [3], "b": [2]})
    );
}

#[test]
fn a_group_of_columns_that_no_tag_finds_is_no_group() {
    let data = json!({"a": ["x", "y"]});
    let nothing = tagged(["session"]).grouped() >> Categorify::default();
    assert_eq!(run(nothing + cols(["a"]), &data), json!({"a": ["x", "y"]}));
}

#[test]
fn a_node_used_twice_stands_in_the_plan_once() {
    let data = dataset(&json!({"a": [1.0, 2.0, 3.0]}));
    let scaled = cols(["a"]) >> Lambda::new("power(x, 3)");
    let left = scaled.clone() >> Lambda::new("x + 1") >> Rename::to("left");
    let right = scaled >> Lambda::new("x + 2") >> Rename::to("right");
    let fitted = Workflow::new(left + right).fit(&data).unwrap();
    let plan = fitted.explain(&data).unwrap();
    let logical = plan.split("\n\n").next().unwrap();
    assert_eq!(logical.matches("power").count(), 1, "{plan}");
}

#[test]
fn statistics_follow_those_of_the_operators_before() {
    // Mean 2 and deviation 1 of what was filled, not of what was there.
    let data = json!({"a": [1.0, null, 3.0]});
    let node = cols(["a"]) >> FillMissing::with(2.0) >> Normalize::default();
    assert_eq!(run(node, &data), json!({"a": [-1.0, 0.0, 1.0]}));
}

#[test]
fn rows_that_were_filtered_do_not_meet_those_that_were_not() {
    let data = json!({"a": [1, 2, 3], "b": [4, 5, 6]});
    let node = (cols(["a"]) >> Filter::new("a > 1")) + cols(["b"]);
    assert_eq!(
        error(node, &data),
        "sum of nodes: `a` has the rows of filter (node 1), but `b` has the rows of the data set; \
         let both come from the same operator"
    );
}

#[test]
fn what_comes_after_a_filter_sees_the_rows_that_are_left() {
    let data = json!({"user": ["u", "v", "u"], "rating": [5, 1, 4]});
    let kept = cols(["user", "rating"]) >> Filter::new("rating > 3");
    let node = kept.subset(["user"]) >> Categorify::default();
    assert_eq!(run(node, &data), json!({"user": [3, 3]}));
}

#[test]
fn a_filter_may_use_columns_that_it_does_not_put_out() {
    let data = json!({"user": ["u", "v"], "rating": [5, 1]});
    let node = cols(["user"]) >> Filter::new("rating > 3");
    assert_eq!(run(node, &data), json!({"user": ["u"]}));
}

#[test]
fn all_errors_of_a_graph_are_told_at_once() {
    let data = json!({"name": ["x"], "age": [1]});
    let node = (cols(["name"]) >> LogOp) + (cols(["ages"]) >> Bucketize::new([18.0]));
    assert_eq!(
        error(node, &data),
        "2 errors in the workflow:\n\
         - log_op: column `name` is string, but a number is needed; cast it or leave it out\n\
         - select: column `ages` is not in the input; did you mean `age`? (input: name, age)"
    );
}

#[test]
fn schemas_are_known_without_data() {
    let schema = Schema::new([
        ColumnSchema::new("user", DType::String).with_tags([Tag::UserId]),
        ColumnSchema::new("price", DType::Float64).with_tags([Tag::Continuous]),
    ])
    .unwrap();
    let node = (tagged([Tag::UserId]) >> Categorify::default())
        + (tagged([Tag::Continuous]) >> LogOp >> TagAs::ITEM_FEATURES);
    let output = Workflow::new(node).output_schema(&schema).unwrap();
    assert_eq!(output.names(), ["user", "price"]);
    assert!(output.get("user").unwrap().has_tag(Tag::UserId));
    assert!(output.get("user").unwrap().has_tag(Tag::Categorical));
    assert!(output.get("price").unwrap().has_tag(Tag::Item));
}

#[test]
fn named_parts_are_workflows_of_their_own() {
    let data = dataset(&json!({"a": [1.0, 3.0], "b": ["u", "v"], "c": [5, 6]}));
    let user = (cols(["b"]) >> Categorify::default()).named("user");
    let node = (cols(["a"]) >> Normalize::default()).named("price") + user + cols(["c"]);
    let workflow = Workflow::new(node);
    let fitted = workflow.fit(&data).unwrap();
    assert_eq!(fitted.subgraph_schema("user").unwrap().names(), ["b"]);

    let user = fitted.subgraph("user").unwrap();
    assert_eq!(user.input_schema().names(), ["b"]);
    let users = dataset(&json!({"b": ["v", "w"]}));
    assert_eq!(as_json(&collect(&user, &users)), json!({"b": [4, 2]}));

    let fitted_alone = workflow.subgraph("user").unwrap().fit(&data).unwrap();
    assert_eq!(collect(&fitted_alone, &users), collect(&user, &users));
    assert_eq!(
        fitted.subgraph("item").unwrap_err().to_string(),
        "workflow: `subgraph` is `item`, but the graph has: price, user"
    );
}

#[test]
fn two_parts_of_one_name_are_refused() {
    let data = json!({"a": [1.0], "b": [2.0]});
    let node = (cols(["a"]) >> LogOp).named("price") + cols(["b"]).named("price");
    assert_eq!(
        error(node, &data),
        "workflow: `subgraph` is `price`, but 2 parts have that name; rename them"
    );
}

#[test]
fn names_and_lists_of_names_are_added_like_nodes() {
    let data = json!({"a": [1], "b": [2], "c": [3]});
    assert_eq!(
        run(cols(["c"]) + "b" + ["a"], &data),
        json!({"c": [3], "b": [2], "a": [1]})
    );
}

#[test]
fn a_group_of_nodes_is_one_key() {
    let data = json!({"a": ["x", "X", "y"], "b": [1, 1, 1]});
    let lower = cols(["a"]) >> Lambda::new("lower(x)");
    let combined = Categorify::default().with_encode_type(EncodeType::Combo);
    let node = group_of([lower, cols(["b"])]) >> combined;
    assert_eq!(run(node, &data), json!({"a_b": [3, 3, 4]}));
}

#[test]
fn plain_columns_come_before_groups() {
    let data = json!({"a": ["x", "x"], "b": [1, 1], "c": ["p", "q"]});
    let selector = Selector::group(["a", "b"]).and(Selector::names(["c"]));
    let node = select(selector) >> Categorify::default().with_encode_type(EncodeType::Combo);
    let output = run(node, &data);
    let names: Vec<_> = output.as_object().unwrap().keys().collect();
    assert_eq!(names, ["c", "a_b"]);
}

#[test]
fn groups_of_groups_are_refused() {
    let data = json!({"a": ["x"], "b": [1], "c": [1]});
    let node = group_of([group(["a", "b"]), cols(["c"])]) >> Categorify::default();
    assert_eq!(
        error(node, &data),
        "group: `columns` is the group (a, b) among others, but groups hold columns, not groups; \
         name the columns"
    );
}

#[test]
fn a_group_without_one_of_its_columns_is_no_group() {
    let data = json!({"a": ["x", "y"], "b": [1, 1], "c": [1, 1]});
    let node = (group(["a", "b"]) + cols(["c"]) - "b")
        >> Categorify::default().with_encode_type(EncodeType::Combo);
    assert_eq!(run(node, &data), json!({"c": [3, 3], "a": [3, 4]}));
}

#[test]
fn lists_are_transformed_element_by_element() {
    let data = json!({"l": [[1.0, -3.0], [], null, [null, 5.0]]});
    let node = cols(["l"]) >> FillMissing::with(0.0) >> Normalize::default();
    let output = run(node, &data);
    let lists = output["l"].as_array().unwrap();
    assert_eq!(lists[1], json!([]));
    assert_eq!(lists[2], json!(null));
    assert_eq!(lists[3].as_array().unwrap().len(), 2);
}

#[test]
fn groups_make_one_output() {
    let data = json!({"a": ["x", "x", "y"], "b": [1, 1, 1]});
    let node = group(["a", "b"]) >> Categorify::default().with_encode_type(EncodeType::Combo);
    assert_eq!(run(node, &data), json!({"a_b": [3, 3, 4]}));
}

#[test]
fn no_rows_in_no_rows_out() {
    let data = dataset(&json!({"user": ["u"], "price": [1.0]}));
    let node =
        (cols(["user"]) >> Categorify::default()) + (cols(["price"]) >> Normalize::default());
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let empty = crate::table::batch(&json!({"user": ["u"], "price": [1.0]})).slice(0, 0);
    let empty = emrys_etl::Dataset::from_batches(empty.schema(), vec![empty]).unwrap();
    assert_eq!(crate::table::collect(&fitted, &empty).num_rows(), 0);
}
