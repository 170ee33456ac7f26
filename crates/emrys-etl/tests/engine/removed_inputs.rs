//! Inputs are taken away, with everything that comes from them.

use emrys_etl::ops::{
    Categorify, EncodeType, FillMissing, Filter, Lambda, LogOp, Normalize, Rename, TargetEncoding,
};
use emrys_etl::{Dataset, FittedWorkflow, Node, Workflow, all_columns, cols, group};
use serde_json::json;

use crate::table::{collect, dataset, json as as_json};

fn data() -> Dataset {
    dataset(&json!({
        "user": ["u", "v", "u", "w"],
        "city": ["x", "y", "x", "y"],
        "price": [1.0, 2.0, null, 8.0],
        "age": [20, 30, 40, 50],
        "click": [1, 0, 1, 0],
    }))
}

fn graph() -> Node {
    let kept = all_columns() >> Filter::new("age > 10");
    let ids = kept.clone().subset(["user", "city"]) >> Categorify::default();
    let pair = kept.clone().subset(["user", "city"]).grouped()
        >> Categorify::default().with_encode_type(EncodeType::Combo);
    let price = kept.clone().subset(["price"]) >> FillMissing::with(1.0) >> LogOp;
    let ratio = (kept.clone().subset(["price"]) >> Lambda::new("x / age")) >> Rename::to("ratio");
    let rate = kept.clone().subset(["city"]) >> TargetEncoding::new("click");
    ids + pair + price + ratio + rate + (kept.subset(["click"]) >> Rename::to("label"))
}

fn names(fitted: &FittedWorkflow) -> Vec<String> {
    let names = fitted.output_schema().names();
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn outputs_go_with_the_inputs_they_come_from() {
    let fitted = Workflow::new(graph()).fit(&data()).unwrap();
    assert_eq!(
        names(&fitted),
        [
            "user",
            "city",
            "user_city",
            "price",
            "ratio",
            "TE_city_click",
            "label"
        ]
    );
    let served = fitted.remove_inputs(["click"]).unwrap();
    assert_eq!(
        names(&served),
        [
            "user",
            "city",
            "user_city",
            "price",
            "ratio",
            "TE_city_click"
        ],
        "the target was only learned from"
    );
    assert_eq!(
        served.input_schema().names(),
        ["user", "city", "price", "age"]
    );
    let less = served.remove_inputs(["user"]).unwrap();
    assert_eq!(names(&less), ["city", "price", "ratio", "TE_city_click"]);
    let less = less.remove_inputs(["price"]).unwrap();
    assert_eq!(names(&less), ["city", "TE_city_click"]);
    assert_eq!(
        less.remove_inputs(["age"]).unwrap_err().to_string(),
        "workflow: `remove_inputs` is age, click, price, user, but no output is left without them; \
         keep some"
    );
}

#[test]
fn what_is_left_gives_the_same_values_without_the_inputs() {
    let fitted = Workflow::new(graph()).fit(&data()).unwrap();
    let served = fitted.remove_inputs(["click", "price"]).unwrap();
    let rows = json!({"user": ["w", "new"], "city": ["y", "x"], "age": [11, 12]});
    let output = as_json(&collect(&served, &dataset(&rows)));
    let mut all = rows.clone();
    all["price"] = json!([3.0, 4.0]);
    all["click"] = json!([0, 1]);
    let whole = as_json(&collect(&fitted, &dataset(&all)));
    for (name, values) in output.as_object().unwrap() {
        assert_eq!(values, &whole[name], "{name}");
    }
    assert_eq!(output.as_object().unwrap().len(), 4);
    let batch = crate::table::batch(&rows);
    assert_eq!(as_json(&served.transform_batch(&batch).unwrap()), output);
}

#[test]
fn it_is_saved_and_loaded_without_them() {
    let served = Workflow::new(graph())
        .fit(&data())
        .unwrap()
        .remove_inputs(["click", "user"])
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workflow");
    served.save(&path).unwrap();
    let loaded = FittedWorkflow::load(&path).unwrap();
    assert_eq!(names(&loaded), names(&served));
    assert_eq!(loaded.input_schema(), served.input_schema());
    let rows = dataset(&json!({"city": ["y"], "age": [11], "price": [2.0]}));
    assert_eq!(collect(&loaded, &rows), collect(&served, &rows));
}

#[test]
fn an_unfitted_workflow_is_fitted_without_them() {
    let whole = Workflow::new(graph());
    for (removed, left) in [
        (
            vec!["user"],
            vec!["city", "price", "ratio", "TE_city_click", "label"],
        ),
        (vec!["price", "click"], vec!["user", "city", "user_city"]),
        (vec!["city", "click"], vec!["user", "price", "ratio"]),
    ] {
        let workflow = whole.clone().remove_inputs(removed.clone());
        assert_eq!(
            workflow.output_schema(data().schema()).unwrap().names(),
            left
        );
        let fitted = workflow.fit(&data()).unwrap();
        assert_eq!(names(&fitted), left, "{removed:?}");
        let without = data().schema().excluding(&removed);
        assert_eq!(
            workflow.output_schema(&without).unwrap().names(),
            left,
            "the data set needs not have them"
        );
        assert_eq!(collect(&fitted, &data()).num_columns(), left.len());
    }
    // The filter looks at the age.
    let error = whole
        .clone()
        .remove_inputs(["age"])
        .fit(&data())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflow: `remove_inputs` is all of its inputs, but no output is left without them; keep some"
    );
    let error = whole.remove_inputs(["agee"]).fit(&data()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "remove_inputs: column `agee` is not in the input; did you mean `age`? \
         (input: user, city, price, age, click)"
    );
}

#[test]
fn a_group_goes_as_a_whole() {
    let node = (group(["user", "city"])
        >> Categorify::default().with_encode_type(EncodeType::Combo))
        + (cols(["price"]) >> FillMissing::with(0.0) >> Normalize::default());
    let workflow = Workflow::new(node).remove_inputs(["city"]);
    assert_eq!(
        workflow.output_schema(data().schema()).unwrap().names(),
        ["price"]
    );
}

#[test]
fn the_mapping_tells_where_outputs_come_from() {
    let fitted = Workflow::new(graph()).fit(&data()).unwrap();
    let mapping: serde_json::Map<_, _> = fitted
        .column_mapping()
        .unwrap()
        .into_iter()
        .map(|(name, from)| (name, json!(from)))
        .collect();
    assert_eq!(
        serde_json::Value::Object(mapping),
        json!({
            "user": ["age", "user"],
            "city": ["age", "city"],
            "user_city": ["age", "city", "user"],
            "price": ["age", "price"],
            "ratio": ["age", "price"],
            "TE_city_click": ["age", "city"],
            "label": ["age", "click"],
        })
    );
}

#[test]
fn a_subset_of_which_nothing_is_left_goes_alone() {
    let data =
        dataset(&json!({"x": [0.5, null], "c": ["a", "b"], "d": ["u", "u"], "l": ["p", "q"]}));
    let ids = (cols(["c", "d", "l"]) >> Categorify::default()).subset(["l", "c"]);
    let node = (ids >> Rename::postfix("_id")) + (cols(["x"]) >> FillMissing::with(0.0));
    let fitted = Workflow::new(node)
        .remove_inputs(["c", "l"])
        .fit(&data)
        .unwrap();
    assert_eq!(fitted.output_schema().names(), ["x"]);
    assert_eq!(fitted.input_schema().names(), ["x"]);
}
