//! Groups and sessions.

use std::collections::BTreeMap;

use emrys_etl::ops::{
    Aggregate, Categorify, DifferenceLag, Filter, Groupby, ListSlice, Normalize, PadSide, Rename,
    TargetEncoding, ValueCount,
};
use emrys_etl::{Dataset, Node, SessionOptions, Workflow, cols};
use emrys_schema::{ColumnSchema, DType, Schema, Tag};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::table::{batch, collect, error, fit_parts, json as table, run, split};

fn lists(keys: &[&str]) -> Groupby {
    Groupby::new(keys.iter().copied()).with_sort_cols(["ts"])
}

#[test]
fn groups_reach_over_partitions_and_come_out_by_key() {
    let data = batch(&json!({
        "user": ["v", "u", "v", "u", "v", "w"], "ts": [6, 5, 4, 3, 2, 1], "item": [1, 2, 3, 4, 5, 6],
    }));
    let node = cols(["user", "item"]) >> lists(&["user"]);
    for rows in 1..=data.num_rows() {
        let (fitted, data) = fit_parts(&node, &data, rows, 3);
        assert_eq!(
            table(&collect(&fitted, &data)),
            json!({"user": ["u", "v", "w"], "item_list": [[4, 2], [5, 3, 1], [6]]}),
            "{rows} rows per part"
        );
    }
}

#[test]
fn equal_times_keep_the_order_of_the_data_in_both_directions() {
    let data = json!({"u": [1, 1, 1, 1], "ts": [7, 7, 8, 7], "x": [1, 2, 3, 4]});
    let node = |ascending| {
        let ends = [Aggregate::List, Aggregate::First, Aggregate::Last];
        cols(["x", "ts"])
            >> lists(&["u"])
                .with_column_aggs([("x", ends)])
                .with_ascending(ascending)
    };
    assert_eq!(
        run(node(true), &data),
        json!({"x_list": [[1, 2, 4, 3]], "x_first": [1], "x_last": [3]})
    );
    assert_eq!(
        run(node(false), &data),
        json!({"x_list": [[3, 1, 2, 4]], "x_first": [4], "x_last": [3]})
    );
}

#[test]
fn each_sort_column_has_its_direction_and_missing_values_come_last() {
    let data = json!({
        "u": [1, 1, 1, 1, 1], "a": [1, 2, 2, null, 1], "b": [1, 2, 1, 9, null], "x": [1, 2, 3, 4, 5],
    });
    let node = |a, b| {
        cols(["x"])
            >> Groupby::new(["u"])
                .with_sort_cols(["a", "b"])
                .with_directions([a, b])
    };
    assert_eq!(
        run(node(true, false), &data),
        json!({"x_list": [[1, 5, 2, 3, 4]]})
    );
    assert_eq!(
        run(node(false, true), &data),
        json!({"x_list": [[3, 2, 1, 5, 4]]})
    );
}

#[test]
fn rows_that_were_filtered_are_in_no_group() {
    let data = json!({"s": ["a", "a", "a", "b"], "x": [1, 2, 3, 4], "ok": [1, 1, 0, 1]});
    let kept = cols(["s", "x", "ok"]) >> Filter::new("ok = 1");
    let sessions = kept.clone().subset(["x"]) >> Groupby::new(["s"]).with_aggs([Aggregate::List]);
    assert_eq!(run(sessions, &data), json!({"x_list": [[1, 2], [4]]}));
    // A key that the filter did not put out is not taken from rows that it did not see.
    let lost = cols(["x", "ok"]) >> Filter::new("ok = 1") >> Groupby::new(["s"]);
    assert_eq!(
        error(lost, &data),
        "groupby: column `s` is not in the input (input: x, ok)"
    );
}

