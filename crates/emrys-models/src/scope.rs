//! Where a block is built: [`Scope`], and what does not fit there: [`Problems`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hasher;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::embeddings::{EmbeddingFeature, TableSpec};
use crate::{Built, Initializer, Result, Signature, Spec};

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the block, such as `dlrm.bottom_block`.
    pub path: String,
    /// What was found, what was expected and what to do.
    pub message: String,
}

/// Everything that does not fit in a model; there is at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// The problems in the order of the blocks.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Gathers the results of independent checks: all values, or the problems of all that failed.
    ///
    /// # Errors
    /// The problems, if any check failed.
    pub fn gather<T>(
        results: impl IntoIterator<Item = Result<T, Problems>>,
    ) -> Result<Vec<T>, Problems> {
        let mut values = Vec::new();
        let mut list = Vec::new();
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(problems) => list.extend(problems.list),
            }
        }
        if list.is_empty() {
            Ok(values)
        } else {
            Err(Problems { list })
        }
    }

    /// The values of two independent checks.
    ///
    /// # Errors
    /// The problems of both.
    pub fn both<A, B>(a: Result<A, Problems>, b: Result<B, Problems>) -> Result<(A, B), Problems> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Ok(_), Err(problems)) | (Err(problems), Ok(_)) => Err(problems),
            (Err(a), Err(b)) => Err(Problems {
                list: [a.list, b.list].concat(),
            }),
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// `path: message`; several problems on a line each, under their number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.list.as_slice() {
            return write!(f, "{}: {}", problem.path, problem.message);
        }
        write!(f, "{} problems:", self.list.len())?;
        for problem in &self.list {
            write!(f, "\n- {}: {}", problem.path, problem.message)?;
        }
        Ok(())
    }
}

impl From<Problems> for crate::Error {
    fn from(problems: Problems) -> crate::Error {
        crate::Error::Build { problems }
    }
}

/// The place in a model where a block is built: its path, the device, the seed, and the list of
/// what the blocks read from a batch.
#[derive(Debug)]
pub struct Scope<'a> {
    path: Vec<String>,
    device: &'a Device,
    seed: u64,
    inputs: &'a mut DeclaredInputs,
}

/// What the blocks of a model read from a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct DeclaredInputs {
    /// The columns that are read as numbers, each with the parts of the model that read it.
    columns: BTreeMap<String, Parts>,
    tables: Vec<TableSpec>,
    /// The columns whose ids are looked up.
    features: Vec<(EmbeddingFeature, Parts)>,
}

/// Names of the outermost parts of a model.
type Parts = BTreeSet<String>;

impl DeclaredInputs {
    /// The embedding tables.
    pub(crate) fn tables(&self) -> Vec<TableSpec> {
        self.tables.clone()
    }

    /// The columns whose ids are looked up, and how.
    pub(crate) fn features(&self) -> Vec<EmbeddingFeature> {
        self.features
            .iter()
            .map(|(feature, _)| feature.clone())
            .collect()
    }

    /// The columns that are read as numbers by one part, or by any.
    pub(crate) fn numbers_of(&self, part: Option<&str>) -> impl Iterator<Item = &str> {
        let reads = move |parts: &Parts| part.is_none_or(|part| parts.contains(part));
        self.columns
            .iter()
            .filter(move |(_, parts)| reads(parts))
            .map(|(name, _)| name.as_str())
    }

    /// All columns that are read by one part, or by any.
    pub(crate) fn columns_of(&self, part: Option<&str>) -> BTreeSet<&str> {
        let reads = |parts: &Parts| part.is_none_or(|part| parts.contains(part));
        let looked_up = self.features.iter().filter(|(_, parts)| reads(parts));
        self.numbers_of(part)
            .chain(looked_up.map(|(feature, _)| feature.column.as_str()))
            .collect()
    }

    /// The parts that read anything.
    pub(crate) fn parts(&self) -> Vec<String> {
        let all = self
            .columns
            .values()
            .chain(self.features.iter().map(|(_, parts)| parts));
        let all: BTreeSet<&String> = all.flatten().collect();
        all.into_iter().cloned().collect()
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn root(
        name: &str,
        device: &'a Device,
        seed: u64,
        inputs: &'a mut DeclaredInputs,
    ) -> Scope<'a> {
        Scope {
            path: vec![name.to_owned()],
            device,
            seed,
            inputs,
        }
    }

