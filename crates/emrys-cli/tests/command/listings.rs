//! What is printed: schemas, statistics, operators, graphs, completions.

use std::fs;
use std::path::Path;

use crate::fixtures::{Project, WORKFLOW};

#[test]
fn a_reference_of_the_operators_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let found = fs::read_to_string(&page).unwrap_or_default();
    let generated = Project::new().output("ops --markdown");
    assert!(
        found == generated,
        "docs/operators.md is out of date; regenerate it in the root of the workspace with\n\
         cargo run --release --bin emrys -- ops --markdown > docs/operators.md"
    );
}

#[test]
fn operators_are_listed_and_described() {
    let project = Project::new();
    let list = project.output("ops");
    assert!(list.contains("Categorify"), "{list}");
    assert_eq!(list.lines().count(), emrys_etl::ops::registry().len() + 2);
    insta::assert_snapshot!("ops_clip", project.output("ops clip"));
    insta::assert_snapshot!("ops_clip_markdown", project.output("ops Clip --markdown"));
    let json = project.json("ops --json");
    let names: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|operator| operator["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"Normalize"), "{names:?}");
}

#[test]
fn columns_are_described() {
    let project = Project::new();
    insta::assert_snapshot!("stats", project.output("stats train"));
    let json = project.json("stats train valid --threads 2 --json");
    assert_eq!((&json["rows"], &json["files"]), (&67.into(), &2.into()));
    let price = &json["columns"][2];
    assert_eq!(price["column"], "price");
    assert_eq!(price["nulls"], 17);
    assert_eq!(price["max"], 14.75);
    let lengths = &json["columns"][4]["lengths"];
    assert_eq!((&lengths["min"], &lengths["max"]), (&0.into(), &2.into()));
}

#[test]
fn schemas_are_printed_and_converted() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted");
    insta::assert_snapshot!("schema", project.output("schema -w fitted"));
    let input = project.output("schema -w fitted --input --format json");
    assert!(!input.contains("genres"), "{input}");

    let json = project.output("schema -w fitted --format json");
    assert_eq!(project.output("schema -w fitted --json"), json);
    for (format, file) in [("pbtxt", "schema.pbtxt"), ("merlin-json", "merlin.json")] {
        project.write(
            file,
            &project.output(&format!("schema -w fitted --format {format}")),
        );
        let read = emrys_schema::Schema::read(project.path(file)).unwrap();
        let first = emrys_schema::Schema::from_text(&json).unwrap();
        assert_eq!(read.names(), first.names());
        let printed = project.output(&format!("schema {file} --format {format}"));
        assert_eq!(printed, fs::read_to_string(project.path(file)).unwrap());
    }
    // What comes out is known before fitting, but not how many categories there are.
    let declared = project.output("schema train -w workflow.toml --format json");
    assert!(declared.contains("city"), "{declared}");
}

#[test]
fn a_fitted_workflow_prints_what_it_was_fitted_from() {
    let project = Project::new();
    project.output("fit train -w workflow.toml -o fitted --threads 1");
    let declaration = project.output("graph -w fitted");
    insta::assert_snapshot!("graph", declaration);
    project.write("again.toml", &declaration);
    project.write(
        "again.json",
        &project.output("graph -w fitted --format json"),
    );
    project.output("transform train -w fitted -o first --threads 1");
    for file in ["again.toml", "again.json"] {
        let out = format!("{file}.out");
        project.output(&format!(
            "fit-transform train -w {file} -o {out} --threads 1"
        ));
        assert_eq!(project.manifest(&out), project.manifest("first"));
        assert_eq!(
            project.output(&format!("graph train -w {file}")),
            declaration
        );
    }
    assert_ne!(declaration, WORKFLOW);
    let dot = project.output("graph -w fitted --format dot");
    assert!(
        dot.starts_with("digraph") && dot.contains("Categorify"),
        "{dot}"
    );
    let svg = project.output("graph train -w workflow.toml --format svg");
    assert!(svg.contains("<svg") && svg.contains("</svg>"), "{svg}");
}

#[test]
fn every_shell_gets_its_completions() {
    let project = Project::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = project.output(&format!("completions {shell}"));
        assert!(script.contains("fit-transform"), "{shell}");
    }
}