#[test]
fn missing_keys_make_groups_when_asked() {
    let data = json!({"u": [1.5, null, 1.5, null], "s": ["a", "a", null, "a"], "x": [1, 2, 3, 4]});
    let node = cols(["u", "s", "x"]) >> Groupby::new(["u", "s"]);
    assert_eq!(
        run(node, &data),
        json!({"u": [1.5], "s": ["a"], "x_list": [[1]]})
    );
    let node = cols(["u", "s", "x"]) >> Groupby::new(["u", "s"]).with_null_keys(true);
    assert_eq!(
        run(node, &data),
        json!({"u": [1.5, 1.5, null], "s": ["a", null, "a"], "x_list": [[1], [3], [2, 4]]})
    );
}

#[test]
fn lists_of_lists_keep_the_inner_lists() {
    let data = json!({
        "u": [1, 2, 1], "ts": [2, 1, 1], "tags": [["a", "b"], null, []],
    });
    let ends = [
        Aggregate::List,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Count,
        Aggregate::Len,
    ];
    let node = cols(["tags"]) >> lists(&["u"]).with_aggs(ends);
    assert_eq!(
        run(node, &data),
        json!({
            "tags_list": [[[], ["a", "b"]], [null]], "tags_first": [[], null],
            "tags_last": [["a", "b"], null], "tags_count": [2, 0], "tags_len": [2, 1],
        })
    );
    let node = cols(["tags"]) >> lists(&["u"]).with_aggs([Aggregate::Max]);
    assert_eq!(
        error(node, &data),
        "groupby: column `tags` is string[0..], but `max` needs single values; use ListAggregate on \
         each list first"
    );
}

#[test]
fn sessions_are_cut_padded_and_counted() {
    let data = json!({
        "session": [1, 1, 1, 2, 3, 3], "ts": [3, 1, 2, 1, 2, 1], "item": ["c", "a", "b", "a", "a", "b"],
    });
    let ids = cols(["item"]) >> Categorify::default();
    let sessions = (ids + cols(["session", "ts"]))
        >> lists(&["session"])
            .with_column_aggs([("item", [Aggregate::List, Aggregate::Len])])
            .with_min_length(2)
            .with_max_length(2);
    let lengths = sessions.clone().subset(["item_list"]) >> ValueCount::default();
    let padded = lengths
        >> ListSlice::last(3)
            .with_padding(0)
            .with_pad_side(PadSide::Left);
    let node = sessions.subset(["session", "item_len"]) + (padded >> Rename::to("items"));
    // a is 3, b is 4 and c is 5.
    assert_eq!(
        run(node, &data),
        json!({"session": [1, 3], "item_len": [3, 2], "items": [[0, 4, 5], [0, 4, 3]]})
    );
}

#[test]
fn groups_can_be_fitted_on_grouped_again_and_differenced() {
    let data = json!({
        "day": [1, 1, 2, 2, 3], "user": [1, 1, 1, 2, 2], "price": [1.0, 3.0, 5.0, 2.0, 4.0],
    });
    let days =
        cols(["day", "user", "price"]) >> Groupby::new(["user", "day"]).with_aggs([Aggregate::Sum]);
    // Groups are numbered in their order, so that there is a row before.
    let gain = days.clone().subset(["price_sum"]) >> DifferenceLag::new(["user"]);
    let scaled = days.clone().subset(["price_sum"]) >> Normalize::default() >> Rename::to("scaled");
    let node = days.clone() + gain + scaled;
    let found = run(node, &data);
    assert_eq!(found["user"], json!([1, 1, 2, 2]));
    assert_eq!(found["day"], json!([1, 2, 2, 3]));
    assert_eq!(
        found["price_sum_difference_lag_1"],
        json!([null, 1.0, null, 2.0])
    );
    let users = days.clone() >> Groupby::new(["user"]).with_aggs([Aggregate::List]);
    assert_eq!(
        run(users, &data),
        json!({"user": [1, 2], "day_list": [[1, 2], [2, 3]], "price_sum_list": [[4.0, 5.0], [2.0, 4.0]]})
    );
    let encoded = days.subset(["user"]) >> TargetEncoding::new("price_sum").with_kfold(2);
    run(encoded, &data);
}