    /// Runs `build` in the place `name` below this one.
    pub fn enter<T>(&mut self, name: &str, build: impl FnOnce(&mut Scope<'_>) -> T) -> T {
        self.path.push(name.to_owned());
        let result = build(self);
        self.path.pop();
        result
    }

    /// The path of this place, such as `dlrm.bottom_block`.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// Where parameters are made.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// One problem at this place. The message says what was found, what was expected and what to
    /// do, as a lower-case fragment.
    pub fn problem(&self, message: impl Into<String>) -> Problems {
        Problems {
            list: vec![Problem {
                path: self.path(),
                message: message.into(),
            }],
        }
    }

    /// Says that the block reads these columns as numbers.
    pub(crate) fn read_numbers<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        let part = self.part();
        for name in names {
            self.inputs
                .columns
                .entry(name.clone())
                .or_default()
                .extend(part.clone());
        }
    }

    /// The outermost part of the model that this place belongs to.
    fn part(&self) -> Option<String> {
        self.path.get(1).cloned()
    }

    /// Says that the block reads a column through an embedding table.
    ///
    /// # Errors
    /// A problem if another block wants another table of that name, or other embeddings of that
    /// column.
    pub(crate) fn declare(
        &mut self,
        table: TableSpec,
        feature: EmbeddingFeature,
    ) -> Result<(), Problems> {
        match self
            .inputs
            .tables
            .iter()
            .find(|known| known.name == table.name)
        {
            None => self.inputs.tables.push(table),
            Some(known) if *known == table => {}
            Some(known) => {
                return Err(self.problem(format!(
                    "column `{}` needs a table `{}` of {} rows and width {}, but another column \
                     or block has a table of that name with {} rows and width {}{}; columns that \
                     share a domain share a table, so give the blocks `with_own_tables` or the \
                     columns domains of their own",
                    feature.column,
                    table.name,
                    table.rows,
                    table.dim,
                    known.rows,
                    known.dim,
                    if (known.rows, known.dim) == (table.rows, table.dim) {
                        " and other options"
                    } else {
                        ""
                    }
                )));
            }
        }
        let part = self.part();
        let features = &mut self.inputs.features;
        match features
            .iter_mut()
            .find(|(known, _)| known.key == feature.key)
        {
            None => features.push((feature, part.into_iter().collect())),
            Some((known, parts)) if *known == feature => parts.extend(part),
            Some(_) => {
                return Err(self.problem(format!(
                    "column `{}` is read through table `{}` by another block, with another \
                     combiner; give one of the blocks `with_own_tables`",
                    feature.column, feature.table
                )));
            }
        }
        Ok(())
    }

    /// A number that depends on the model's seed, this place and `purpose` alone.
    pub fn seed(&self, purpose: &str) -> u64 {
        self.hash(self.seed, purpose)
    }

    fn hash(&self, seed: u64, purpose: &str) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        hasher.write_u64(seed);
        for part in self.path.iter().map(String::as_str).chain([purpose]) {
            hasher.write(part.as_bytes());
            // No text contains this byte, so different paths never hash the same bytes.
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }

    /// A matrix `[fan_in, fan_out]` that requires gradients.
    pub fn matrix(
        &self,
        name: &str,
        [fan_in, fan_out]: [usize; 2],
        initializer: Initializer,
    ) -> Param<Tensor<2>> {
        self.parameter(name, [fan_in, fan_out], [fan_in, fan_out], initializer)
    }

    /// A vector `[width]` that requires gradients.
    pub fn vector(&self, name: &str, width: usize, initializer: Initializer) -> Param<Tensor<1>> {
        self.parameter(name, [width], [width, width], initializer)
    }

    /// A parameter of any rank.
    ///
    /// Its numbers depend on the model's seed, this place and `name` alone, so adding a block
    /// elsewhere in the model does not change them. Its id depends on this place and `name`, so
    /// the state of an optimizer finds its parameter again when the model has been rebuilt.
    pub fn parameter<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        [fan_in, fan_out]: [usize; 2],
        initializer: Initializer,
    ) -> Param<Tensor<D>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed(name));
        let mut values = vec![0.0; shape.iter().product()];
        initializer.fill(&mut values, fan_in, fan_out, &mut rng);
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        let mut parameter = Param::from_tensor(tensor);
        parameter.id = ParamId::from(self.hash(0, name));
        parameter
    }
}

/// Builds a block by itself, outside of a model: to try it, or to look at the shapes it gives.
///
/// Embedding tables that the block declares are not made; the lookups go into
/// [`Features`](crate::Features) by hand.
///
/// # Errors
/// [`Error::Build`](crate::Error::Build) with everything that does not fit.
pub fn build(
    spec: impl Into<Spec>,
    input: &Signature,
    device: &Device,
    seed: u64,
) -> Result<Built> {
    let spec = spec.into();
    let mut inputs = DeclaredInputs::default();
    let mut scope = Scope::root(spec.name(), device, seed, &mut inputs);
    Ok(spec.build(input, &mut scope)?)
}

/// FNV-1a: unlike the standard library's hasher it gives the same numbers in every release.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }
}
