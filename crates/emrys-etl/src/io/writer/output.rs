//! An output in the making: its folder, its tasks, and what makes it whole.

mod reorder;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use emrys_schema::{SCHEMA_JSON, Schema};
use tempfile::TempDir;

use super::WriteOptions;
use super::encoding::Encoding;
use super::hive::{Folders, HiveSink};
use super::place::Place;
use super::remote_folder::RemoteFolder;
use super::shuffle::{Shuffle, Spool, Spooled, Window};
use super::sink::{Part, Sink, joined};
use super::store;
use super::tasks::Stop;
use crate::io::atomic::{AtomicDir, Existing, INCOMPLETE_MARKER};
use crate::io::manifest::{MANIFEST_FILE, Manifest, ManifestFile};
use crate::io::plain::plain_schema;
use crate::io::table::cast_batch;
use crate::{Error, Result};

/// The folder of a full shuffle's temporary files, within the folder that is being made.
const SPILL_FOLDER: &str = "_shuffle";

/// A folder in the making.
pub(in crate::io) struct Output<'a> {
    target: &'a Path,
    home: Home,
    place: Place,
    /// The columns of the data, plainly typed.
    plain: SchemaRef,
    encoding: Arc<Encoding>,
    folders: Option<Arc<Folders>>,
    /// The columns as readers find them.
    schema: Schema,
    options: &'a WriteOptions,
    stop: Stop,
}

/// What makes the folder appear, or go away.
enum Home {
    /// A folder that gets its name when it is whole.
    Atomic(AtomicDir),
    /// A folder in one that another gives its name; this is its own marker.
    Within(PathBuf),
    Remote {
        folder: RemoteFolder,
        /// Files on their way.
        staging: TempDir,
    },
}

