use super::*;
use crate::TimeUnit;

fn written(column: &ColumnSchema) -> Value {
    serde_json::to_value(Feature::from(column)).unwrap()
}

fn read(feature: Value) -> Result<ColumnSchema, String> {
    let feature: Feature = serde_json::from_value(feature).map_err(|error| error.to_string())?;
    ColumnSchema::try_from(feature)
}

fn read_with(extra_metadata: Value) -> ColumnSchema {
    read(json!({"name": "x", "type": "INT", "annotation": {"extraMetadata": [extra_metadata]}}))
        .unwrap()
}

#[test]
fn a_column_is_written_as_merlin_writes_it() {
    let column = ColumnSchema::new("genres", DType::Int64)
        .with_shape(Shape::ragged(0, Some(3)))
        .with_tags([Tag::Categorical])
        .with_domain(Domain::int(0, 7).named("genres"))
        .with_property("max_size", 0);
    let expected = json!({
        "name": "genres",
        "valueCount": {"max": "3"},
        "type": "INT",
        "intDomain": {"name": "genres", "max": "7", "isCategorical": true},
        "annotation": {
            "tag": ["categorical"],
            "extraMetadata": [{
                "max_size": 0,
                "_dims": [[0, null], [0, 3]],
                "is_list": true,
                "is_ragged": true,
                "dtype_item_size": 64
            }]
        }
    });
    assert_eq!(written(&column), expected);
    assert_eq!(read(expected).unwrap(), column);
}

#[test]
fn every_type_survives() {
    for dtype in DType::ALL {
        let column = ColumnSchema::new("x", *dtype).with_shape(Shape::fixed(2));
        assert_eq!(read(written(&column)).unwrap(), column);
    }
}

#[test]
fn a_type_that_merlin_changed_since_wins_over_our_property() {
    assert_eq!(
        read_with(json!({"emrys_dtype": "uint32", "dtype_item_size": 32})).dtype(),
        DType::UInt32
    );
    assert_eq!(
        read_with(json!({"emrys_dtype": "uint32", "dtype_item_size": 64})).dtype(),
        DType::Int64
    );
    assert_eq!(
        read_with(json!({"emrys_dtype": "date"})).dtype(),
        DType::Int64
    );
    let untyped =
        json!({"name": "x", "annotation": {"extraMetadata": [{"emrys_dtype": "timestamp[ms]"}]}});
    assert_eq!(
        read(untyped).unwrap().dtype(),
        DType::Timestamp(TimeUnit::Millisecond)
    );
}

#[test]
fn dims_win_over_counts_and_counts_over_the_flag() {
    let read = |value_count: Value, extra: Value| {
        let annotation = json!({"extraMetadata": [extra]});
        let feature = json!({"name": "x", "type": "INT", "valueCount": value_count, "annotation": annotation});
        read(feature).unwrap().shape().to_string()
    };
    assert_eq!(read(json!({"max": "3"}), json!({"_dims": [[0, null]]})), "");
    assert_eq!(
        read(
            json!({"max": "3"}),
            json!({"_dims": [[0, null], 4, [1, null], null]})
        ),
        "[4][1..][0..]"
    );
    assert_eq!(
        read(json!({"max": "3"}), json!({"is_list": false})),
        "[0..3]"
    );
    assert_eq!(
        read(json!({"min": 2, "max": 2}), json!({"_dims": null})),
        "[2]"
    );
    assert_eq!(read(json!({"min": "5"}), json!({"_dims": []})), "[5..]");
    assert_eq!(
        read(json!({}), json!({"is_list": true, "is_ragged": true})),
        "[0..]"
    );
    assert_eq!(read(Value::Null, json!({})), "");
}

#[test]
fn old_files_without_extra_metadata_are_read() {
    let column = read(json!({
        "name": "categories",
        "value_count": {"min": 1, "max": 4.0},
        "type": 2,
        "int_domain": {"name": null, "min": "1", "max": "331", "is_categorical": true},
        "annotation": {"tag": ["item"], "comment": ["free text"]},
        "lifecycle_stage": "BETA"
    }));
    let expected = ColumnSchema::new("categories", DType::Int64)
        .with_shape(Shape::ragged(1, Some(4)))
        .with_tags([Tag::Item, Tag::Categorical])
        .with_domain(Domain::int(1, 331));
    assert_eq!(column.unwrap(), expected);
}

#[test]
fn bounds_that_json_lacks_survive() {
    let column =
        ColumnSchema::new("x", DType::Float32).with_domain(Domain::float(f64::NEG_INFINITY, 1e300));
    let feature = written(&column);
    assert_eq!(
        feature["floatDomain"],
        json!({"min": "-Infinity", "max": 1e300})
    );
    assert_eq!(read(feature).unwrap(), column);
}

#[test]
fn reserved_properties_are_not_written() {
    let column = ColumnSchema::new("x", DType::Int8)
        .with_property("is_list", true)
        .with_property("own", 1);
    let read = read(written(&column)).unwrap();
    assert_eq!(
        read,
        ColumnSchema::new("x", DType::Int8).with_property("own", 1)
    );
}

#[test]
fn contradictions_are_told() {
    let error = |extra: Value, tags: Value, value_count: Value| {
        let annotation = json!({"tag": tags, "extraMetadata": extra});
        read(json!({"name": "x", "valueCount": value_count, "annotation": annotation})).unwrap_err()
    };
    let none = || json!([]);
    let errors = [
        error(json!([{}, {}]), none(), json!({})),
        error(json!([{"_dims": [null, [3, 1]]}]), none(), json!({})),
        error(json!([{"_dims": "all"}]), none(), json!({})),
        error(none(), json!(["continuous", "item_id"]), json!({})),
        error(none(), none(), json!({"min": 4, "max": 3})),
        error(none(), none(), json!({"min": "four"})),
        read(json!({"name": "x", "type": "DOUBLE"})).unwrap_err(),
        read(json!({"type": "INT"})).unwrap_err(),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    column `x`: `extra_metadata` occurs twice, expected one
    column `x`: `_dims` is [null,[3,1]], expected lengths and [minimum, maximum] pairs
    column `x`: `_dims` is "all", expected lengths and [minimum, maximum] pairs
    column `x`: tags `continuous` and `id` exclude each other; keep one of them
    column `x`: `value_count` has a minimum of 4 above its maximum of 3
    found "four", expected a 64-bit integer, as a number or a string
    type "DOUBLE" does not exist, expected INT, FLOAT or BYTES
    missing field `name`
    "#);
}
