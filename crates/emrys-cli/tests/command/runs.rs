//! Runs that succeed: fit, transform, fit-transform, explain.

use std::fs;

use crate::fixtures::{Project, WORKFLOW};

#[test]
fn fitting_and_transforming_gives_what_doing_both_at_once_gives() {
    let project = Project::new();
    project.output("fit train --workflow workflow.toml --out fitted --threads 1");
    project.output("transform train --workflow fitted --out twice --threads 1");
    project.output("fit-transform train -w workflow.toml -o once --save kept --threads 1");
    assert_eq!(project.manifest("once"), project.manifest("twice"));
    assert_eq!(
        fs::read(project.path("kept/workflow.json")).unwrap(),
        fs::read(project.path("fitted/workflow.json")).unwrap()
    );
    // Other data have no target, and need none.
    project.output("transform valid/*.parquet --workflow fitted --out valid_encoded");
    assert_eq!(project.manifest("valid_encoded").rows, 7);
}

#[test]
fn several_paths_are_read_as_one_table() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    let written = project.json(
        "transform valid train/*.parquet valid/part_00000.parquet -w fitted -o out --threads 1 \
         --files 1 --json",
    );
    assert_eq!(
        (&written["rows"], &written["files"]),
        (&74.into(), &1.into())
    );
}

#[test]
fn a_workflow_file_says_where_data_come_from_and_go_to() {
    let project = Project::new();
    fs::create_dir(project.path("conf")).unwrap();
    let settings = r#"
        [source]
        paths = ["../train/*.parquet", "../valid"]

        [session]
        memory = "256MiB"
        threads = 1
        spill_dir = "spill"

        [fit]
        out = "fitted"

        [write]
        out = "encoded"
        rows_per_file = 20
        compression = "zstd:5"
    "#;
    let place = WORKFLOW.find("[nodes.ids]").unwrap();
    let text = format!("{}{settings}{}", &WORKFLOW[..place], &WORKFLOW[place..]);
    project.write("conf/workflow.toml", &text);
    let written = project.json("fit-transform -w conf/workflow.toml --json");
    assert_eq!(written["rows"], 67);
    assert_eq!(project.manifest("conf/encoded").files.len(), 4);
    assert!(project.path("conf/fitted/workflow.json").is_file());
    // What queries spilled is gone.
    assert_eq!(fs::read_dir(project.path("conf/spill")).unwrap().count(), 0);

    // Arguments come first.
    let written = project
        .json("fit-transform train -w conf/workflow.toml -o out --files 1 --overwrite --json");
    assert_eq!(
        (&written["rows"], &written["files"]),
        (&60.into(), &1.into())
    );
    assert_eq!(project.manifest("out").rows, 60);
}

#[test]
fn messages_go_to_stderr_and_can_be_silenced() {
    let project = Project::new();
    let fitted = project.run("fit train -w workflow.toml -o fitted");
    assert_eq!(fitted.stdout, "");
    assert!(
        fitted.stderr.starts_with("fitted on 60 rows in "),
        "{}",
        fitted.stderr
    );
    assert!(
        fitted.stderr.ends_with(" s, saved in `fitted`\n"),
        "{}",
        fitted.stderr
    );
    let quiet = project.run("transform valid -w fitted -o out --quiet");
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let json = project.json("fit train -w workflow.toml -o again --json");
    assert_eq!(json["rows"], 60);
    assert_eq!(json["columns"][0], "user");
}

#[test]
fn a_schema_file_gives_the_data_their_tags() {
    let project = Project::new();
    let mut schema: serde_json::Value =
        serde_json::from_str(&project.output("schema train --format json")).unwrap();
    schema["columns"][2]["tags"] = serde_json::json!(["continuous"]);
    project.write("tagged.json", &schema.to_string());
    project.write(
        "tags.toml",
        r#"
        outputs = ["@scaled"]
        [nodes.scaled]
        inputs = [{ tags = ["continuous"] }]
        op = "Normalize"
        "#,
    );
    let shown = project.output("schema train --schema tagged.json -w tags.toml");
    assert!(shown.contains("price"), "{shown}");
}

