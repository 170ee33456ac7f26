//! Graphs written down and read again; workflow files.

use std::fs;

use emrys_etl::declaration::WorkflowFile;
use emrys_etl::ops::{
    Bucketize, Categorify, Clip, ColumnSimilarity, EncodeType, FillMissing, Filter, Lambda, LogOp,
    Normalize, Rename, TagAs, TargetEncoding, build, registry,
};
use emrys_etl::{Node, Workflow, all_columns, cols, group, select, tagged};
use emrys_etl::{Selector, io::Compression};
use emrys_schema::{ColumnSchema, DType, Schema};
use serde_json::Value;

use crate::table::{collect, dataset, json};

pub fn data() -> Value {
    serde_json::json!({
        "user": ["u", "v", null, "u", "w", "v"],
        "city": ["rome", "oslo", "rome", null, "bern", "oslo"],
        "price": [1.5, null, 7.25, 100.0, 0.1, 3.3],
        "age": [20, 40, 0, 33, 51, 7],
        "click": [1, 0, 1, 0, 1, 1],
        "@odd \"name\"\n": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    })
}

const ODD: &str = "@odd \"name\"\n";

/// Graphs that need each part of the language.
fn graphs() -> Vec<(&'static str, Node)> {
    let price = cols(["price"]) >> FillMissing::with(1.0).with_flags(true);
    let target = cols(["click"]) >> Lambda::new("x <> 0");
    vec![
        ("only columns", cols(["price", "user"])),
        ("all columns", all_columns()),
        (
            "no columns",
            cols(["user"]) + (cols(Vec::<String>::new()) >> LogOp),
        ),
        ("a tag", tagged(["user_id"]) + cols(["price"])),
        (
            "odd names",
            cols([ODD]) >> LogOp >> Rename::postfix(" = 'x'"),
        ),
        (
            "odd groups",
            select(Selector::group([ODD, "user"]))
                >> Categorify::new().with_encode_type(EncodeType::Combo),
        ),
        (
            "columns before nodes",
            cols(["user"]) + (cols(["price"]) >> LogOp),
        ),
        ("columns between nodes", {
            let sum = (cols(["age"]) >> LogOp) + cols(["user", "city"]);
            sum + (cols(["price"]) >> LogOp)
        }),
        ("sums of sums", {
            let left = cols(["user"]) + (cols(["age"]) >> LogOp);
            let right = cols(["city"]) + (cols(["price"]) >> LogOp);
            left + right
        }),
        ("a node used twice", {
            let price = price.clone();
            (price.clone() >> Rename::postfix("_a")) + (price >> Rename::postfix("_b"))
        }),
        ("subsets and differences", {
            let logs = cols(["price", "age"]) >> LogOp;
            let all = logs.clone() + cols(["user", "city", "click"]);
            (all.clone() - ["user"]).subset(["click", "price", "city"])
                + (all - logs - cols(["city", "click"]))
        }),
        ("groups", {
            let joint = group(["user", "city"]) >> Categorify::default();
            let filled = cols(["user", "city"]) >> FillMissing::with("x");
            joint + (filled.grouped() >> Categorify::default() >> Rename::postfix("_filled"))
        }),
        ("expressions as SQL", {
            let kept = cols(["age", "click"]) >> Filter::new("click <> 0 AND age > 1");
            kept >> Lambda::new("CAST(x AS DOUBLE) / 3")
        }),
        ("a target that is a node", {
            cols(["city"]) >> TargetEncoding::new("click") >> Normalize::default()
        }),
        ("a target that looks like a node", {
            let filled = cols([ODD]) >> FillMissing::with(0.0);
            (cols(["city"]) >> TargetEncoding::new(ODD)) + filled
        }),
        ("a dependency", {
            let encoded =
                (cols(["city"]) >> TargetEncoding::new("click")).depends_on(target.clone());
            encoded + (target >> Rename::to("clicked"))
        }),
        ("parts with names", {
            let user =
                (cols(["user"]) >> Categorify::default() >> TagAs::USER_FEATURES).named("user");
            let age = (cols(["age"]) >> Bucketize::new([18.0, 35.0])).named("a \"part\"");
            user + age + (price.subset(["price"]) >> Clip::between(0.0, 50.0)).named("price")
        }),
    ]
}

