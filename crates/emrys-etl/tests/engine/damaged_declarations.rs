//! Broken declarations are errors, never panics; those that are accepted can be written again.

use emrys_etl::Workflow;
use emrys_schema::{ColumnSchema, DType, Schema};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const TOML: &str = r#"
outputs = ["@ids", "@price", "@rest", "click"]

[session]
memory = "1GiB"
threads = 2

[write]
files = 3
compression = "zstd:3"

[nodes.ids]
inputs = ["user", ["user", "city"]]
op = "Categorify"
params = { freq_threshold = { user = 2 }, encode_type = "combo" }

[nodes.filled]
inputs = ["price"]
op = "FillMissing"
params_json = '{"fill_val": 1}'

[nodes.price]
inputs = ["@filled"]
op = "LambdaOp"
params = { expr = "cast(x > 0.5e3 as float64)" }

[nodes.encoded]
inputs = [{ columns = ["user"] }]
op = "TargetEncoding"
depends_on = ["@price"]
params = { target = "@filled", kfold = 3 }

[nodes.rest]
inputs = ["@encoded", "click"]
op = "Subtract"
params = { columns = ["click"] }
"#;

const JSON: &str = r#"{
    "nodes": [
        {"id": "a", "inputs": ["price", ["user", "city"]], "op": "Select", "params": {"columns": ["price", {"tags": ["user"]}]}},
        {"id": "b", "inputs": ["@a"], "op": "Filter", "params": {"sql": "price > 1 and click = 0"}},
        {"id": "c", "inputs": ["@b"], "op": "Subgraph", "params": {"name": "part"}},
        {"id": "d", "inputs": ["@c", "@b"], "op": "Subtract", "params": {"node": "@c"}}
    ],
    "outputs": ["@c", "@d"]
}"#;

/// What stands for something in these texts.
const TOKENS: [&str; 24] = [
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\n",
    "@",
    "#",
    "\\",
    "null",
    "true",
    "-1",
    "1e999",
    "nan",
    "0x",
    "[nodes.ids]",
    "\"@ids\"",
    "op",
    "inputs",
    "\u{0}ß",
];

#[derive(Debug, Clone)]
enum Edit {
    Delete(Index, usize),
    Insert(Index, &'static str),
    /// Copies a piece to another place, which keeps more of the structure.
    Repeat(Index, usize, Index),
}

impl Edit {
    fn apply(&self, text: &mut Vec<char>) {
        if text.is_empty() {
            return;
        }
        match self {
            Edit::Delete(at, length) => {
                let at = at.index(text.len());
                text.drain(at..text.len().min(at + length));
            }
            Edit::Insert(at, token) => {
                let at = at.index(text.len());
                text.splice(at..at, token.chars());
            }
            Edit::Repeat(from, length, to) => {
                let from = from.index(text.len());
                let piece = text[from..text.len().min(from + length)].to_vec();
                let to = to.index(text.len());
                text.splice(to..to, piece);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), 1..12_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        (any::<Index>(), select(TOKENS.to_vec())).prop_map(|(at, token)| Edit::Insert(at, token)),
        (any::<Index>(), 1..60_usize, any::<Index>())
            .prop_map(|(from, length, to)| Edit::Repeat(from, length, to)),
    ]
}

fn schema() -> Schema {
    Schema::new([
        ColumnSchema::new("user", DType::String).with_tags(["user"]),
        ColumnSchema::new("city", DType::String),
        ColumnSchema::new("price", DType::Float64),
        ColumnSchema::new("click", DType::Int64),
    ])
    .unwrap()
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    edits.iter().for_each(|edit| edit.apply(&mut text));
    text.into_iter().collect()
}

#[test]
fn the_texts_are_sound() {
    for sound in [
        Workflow::from_toml(TOML, &schema(), "."),
        Workflow::from_json(JSON, &schema(), "."),
    ] {
        assert!(sound.is_ok(), "{:?}", sound.map(|_| ()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn edited_toml_is_read_or_refused(edits in proptest::collection::vec(edit(), 1..5)) {
        let text = edited(TOML, &edits);
        if let Ok(workflow) = Workflow::from_toml(&text, &schema(), ".") {
            let written = workflow.to_toml().unwrap();
            let again = Workflow::from_toml(&written, &schema(), ".");
            prop_assert!(again.is_ok(), "{:?}\n{written}", again.map(|_| ()));
        }
    }

    #[test]
    fn edited_json_is_read_or_refused(edits in proptest::collection::vec(edit(), 1..4)) {
        let text = edited(JSON, &edits);
        if let Ok(workflow) = Workflow::from_json(&text, &schema(), ".") {
            let written = workflow.to_json().unwrap();
            let again = Workflow::from_json(&written, &schema(), ".");
            prop_assert!(again.is_ok(), "{:?}\n{written}", again.map(|_| ()));
        }
    }
}
