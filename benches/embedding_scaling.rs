//! Does a training step cost what its batch costs, whatever its table holds?
//!
//! One table of 10^4, 10^6 and 10^7 rows; the same small DLRM, the same batch of 4096 distinct
//! random ids, Adagrad on rows, Adam on the network. A step is: gather the rows, forward, backward,
//! dense update, sparse update. Every batch has fresh ids, so that rows of the large tables come
//! from memory and not from the cache of an earlier step. The sizes take turns, step by step, so
//! that a busy machine slows all of them alike; medians are shown.
//!
//! The floor of a gather is a plain copy of as many (other) random rows of the same table.
//!
//! ```sh
//! cargo bench --bench embedding_scaling
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program tells what it does"
)]

use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{relu, softplus};
use burn::tensor::{Device, Distribution, Tensor};
use emrys_loader::{Batch, Column};
use emrys_models::embeddings::{EmbeddingFeature, EmbeddingTables, TableSpec};
use emrys_models::optimizers::{DenseOptimizer, SparseOptimizer};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: [usize; 3] = [10_000, 1_000_000, 10_000_000];
const BATCH: usize = 4096;
const DIM: usize = 32;
const CONTINUOUS: usize = 13;
const WARM_UP: usize = 5;
const STEPS: usize = 60;

type Error = Box<dyn std::error::Error>;

/// A DLRM of one categorical feature: bottom MLP, dot product, top MLP.
#[derive(Module, Debug)]
struct Network {
    bottom: [Linear; 2],
    top: [Linear; 2],
}

impl Network {
    fn new(device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            bottom: [linear(CONTINUOUS, 64), linear(64, DIM)],
            top: [linear(2 * DIM + 1, 64), linear(64, 1)],
        }
    }

    fn loss(&self, continuous: Tensor<2>, item: Tensor<2>, label: Tensor<2>) -> Tensor<1> {
        let bottom = relu(self.bottom[0].forward(continuous));
        let bottom = relu(self.bottom[1].forward(bottom));
        let dot = (bottom.clone() * item.clone()).sum_dim(1);
        let top = relu(self.top[0].forward(Tensor::cat(vec![bottom, item, dot], 1)));
        let logit = self.top[1].forward(top);
        // Binary cross entropy of a logit.
        (softplus(logit.clone(), 1.0) - logit * label).mean()
    }
}

/// Seconds of the parts of a step.
#[derive(Clone, Copy)]
struct Timing {
    step: f64,
    gather: f64,
    update: f64,
    floor: f64,
}

/// A table of one size and the model that is trained with it.
struct Contestant {
    tables: EmbeddingTables,
    network: Network,
    optimizer: ModuleOptimizer,
    ids: ChaCha8Rng,
    timings: Vec<Timing>,
}

impl Contestant {
    fn new(rows: usize, device: &Device) -> Result<Self, Error> {
        let spec = TableSpec::new("item", rows, DIM);
        let feature = EmbeddingFeature::new("item_id", "item");
        Ok(Self {
            tables: EmbeddingTables::new(vec![spec], vec![feature], 1)?,
            network: Network::new(device),
            optimizer: DenseOptimizer::adam().init(),
            ids: ChaCha8Rng::seed_from_u64(rows as u64),
            timings: Vec::new(),
        })
    }

    fn rows(&self) -> usize {
        self.tables.num_parameters() / DIM
    }

    fn draw_ids(&mut self) -> Vec<usize> {
        let rows = self.rows();
        sample(&mut self.ids, rows, BATCH).into_vec()
    }

    /// Copies random rows, one after the other: what moving them costs at least.
    fn floor(&mut self) -> Result<f64, Error> {
        let ids = self.draw_ids();
        let weights = self.tables.weights("item")?;
        let start = Instant::now();
        let mut copy = Vec::with_capacity(BATCH * DIM);
        for id in ids {
            copy.extend_from_slice(&weights[id * DIM..(id + 1) * DIM]);
        }
        std::hint::black_box(&copy);
        Ok(start.elapsed().as_secs_f64())
    }

    fn step(&mut self, continuous: &Tensor<2>, label: &Tensor<2>) -> Result<(), Error> {
        let device = continuous.device();
        let ids = self
            .draw_ids()
            .into_iter()
            .map(|id| id as i64)
            .collect::<Vec<_>>();
        // The loader's workers do this beside the training.
        let batch = Batch::new([("item_id", Column::from(ids))])?
            .with_lookups(&self.tables.lookup_specs())?;
        let floor = self.floor()?;

        let start = Instant::now();
        let lookup = self.tables.gather(batch.plans(), &device)?;
        let gathered = Instant::now();
        let item = lookup
            .get("item_id")
            .ok_or("the feature was not looked up")?
            .clone();
        let loss = self.network.loss(continuous.clone(), item, label.clone());
        let mut gradients = loss.backward();
        let dense = GradientsParams::from_module(&mut gradients, &self.network);
        self.network = self.optimizer.step(1e-3, self.network.clone(), dense);
        let trained = Instant::now();
        self.tables.apply(
            batch.plans(),
            &lookup,
            &mut gradients,
            &SparseOptimizer::adagrad(),
        )?;
        let end = Instant::now();

        self.timings.push(Timing {
            step: (end - start).as_secs_f64(),
            gather: (gathered - start).as_secs_f64(),
            update: (end - trained).as_secs_f64(),
            floor,
        });
        Ok(())
    }

    fn median(&self, part: impl Fn(&Timing) -> f64) -> f64 {
        let mut seconds: Vec<f64> = self.timings[WARM_UP..].iter().map(part).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

fn main() -> Result<(), Error> {
    let device = Device::default().autodiff();
    let continuous = Tensor::random([BATCH, CONTINUOUS], Distribution::Default, &device);
    let label = Tensor::<2>::random([BATCH, 1], Distribution::Bernoulli(0.3), &device);
    let mut contestants = ROWS
        .iter()
        .map(|rows| Contestant::new(*rows, &device))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..WARM_UP + STEPS {
        for contestant in &mut contestants {
            contestant.step(&continuous, &label)?;
        }
    }

    println!("one table, width {DIM}, batch of {BATCH} distinct ids, median of {STEPS} steps\n");
    println!(
        "{:>10} {:>9} {:>9} {:>11} {:>11} {:>11}",
        "rows", "table", "step", "gather", "(floor)", "update"
    );
    for contestant in &contestants {
        println!(
            "{:>10} {:>6.0} MB {:>6.2} ms {:>8.0} us {:>8.0} us {:>8.0} us",
            contestant.rows(),
            (contestant.tables.num_parameters() * size_of::<f32>()) as f64 / 1e6,
            contestant.median(|timing| timing.step) * 1e3,
            contestant.median(|timing| timing.gather) * 1e6,
            contestant.median(|timing| timing.floor) * 1e6,
            contestant.median(|timing| timing.update) * 1e6,
        );
    }
    let steps: Vec<f64> = contestants
        .iter()
        .map(|contestant| contestant.median(|timing| timing.step))
        .collect();
    let slowest = steps.iter().copied().fold(f64::MIN, f64::max);
    let fastest = steps.iter().copied().fold(f64::MAX, f64::min);
    let figures = serde_json::json!({
        "bench": "embedding_scaling",
        "batch": BATCH,
        "dim": DIM,
        "rows": ROWS,
        "step_ms": steps.iter().map(|seconds| seconds * 1e3).collect::<Vec<_>>(),
        "slowest_over_fastest": slowest / fastest,
    });
    println!("\n{figures}");
    Ok(())
}