#[test]
fn integer_sums_stay_exact_by_option() {
    let large = (1i64 << 53) + 1;
    let data = json!({"u": [1, 1], "x": [large, 2]});
    let sums = Groupby::new(["u"]).with_aggs([Aggregate::Sum]);
    let exact = cols(["x"]) >> sums.clone().with_integer_sums(true);
    assert_eq!(run(exact, &data), json!({"x_sum": [large + 2]}));
    let schema = Schema::new(["u", "x"].map(|name| ColumnSchema::new(name, DType::Int64))).unwrap();
    let output = Workflow::new(cols(["x"]) >> sums)
        .output_schema(&schema)
        .unwrap();
    assert_eq!(output.get("x_sum").unwrap().dtype(), DType::Float32);
}

#[test]
fn the_schema_says_what_the_values_mean() {
    let schema = Schema::new([
        ColumnSchema::new("user", DType::String).with_tags([Tag::UserId]),
        ColumnSchema::new("item", DType::Int64)
            .with_tags([Tag::ItemId, Tag::Categorical])
            .with_domain(emrys_schema::Domain::int(0, 9)),
    ])
    .unwrap();
    let node = cols(["user", "item"])
        >> Groupby::new(["user"])
            .with_aggs([Aggregate::List, Aggregate::Last, Aggregate::Nunique])
            .with_min_length(2)
            .with_max_length(5);
    let output = Workflow::new(node).output_schema(&schema).unwrap();
    assert_eq!(
        output.names(),
        ["user", "item_list", "item_last", "item_nunique"]
    );
    let list = output.get("item_list").unwrap();
    assert_eq!(list.shape().to_string(), "[2..5]");
    assert!(list.has_tag(Tag::Categorical) && list.cardinality() == Some(10));
    assert_eq!(output.get("item_last").unwrap().cardinality(), Some(10));
    let count = output.get("item_nunique").unwrap();
    assert!(
        count.domain().is_none() && count.has_tag(Tag::Item) && !count.has_tag(Tag::Categorical)
    );
}

#[test]
fn mistakes_are_told_before_data_are_read() {
    let data = json!({"u": [1], "name": ["x"], "l": [[1]]});
    let node = |groupby: Groupby| cols(["u", "name"]) >> groupby;
    for (groupby, expected) in [
        (
            Groupby::new(["usr"]),
            "groupby: column `usr` is not in the input (input: u, name, l)",
        ),
        (
            Groupby::new(["u"]).with_aggs([Aggregate::Mean]),
            "groupby: column `name` is string, but a number for `mean` is needed; cast it or leave it \
             out",
        ),
        (
            Groupby::new(["u"]).with_column_aggs([("nam", [Aggregate::List])]),
            "groupby: column `nam` is not in the input; did you mean `name`? (input: u, name)",
        ),
        (
            Groupby::new(["u"]).with_directions([true]),
            "groupby: `ascending` is a list of 1, but there are 0 sort columns; give one direction \
             for each",
        ),
        (
            Groupby::new(["l"]),
            "groupby: column `l` is int64[0..], but keys and sort columns hold single values; use \
             another",
        ),
        (
            Groupby::new(Vec::<String>::new()),
            "groupby: `groupby_cols` is empty, but at least one column is needed",
        ),
        (
            Groupby::new(["u"]).with_max_length(0),
            "groupby: `max_length` is 0, but lists need room for one element; leave it out for whole \
             lists",
        ),
    ] {
        assert_eq!(error(node(groupby), &data), expected);
    }
    let config = json!({"groupby_cols": "u", "aggs": {"name": ["lst"]}});
    let operator = emrys_etl::ops::build("Groupby", config).unwrap();
    assert_eq!(
        error(cols(["u", "name"]).apply(operator), &data),
        "groupby: `aggs` is `lst` for `name`, but there is no such aggregate; did you mean `list`? \
         (known: list, first, last, len, count, nunique, sum, mean, median, std, var, min, max)"
    );
}

