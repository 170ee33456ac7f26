//! What operators are told in declarations, under NVTabular's names.

use emrys_etl::ops::{FillMissing, JoinGroupby, Lambda, Stat, TargetEncoding};
use emrys_etl::{Node, Workflow, cols};
use rstest::rstest;

use crate::declarations::data;
use crate::table::{collect, dataset};

#[test]
fn arguments_of_nvtabular_are_understood() {
    // All that an operator takes, with its defaults or `None`; and what of it matters.
    let cases = [
        (
            "Categorify",
            r#"{"freq_threshold": 0, "out_path": null, "cat_cache": "host", "dtype": null, "on_host": true,
                "encode_type": "joint", "name_sep": "_", "search_sorted": false, "num_buckets": null,
                "vocabs": null, "max_size": 0, "single_table": false, "cardinality_memory_limit": "24GB",
                "tree_width": null, "split_out": 1, "split_every": 8}"#,
            "{}",
        ),
        (
            "TargetEncoding",
            r#"{"target": "click", "target_mean": null, "kfold": null, "fold_seed": null, "p_smooth": 20,
                "out_col": null, "out_dtype": null, "split_out": null, "split_every": null,
                "cat_cache": "host", "out_path": null, "on_host": true, "name_sep": "_",
                "drop_folds": true, "tree_width": null}"#,
            r#"{"target": "click", "fold_seed": null}"#,
        ),
        (
            "JoinGroupby",
            r#"{"cont_cols": null, "stats": ["count"], "split_out": null, "split_every": null,
                "cat_cache": "host", "out_path": null, "on_host": true, "name_sep": "_",
                "tree_width": null}"#,
            "{}",
        ),
        (
            "JoinExternal",
            r#"{"df_ext": "t.parquet", "on": "user", "how": "left", "on_ext": null, "columns_ext": null,
                "drop_duplicates_ext": null, "kind_ext": null, "cache": "host"}"#,
            r#"{"df_ext": "t.parquet", "on": "user"}"#,
        ),
        (
            "Groupby",
            r#"{"groupby_cols": "user", "sort_cols": null, "aggs": "list", "name_sep": "_", "ascending": true}"#,
            r#"{"groupby_cols": "user", "aggs": "list"}"#,
        ),
        ("Normalize", r#"{"out_dtype": null}"#, "{}"),
        ("NormalizeMinMax", r#"{"out_dtype": null}"#, "{}"),
        ("LogOp", "{}", "{}"),
        (
            "Clip",
            r#"{"min_value": 0, "max_value": null}"#,
            r#"{"min_value": 0}"#,
        ),
        (
            "FillMissing",
            r#"{"fill_val": 0, "add_binary_cols": false}"#,
            "{}",
        ),
        ("FillMedian", r#"{"add_binary_cols": false}"#, "{}"),
        (
            "Bucketize",
            r#"{"boundaries": {"price": [1, 2]}}"#,
            r#"{"boundaries": {"price": [1, 2]}}"#,
        ),
        (
            "DifferenceLag",
            r#"{"partition_cols": "user", "shift": 1}"#,
            r#"{"partition_cols": "user"}"#,
        ),
        ("ReduceDtypeSize", r#"{"float_dtype": "float32"}"#, "{}"),
        (
            "HashBucket",
            r#"{"num_buckets": {"user": 3}}"#,
            r#"{"num_buckets": {"user": 3}}"#,
        ),
        (
            "HashedCross",
            r#"{"num_buckets": 3}"#,
            r#"{"num_buckets": 3}"#,
        ),
        (
            "ColumnSimilarity",
            r#"{"left_features": "f.parquet", "right_features": null, "metric": "tfidf", "on_device": true}"#,
            r#"{"left_features": "f.parquet"}"#,
        ),
        (
            "ListSlice",
            r#"{"start": 2, "end": null, "pad": false, "pad_value": 0}"#,
            r#"{"start": 2}"#,
        ),
        ("ValueCount", "{}", "{}"),
        ("Dropna", "{}", "{}"),
        ("Filter", r#"{"expr": "a > 1"}"#, r#"{"sql": "a > 1"}"#),
        (
            "LambdaOp",
            r#"{"expr": "x + price", "dependency": "price", "label": "sum", "dtype": null, "tags": null, "properties": null}"#,
            r#"{"sql": "x + price"}"#,
        ),
        (
            "Rename",
            r#"{"f": null, "postfix": "_x", "name": null}"#,
            r#"{"postfix": "_x"}"#,
        ),
        (
            "AddMetadata",
            r#"{"tags": ["user"], "properties": null}"#,
            r#"{"tags": ["user"]}"#,
        ),
        ("AddTags", r#"{"tags": ["user"]}"#, r#"{"tags": ["user"]}"#),
        (
            "AddProperties",
            r#"{"properties": {"a": 1}}"#,
            r#"{"properties": {"a": 1}}"#,
        ),
        ("TagAsUserID", r#"{"tags": null}"#, "{}"),
        ("TagAsItemID", "{}", "{}"),
        ("TagAsUserFeatures", "{}", "{}"),
        ("TagAsItemFeatures", "{}", "{}"),
        ("DropLowCardinality", r#"{"min_cardinality": 4}"#, "{}"),
        ("DataStats", "{}", "{}"),
    ];
    let schema = dataset(&data()).schema().clone();
    let mut wrong = Vec::new();
    for (op, theirs, ours) in cases {
        let [theirs, ours] = [theirs, ours].map(|params| {
            let text = format!(
                r#"{{"nodes": [{{"id": "n", "inputs": ["user"], "op": "{op}", "params": {params}}}], "outputs": ["@n"]}}"#
            );
            let read = Workflow::from_json(&text, &schema, "/data");
            read.unwrap_or_else(|error| panic!("{error}: {params}")).to_json().unwrap()
        });
        if theirs != ours {
            wrong.push(format!("{op}: {theirs} {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn columns_may_be_given_as_a_node() {
    let data = dataset(&data());
    let read = |op: &str, params: &str| {
        let text = format!(
            "outputs = ['@n']\n\
             nodes.n = {{ inputs = ['city'], op = '{op}', params = {{ {params} }} }}\n\
             nodes.more = {{ inputs = ['price'], op = 'FillMissing', params = {{ fill_val = 2 }} }}\n"
        );
        let workflow = Workflow::from_toml(&text, data.schema(), ".").unwrap();
        collect(&workflow.fit(&data).unwrap(), &data)
    };
    let price = || cols(["price"]) >> FillMissing::with(2.0);
    let same = |node: Node| collect(&Workflow::new(node).fit(&data).unwrap(), &data);
    assert_eq!(
        read(
            "TargetEncoding",
            "target = '@more', kfold = 1, out_col = 'rate'"
        ),
        same({
            let encoding = TargetEncoding::new("price").with_kfold(1);
            (cols(["city"]) >> encoding.with_names(["rate"])).depends_on(price())
        })
    );
    assert_eq!(
        read("JoinGroupby", "cont_cols = '@more', stats = ['mean']"),
        same({
            let join = JoinGroupby::of(["price"]).with_stats([Stat::Mean]);
            (cols(["city"]) >> join).depends_on(price())
        })
    );
    assert_eq!(
        read(
            "LambdaOp",
            "expr = 'cast(price as float64)', dependency = '@more'"
        ),
        same((cols(["city"]) >> Lambda::new("cast(price as double)")).depends_on(price()))
    );
}

// `cache` says nothing about results in operators of NVTabular only, and `None` there is a default
// of options that exist.
#[rstest]
#[case("LogOp", "cache", "1")]
#[case("LogOp", "cache", "null")]
#[case("Clip", "maximum", "null")]
#[case("Categorify", "frequency", "null")]
fn options_that_an_operator_does_not_have_are_refused(
    #[case] op: &str,
    #[case] option: &str,
    #[case] value: &str,
) {
    let text = format!(
        r#"{{"nodes": [{{"id": "n", "inputs": ["user"], "op": "{op}", "params": {{"{option}": {value}}}}}], "outputs": ["@n"]}}"#
    );
    let error = Workflow::from_json(&text, dataset(&data()).schema(), ".").unwrap_err();
    let told = format!("unknown field `{option}`");
    assert!(error.to_string().contains(&told), "{error}");
}