#[test]
fn graphs_are_the_same_after_they_were_written_and_read() {
    let data = dataset(&data());
    for (name, node) in graphs() {
        let workflow = Workflow::new(node);
        let (toml, text) = (workflow.to_toml().unwrap(), workflow.to_json().unwrap());
        let expected = workflow
            .fit(&data)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let rows = collect(&expected, &data);
        let read = [
            Workflow::from_toml(&toml, data.schema(), "elsewhere"),
            Workflow::from_json(&text, data.schema(), "elsewhere"),
        ];
        for read in read {
            let read = read.unwrap_or_else(|error| panic!("{name}: {error}\n{toml}\n{text}"));
            assert_eq!(read.to_toml().unwrap(), toml, "{name}");
            assert_eq!(read.to_json().unwrap(), text, "{name}");
            let fitted = read.fit(&data).unwrap();
            assert_eq!(
                fitted.output_schema(),
                expected.output_schema(),
                "{name}:\n{toml}"
            );
            assert_eq!(collect(&fitted, &data), rows, "{name}:\n{toml}");
        }
        assert_eq!(expected.to_toml().unwrap(), toml, "{name}");
        assert_eq!(expected.to_json().unwrap(), text, "{name}");
    }
}

#[test]
fn every_operator_is_the_same_after_it_was_written_and_read() {
    for entry in registry() {
        for example in (entry.examples)() {
            let name = format!("{}, {}", entry.name, example.title);
            let operator = build(entry.name, example.config.clone()).unwrap();
            let data = dataset(&example.input);
            let workflow = Workflow::new(example.inputs().apply(operator));
            let toml = workflow.to_toml().unwrap();
            let read = Workflow::from_toml(&toml, data.schema(), ".")
                .unwrap_or_else(|error| panic!("{name}: {error}\n{toml}"));
            assert_eq!(read.to_toml().unwrap(), toml, "{name}");
            assert_eq!(read.to_json().unwrap(), workflow.to_json().unwrap());
            let rows = |workflow: &Workflow| collect(&workflow.fit(&data).unwrap(), &data);
            assert_eq!(rows(&read), rows(&workflow), "{name}:\n{toml}");
        }
    }
}

#[test]
fn removed_inputs_are_declared() {
    let data = dataset(&data());
    let encoded = cols(["city"]) >> TargetEncoding::new("click");
    let node = encoded + (cols(["age", "price"]) >> LogOp) + cols(["click"]);
    let workflow = Workflow::new(node.clone()).remove_inputs(["price", "click"]);
    let toml = workflow.to_toml().unwrap();
    let head = "outputs = [\"@target_encoding\", \"@log_op\", \"click\"]\n\
                remove_inputs = [\"click\", \"price\"]\n";
    assert!(toml.starts_with(head), "{toml}");
    assert!(
        workflow
            .to_json()
            .unwrap()
            .ends_with("\"click\"],\n  \"remove_inputs\": [\"click\",\"price\"]\n}\n")
    );
    let read = Workflow::from_toml(&toml, data.schema(), ".").unwrap();
    assert_eq!(read.output_schema(data.schema()).unwrap().names(), ["age"]);
    // The data set needs not have them.
    let without = data.schema().excluding(["price", "click"]);
    let read = Workflow::from_toml(&toml, &without, ".").unwrap();
    assert_eq!(read.output_schema(&without).unwrap().names(), ["age"]);

    // A fitted workflow keeps what it learned from them, and the graph needs them to be fitted.
    let served = Workflow::new(node).fit(&data).unwrap();
    let served = served.remove_inputs(["click", "price"]).unwrap();
    assert_eq!(served.output_schema().names(), ["TE_city_click", "age"]);
    let read = [
        Workflow::from_toml(&served.to_toml().unwrap(), data.schema(), "."),
        Workflow::from_json(&served.to_json().unwrap(), data.schema(), "."),
    ];
    let rows = dataset(&serde_json::json!({"city": ["rome", "oslo", "new"], "age": [1, 2, 3]}));
    for read in read {
        let again = read.unwrap().fit(&data).unwrap();
        assert_eq!(again.output_schema(), served.output_schema());
        let again = again.remove_inputs(["click", "price"]).unwrap();
        assert_eq!(collect(&again, &rows), collect(&served, &rows));
    }
}

