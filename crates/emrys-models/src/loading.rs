//! Which columns are read from a loader, and in which order.

use emrys_loader::{Loader, LookupSpec};

use crate::{Model, Result};

/// The columns that a model and its tasks read, each once.
pub(crate) fn columns_of(model: &Model) -> Vec<String> {
    let tasks = model.tasks().iter().flat_map(|task| task.columns());
    let mut names: Vec<String> = Vec::new();
    for name in model.input_columns().into_iter().chain(tasks) {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Every row once in the order of the files, whatever the loader is set to; only `columns` are
/// read, and `lookups` are planned.
pub(crate) fn in_file_order(
    loader: &Loader,
    columns: impl IntoIterator<Item = impl Into<String>>,
    lookups: Vec<LookupSpec>,
) -> Result<Loader> {
    let config = loader
        .config()
        .clone()
        .with_shuffle(false)
        .with_drop_last(false);
    let config = config.with_columns(columns);
    Ok(loader
        .with_lookups([])?
        .with_config(config)?
        .with_lookups(lookups)?)
}