impl<'a> Output<'a> {
    /// Begins a local folder or, where `path` is the address of one, a remote folder.
    pub(in crate::io) async fn create(
        arrow: &ArrowSchema,
        schema: &Schema,
        path: &'a Path,
        options: &'a WriteOptions,
    ) -> Result<Output<'a>> {
        let begun = Begun::new(arrow, schema, options)?;
        if let Some((store, prefix)) = store::store_for(path, options.remote())? {
            return Output::create_remote(begun, store, prefix, path).await;
        }
        let path = store::local_path(path);
        let existing = match options.overwrite() {
            true => Existing::ReplaceIfHolds(MANIFEST_FILE),
            false => Existing::Refuse,
        };
        let folder = AtomicDir::create(path, existing)?;
        let place = Place::Local(folder.path().to_owned());
        Ok(begun.at(path, Home::Atomic(folder), place))
    }

    /// Begins a folder within one that appears as a whole; errors call it `path`.
    pub(in crate::io) fn create_within(
        folder: PathBuf,
        arrow: &ArrowSchema,
        schema: &Schema,
        path: &'a Path,
        options: &'a WriteOptions,
    ) -> Result<Output<'a>> {
        let begun = Begun::new(arrow, schema, options)?;
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        let marker = folder.join(INCOMPLETE_MARKER);
        fs::write(&marker, "").map_err(Error::io("write", &marker))?;
        Ok(begun.at(path, Home::Within(marker), Place::Local(folder)))
    }

    pub(super) async fn create_remote(
        begun: Begun<'a>,
        store: Arc<dyn object_store::ObjectStore>,
        prefix: object_store::path::Path,
        url: &'a Path,
    ) -> Result<Output<'a>> {
        let staging = TempDir::with_prefix("emrys-").map_err(Error::io("create", "temporary"))?;
        let folder = RemoteFolder::create(store, prefix, url, begun.options).await?;
        let place = Place::Remote(folder.place.clone());
        Ok(begun.at(url, Home::Remote { folder, staging }, place))
    }

    /// The same output, whose shuffle ends early when the run is stopped.
    pub(in crate::io) fn with_stop(mut self, stop: Stop) -> Output<'a> {
        self.stop = stop;
        self
    }

    /// A local folder for files that describe the output or are of no use when it is whole.
    fn staging(&self) -> &Path {
        match (&self.home, &self.place) {
            (Home::Remote { staging, .. }, _) => staging.path(),
            (_, Place::Local(folder)) => folder,
            // Only a remote home has a remote place.
            (_, Place::Remote(remote)) => &remote.url,
        }
    }

    /// What writes the rows of the `number`-th of `tasks`.
    pub(in crate::io) fn writer(&self, number: usize, tasks: usize) -> Result<Writer> {
        let target = match self.options.shuffle() {
            Shuffle::None => Target::Files(self.files(number, tasks)),
            Shuffle::PerPartition { seed, window_rows } => Target::Window(
                Window::new(seed, number, window_rows),
                self.files(number, tasks),
            ),
            Shuffle::Full { .. } => {
                let folder = self.spill_folder();
                fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
                Target::Spool(Spool::create(&folder, number, &self.plain)?)
            }
        };
        Ok(Writer {
            plain: Arc::clone(&self.plain),
            target,
        })
    }

    /// Puts the partitions together that one task writes.
    pub(in crate::io) fn group<T>(&self, partitions: Vec<T>) -> Vec<Vec<T>> {
        match self.options.shuffle() {
            // Files come after the shuffle.
            Shuffle::Full { .. } => partitions.into_iter().map(|one| vec![one]).collect(),
            _ => self.options.layout().group(partitions),
        }
    }

    /// What writes files, whatever the order of the rows.
    fn files(&self, number: usize, tasks: usize) -> Files {
        match &self.folders {
            None => Files::Flat(Box::new(self.sink(String::new(), number))),
            Some(folders) => Files::Hive(HiveSink::new(
                self.place.clone(),
                number,
                Arc::clone(&self.encoding),
                Arc::clone(folders),
                self.options,
                tasks,
            )),
        }
    }

    fn sink(&self, folder: String, number: usize) -> Sink {
        Sink::new(
            self.place.clone(),
            folder,
            number,
            Arc::clone(&self.encoding),
            self.options.layout(),
        )
    }

    fn spill_folder(&self) -> PathBuf {
        self.staging().join(SPILL_FOLDER)
    }

    /// A full disk is told with the folder that was asked for, not with its temporary name.
    pub(in crate::io) fn at_target(&self, error: Error) -> Error {
        match (error, &self.place) {
            (Error::DiskFull { action, path }, Place::Local(folder))
                if path.starts_with(folder) =>
            {
                Error::DiskFull {
                    action,
                    path: self.target.to_owned(),
                }
            }
            (error, _) => error,
        }
    }

    /// Removes what there is of the output, and tells the error as one about it.
    pub(in crate::io) async fn discard(self, error: Error) -> Error {
        let error = self.at_target(error);
        if let Home::Remote { folder, .. } = self.home {
            folder.discard().await;
        }
        error
    }

    /// Shuffles where that is asked for, and lets the folder appear.
    pub(in crate::io) async fn finish_all(
        self,
        written: Vec<Written>,
        activity: &str,
    ) -> Result<Manifest> {
        let (mut parts, mut spooled) = (Vec::new(), Vec::new());
        for written in written {
            match written {
                Written::Parts(more) => parts.extend(more),
                Written::Spooled(file) => spooled.push(file),
            }
        }
        match self.shuffle(spooled, activity).await {
            Ok(more) => parts.extend(more),
            Err(error) => return Err(self.discard(error).await),
        }
        self.finish(parts).await
    }

    /// Gives the files their names, adds what describes them, and lets the folder appear.
    async fn finish(self, parts: Vec<Part>) -> Result<Manifest> {
        let manifest = match self.describe(parts).await {
            Ok(manifest) => manifest,
            Err(error) => return Err(self.discard(error).await),
        };
        match self.home {
            Home::Atomic(folder) => folder.commit()?,
            Home::Within(marker) => {
                fs::remove_file(&marker).map_err(Error::io("write", &marker))?;
            }
            Home::Remote { folder, staging } => {
                if let Err(error) = folder.commit(staging.path()).await {
                    folder.discard().await;
                    return Err(error);
                }
            }
        }
        Ok(manifest)
    }

    /// All but the last step of [`finish`](Output::finish).
    async fn describe(&self, mut parts: Vec<Part>) -> Result<Manifest> {
        let spill = self.spill_folder();
        if spill.exists() {
            fs::remove_dir_all(&spill).map_err(Error::io("remove", spill))?;
        }
        if parts.is_empty() {
            // Even without rows, the columns and their types are there to be read.
            let folder = self
                .folders
                .as_ref()
                .map_or_else(String::new, |folders| folders.without_rows());
            parts.push(self.sink(folder, 0).finish_without_rows().await?);
        }
        // Folders by value in their order, and in each the files of one task after those of
        // another.
        parts.sort_by(|left, right| left.folder.cmp(&right.folder));
        let mut files: Vec<(String, ManifestFile)> = Vec::with_capacity(parts.len());
        let mut number = 0;
        for part in parts {
            let same_folder = files
                .last()
                .is_some_and(|(folder, _)| *folder == part.folder);
            number = if same_folder { number + 1 } else { 0 };
            let name = self.settle_name(&part, number)?;
            files.push((
                part.folder,
                ManifestFile {
                    name,
                    rows: part.rows,
                    bytes: part.bytes,
                    xxh64: part.xxh64,
                },
            ));
        }
        let files = files.into_iter().map(|(_, file)| file).collect();
        let staging = self.staging();
        self.schema.write_dir(staging)?;
        let schema_path = staging.join(SCHEMA_JSON);
        let schema_json =
            fs::read_to_string(&schema_path).map_err(Error::io("read", schema_path))?;
        let manifest =
            Manifest::new(files, &schema_json).with_partition_on(self.options.partition_on());
        manifest.write(staging)?;
        Ok(manifest)
    }

    /// Renames a local file to `part_00000.parquet` and so on; returns the name in the output.
    fn settle_name(&self, part: &Part, number: usize) -> Result<String> {
        let written = joined(&part.folder, &part.name);
        let Place::Local(folder) = &self.place else {
            return Ok(written);
        };
        let name = joined(&part.folder, &format!("part_{number:05}.parquet"));
        let written = folder.join(written);
        fs::rename(&written, folder.join(&name)).map_err(Error::io("write", written))?;
        Ok(name)
    }
}