#[test]
fn plans_are_shown_without_running_them() {
    let project = Project::new();
    let rounds = project.output("explain train -w workflow.toml");
    assert!(rounds.contains("round 1"), "{rounds}");
    project.output("fit train -w workflow.toml -o fitted");
    let plan = project.output("explain valid -w fitted");
    assert!(plan.contains("DataSourceExec"), "{plan}");
    let json = project.output("explain valid -w fitted --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let physical = json["transform"]["physical"].as_str().unwrap();
    assert!(physical.contains("DataSourceExec"), "{physical}");
    let left = ["fitted", "train", "valid", "workflow.toml"];
    assert_eq!(project.entries(), left);
}

#[test]
fn an_existing_output_is_replaced_only_when_asked() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    project.output("transform valid -w fitted -o out");
    let refused = project.run("transform train -w fitted -o out");
    assert_eq!(refused.code, 4);
    assert_eq!(
        refused.stderr,
        "error: write `out`: it exists already; choose another folder or allow overwriting\n"
    );
    assert_eq!(project.manifest("out").rows, 7);
    project.output("transform train -w fitted -o out --overwrite");
    assert_eq!(project.manifest("out").rows, 60);
    assert_eq!(project.run("fit train -w workflow.toml -o fitted").code, 4);
    project.output("fit valid -w workflow.toml -o fitted --overwrite");
    // What emrys did not write is never deleted.
    let foreign = project.run("fit train -w workflow.toml -o train --overwrite");
    assert_ne!(foreign.code, 0);
    assert_eq!(project.manifest("train").rows, 60);
}

#[test]
fn rows_are_shuffled_and_divided_as_asked() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    let out = |arguments: &str| {
        let run = format!("transform train -w fitted -o out --overwrite {arguments}");
        project.output(&run);
        let manifest = project.manifest("out");
        let files = manifest.files.iter();
        let sums: Vec<String> = files.map(|file| file.xxh64.clone()).collect();
        (manifest.rows, sums)
    };
    let plain = out("--files 1");
    let shuffled = out("--files 1 --shuffle full");
    assert_eq!((plain.0, shuffled.0), (60, 60));
    assert_ne!(plain.1, shuffled.1);
    let again = out("--files 1 --shuffle full --seed 42 --threads 1");
    assert_eq!(again.1, shuffled.1);
    assert_ne!(out("--files 1 --shuffle full --seed 7").1, shuffled.1);
    assert_eq!(out("--partition-on city --file-size 1MiB").0, 60);
    assert!(project.path("out/city=3").is_dir());
}

#[test]
fn other_formats_are_read_as_their_names_or_the_arguments_say() {
    let project = Project::new();
    project.write("a.csv", "user,price\nann,1.5\nbob,\n");
    project.write("b.jsonl", "{\"user\": \"ann\", \"price\": 2}\n");
    project.write("c.dat", "ann::3\nbob::4\nann::5\n");
    assert_eq!(project.json("stats a.csv --json")["rows"], 2);
    assert_eq!(project.json("stats b.jsonl --json")["rows"], 1);
    let stats = project.json("stats c.dat --delimiter :: --names user,price --json");
    assert_eq!(stats["columns"][1]["max"], 5);
    project.write(
        "w.toml",
        r#"
        outputs = ["@ids"]
        [source]
        paths = ["c.dat"]
        options = { format = { csv = { delimiter = "::", names = ["user", "price"] } } }
        [nodes.ids]
        inputs = ["user"]
        op = "Categorify"
        "#,
    );
    let written = project.json("fit-transform -w w.toml -o out --json");
    assert_eq!(written["rows"], 3);
}
