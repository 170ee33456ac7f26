//! The subcommands, one file each.

mod completions;
mod explain;
mod fit;
mod fit_transform;
mod graph;
mod ops;
mod schema;
mod stats;
mod transform;

use clap::Subcommand;

use crate::arguments::Global;
use crate::failure::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fit(fit::Fit),
    Transform(transform::Transform),
    FitTransform(fit_transform::FitTransform),
    Stats(stats::Stats),
    Schema(schema::SchemaCommand),
    Explain(explain::Explain),
    Graph(graph::Graph),
    Ops(ops::Ops),
    Completions(completions::Completions),
}

impl Command {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        match self {
            Command::Fit(command) => command.run(global),
            Command::Transform(command) => command.run(global),
            Command::FitTransform(command) => command.run(global),
            Command::Stats(command) => command.run(global),
            Command::Schema(command) => command.run(global),
            Command::Explain(command) => command.run(global),
            Command::Graph(command) => command.run(global),
            Command::Ops(command) => command.run(global),
            Command::Completions(command) => command.run(),
        }
    }
}