/// The checked options of an output, before anything is written.
pub(super) struct Begun<'a> {
    plain: SchemaRef,
    encoding: Arc<Encoding>,
    folders: Option<Arc<Folders>>,
    schema: Schema,
    options: &'a WriteOptions,
}

impl<'a> Begun<'a> {
    pub(super) fn new(
        arrow: &ArrowSchema,
        schema: &Schema,
        options: &'a WriteOptions,
    ) -> Result<Begun<'a>> {
        options.check()?;
        let columns: Vec<&str> = arrow
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        if columns != schema.names() {
            return Err(Error::Data {
                operator: "write".into(),
                problem: format!(
                    "the data have the columns {columns:?}, but the schema has {:?}; \
                     let the schema name the columns in their order",
                    schema.names()
                ),
            });
        }
        let by = options.partition_on();
        let folders = Folders::new(arrow, by)?;
        let in_files = schema.excluding(by);
        let encoding = match &folders {
            None => Encoding::new(arrow, &in_files, options)?,
            Some(folders) => Encoding::new(&folders.in_files(arrow)?, &in_files, options)?,
        };
        Ok(Begun {
            plain: plain_schema(arrow),
            encoding: Arc::new(encoding),
            folders: folders.map(Arc::new),
            schema: in_files.union(&schema.select(by)?),
            options,
        })
    }

    fn at(self, target: &'a Path, home: Home, place: Place) -> Output<'a> {
        Output {
            target,
            home,
            place,
            plain: self.plain,
            encoding: self.encoding,
            folders: self.folders,
            schema: self.schema,
            options: self.options,
            stop: Stop::default(),
        }
    }
}

/// Takes the rows of one task.
pub(in crate::io) struct Writer {
    plain: SchemaRef,
    target: Target,
}

/// Where the rows of a task go first.
enum Target {
    Files(Files),
    Window(Window, Files),
    Spool(Spool),
}

/// Writes files, in one folder or in many.
pub(super) enum Files {
    Flat(Box<Sink>),
    Hive(HiveSink),
}

/// What a task has written.
pub(in crate::io) enum Written {
    Parts(Vec<Part>),
    Spooled(Spooled),
}

impl Writer {
    pub(in crate::io) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.target {
            Target::Files(files) => files.write(batch).await,
            Target::Window(window, files) => {
                let mut rest = Some(batch.clone());
                while let Some(batch) = rest {
                    rest = window.fill(&batch);
                    if window.is_full() {
                        for batch in window.take() {
                            files.write(&batch?).await?;
                        }
                    }
                }
                Ok(())
            }
            Target::Spool(spool) => {
                let plain = cast_batch(batch, &self.plain).map_err(|error| Error::Data {
                    operator: "write".into(),
                    problem: format!("a batch does not have the declared columns ({error})"),
                })?;
                spool.push(&plain)
            }
        }
    }

    pub(in crate::io) async fn finish(self) -> Result<Written> {
        Ok(match self.target {
            Target::Files(files) => Written::Parts(files.finish().await?),
            Target::Window(mut window, mut files) => {
                for batch in window.take() {
                    files.write(&batch?).await?;
                }
                Written::Parts(files.finish().await?)
            }
            Target::Spool(spool) => Written::Spooled(spool.finish()?),
        })
    }

    /// Gives up uploads.
    pub(in crate::io) async fn abort(self) {
        match self.target {
            Target::Files(files) | Target::Window(_, files) => files.abort().await,
            Target::Spool(_) => {}
        }
    }
}

impl Files {
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Files::Flat(sink) => sink.write(batch).await,
            Files::Hive(sink) => sink.write(batch).await,
        }
    }

    pub(super) async fn finish(self) -> Result<Vec<Part>> {
        match self {
            Files::Flat(sink) => sink.finish().await,
            Files::Hive(sink) => sink.finish().await,
        }
    }

    pub(super) async fn abort(self) {
        match self {
            Files::Flat(sink) => sink.abort().await,
            Files::Hive(sink) => sink.abort().await,
        }
    }
}
