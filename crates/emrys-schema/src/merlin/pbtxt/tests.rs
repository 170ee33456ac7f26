use super::*;
use crate::{ColumnSchema, DType, Domain, Shape, Tag};

fn error(text: &str) -> String {
    Schema::from_pbtxt(text).unwrap_err().to_string()
}

#[test]
fn a_column_is_written_as_protobuf_writes_it() {
    let schema = Schema::new([
        ColumnSchema::new("größe", DType::Float32)
            .with_shape(Shape::ragged(0, Some(3)))
            .with_tags([Tag::Continuous])
            .with_domain(Domain::float(-0.1, 1.0)),
        ColumnSchema::new("any", DType::Unknown).with_shape(Shape::ragged(0, None)),
    ])
    .unwrap();
    let text = schema.to_pbtxt().unwrap();
    insta::assert_snapshot!(text, @r#"
    feature {
      name: "größe"
      value_count {
        max: 3
      }
      type: FLOAT
      float_domain {
        min: -0.1
        max: 1.0
      }
      annotation {
        tag: "continuous"
        extra_metadata {
          type_url: "type.googleapis.com/google.protobuf.Struct"
          value: "\n8\n\005_dims\022/2-\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\0302\026\n\t\021\000\000\000\000\000\000\000\000\n\t\021\000\000\000\000\000\000\010@\n\r\n\007is_list\022\002 \001\n\017\n\tis_ragged\022\002 \001\n\034\n\017dtype_item_size\022\t\021\000\000\000\000\000\000@@"
        }
      }
    }
    feature {
      name: "any"
      value_count {
      }
      annotation {
        extra_metadata {
          type_url: "type.googleapis.com/google.protobuf.Struct"
          value: "\n1\n\005_dims\022(2&\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\0212\017\n\t\021\000\000\000\000\000\000\000\000\n\002\010\000\n\r\n\007is_list\022\002 \001\n\017\n\tis_ragged\022\002 \001"
        }
      }
    }
    "#);
    assert_eq!(Schema::from_pbtxt(&text).unwrap(), schema);
}

#[test]
fn what_merlin_does_not_use_is_skipped() {
    let schema = Schema::from_pbtxt(
        r#"
        # written by hand
        default_environment: ["TRAINING", 'SERVING']
        string_domain { name: "colours" value: "red" }
        feature {
          name: "x" type: FLOAT lifecycle_stage: BETA
          presence { min_fraction: 1.0 }
          shape < dim { size: 1 } >
          float_domain { max: 1 disallow_nan: true }
          annotation { tag: "user_id" comment: "free text" }
        }
        tensor_representation_group { key: "" value { } }
        "#,
    );
    let expected = ColumnSchema::new("x", DType::Float64)
        .with_tags([Tag::UserId])
        .with_domain(Domain::float(0.0, 1.0));
    assert_eq!(schema.unwrap(), Schema::new([expected]).unwrap());
}

#[test]
fn extra_metadata_may_be_spelled_out() {
    let schema = Schema::from_pbtxt(
        r#"feature { name: "x" type: INT annotation { extra_metadata {
            [type.googleapis.com/google.protobuf.Struct] {
              fields { key: "dtype_item_size" value { number_value: 32 } }
              fields { key: "path" value { string_value: "a/b" } }
              fields { key: "sizes" value { list_value {
                values { number_value: 1.5 } values { bool_value: true } values { null_value: NULL_VALUE }
              } } }
              fields { key: "more" value { struct_value { fields { key: "k" value { } } } } }
            }
        } } }"#,
    )
    .unwrap();
    let column = ColumnSchema::new("x", DType::Int32)
        .with_property("path", "a/b")
        .with_property("sizes", serde_json::json!([1.5, true, null]))
        .with_property("more", serde_json::json!({"k": null}));
    assert_eq!(schema, Schema::new([column]).unwrap());
}

#[test]
fn bounds_beyond_all_numbers_survive() {
    let domain = Domain::float(f64::NEG_INFINITY, 1e300);
    let column = ColumnSchema::new("x", DType::Float64).with_domain(domain);
    let schema = Schema::new([column]).unwrap();
    let text = schema.to_pbtxt().unwrap();
    assert!(text.contains("min: -inf\n    max: 1e300\n"), "{text}");
    assert_eq!(Schema::from_pbtxt(&text).unwrap(), schema);
}

#[test]
fn other_kinds_of_extra_metadata_are_skipped() {
    for other in [
        r#"type_url: "type.googleapis.com/x.Y" value: "\377""#,
        "[type.googleapis.com/x.Y] { z: 1 }",
    ] {
        let text =
            format!("feature {{ name: \"x\" annotation {{ extra_metadata {{ {other} }} }} }}");
        let expected = Schema::new([ColumnSchema::new("x", DType::Unknown)]).unwrap();
        assert_eq!(Schema::from_pbtxt(&text).unwrap(), expected);
    }
}

#[test]
fn errors_tell_line_and_column() {
    let errors = [
        "feature {\n  nmae: \"x\"\n}",
        "feature {\n  type: INT\n}",
        "feature {\n  name: \"größe\" type: DOUBLE\n}",
        "feature { name: \"x\" name: \"y\" }",
        "feature { name: \"x\" }\n\nfeature { name: \"x\" }",
        "feature { name: \"x\" int_domain { max: 1.5 } }",
        "feature { name: 7 }",
        "feature: 7",
        "feature {\n  name: \"x\"\n  annotation {\n",
        "feature { name: \"x\" annotation { tag: \"id\" tag: \"continuous\" } }",
        "feature { name: \"x\" annotation { extra_metadata {\n value: \"\\377\" } } }",
        "hello world",
    ]
    .map(error);
    insta::assert_snapshot!(errors.join("\n"), @"
    schema.pbtxt, line 2, column 3: field `nmae` does not exist here; did you mean `name`?
    schema.pbtxt, line 1, column 1: the feature has no name
    schema.pbtxt, line 2, column 17: type DOUBLE does not exist, expected INT, FLOAT or BYTES
    schema.pbtxt, line 1, column 21: `name` occurs twice
    schema.pbtxt, line 3, column 1: column `x` occurs twice; rename one of the two
    schema.pbtxt, line 1, column 39: `max` is `1.5`, expected a 64-bit integer
    schema.pbtxt, line 1, column 17: `name` is `7`, expected a quoted string
    schema.pbtxt, line 1, column 10: `feature` is `7`, expected a message in braces
    schema.pbtxt, line 3, column 14: the message that begins here is not closed
    schema.pbtxt, line 1, column 1: column `x`: tags `id` and `continuous` exclude each other; keep one of them
    schema.pbtxt, line 2, column 2: the bytes are not a google.protobuf.Struct: failed to decode Protobuf message: invalid varint
    schema.pbtxt, line 1, column 7: found `w`, expected `:` or `{`
    ");
}
