//! Pictures of graphs: Graphviz and SVG.

use std::fmt::Write as _;

use layout::backends::svg::SVGWriter;
use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::render::get_shape_size;
use layout::std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::bind::{Binding, bind};
use super::graph::{Graph, NodeId, OperatorStep, Phase, States, Step};
use crate::Result;
use crate::workflow::{FittedWorkflow, Workflow};
use emrys_schema::Schema;

/// How many columns a box names.
const COLUMNS_SHOWN: usize = 5;
/// The longest line of a box, in characters.
const LONGEST_LINE: usize = 40;

/// A picture of a graph: a box for each node with its operator, the round in which it is fitted,
/// and its columns; solid lines are inputs, dashed ones dependencies such as targets.
///
/// ```
/// use emrys_etl::{Workflow, cols, ops::{LogOp, Normalize}};
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let schema = Schema::new([ColumnSchema::new("price", DType::Float64)])?;
/// let workflow = Workflow::new(cols(["price"]) >> LogOp >> Normalize::default());
/// let picture = workflow.picture(&schema)?;
/// assert!(picture.to_dot().contains(r#"label="Normalize\nround 1\nprice""#));
/// assert!(picture.to_svg().contains("</svg>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Picture {
    boxes: Vec<GraphBox>,
    edges: Vec<Edge>,
}

#[derive(Debug, Clone)]
struct GraphBox {
    lines: Vec<String>,
    fill: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    from: usize,
    to: usize,
    is_dependency: bool,
}

const DATA: &str = "#e3edf7";
const FITTED: &str = "#fbe5c8";
const STATELESS: &str = "#eef5e6";
const COLUMNS: &str = "#f4f4f4";
const OUTPUT: &str = "#dcd6ee";

impl Workflow {
    /// A picture of the graph for data of a schema.
    ///
    /// # Errors
    /// As [`output_schema`](Workflow::output_schema).
    pub fn picture(&self, schema: &Schema) -> Result<Picture> {
        let graph = self.graph(schema)?;
        let binding = bind(&graph, schema, &States::new(), Phase::Training)?;
        Picture::new(&graph, &binding)
    }
}

impl FittedWorkflow {
    /// A picture of the graph.
    ///
    /// # Errors
    /// If the graph does not fit the columns it was fitted on.
    pub fn picture(&self) -> Result<Picture> {
        Picture::new(&self.graph, &self.binding(Phase::Training)?)
    }
}

impl Picture {
    fn new(graph: &Graph, binding: &Binding) -> Result<Picture> {
        let needed = graph.upstream_of([graph.output], Phase::Training);
        let rounds = graph.rounds();
        let mut picture = Picture {
            boxes: Vec::new(),
            edges: Vec::new(),
        };
        let mut numbers = vec![0; graph.steps.len()];
        for (id, step) in graph.steps.iter().enumerate().filter(|(id, _)| needed[*id]) {
            numbers[id] = picture.boxes.len();
            let columns = columns_of(binding, id)?;
            let lines = |first: String| vec![first, columns.clone()];
            let (lines, fill) = match step {
                Step::Select(_) => (lines("data".to_owned()), DATA),
                Step::Operator(OperatorStep { operator, .. }) if operator.is_fitted() => (
                    vec![
                        operator.name().to_owned(),
                        format!("round {}", rounds[id]),
                        columns,
                    ],
                    FITTED,
                ),
                Step::Operator(OperatorStep { operator, .. }) => {
                    (lines(operator.name().to_owned()), STATELESS)
                }
                Step::Concat(_) => (lines("+".to_owned()), COLUMNS),
                Step::Subset { .. } => (lines("subset".to_owned()), COLUMNS),
                Step::Without { .. } | Step::Difference { .. } => (lines("-".to_owned()), COLUMNS),
                Step::Group(_) => (lines("group".to_owned()), COLUMNS),
                Step::Subgraph { name, .. } => (lines(format!("subgraph {name}")), COLUMNS),
            };
            picture.boxes.push(GraphBox { lines, fill });
            let dependencies: &[NodeId] = match step {
                Step::Operator(OperatorStep { dependencies, .. }) => dependencies,
                _ => &[],
            };
            for input in step.inputs(Phase::Training) {
                picture.edges.push(Edge {
                    from: numbers[input],
                    to: numbers[id],
                    is_dependency: dependencies.contains(&input),
                });
            }
        }
        let output = picture.boxes.len();
        picture.boxes.push(GraphBox {
            lines: vec!["output".to_owned(), columns_of(binding, graph.output)?],
            fill: OUTPUT,
        });
        picture.edges.push(Edge {
            from: numbers[graph.output],
            to: output,
            is_dependency: false,
        });
        Ok(picture)
    }