#[test]
fn dictionaries_booleans_dates_and_slices_are_grouped() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Date32Array, DictionaryArray, RecordBatch};
    use arrow::datatypes::Int32Type;

    let users: DictionaryArray<Int32Type> =
        [Some("left out"), Some("v"), Some("u"), None, Some("v")]
            .into_iter()
            .collect();
    let liked = BooleanArray::from(vec![None, Some(true), None, Some(true), Some(false)]);
    let days = Date32Array::from(vec![9, 2, 1, 0, 1]);
    let data = RecordBatch::try_from_iter_with_nullable([
        ("user", Arc::new(users) as ArrayRef, true),
        ("liked", Arc::new(liked) as ArrayRef, true),
        ("day", Arc::new(days) as ArrayRef, true),
    ])
    .unwrap()
    .slice(1, 4);
    let data = Dataset::from_batches(data.schema(), vec![data]).unwrap();
    let node = cols(["user", "liked", "day"])
        >> Groupby::new(["user"])
            .with_sort_cols(["day"])
            .with_column_aggs([
                ("liked", vec![Aggregate::Sum, Aggregate::List]),
                ("day", vec![Aggregate::Min, Aggregate::Nunique]),
                ("user", vec![Aggregate::Max]),
            ]);
    let fitted = Workflow::new(node).fit(&data).unwrap();
    let dtype = fitted.output_schema().get("day_min").unwrap().dtype();
    assert_eq!(dtype, DType::Date);
    assert_eq!(
        table(&collect(&fitted, &data)),
        json!({
            "user": ["u", "v"], "user_max": ["u", "v"], "liked_sum": [0.0, 1.0],
            "liked_list": [[null], [false, true]], "day_min": ["1970-01-02", "1970-01-02"],
            "day_nunique": [1, 2],
        })
    );
}

#[test]
fn copies_of_a_row_come_in_one_order() {
    use emrys_etl::ops::JoinExternal;

    let genres = batch(&json!({"item": [1, 1, 1, 2], "genre": ["c", "a", "b", "a"]}));
    let data = batch(&json!({"user": [7, 7, 8], "item": [2, 1, 1]}));
    let node = cols(["user", "item"])
        >> JoinExternal::table(genres, ["item"])
        >> Groupby::new(["user"]).with_column_aggs([("genre", [Aggregate::List])]);
    for rows in 1..=3 {
        let (fitted, data) = fit_parts(&node, &data, rows, 2);
        assert_eq!(
            table(&collect(&fitted, &data)),
            json!({"user": [7, 8], "genre_list": [["a", "a", "b", "c"], ["a", "b", "c"]]})
        );
    }
}

#[test]
fn no_rows_make_no_groups() {
    let data = batch(&json!({"u": [1], "x": [1]})).slice(0, 0);
    let data = Dataset::from_batches(data.schema(), vec![data]).unwrap();
    let fitted = Workflow::new(cols(["u", "x"]) >> Groupby::new(["u"]))
        .fit(&data)
        .unwrap();
    assert_eq!(collect(&fitted, &data).num_rows(), 0);
}

#[test]
fn only_columns_that_are_asked_for_are_read() {
    let data = crate::table::dataset(&json!({"u": [1], "x": [1], "y": [1]}));
    let groups = cols(["u", "x", "y"]) >> Groupby::new(["u"]);
    let fitted = Workflow::new(groups.subset(["x_list"])).fit(&data).unwrap();
    let plan = fitted.explain(&data).unwrap();
    let physical = plan.trim_end().rsplit("\n\n").next().unwrap();
    assert!(physical.contains("outputs=[#key.0, x_list]"), "{plan}");
}

fn aggregates() -> Node {
    let all = [
        Aggregate::List,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Len,
        Aggregate::Count,
        Aggregate::Nunique,
        Aggregate::Sum,
        Aggregate::Median,
        Aggregate::Min,
        Aggregate::Max,
    ];
    cols(["k", "x"]) >> lists(&["k"]).with_aggs(all)
}

