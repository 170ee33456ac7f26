//! What commands read: data sets and workflows.

use std::path::{Path, PathBuf};

use emrys_etl::declaration::{SessionSettings, Settings, WorkflowFile};
use emrys_etl::{Dataset, Error, FittedWorkflow, SessionOptions};
use emrys_schema::Schema;

use crate::arguments::DataArgs;
use crate::failure::{Failure, Result};

/// A workflow as `--workflow` names it.
pub(crate) enum WorkflowInput {
    /// A file that declares it.
    Declared(Box<WorkflowFile>),
    /// The folder of a fitted one.
    Saved(PathBuf),
}

impl WorkflowInput {
    pub(crate) fn read(path: &Path) -> Result<WorkflowInput> {
        match path.is_dir() {
            true => Ok(WorkflowInput::Saved(path.to_owned())),
            false => Ok(WorkflowInput::Declared(Box::new(WorkflowFile::read(path)?))),
        }
    }

    /// What a file says besides the graph; nothing for a fitted workflow.
    pub(crate) fn settings(&self) -> Settings {
        match self {
            WorkflowInput::Declared(file) => file.settings().clone(),
            WorkflowInput::Saved(_) => Settings::default(),
        }
    }
}

/// A declaration, where only that will do.
pub(crate) fn declared(path: &Path) -> Result<WorkflowFile> {
    match WorkflowInput::read(path)? {
        WorkflowInput::Declared(file) => Ok(*file),
        WorkflowInput::Saved(folder) => Err(Failure::Usage(format!(
            "`{}` is a folder; name the file that declares the workflow, or use `emrys transform` \
             with a fitted one",
            folder.display()
        ))),
    }
}

/// A fitted workflow, where only that will do.
pub(crate) fn fitted(path: &Path, options: SessionOptions) -> Result<FittedWorkflow> {
    match path.is_file() {
        false => Ok(FittedWorkflow::load_with(path, options)?),
        true => Err(Failure::Usage(format!(
            "`{}` is a file; name the folder of a fitted workflow, or use `emrys fit-transform` \
             with a declared one",
            path.display()
        ))),
    }
}

/// The data that the arguments name, else those of the workflow file.
pub(crate) fn dataset(data: &DataArgs, settings: &Settings) -> Result<Dataset> {
    let (paths, schema) = match data.paths.is_empty() {
        false => (&data.paths, None),
        true => (&settings.source.paths, settings.source.schema.as_ref()),
    };
    let options = data
        .options()
        .unwrap_or_else(|| settings.source.options.clone());
    let dataset = match paths.as_slice() {
        [] => {
            return Err(Failure::Usage(
                "there are no data: name files, folders or globs, or give `paths` in the section \
                 [source] of the workflow file"
                    .to_owned(),
            ));
        }
        [path] => Dataset::open_with(path, &options)?,
        paths => {
            // Each path may be a folder or a glob; their files follow each other.
            let mut files = Vec::new();
            for path in paths {
                let part = Dataset::open_with(path, &options)?;
                files.extend(part.files().iter().map(|file| file.path.clone()));
            }
            Dataset::from_paths_with(files, &options)?
        }
    };
    match data.schema.as_ref().or(schema) {
        Some(schema) => Ok(dataset.with_schema(&Schema::read(schema)?)?),
        None => Ok(dataset),
    }
}

/// Refuses a place that is taken before any work is done.
pub(crate) fn check_output(path: &Path, overwrite: bool) -> Result<()> {
    let is_free = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !path.exists(),
    };
    match is_free || overwrite {
        true => Ok(()),
        false => Err(Error::OutputExists {
            path: path.to_owned(),
        }
        .into()),
    }
}

/// Settings of a command without a workflow file.
pub(crate) fn no_settings() -> SessionSettings {
    SessionSettings::default()
}
