//! Trainings that survive being cut off.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use emrys_loader::LoaderState;
use emrys_schema::Schema;
use serde::{Deserialize, Serialize};

use super::fit::Run;
use super::{EpochReport, History, Trainer};
use crate::optimizers::{DenseOptimizer, SparseOptimizer, load_dense_state, save_dense_state};
use crate::{Error, Model, ModelSpec, Result};

/// The newest version of the format that this program reads, and the one it writes.
const FORMAT: u64 = 1;

const DESCRIPTION: &str = "checkpoint.json";
const MODEL: &str = "model";
const DENSE: &str = "dense_optimizer";
const SPARSE: &str = "sparse_optimizer.safetensors";

/// Where and how often a training is saved.
///
/// The folder holds the newest checkpoint as a folder `step-<batches trained on>`:
///
/// | file | content |
/// |---|---|
/// | `checkpoint.json` | version, settings, place in the data, losses so far |
/// | `model/` | a saved model, which can be loaded alone |
/// | `dense_optimizer` | the state of the blocks' optimizer |
/// | `sparse_optimizer.safetensors` | the state of the tables' optimizers |
///
/// A checkpoint appears under its name when it is whole, and the one before is removed after that:
/// whenever a training is killed, the newest whole checkpoint is there.
///
/// # Example
/// ```
/// use emrys_models::trainer::{Checkpoints, Trainer};
///
/// let trainer = Trainer::new().with_checkpoints(Checkpoints::new("out/checkpoints").every(1000));
/// # let _ = trainer;
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    every: Option<u64>,
}

/// What stands in `checkpoint.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u64,
    model: ModelSpec,
    schema: Schema,
    seed: u64,
    dense: DenseOptimizer,
    sparse: SparseOptimizer,
    steps: u64,
    epoch: u64,
    loader: Option<LoaderState>,
    rows: u64,
    loss: Exact,
    seconds: Exact,
    history: Vec<SavedEpoch>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedEpoch {
    epoch: u64,
    rows: u64,
    seconds: Exact,
    loss: Exact,
    valid: Vec<(String, Exact)>,
}

/// A number as text, which keeps every bit and knows NaN; JSON's numbers do neither.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Exact(f64);

impl From<Exact> for String {
    fn from(Exact(number): Exact) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for Exact {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        text.parse().map(Exact)
    }
}

impl From<&EpochReport> for SavedEpoch {
    fn from(report: &EpochReport) -> Self {
        let valid = report
            .valid
            .iter()
            .map(|(name, value)| (name.clone(), Exact(*value)));
        Self {
            epoch: report.epoch,
            rows: report.rows,
            seconds: Exact(report.seconds),
            loss: Exact(report.loss),
            valid: valid.collect(),
        }
    }
}

impl From<SavedEpoch> for EpochReport {
    fn from(saved: SavedEpoch) -> Self {
        Self {
            epoch: saved.epoch,
            rows: saved.rows,
            seconds: saved.seconds.0,
            loss: saved.loss.0,
            valid: saved
                .valid
                .into_iter()
                .map(|(name, value)| (name, value.0))
                .collect(),
        }
    }
}

