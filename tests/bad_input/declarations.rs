//! Workflows that are declared in JSON.

use emrys::etl::Workflow;

use crate::table::{Outcome, case, check, clicks};

fn declare(text: &str) -> Outcome {
    Workflow::from_json(text, clicks().schema(), ".")?;
    Ok(())
}

#[test]
fn declarations() {
    check(&[
        case(
            "an operator that does not exist",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["user"], "op": "Categorfy"}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`, operator `Categorfy`: there is no such operator; did you mean `Categorify`?",
        ),
        case(
            "a node that does not exist",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "scaled", "inputs": ["@filed"], "op": "Normalize"}], "outputs": ["@scaled"]}"#,
                )
            },
            "node `scaled`, `@filed`: there is no such node",
        ),
        case(
            "an output that does not exist",
            |_| declare(r#"{"nodes": [], "outputs": ["@scaled"]}"#),
            "outputs, `@scaled`: there is no such node",
        ),
        case(
            "no JSON",
            |_| declare("{\"nodes\": [\n  {\"id\": \"n\" \"op\"}]}"),
            "workflow: expected `,` or `}` at line 2 column 14",
        ),
        case(
            "no outputs",
            |_| declare(r#"{"nodes": []}"#),
            "workflow: missing field `outputs` at line 1 column 13",
        ),
        case(
            "an empty list of outputs",
            |_| declare(r#"{"nodes": [], "outputs": []}"#),
            "outputs: there are none; name at least one node or column",
        ),
        case(
            "an id that is taken",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["price"], "op": "LogOp"}, {"id": "n", "inputs": ["price"], "op": "LogOp"}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`: this id is taken twice",
        ),
        case(
            "a parameter that does not exist",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["price"], "op": "Clip", "params": {"minimum": 1}}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`, operator `Clip`: unknown field `minimum`, expected `min_value` or `max_value`",
        ),
        case(
            "a parameter of another type",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["price"], "op": "Clip", "params": {"min_value": "one"}}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`, operator `Clip`: invalid type: string \"one\", expected f64",
        ),
        case(
            "an expression that is none",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["price"], "op": "Filter", "params": {"expr": "price >"}}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`: `expr` is `price >`, but that is no valid expression: Expected: an expression, found: EOF",
        ),
        case(
            "no expression",
            |_| {
                declare(
                    r#"{"nodes": [{"id": "n", "inputs": ["price"], "op": "Filter"}], "outputs": ["@n"]}"#,
                )
            },
            "node `n`, params: `expr` must be a text",
        ),
    ]);
}