    /// The graph in Graphviz's language.
    pub fn to_dot(&self) -> String {
        let mut dot = "digraph workflow {\n".to_owned();
        dot += "  node [shape=box, style=filled, fontname=\"Helvetica\"];\n";
        for (number, graph_box) in self.boxes.iter().enumerate() {
            let lines = graph_box.lines.iter().map(|line| {
                let line = line.replace('\\', "\\\\");
                line.replace('"', "\\\"")
            });
            let label = lines.collect::<Vec<_>>().join("\\n");
            let fill = graph_box.fill;
            let _ = writeln!(
                dot,
                "  n{number} [label=\"{label}\", fillcolor=\"{fill}\"];"
            );
        }
        for edge in &self.edges {
            let style = match edge.is_dependency {
                true => " [style=dashed]",
                false => "",
            };
            let _ = writeln!(dot, "  n{} -> n{}{style};", edge.from, edge.to);
        }
        dot + "}\n"
    }

    /// The graph as SVG, laid out from top to bottom.
    pub fn to_svg(&self) -> String {
        const FONT_SIZE: usize = 14;
        let direction = Orientation::TopToBottom;
        let mut graph = VisualGraph::new(direction);
        let black = Color::fast("black");
        let handles: Vec<_> = self
            .boxes
            .iter()
            .map(|graph_box| {
                let shape = ShapeKind::new_box(&graph_box.lines.join("\n"));
                let fill = Color::from_name(graph_box.fill).unwrap_or(Color::fast("white"));
                let look = StyleAttr::new(black, 1, Some(fill), 5, FONT_SIZE);
                let size = get_shape_size(direction, &shape, FONT_SIZE, false);
                graph.add_node(Element::create(shape, look, direction, size))
            })
            .collect();
        for edge in &self.edges {
            let line = match edge.is_dependency {
                true => LineStyleKind::Dashed,
                false => LineStyleKind::Normal,
            };
            let look = StyleAttr::new(black, 1, None, 0, FONT_SIZE);
            let arrow = Arrow::new(
                LineEndKind::None,
                LineEndKind::Arrow,
                line,
                "",
                &look,
                &None,
                &None,
            );
            graph.add_edge(arrow, handles[edge.from], handles[edge.to]);
        }
        let mut svg = SVGWriter::new();
        graph.do_it(false, false, false, &mut svg);
        svg.finalize()
    }
}

/// The first columns of a node, and how many more there are.
fn columns_of(binding: &Binding, id: NodeId) -> Result<String> {
    let columns = &binding.node(id)?.columns;
    let mut shown = Vec::new();
    let mut length = 0;
    for column in columns.iter().take(COLUMNS_SHOWN) {
        let name = column.schema.name();
        length += name.chars().count() + 2;
        if length > LONGEST_LINE && !shown.is_empty() {
            break;
        }
        shown.push(name.to_owned());
    }
    if shown.len() < columns.len() {
        shown.push(format!("and {} more", columns.len() - shown.len()));
    }
    Ok(shown.join(", "))
}
