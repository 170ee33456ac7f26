//! Workflow files: a graph in TOML or JSON, and the settings around it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use emrys_schema::Schema;

use super::settings::Settings;
use super::toml_text::{Lines, Problem, TomlDocument, line_of, used_nodes};
use super::{Document, Part};
use crate::ops::Registry;
use crate::workflow::Workflow;
use crate::{Error, Result};

/// A file that declares a workflow: `workflow.toml`, or the same graph in JSON.
///
/// Its errors name the file, the line and the node.
///
/// ```
/// use emrys_etl::declaration::WorkflowFile;
/// use emrys_schema::{ColumnSchema, DType, Schema};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("workflow.toml");
/// std::fs::write(&path, r#"
///     outputs = ["@ids"]
///
///     [session]
///     memory = "512MiB"
///
///     [nodes.ids]
///     inputs = ["usr"]
///     op = "Categorify"
/// "#)?;
/// let file = WorkflowFile::read(&path)?;
/// assert_eq!(file.settings().session.memory, Some(512 << 20));
///
/// let schema = Schema::new([ColumnSchema::new("user", DType::String)])?;
/// let error = file.workflow(&schema).unwrap_err().to_string();
/// assert!(error.ends_with(
///     "workflow.toml`, line 7, node `ids`: column `usr` is not in the input; \
///      did you mean `user`? (input: user)"
/// ), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WorkflowFile {
    /// `None` for texts that were never in a file.
    name: Option<PathBuf>,
    folder: PathBuf,
    document: Document,
    lines: Lines,
    settings: Settings,
}

impl WorkflowFile {
    /// Reads a file: JSON if its name ends with `.json`, else TOML.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Declaration`] if it is not such a file.
    pub fn read(path: impl AsRef<Path>) -> Result<WorkflowFile> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json {
            let document = Document::from_json(&text).map_err(|error| named(error, path))?;
            return Ok(WorkflowFile {
                name: Some(path.to_owned()),
                folder,
                document,
                lines: Lines::default(),
                settings: Settings::default(),
            });
        }
        WorkflowFile::from_toml(&text, Some(path), folder)
    }

    fn from_toml(text: &str, name: Option<&Path>, folder: PathBuf) -> Result<WorkflowFile> {
        let wrong = |problem: Problem| {
            let mut place = format!("line {}", problem.line);
            if let Some(node) = problem.node {
                place += &format!(", node `{node}`");
            }
            let problem = problem.problem;
            let error = Error::Declaration { place, problem };
            match name {
                Some(name) => named(error, name),
                None => error,
            }
        };
        let TomlDocument { document, lines } = TomlDocument::parse(text).map_err(wrong)?;
        let settings = Settings::from_toml(text).map_err(|error| {
            wrong(Problem {
                line: line_of(text, error.span().map_or(0, |span| span.start)),
                node: None,
                problem: error.message().replace('\n', "; "),
            })
        })?;
        Ok(WorkflowFile {
            name: name.map(Path::to_owned),
            settings: settings.in_folder(&folder),
            folder,
            document,
            lines,
        })
    }

    /// What the file says besides the graph.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The workflow for data of a schema.
    ///
    /// # Errors
    /// All errors that can be seen from the schema, at once.
    pub fn workflow(&self, schema: &Schema) -> Result<Workflow> {
        self.workflow_with(schema, &Registry::default())
    }

    /// The workflow for data of a schema, which may have operators of your own.
    ///
    /// # Errors
    /// As [`workflow`](WorkflowFile::workflow).
    pub fn workflow_with(&self, schema: &Schema, registry: &Registry) -> Result<Workflow> {
        let place = |part: Part<'_>| {
            let place = self.lines.place(part);
            match &self.name {
                Some(name) => format!("`{}`, {place}", name.display()),
                None => place,
            }
        };
        let document = self.document.clone();
        let (workflow, nodes) = document.build(schema, &self.folder, registry, place)?;
        let Err(error) = workflow.output_schema(schema) else {
            return Ok(workflow);
        };
        workflow
            .check_removed(schema)
            .map_err(|error| error.at(place(Part::RemoveInputs)))?;
        // The nodes whose inputs are sound, but which are not.
        let mut errors = Vec::new();
        let mut unsound: HashSet<&str> = HashSet::new();
        for (text, node) in self.document.nodes.iter().zip(nodes) {
            let follows = used_nodes(text).into_iter().any(|id| unsound.contains(id));
            if follows {
                unsound.insert(&text.id);
            } else if let Err(error) = workflow.check_node(node, schema) {
                unsound.insert(&text.id);
                let several = match error {
                    Error::Several(errors) => errors,
                    error => vec![error],
                };
                let place = place(Part::Node(&text.id));
                errors.extend(several.into_iter().map(|error| error.at(place.clone())));
            }
        }
        Error::collect(errors)?;
        Err(error.at(place(Part::Outputs)))
    }
}

impl Workflow {
    /// Reads a workflow from TOML (see [`declaration`](crate::declaration)).
    ///
    /// The schema is that of the data set; relative paths of external tables start at `folder`.
    /// Sections with settings, which [`WorkflowFile`] reads, are checked and ignored.
    ///
    /// # Errors
    /// Errors of the text, naming line and node, and all that can be seen from the schema.
    pub fn from_toml(text: &str, schema: &Schema, folder: impl AsRef<Path>) -> Result<Workflow> {
        WorkflowFile::from_toml(text, None, folder.as_ref().to_owned())?.workflow(schema)
    }
}

fn named(error: Error, file: &Path) -> Error {
    match error {
        Error::Declaration { place, problem } => Error::Declaration {
            place: format!("`{}`, {place}", file.display()),
            problem,
        },
        error => error,
    }
}
