//! Models that do not fit together, and data that they cannot learn from.

use std::path::Path;

use arrow::array::ArrayRef;
use burn::tensor::{Device, Tensor};
use emrys::loader::{Loader, LoaderConfig, Missing};
use emrys::models::blocks::{Concat, ContinuousFeatures, Embeddings, Mlp};
use emrys::models::metrics::RankingMetric;
use emrys::models::models::{Dlrm, MlpModel, TwoTower};
use emrys::models::optimizers::{DenseOptimizer, SparseOptimizer};
use emrys::models::retrieval::{Catalogue, RetrievalEvaluation};
use emrys::models::tasks::{BinaryClassification, ItemRetrieval, Regression, TaskSpec};
use emrys::models::trainer::{Progress, Trainer};
use emrys::models::{Compose, Model, ModelSpec};
use emrys::schema::{ColumnSchema, DType, Domain, Schema, Tag};

use crate::table::{Outcome, case, check, floats, integers, write};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn schema() -> Schema {
    let id = |name: &str, tag: Tag| {
        ColumnSchema::new(name, DType::Int32)
            .with_tags([Tag::Categorical, tag])
            .with_domain(Domain::int(0, 4))
    };
    Schema::new([
        id("user", Tag::UserId),
        id("item", Tag::ItemId),
        ColumnSchema::new("price", DType::Float32).with_tags([Tag::Continuous]),
        ColumnSchema::new("click", DType::Float32)
            .with_tags([Tag::BinaryClassification, Tag::Target]),
    ])
    .expect("distinct names")
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("user", integers([1, 2, 3, 4])),
        ("item", integers([4, 3, 2, 1])),
        ("price", floats([0.5, 1.0, 1.5, 2.0])),
        ("click", floats([0.0, 1.0, 1.0, 0.0])),
    ]
}

/// The columns with others in the place of those of the same name.
fn columns_with(name: &'static str, values: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = columns();
    columns.retain(|(column, _)| *column != name);
    columns.push((name, values));
    columns
}

pub(crate) fn loader(dir: &Path) -> Result<Loader> {
    let path = write(dir.join("clicks.parquet"), columns());
    Ok(Loader::open_with_schema(
        path,
        schema(),
        LoaderConfig::new(2),
    )?)
}

pub(crate) fn spec(units: usize, task: impl Into<TaskSpec>) -> ModelSpec {
    let body = Dlrm::new(Embeddings::new(8))
        .with_bottom(Mlp::new([8]))
        .with_top(Mlp::new([units]));
    ModelSpec::new(body).with_task(task)
}

pub(crate) fn dlrm() -> Result<Model> {
    Ok(spec(4, BinaryClassification::new("click")).build(&schema(), &Device::default(), 0)?)
}

fn two_tower() -> Result<Model> {
    let body = TwoTower::new(Embeddings::new(4), Mlp::new([4]), Mlp::new([4]));
    let spec = ModelSpec::new(body).with_task(ItemRetrieval::new("item"));
    let schema = schema().select(["user", "item"])?;
    let schema = Schema::new(
        schema
            .iter()
            .cloned()
            .zip([Tag::User, Tag::Item])
            .map(|(column, tag)| column.with_tags([tag])),
    )?;
    Ok(spec.build(&schema, &Device::default(), 0)?)
}

pub(crate) fn trainer() -> Trainer {
    Trainer::new().with_progress(Progress::Quiet)
}

/// Trains on these columns in batches of 2.
fn train(dir: &Path, columns: Vec<(&str, ArrayRef)>, task: impl Into<TaskSpec>) -> Outcome {
    let path = write(dir.join("clicks.parquet"), columns);
    let config = LoaderConfig::new(2).with_missing(Missing::KeepNan);
    let data = Loader::open_with_schema(path, schema(), config)?;
    let mut model = spec(4, task).build(&schema(), &Device::default(), 0)?;
    trainer().fit(&mut model, &data, None)?;
    Ok(())
}

fn build(spec: ModelSpec) -> Outcome {
    spec.build(&schema(), &Device::default(), 0)?;
    Ok(())
}