type Row = (Option<u8>, Option<i64>, Option<i64>);

/// Times and values.
type Group = Vec<(Option<i64>, Option<i64>)>;

/// The same, one row at a time.
fn reference(rows: &[Row]) -> Value {
    let mut groups: BTreeMap<u8, Group> = BTreeMap::new();
    for (key, ts, x) in rows {
        if let Some(key) = key {
            groups.entry(*key).or_default().push((*ts, *x));
        }
    }
    let mut columns: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (key, mut group) in groups {
        group.sort_by_key(|(ts, _)| (ts.is_none(), *ts));
        let list: Vec<Option<i64>> = group.iter().map(|(_, x)| *x).collect();
        let mut known: Vec<i64> = list.iter().flatten().copied().collect();
        known.sort_unstable();
        let mut distinct = known.clone();
        distinct.dedup();
        let middle = known.len() / 2;
        let median = match known.len() {
            0 => Value::Null,
            length if length % 2 == 1 => json!(known[middle] as f64),
            _ => json!((known[middle - 1] + known[middle]) as f64 / 2.0),
        };
        for (name, value) in [
            ("k", json!(format!("k{key}"))),
            ("x_list", json!(list)),
            ("x_first", json!(list.first())),
            ("x_last", json!(list.last())),
            ("x_len", json!(list.len())),
            ("x_count", json!(known.len())),
            ("x_nunique", json!(distinct.len())),
            ("x_sum", json!(known.iter().sum::<i64>() as f64)),
            ("x_median", median),
            ("x_min", json!(known.first())),
            ("x_max", json!(known.last())),
        ] {
            columns.entry(name).or_default().push(value);
        }
    }
    json!(columns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn groups_are_those_of_a_row_by_row_reference_however_data_are_cut(
        rows in prop::collection::vec(
            (prop::option::weighted(0.9, 0u8..9), prop::option::weighted(0.9, 0i64..6),
             prop::option::weighted(0.8, -9i64..9)),
            1..200,
        ),
        part in 1usize..80,
        threads in 1usize..5,
        batch_size in 1usize..50,
    ) {
        // At least one group, so that there are columns to compare.
        let rows: Vec<Row> = rows.into_iter().chain([(Some(0), Some(3), Some(1))]).collect();
        let data = split(&batch(&json!({
            "k": rows.iter().map(|(k, _, _)| k.map(|k| format!("k{k}"))).collect::<Vec<_>>(),
            "ts": rows.iter().map(|(_, ts, _)| ts).collect::<Vec<_>>(),
            "x": rows.iter().map(|(_, _, x)| x).collect::<Vec<_>>(),
        })), part);
        let options =
            SessionOptions::default().with_threads(threads).with_batch_size(batch_size);
        let fitted = Workflow::new(aggregates()).with_options(options).fit(&data).unwrap();
        let found = table(&collect(&fitted, &data));
        let expected = reference(&rows);
        for (name, values) in expected.as_object().unwrap() {
            prop_assert_eq!(&found[name], values, "{}", name);
        }
    }
}

#[test]
fn groups_larger_than_memory_are_sorted_on_disk() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    let rows = 600_000i64;
    let column = |value: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(value)))
    };
    let data = RecordBatch::try_from_iter([
        ("u", column(|row| row * 7919 % 50_021)),
        ("ts", column(|row| row * 104_729 % 1_000)),
        ("x", column(|row| row)),
    ])
    .unwrap();
    let data = split(&data, 50_000);
    let node = cols(["u", "x"]) >> Groupby::new(["u"]).with_sort_cols(["ts"]);
    let run = |options: SessionOptions| {
        let fitted = Workflow::new(node.clone())
            .with_options(options)
            .fit(&data)
            .unwrap();
        collect(&fitted, &data)
    };
    let limited = SessionOptions::new()
        .with_threads(2)
        .with_memory_limit(32 << 20);
    assert_eq!(run(limited), run(SessionOptions::new().with_threads(1)));
}
