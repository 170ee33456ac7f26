//! Runs that fail, with their exit codes.

use std::fs;

use crate::fixtures::{Project, WORKFLOW};

/// The exit code and the message, with everything that stands in the folder as before.
fn fails(project: &Project, arguments: &str) -> String {
    let before = project.entries();
    let ended = project.run(arguments);
    assert_eq!(ended.stdout, "", "{arguments}");
    assert_eq!(project.entries(), before, "{arguments}");
    let message = ended.stderr.trim_end();
    format!("{}, {}", ended.code, message.trim_start_matches("error: "))
}

#[test]
fn wrong_arguments_are_told_before_anything_is_read() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    let told = [
        "fit -w workflow.toml -o out",
        "fit train -w workflow.toml",
        "transform valid -w fitted",
        "transform valid -w workflow.toml -o out",
        "fit train -w fitted -o out",
        "schema train -w workflow.toml --input",
    ]
    .map(|arguments| fails(&project, arguments));
    insta::assert_snapshot!("wrong_arguments", told.join("\n"));
    for arguments in [
        "fit",
        "teach",
        "fit train -w workflow.toml -o out --memory much",
        "fit train -w workflow.toml -o out --threads 0",
        "transform valid -w fitted -o out --files 2 --rows-per-file 3",
        "transform valid -w fitted -o out --compression zstd:99",
        "schema train --format yaml",
    ] {
        assert_eq!(project.run(arguments).code, 2, "{arguments}");
    }
}

#[test]
fn data_that_cannot_be_read_are_told() {
    let project = Project::new();
    fs::create_dir(project.path("empty")).unwrap();
    project.write("broken.parquet", "PAR1 this is no parquet file");
    let told = [
        "fit nowhere -w workflow.toml -o out",
        "fit empty -w workflow.toml -o out",
        "fit none_*.parquet -w workflow.toml -o out",
        "stats broken.parquet",
        "fit train -w missing.toml -o out",
        "transform valid -w missing -o out",
    ]
    .map(|arguments| fails(&project, arguments));
    insta::assert_snapshot!("unreadable_data", told.join("\n"));
}

#[test]
fn a_wrong_workflow_is_told_with_file_line_and_node() {
    let project = Project::new();
    let told: Vec<String> = [
        ("price", "prize"),
        ("fill_val = 2.5", "fill_val = 2.5, fil_val = 1"),
        ("inputs = [\"@filled\"]", "inputs = [\"@fulled\"]"),
        ("kfold = 2", "kfold = 0"),
        ("outputs = [\"@ids\"", "outputs = [\"@isd\""),
        ("[nodes.ids]", "[session]\nmemory = \"lots\"\n\n[nodes.ids]"),
        ("[nodes.ids]", "[sesion]\nthreads = 1\n\n[nodes.ids]"),
        ("op = \"Normalize\"", "op = "),
        ("inputs = [\"price\"]", "inputs = [\"@scaled\"]"),
        ("[\"user\", \"city\"]", "[\"usr\", \"town\"]"),
    ]
    .into_iter()
    .map(|(found, wrong)| {
        assert!(WORKFLOW.contains(found), "{found}");
        project.write("wrong.toml", &WORKFLOW.replacen(found, wrong, 1));
        fails(&project, "fit train -w wrong.toml -o out")
    })
    .collect();
    insta::assert_snapshot!("wrong_workflows", told.join("\n"));
    project.write("wrong.toml", &WORKFLOW.replace("Categorify", "Categorise"));
    let unknown = fails(&project, "fit train -w wrong.toml -o out");
    let expected = "3, `wrong.toml`, line 4, node `ids`, operator `Categorise`: there is no such \
                    operator; did you mean `Categorify`?";
    assert!(unknown.starts_with(expected), "{unknown}");
}

#[test]
fn data_that_do_not_fit_the_workflow_are_told() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    project.output("fit-transform train -w workflow.toml -o encoded");
    let told = fails(&project, "transform encoded -w fitted -o out");
    assert!(told.starts_with("3, "), "{told}");
    let unknown = fails(&project, "ops Categorise");
    insta::assert_snapshot!(unknown, @"3, operator `Categorise`: there is no such operator; did you mean `Categorify`?");
}

#[test]
fn a_damaged_workflow_is_told() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    project.write("fitted/workflow.json", "{}");
    let told = fails(&project, "transform valid -w fitted -o out");
    insta::assert_snapshot!(told, @"3, load `fitted/workflow.json`: it is not a saved workflow: `emrys_workflow` is missing");
}

#[test]
fn too_little_memory_is_told_with_the_option() {
    let project = Project::new();
    let told = fails(
        &project,
        "fit train -w workflow.toml -o out --memory 1KiB --threads 1",
    );
    insta::assert_snapshot!(told, @"3, session: `memory_limit` is 1024 bytes, but at least 16777216 bytes (16 MiB) are needed; leave it out for no limit");
}

#[test]
fn scripts_get_errors_as_json() {
    let project = Project::new();
    let ended = project.run("fit nowhere -w workflow.toml -o out --json");
    assert_eq!(ended.code, 1);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["exit_code"], 1);
    let message = document["error"].as_str().unwrap();
    assert_eq!(ended.stderr, format!("error: {message}\n"));
}