#[test]
fn wrong_removals_say_where_they_stand() {
    let schema = dataset(&data()).schema().clone();
    let told = |removed: &str, inputs: &str| {
        let text = format!(
            "outputs = ['@a']\n\nremove_inputs = {removed}\n[nodes.a]\ninputs = {inputs}\nop = 'LogOp'"
        );
        let error = Workflow::from_toml(&text, &schema, ".").unwrap_err();
        error.to_string().replace('\n', " ")
    };
    let told = [
        told("'price'", "['price']"),
        told("['prize']", "['price']"),
        told("['price']", "['price']"),
        told("['click']", "['price', 'x']"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    line 3: `remove_inputs` must be a list of names of columns
    line 3, remove_inputs: column `prize` is not in the input; did you mean `price`? (input: user, city, price, age, click, @odd "name" )
    line 1, outputs: `remove_inputs` is all of its inputs, but no output is left without them; keep some
    line 4, node `a`: column `x` is not in the input (input: user, city, price, age, @odd "name" )
    "#);
}

#[test]
fn paths_start_at_the_folder_of_the_declaration() {
    let folder = tempfile::tempdir().unwrap();
    let train = dataset(&serde_json::json!({"user": ["u", "v", "u"]}));
    let fitted = Workflow::new(cols(["user"]) >> Categorify::default())
        .fit(&train)
        .unwrap();
    fitted.save(folder.path().join("saved")).unwrap();
    let file = "saved/artifacts/node_001/unique.user.parquet";
    assert!(folder.path().join(file).exists(), "{file}");
    let text = format!(
        "outputs = ['@ids']\n\
         nodes.ids = {{ inputs = ['user'], op = 'Categorify', params = {{ vocabs.user = '{file}' }} }}"
    );
    let other = dataset(&serde_json::json!({"user": ["v", "new", "u"]}));
    let read = Workflow::from_toml(&text, other.schema(), folder.path()).unwrap();
    let again = Workflow::from_toml(&read.to_toml().unwrap(), other.schema(), "elsewhere").unwrap();
    for workflow in [read, again] {
        let found = collect(&workflow.fit(&other).unwrap(), &other);
        assert_eq!(found, collect(&fitted, &other));
    }
}

#[test]
fn a_declaration_is_short_and_readable() {
    let price = cols(["price"]) >> FillMissing::with(1.0) >> LogOp >> Normalize::default();
    let node = (cols(["user", "city"]) >> Categorify::default()) + price + cols(["click"]);
    let workflow = Workflow::new(node);
    insta::assert_snapshot!(workflow.to_toml().unwrap(), @r#"
    outputs = ["@categorify", "@normalize", "click"]

    [nodes.categorify]
    inputs = ["user", "city"]
    op = "Categorify"

    [nodes.fill_missing]
    inputs = ["price"]
    op = "FillMissing"
    params = { fill_val = 1.0 }

    [nodes.log_op]
    inputs = ["@fill_missing"]
    op = "LogOp"

    [nodes.normalize]
    inputs = ["@log_op"]
    op = "Normalize"
    "#);
    insta::assert_snapshot!(workflow.to_json().unwrap(), @r#"
    {
      "nodes": [
        {"id":"categorify","inputs":["user","city"],"op":"Categorify"},
        {"id":"fill_missing","inputs":["price"],"op":"FillMissing","params":{"fill_val":1.0}},
        {"id":"log_op","inputs":["@fill_missing"],"op":"LogOp"},
        {"id":"normalize","inputs":["@log_op"],"op":"Normalize"}
      ],
      "outputs": ["@categorify","@normalize","click"]
    }
    "#);
}

#[test]
fn expressions_mean_what_they_say_in_both_languages() {
    let data = dataset(&serde_json::json!({"a": [1, 2, null], "b": [1, 3, 4]}));
    let rows = |param: &str| {
        let text = format!(
            "outputs = ['@kept']\n\
             nodes.kept = {{ inputs = ['a', 'b'], op = 'Filter', params = {{ {param} = 'a <> b' }} }}"
        );
        let fitted = Workflow::from_toml(&text, data.schema(), ".")
            .unwrap()
            .fit(&data)
            .unwrap();
        json(&collect(&fitted, &data))
    };
    // To pandas, a missing value is different from all others.
    assert_eq!(
        rows("expr"),
        serde_json::json!({"a": [2, null], "b": [3, 4]})
    );
    assert_eq!(rows("sql"), serde_json::json!({"a": [2], "b": [3]}));
}

#[test]
fn a_table_in_memory_cannot_be_declared() {
    let table = crate::table::batch(&serde_json::json!({"city": ["rome"], "country": ["it"]}));
    let joined = cols(["city"]) >> emrys_etl::ops::JoinExternal::table(table, ["city"]);
    let error = Workflow::new(joined).to_toml().unwrap_err();
    insta::assert_snapshot!(error, @"join_external: its table is in memory; write it to a parquet file and join that");
    let features = || {
        crate::table::batch(&serde_json::json!({"row": [0, 1], "col": [0, 0], "data": [1.0, 2.0]}))
    };
    let told = |similarity: ColumnSimilarity| {
        let node = group(["age", "click"]) >> similarity;
        let error = Workflow::new(node).to_toml().unwrap_err();
        error.to_string()
    };
    let expected = "column_similarity: its features are in memory; write them to a parquet file";
    assert_eq!(told(ColumnSimilarity::table(features())), expected);
    let right = ColumnSimilarity::parquet("left.parquet").with_right_table(features());
    assert_eq!(told(right), expected);
}

#[test]
fn a_file_says_where_each_error_is() {
    let schema = Schema::new(["user", "price"].map(|name| ColumnSchema::new(name, DType::Float64)));
    let told = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.toml");
        fs::write(&path, text).unwrap();
        let result =
            WorkflowFile::read(&path).and_then(|file| file.workflow(schema.as_ref().unwrap()));
        let error = result.unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let node = |node: &str| told(&format!("outputs = ['@a']\n\n[nodes.a]\n{node}"));
    let told = [
        told("outputs = ['@a'"),
        told("outputs = ['@a']"),
        told("outputs = []"),
        told("output = ['price']"),
        told("outputs = ['prize']"),
        told("outputs = ['price']\n[write]\nfiles = 'many'"),
        told("outputs = ['price']\n[write]\ncompression = 'zip'"),
        node("inputs = []\nop = 'LogOp'"),
        node("inputs = [3]\nop = 'LogOp'"),
        node("inputs = [{ tag = 'user' }]\nop = 'LogOp'"),
        node("inputs = ['@b']\nop = 'LogOp'"),
        node("inputs = ['price']\nop = 'Clip'\nparams = { min_value = 'low' }"),
        node("inputs = ['price']\nop = 'Select'\nparams = { columns = 'price' }"),
        node("inputs = ['x', 'y']\nop = 'LogOp'\n[nodes.b]\ninputs = ['z']\nop = 'LogOp'"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    `w.toml`, line 1: unclosed array, expected `]`
    `w.toml`, line 1, outputs, `@a`: there is no such node
    `w.toml`, line 1, outputs: there are none; name at least one node or column
    `w.toml`, line 1: `outputs` is missing; name the nodes and columns that come out
    `w.toml`, line 1, outputs: column `prize` is not in the input; did you mean `price`? (input: user, price)
    `w.toml`, line 3: invalid type: string "many", expected usize
    `w.toml`, line 3: there is no compression `zip`; write none, snappy, lz4, zstd:1 to 22, gzip:0 to 9 or brotli:0 to 11
    `w.toml`, line 3, node `a`, inputs: there are none; name at least one node or column
    `w.toml`, line 3, node `a`, inputs: 3 is no column, node or group of columns
    `w.toml`, line 3, node `a`, inputs: {"tag":"user"} selects no columns; write `all = true`, `tags = [...]` or `columns = [...]`
    `w.toml`, line 3, node `a`, `@b`: there is no such node
    `w.toml`, line 3, node `a`, operator `Clip`: invalid type: string "low", expected f64
    `w.toml`, line 3, node `a`, params: `columns` must be a list of names
    3 errors in the workflow:
    - `w.toml`, line 3, node `a`: column `x` is not in the input (input: user, price)
    - `w.toml`, line 3, node `a`: column `y` is not in the input (input: user, price)
    - `w.toml`, line 6, node `b`: column `z` is not in the input (input: user, price)
    "#);
    let unknown = node("inputs = ['price']\nop = 'LogOb'");
    let expected = "`w.toml`, line 3, node `a`, operator `LogOb`: there is no such operator; did you mean `LogOp`?";
    assert!(unknown.starts_with(expected), "{unknown}");
}

#[test]
fn settings_are_read_with_paths_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.toml");
    let text = r#"
        outputs = ["a"]
        [source]
        paths = ["train/*.parquet", "/data/more", "s3://bucket/data"]
        schema = "schema.pbtxt"
        [session]
        memory = 1000000
        threads = 3
        [write]
        out = "out"
        files = 2
        compression = "zstd"
    "#;
    fs::write(&path, text).unwrap();
    let file = WorkflowFile::read(&path).unwrap();
    let settings = file.settings();
    let inside = |name: &str| folder.path().join(name);
    assert_eq!(
        settings.source.paths,
        [
            inside("train/*.parquet"),
            "/data/more".into(),
            "s3://bucket/data".into()
        ]
    );
    assert_eq!(settings.source.schema, Some(inside("schema.pbtxt")));
    assert_eq!(settings.session.memory, Some(1_000_000));
    assert_eq!(settings.session.options().threads(), 3);
    assert_eq!(settings.write.out, Some(inside("out")));
    assert_eq!(settings.write.compression, Some(Compression::Zstd(3)));
    assert!(settings.write.options().is_ok());
    assert_eq!(settings.fit.out, None);
}