#[test]
fn composition() {
    check(&[
        case(
            "widths that differ in DLRM",
            |_| {
                build(ModelSpec::new(
                    Dlrm::new(Embeddings::new(8)).with_bottom(Mlp::new([16])),
                ))
            },
            "dlrm.bottom_block: last layer has 16 units but embedding_dim is 8; the interaction needs them equal",
        ),
        case(
            "widths that differ among tables",
            |_| {
                build(ModelSpec::new(
                    Dlrm::new(Embeddings::new(8).with_dim("item", 4)).with_bottom(Mlp::new([8])),
                ))
            },
            "dlrm.embeddings: `item` is 4 wide but `user` is 8 wide; fields need equal widths, give all embeddings one dim",
        ),
        case(
            "towers of different widths",
            |_| {
                build(ModelSpec::new(TwoTower::new(
                    Embeddings::new(8),
                    Mlp::new([4]),
                    Mlp::new([8]),
                )))
            },
            "two_tower: the query tower is 4 wide but the candidate tower is 8 wide; their dot product needs them equal",
        ),
        case(
            "a target that the schema lacks",
            |_| build(spec(4, BinaryClassification::new("clik"))),
            "dlrm.heads.clik: column `clik` is not in the schema; did you mean `click`? (columns: user, item, price, click)",
        ),
        case(
            "several problems at once",
            |_| {
                let body = Dlrm::new(Embeddings::new(0).of(["item", "price"]))
                    .with_continuous(ContinuousFeatures::of(["prise"]))
                    .with_bottom(Mlp::new([8]));
                build(ModelSpec::new(body).with_task(Regression::new("rating")))
            },
            "3 problems:\n- dlrm: column `prise` is not in the schema; did you mean `price`? (columns: user, item, price, click)\n- dlrm.embeddings: the embedding of `item` has width 0, expected at least 1\n- dlrm.embeddings: column `price` (Float32) has no integer domain, so its table's rows cannot be counted; encode it with Categorify or set a domain",
        ),
        case(
            "two tasks of one target",
            |_| {
                build(
                    spec(4, BinaryClassification::new("click"))
                        .with_task(BinaryClassification::new("click")),
                )
            },
            "dlrm.heads.click: two tasks of a model have this name; give each its own target",
        ),
        case(
            "a block of tensors at the begin",
            |_| build(ModelSpec::new(Mlp::new([4]).connect(Concat::new()))),
            "sequential.0_mlp: expected tensors, found a raw batch of columns user, item, price, click; read it with ContinuousFeatures, Embeddings or Inputs first",
        ),
        case(
            "a part that is not there",
            |_| {
                dlrm()?.tower("query")?;
                Ok(())
            },
            "the model has no part `query` (there are: embeddings)",
        ),
    ]);
}

#[test]
fn training() {
    check(&[
        case(
            "a target that the data lack",
            |dir| {
                let mut columns = columns();
                columns.pop();
                train(dir, columns, BinaryClassification::new("click"))
            },
            "column `click` of the schema is not in `[dir]/clicks.parquet` (columns: user, item, price)",
        ),
        case(
            "NaN among labels",
            |dir| {
                train(
                    dir,
                    columns_with("click", floats([0.0, 1.0, f32::NAN, 1.0])),
                    BinaryClassification::new("click"),
                )
            },
            "column `click`: NaN in row 0 of the batch, expected between 0 and 1; filter such rows or fill the column in the workflow",
        ),
        case(
            "labels that are no chances",
            |dir| {
                train(
                    dir,
                    columns_with("click", floats([0.0, 5.0, 1.0, 1.0])),
                    BinaryClassification::new("click"),
                )
            },
            "column `click`: 5 in row 1 of the batch, expected between 0 and 1; filter such rows or fill the column in the workflow",
        ),
        case(
            "NaN among ratings",
            |dir| {
                train(
                    dir,
                    columns_with("click", floats([4.0, f32::NAN, 1.0, 3.0])),
                    Regression::new("click"),
                )
            },
            "column `click`: NaN in row 1 of the batch, expected a finite number; filter such rows or fill the column in the workflow",
        ),
        case(
            "NaN among features",
            |dir| {
                train(
                    dir,
                    columns_with("price", floats([f32::NAN, 1.0, 1.0, 1.0])),
                    BinaryClassification::new("click"),
                )
            },
            "the loss became NaN in epoch 1, batch 1; lower the learning rate or look for extreme inputs",
        ),
        case(
            "an id beyond its table",
            |dir| {
                train(
                    dir,
                    columns_with("item", integers([1, 2, 3, 5])),
                    BinaryClassification::new("click"),
                )
            },
            "column `item`, row 1 of the batch: id 5 is outside its table of 5 rows (0 to 4); give the table as many rows as the workflow's vocabulary, or transform this data with the workflow that the model was built for",
        ),
        case(
            "a model without a task",
            |dir| {
                let body = MlpModel::new(Embeddings::new(4), Mlp::new([4]));
                let mut model = ModelSpec::new(body).build(&schema(), &Device::default(), 0)?;
                trainer().fit(&mut model, &loader(dir)?, None)?;
                Ok(())
            },
            "the model has no task; give it one with `ModelSpec::with_task`",
        ),
        case(
            "a learning rate that leads nowhere",
            |dir| {
                let trainer = trainer()
                    .with_dense(DenseOptimizer::sgd())
                    .with_sparse(SparseOptimizer::sgd())
                    .with_learning_rate(f64::from(f32::MAX))
                    .with_epochs(5);
                trainer.fit(&mut dlrm()?, &loader(dir)?, None)?;
                Ok(())
            },
            "the loss became NaN in epoch 1, batch 2; lower the learning rate or look for extreme inputs",
        ),
        case(
            "batches of one row",
            |dir| {
                let data = loader(dir)?.with_config(LoaderConfig::new(1))?;
                let history = trainer().fit(&mut dlrm()?, &data, Some(&data))?;
                assert_eq!(
                    history
                        .last()
                        .map(|epoch| (epoch.rows, epoch.loss.is_finite())),
                    Some((4, true))
                );
                Ok(())
            },
            "no error",
        ),
        case(
            "batches of one pair, which have no negatives",
            |dir| {
                let data = loader(dir)?.with_config(LoaderConfig::new(1))?;
                trainer().fit(&mut two_tower()?, &data, None)?;
                Ok(())
            },
            "no error",
        ),
        case(
            "predictions of a column that is not there",
            |dir| {
                trainer().predict(&dlrm()?, &loader(dir)?, &["usr"])?;
                Ok(())
            },
            "column `usr` is not in the schema; did you mean `user`? (columns: user, item, price, click)",
        ),
    ]);
}

