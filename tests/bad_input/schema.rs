//! Texts that are no schema.

use std::fs;

use emrys::schema::{ColumnSchema, DType, Schema, Tag, TagSet};

use crate::table::{Outcome, case, check};

fn pbtxt(text: &str) -> Outcome {
    Schema::from_pbtxt(text)?;
    Ok(())
}

fn json(text: &str) -> Outcome {
    Schema::from_json(text)?;
    Ok(())
}

#[test]
fn texts() {
    check(&[
        case(
            "pbtxt: a text without its end",
            |_| pbtxt("feature {\n  name: \"user\n}\n"),
            "schema.pbtxt, line 2, column 9: the string that begins here is not closed",
        ),
        case(
            "pbtxt: a brace too few",
            |_| pbtxt("feature {\n  name: \"user\"\n"),
            "schema.pbtxt, line 1, column 9: the message that begins here is not closed",
        ),
        case(
            "pbtxt: a type that does not exist",
            |_| pbtxt("feature {\n  name: \"user\"\n  type: INTEGER\n}\n"),
            "schema.pbtxt, line 3, column 3: type INTEGER does not exist, expected INT, FLOAT or BYTES",
        ),
        case(
            "pbtxt: a number that is none",
            |_| {
                pbtxt(
                    "feature {\n  name: \"user\"\n  type: INT\n  int_domain { min: 0 max: many }\n}\n",
                )
            },
            "schema.pbtxt, line 4, column 28: `max` is `many`, expected a 64-bit integer",
        ),
        case(
            "pbtxt: a column without a name",
            |_| pbtxt("feature {\n  type: INT\n}\n"),
            "schema.pbtxt, line 1, column 1: the feature has no name",
        ),
        case(
            "pbtxt: a column twice",
            |_| pbtxt("feature { name: \"a\" type: INT }\nfeature { name: \"a\" type: INT }\n"),
            "schema.pbtxt, line 2, column 1: column `a` occurs twice; rename one of the two",
        ),
        case(
            "JSON: no JSON",
            |_| json("{\n  \"emrys_schema\": 1,\n  \"columns\": [}\n"),
            "schema JSON, line 3, column 15: expected value",
        ),
        case(
            "JSON: not a schema",
            |_| json("{\"user\": 1}"),
            "schema JSON, line 1, column 1: no format version under `emrys_schema`",
        ),
        case(
            "JSON: a type that does not exist",
            |_| {
                json(
                    "{\"emrys_schema\": 1, \"columns\": [\n  {\"name\": \"a\", \"dtype\": \"int23\"}\n]}",
                )
            },
            "schema JSON, line 2, column 33: `int23` is not an element type; did you mean `int32`? (types: unknown, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, string, binary, date, timestamp[s], timestamp[ms], timestamp[us], timestamp[ns])",
        ),
        case(
            "JSON: a key that does not exist",
            |_| {
                json(
                    "{\"emrys_schema\": 1, \"columns\": [\n  {\"name\": \"a\", \"dtype\": \"int32\", \"tagz\": []}\n]}",
                )
            },
            "schema JSON, line 2, column 40: unknown field `tagz`, expected one of `name`, `dtype`, `shape`, `tags`, `domain`, `properties`",
        ),
        case(
            "JSON: a newer format",
            |_| json("{\"emrys_schema\": 2, \"columns\": []}"),
            "schema JSON has format version 2, but this Emrys reads up to 1; update Emrys",
        ),
        case(
            "Merlin's JSON: not JSON",
            |_| {
                Schema::from_merlin_json("{\"feature\": [{\"name\": }]}")?;
                Ok(())
            },
            "Merlin schema JSON, line 1, column 23: expected value",
        ),
    ]);
}

#[test]
fn columns_and_files() {
    check(&[
        case(
            "a folder without a schema",
            |dir| {
                Schema::read(dir)?;
                Ok(())
            },
            "no schema in `[dir]`; expected `schema.json`, `.merlin/schema.json` or `schema.pbtxt` there",
        ),
        case(
            "a file that is not there",
            |dir| {
                Schema::read(dir.join("schema.json"))?;
                Ok(())
            },
            "cannot read `[dir]/schema.json`: No such file or directory (os error 2)",
        ),
        case(
            "a broken file",
            |dir| {
                fs::write(
                    dir.join("schema.json"),
                    "{\n  \"emrys_schema\": 1,\n  \"columns\": 3\n}",
                )?;
                Schema::read(dir)?;
                Ok(())
            },
            "`[dir]/schema.json`, line 3, column 14: invalid type: integer `3`, expected a list of columns",
        ),
        case(
            "a newer file",
            |dir| {
                fs::write(dir.join("schema.json"), "{\"emrys_schema\": 7}")?;
                Schema::read(dir)?;
                Ok(())
            },
            "`[dir]/schema.json` has format version 7, but this Emrys reads up to 1; update Emrys",
        ),
        case(
            "two columns of one name",
            |_| {
                Schema::new([
                    ColumnSchema::new("user", DType::Int32),
                    ColumnSchema::new("user", DType::Int64),
                ])?;
                Ok(())
            },
            "column `user` occurs twice; rename one of the two",
        ),
        case(
            "a column that is not there",
            |_| {
                Schema::new([ColumnSchema::new("user", DType::Int32)])?.select(["usr"])?;
                Ok(())
            },
            "column `usr` is not in the schema; did you mean `user`? (columns: user)",
        ),
        case(
            "a type that does not exist",
            |_| {
                "flaot32".parse::<DType>()?;
                Ok(())
            },
            "`flaot32` is not an element type; did you mean `float32`? (types: unknown, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, string, binary, date, timestamp[s], timestamp[ms], timestamp[us], timestamp[ns])",
        ),
        case(
            "tags that exclude each other",
            |_| {
                TagSet::new([Tag::Categorical, Tag::Continuous])?;
                Ok(())
            },
            "tags `categorical` and `continuous` exclude each other; keep one of them",
        ),
    ]);
}
