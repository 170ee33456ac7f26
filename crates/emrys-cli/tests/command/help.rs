//! Help texts, as they are shown.

use crate::fixtures::Project;

#[test]
fn help_is_as_it_was() {
    let project = Project::new();
    insta::assert_snapshot!("help", project.output("--help"));
    insta::assert_snapshot!("help_short", project.output("-h"));
    for command in [
        "fit",
        "transform",
        "fit-transform",
        "stats",
        "schema",
        "explain",
        "graph",
        "ops",
        "completions",
    ] {
        let name = format!("help_{}", command.replace('-', "_"));
        insta::assert_snapshot!(name, project.output(&format!("{command} --help")));
    }
}

#[test]
fn no_arguments_show_the_help() {
    let ended = Project::new().run("");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("Usage: emrys"), "{}", ended.stderr);
}