impl Checkpoints {
    /// Saves after each epoch into `folder`, which is made if it is not there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            every: None,
        }
    }

    /// Saves also after each `steps` batches; 0 does not.
    #[must_use]
    pub fn every(mut self, steps: u64) -> Self {
        self.every = Some(steps).filter(|steps| *steps > 0);
        self
    }

    pub(super) fn is_due(&self, steps: u64) -> bool {
        self.every.is_some_and(|every| steps.is_multiple_of(every))
    }

    /// Writes a checkpoint and removes the older ones.
    pub(super) fn save(&self, trainer: &Trainer, model: &Model, run: &Run) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(io("create", &self.folder))?;
        let older = self.existing()?;
        let path = self.folder.join(format!("step-{:012}", run.steps));
        let draft = self.folder.join(DRAFT);
        if draft.exists() {
            // A save that was cut off.
            fs::remove_dir_all(&draft).map_err(io("remove", &draft))?;
        }
        fs::create_dir(&draft).map_err(io("create", &draft))?;
        write(trainer, model, run, &draft)?;
        if path.exists() {
            // The end of an epoch that was also due by its steps: the newer one knows more.
            fs::remove_dir_all(&path).map_err(io("remove", &path))?;
        }
        fs::rename(&draft, &path).map_err(io("rename", &path))?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(io("write", &self.folder))?;
        for old in older.iter().filter(|old| **old != path) {
            fs::remove_dir_all(old).map_err(io("remove", old))?;
        }
        Ok(())
    }

    /// Brings model and run to the newest checkpoint; `None` if there is none.
    pub(super) fn resume(&self, trainer: &Trainer, model: &mut Model) -> Result<Option<Run>> {
        if !self.folder.exists() {
            return Ok(None);
        }
        let Some(path) = self.existing()?.pop() else {
            return Ok(None);
        };
        let saved = read_description(&path.join(DESCRIPTION))?;
        let same = [
            ("model", saved.model == *model.spec()),
            ("schema", saved.schema == *model.schema()),
            ("seed", saved.seed == trainer.seed),
            ("dense optimizer", saved.dense == trainer.dense),
            ("sparse optimizer", saved.sparse == trainer.sparse),
        ];
        if let Some((part, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(Error::OtherTraining { path, part });
        }
        model.load_weights(path.join(MODEL))?;
        model.tables_mut().load_state(&path.join(SPARSE))?;
        let optimizer = load_dense_state(trainer.dense.init(), model.network(), &path.join(DENSE))?;
        let epochs: Vec<EpochReport> = saved.history.into_iter().map(EpochReport::from).collect();
        Ok(Some(Run {
            optimizer,
            steps: saved.steps,
            epoch: saved.epoch,
            loader: saved.loader,
            rows: saved.rows,
            loss: saved.loss.0,
            seconds: saved.seconds.0,
            history: History::from(epochs),
        }))
    }

    /// The checkpoints, older ones first.
    fn existing(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io("read", &self.folder))? {
            let path = entry.map_err(io("read", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with("step-")) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Where a checkpoint is written before it gets its name.
const DRAFT: &str = ".draft";

fn write(trainer: &Trainer, model: &Model, run: &Run, folder: &Path) -> Result<()> {
    model.save(folder.join(MODEL))?;
    model.tables().save_state(&folder.join(SPARSE))?;
    save_dense_state(&run.optimizer, &folder.join(DENSE))?;
    let description = Description {
        format: FORMAT,
        model: model.spec().clone(),
        schema: model.schema().clone(),
        seed: trainer.seed,
        dense: trainer.dense,
        sparse: trainer.sparse,
        steps: run.steps,
        epoch: run.epoch,
        loader: run.loader.clone(),
        rows: run.rows,
        loss: Exact(run.loss),
        seconds: Exact(run.seconds),
        history: run.history.epochs().iter().map(SavedEpoch::from).collect(),
    };
    let path = folder.join(DESCRIPTION);
    let json = serde_json::to_vec_pretty(&description).map_err(damaged(&path))?;
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&json)?;
        file.sync_all()
    };
    write().map_err(io("write", &path))
}

fn read_description(path: &Path) -> Result<Description> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let json = fs::read(path).map_err(io("read", path))?;
    // A newer version may hold what this one cannot read, so the version comes first.
    let Version { format } = serde_json::from_slice(&json).map_err(damaged(path))?;
    if format > FORMAT {
        let (path, supported) = (path.to_owned(), FORMAT);
        return Err(Error::NewerFormat {
            path,
            found: format,
            supported,
        });
    }
    serde_json::from_slice(&json).map_err(damaged(path))
}

fn damaged(path: &Path) -> impl Fn(serde_json::Error) -> Error + '_ {
    move |error| Error::Checkpoint {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> Error + 'a {
    move |source| Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