fn catalogue(ids: Vec<i64>) -> Result<Catalogue> {
    Ok(Catalogue::new(
        ids,
        Tensor::ones([3, 2], &Device::default()),
    )?)
}

/// The best `k` of three items.
fn best(k: usize, width: usize) -> Outcome {
    let none: [&[i64]; 0] = [];
    catalogue(vec![7, 8, 9])?.top_k(Tensor::ones([1, width], &Device::default()), k, &none)?;
    Ok(())
}

#[test]
fn retrieval() {
    check(&[
        case(
            "more of the best than there are items",
            |_| best(4, 2),
            "cannot rank the best 4 of 3 candidates; ask for 1 to 3",
        ),
        case(
            "the best none",
            |_| best(0, 2),
            "cannot rank the best 0 of 3 candidates; ask for 1 to 3",
        ),
        case(
            "queries of another width",
            |_| best(1, 3),
            "queries have 3 numbers but items 2; take both from one model",
        ),
        case(
            "an item twice",
            |_| catalogue(vec![7, 8, 7]).map(|_| ()),
            "the catalogue has item 7 twice; give each item once",
        ),
        case(
            "an id without a vector",
            |_| catalogue(vec![7, 8, 9, 10]).map(|_| ()),
            "the catalogue has 4 ids but 3 vectors; give one vector for each id",
        ),
        case(
            "exclusions for other queries",
            |_| {
                let lists = [vec![7], vec![8]];
                catalogue(vec![7, 8, 9])?.top_k(
                    Tensor::ones([1, 2], &Device::default()),
                    1,
                    &lists,
                )?;
                Ok(())
            },
            "1 queries but 2 lists of excluded items; give one for each query, or none",
        ),
        case(
            "a metric beyond the catalogue",
            |dir| {
                let (model, data) = (two_tower()?, loader(dir)?);
                let catalogue = Catalogue::encode(&model, &data, "item")?;
                RetrievalEvaluation::new("user", "item")
                    .with_metrics([RankingMetric::Recall.at(10)])
                    .model(&model, &data, &catalogue)?;
                Ok(())
            },
            "cannot rank the best 10 of 4 candidates; ask for 1 to 4",
        ),
        case(
            "a metric that does not exist",
            |_| {
                "recal_at_10".parse::<emrys::models::metrics::RankingAt>()?;
                Ok(())
            },
            "metric `recal_at_10` does not exist; write recall, precision, map, ndcg or mrr with the number of places it looks at, such as `recall_at_10`",
        ),
        case(
            "an item column that is not there",
            |dir| {
                Catalogue::encode(&two_tower()?, &loader(dir)?, "itm")?;
                Ok(())
            },
            "column `itm` is not in the schema; did you mean `item`? (columns: user, item, price, click)",
        ),
    ]);
}
