//! Statistics by key reach other data, and do not need their values there.

use emrys_etl::ops::{JoinGroupby, Stat};
use emrys_etl::{FittedWorkflow, Workflow, cols, group};
use emrys_schema::{DType, Tag};
use serde_json::json;

use crate::table::{collect, dataset, error, json as as_json, run};

#[test]
fn other_data_get_the_statistics_of_the_training_rows() {
    let train = dataset(&json!({"k": ["a", "a", "b"], "x": [1.5, 2.5, null]}));
    let stats = [Stat::Count, Stat::Sum, Stat::Mean, Stat::Min];
    let join = JoinGroupby::of(["x"]).with_stats(stats);
    let fitted = Workflow::new(cols(["k"]) >> join).fit(&train).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fitted.save(folder.path().join("w")).unwrap();
    let loaded = FittedWorkflow::load(folder.path().join("w")).unwrap();
    let other = dataset(&json!({"k": ["b", "new", "a", null]}));
    for fitted in [fitted, loaded] {
        assert_eq!(
            as_json(&collect(&fitted, &other)),
            json!({
                "k_count": [1, null, 2, null],
                "k_x_sum": [0.0, null, 4.0, null],
                "k_x_mean": [null, null, 2.0, null],
                "k_x_min": [null, null, 1.5, null],
            })
        );
    }
}

#[test]
fn rows_are_counted_without_columns() {
    let data = json!({"a": [1, 1, 2], "b": ["x", "x", null]});
    let node = (cols(["a"]) + group(["a", "b"])) >> JoinGroupby::new().with_name_sep(".");
    assert_eq!(
        run(node, &data),
        json!({"a.count": [2, 2, 1], "a.b.count": [2, 2, 1]})
    );
}

#[test]
fn distinct_values_are_counted_by_key() {
    let data = json!({
        "k": ["a", "b", "a", "a", null, "b", "a"],
        "x": [1, 1, 2, 1, 3, null, null],
        "y": [0.0, 1.0, -0.0, 0.5, null, null, 0.5],
    });
    let join = JoinGroupby::of(["x", "y"]).with_stats([Stat::Nunique]);
    assert_eq!(
        run(cols(["k"]) >> join, &data),
        json!({
            "k_x_nunique": [2, 1, 2, 2, 1, 1, 2],
            "k_y_nunique": [2, 1, 2, 2, 0, 1, 2],
        })
    );
}

#[test]
fn integers_are_summed_exactly() {
    let large = (1_i64 << 53) + 1;
    let data = json!({"k": ["a", "a", "b"], "x": [large, 2, -large]});
    let join = JoinGroupby::of(["x"]).with_stats([Stat::Sum, Stat::Max]);
    assert_eq!(
        run(cols(["k"]) >> join, &data),
        json!({"k_x_sum": [large + 2, large + 2, -large], "k_x_max": [large, large, -large]})
    );
    let data = json!({"k": ["a", "a"], "x": [i64::MAX, 1]});
    let join = JoinGroupby::of(["x"]).with_stats([Stat::Sum]);
    assert_eq!(
        error(cols(["k"]) >> join, &data),
        "join_groupby: a sum of `x` is 9223372036854775808, which 64 bits do not hold; cast it to \
         float64 before"
    );
}

#[test]
fn the_target_is_no_tag_of_a_feature() {
    let train = dataset(&json!({"k": ["a"], "y": [1]}));
    let schema = train.schema().clone();
    let tag = |name: &str, tags: [Tag; 2]| schema.get(name).unwrap().clone().with_tags(tags);
    let schema = schema
        .clone()
        .with_column(tag("k", [Tag::UserId, Tag::Categorical]))
        .with_column(tag("y", [Tag::Target, Tag::Continuous]));
    let join = JoinGroupby::of(["y"]).with_stats([Stat::Count, Stat::Mean]);
    let output = Workflow::new(cols(["k"]) >> join).output_schema(&schema);
    let output = output.unwrap();
    let (count, mean) = (
        output.get("k_count").unwrap(),
        output.get("k_y_mean").unwrap(),
    );
    assert!(count.has_tag(Tag::User) && !count.has_tag(Tag::Categorical));
    assert!(mean.has_tag(Tag::Continuous) && !mean.has_tag(Tag::Target));
    assert_eq!(
        (count.dtype(), mean.dtype()),
        (DType::Int32, DType::Float32)
    );
}

#[test]
fn what_makes_no_sense_is_refused_at_build() {
    let schema = dataset(&json!({"k": ["a"], "x": [1], "l": [[1]]}))
        .schema()
        .clone();
    let message = |join: JoinGroupby, key: &str| {
        let node = cols([key]) >> join;
        Workflow::new(node)
            .output_schema(&schema)
            .unwrap_err()
            .to_string()
    };
    let mean = |column: &str| JoinGroupby::of([column]).with_stats([Stat::Mean]);
    assert_eq!(
        message(JoinGroupby::new().with_stats([Stat::Mean]), "k"),
        "join_groupby: `cont_cols` is empty, but statistics other than count \
         are of columns; name them"
    );
    let text = message(mean("k"), "x");
    assert!(
        text.ends_with(
            "column `k` is string, but a single number per row is needed; cast it or leave it out"
        ),
        "{text}"
    );
    assert!(message(mean("x"), "l").ends_with("a single value per row is needed; leave it out"));
    assert!(message(mean("z"), "k").contains("column `z` is not in the input"));
}
