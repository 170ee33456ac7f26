//! Pictures of graphs.

use emrys_etl::ops::{Categorify, FillMissing, Filter, LogOp, Normalize, TargetEncoding};
use emrys_etl::{Workflow, cols, group};
use serde_json::json;

use crate::table::dataset;

fn workflow() -> (Workflow, emrys_etl::Dataset) {
    let data = dataset(&json!({
        "user": ["u", "v", "u"], "city": ["x", "y", "x"], "price": [1.0, null, 4.0], "click": [1, 0, 1],
    }));
    let clicks = cols(["click"]);
    let rates =
        (group(["user", "city"]) >> TargetEncoding::new("click")).depends_on(clicks.clone());
    let price = cols(["price"]) >> FillMissing::with(1.0) >> Normalize::default();
    let ids = cols(["user", "city"]) >> Categorify::default();
    (
        Workflow::new(ids.named("ids") + price + rates + clicks),
        data,
    )
}

#[test]
fn boxes_name_operators_rounds_and_columns() {
    let (workflow, data) = workflow();
    let picture = workflow.picture(data.schema()).unwrap();
    insta::assert_snapshot!(picture.to_dot(), @r##"
    digraph workflow {
      node [shape=box, style=filled, fontname="Helvetica"];
      n0 [label="data\nuser, city", fillcolor="#e3edf7"];
      n1 [label="Categorify\nround 1\nuser, city", fillcolor="#fbe5c8"];
      n2 [label="subgraph ids\nuser, city", fillcolor="#f4f4f4"];
      n3 [label="data\nprice", fillcolor="#e3edf7"];
      n4 [label="FillMissing\nprice", fillcolor="#eef5e6"];
      n5 [label="Normalize\nround 1\nprice", fillcolor="#fbe5c8"];
      n6 [label="data\nuser, city", fillcolor="#e3edf7"];
      n7 [label="data\nclick", fillcolor="#e3edf7"];
      n8 [label="TargetEncoding\nround 1\nTE_user_city_click", fillcolor="#fbe5c8"];
      n9 [label="+\nuser, city, price, TE_user_city_click, and 1 more", fillcolor="#f4f4f4"];
      n10 [label="output\nuser, city, price, TE_user_city_click, and 1 more", fillcolor="#dcd6ee"];
      n0 -> n1;
      n1 -> n2;
      n3 -> n4;
      n4 -> n5;
      n6 -> n8;
      n7 -> n8 [style=dashed];
      n2 -> n9;
      n5 -> n9;
      n8 -> n9;
      n7 -> n9;
      n9 -> n10;
    }
    "##);
    let fitted = workflow.fit(&data).unwrap();
    assert_eq!(fitted.picture().unwrap().to_dot(), picture.to_dot());
}

#[test]
fn the_svg_has_every_box() {
    let (workflow, data) = workflow();
    let svg = workflow.picture(data.schema()).unwrap().to_svg();
    for text in [
        "Categorify",
        "TargetEncoding",
        "round 1",
        "subgraph ids",
        "output",
    ] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert!(svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg, workflow.picture(data.schema()).unwrap().to_svg());
}

#[test]
fn names_cannot_break_the_text() {
    let data = dataset(&json!({"a\"]; <b> & \\": [1]}));
    let node = cols(["a\"]; <b> & \\"]) >> Filter::new("true");
    let picture = Workflow::new(node).picture(data.schema()).unwrap();
    let dot = picture.to_dot();
    assert!(dot.contains(r#"a\"]; <b> & \\"#), "{dot}");
    let svg = picture.to_svg();
    assert!(svg.contains("a&quot;]; &lt;b&gt; &amp; \\"), "{svg}");
}

#[test]
fn a_graph_of_two_hundred_nodes_is_drawn() {
    let names: Vec<String> = (0..50).map(|i| format!("number_{i}")).collect();
    let columns = names.iter().map(|name| (name.clone(), json!([1.0, 2.0])));
    let data = dataset(&serde_json::Value::Object(columns.collect()));
    let branch = |name: &String| {
        cols([name.clone()]) >> FillMissing::with(0.0) >> LogOp >> Normalize::default()
    };
    let mut branches = names.iter().map(branch);
    let first = branches.next().unwrap();
    let sum = branches.fold(first, |sum, node| sum + node);
    let picture = Workflow::new(sum).picture(data.schema()).unwrap();
    assert_eq!(picture.to_dot().matches("Normalize").count(), 50);
    assert_eq!(picture.to_svg().matches("Normalize").count(), 50);
}
