//! [`TwoTower`].

use std::collections::BTreeMap;

use burn::module::Module;
use emrys_schema::Tag;
use serde::{Deserialize, Serialize};

use crate::blocks::{Embeddings, Filter, Inputs};
use crate::{
    Block, BlockSpec, BoxedBlock, Built, Compose, Pass, Problems, Result, RowShape, Scope,
    Signature, Spec, Value,
};

/// Two networks, one for the query (the user) and one for the candidate (the item), whose vectors
/// are compared by their dot product.
///
/// Each tower reads the columns of its tag: [`Tag::User`] and [`Tag::Item`] unless told otherwise.
/// Its features are put side by side in order of their names.
///
/// The towers never meet before their outputs, so candidates can be encoded once and searched; a
/// tower is the [`part`](Block::part) `query` or `candidate`.
///
/// # Shapes
/// - input: a raw batch
/// - output: `query` `[B, D]` and `candidate` `[B, D]`
/// # Parameters
/// Those of the two networks, under `query` and `candidate`; an embedding table per domain of a
/// categorical column, shared where both towers read it.
/// # Errors
/// At build: a tower without columns; towers that give different widths; what the networks report.
/// # Example
/// ```
/// use emrys_models::blocks::{Embeddings, Mlp};
/// use emrys_models::models::TwoTower;
///
/// let network = Mlp::new([128, 64]).with_last_linear();
/// let body = TwoTower::new(Embeddings::new(64), network.clone(), network);
/// # let _ = body;
/// ```
/// # References
/// Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item recommendations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoTower {
    query: Tower,
    candidate: Tower,
}

/// What a tower reads and the network that follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tower {
    columns: Filter,
    inputs: Inputs,
    network: Spec,
}

impl Tower {
    fn new(tag: Tag, embeddings: Embeddings, network: impl Into<Spec>) -> Tower {
        let inputs = Inputs::new(embeddings);
        Tower {
            columns: Filter::tag(tag),
            inputs,
            network: network.into(),
        }
    }

    fn build(
        &self,
        name: &str,
        input: &Signature,
        scope: &mut Scope<'_>,
    ) -> Result<Built, Problems> {
        scope.enter(name, |scope| {
            let columns = self.columns.build(input, scope)?.output;
            if matches!(&columns, Signature::Features(columns) if columns.is_empty()) {
                return Err(scope.problem(format!(
                    "the tower has no columns among those of {input}; tag them `user` and `item` in the workflow, \
                     or choose them with `with_query_columns` and `with_candidate_columns`"
                )));
            }
            let inputs = self.columns.clone().named("columns");
            let inputs = inputs.connect(self.inputs.clone().named("inputs"));
            let tower = inputs.connect(self.network.clone().named("network"));
            let built = tower.build(input, scope)?;
            match built.output {
                Signature::Tensor(RowShape::Vector(_)) => Ok(built),
                other => Err(scope.problem(format!(
                    "the network gives {other}, expected one vector per row [B, D]"
                ))),
            }
        })
    }
}

impl TwoTower {
    /// These embeddings and these networks over the columns of users and of items.
    pub fn new(
        embeddings: Embeddings,
        query: impl Into<Spec>,
        candidate: impl Into<Spec>,
    ) -> TwoTower {
        TwoTower {
            query: Tower::new(Tag::User, embeddings.clone(), query),
            candidate: Tower::new(Tag::Item, embeddings, candidate),
        }
    }

    /// The columns of the query tower; those tagged [`Tag::User`] by default.
    #[must_use]
    pub fn with_query_columns(mut self, columns: Filter) -> TwoTower {
        self.query.columns = columns;
        self
    }

    /// The columns of the candidate tower; those tagged [`Tag::Item`] by default.
    #[must_use]
    pub fn with_candidate_columns(mut self, columns: Filter) -> TwoTower {
        self.candidate.columns = columns;
        self
    }
}

const QUERY: &str = "query";
const CANDIDATE: &str = "candidate";

impl BlockSpec for TwoTower {
    const NAME: &'static str = "two_tower";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        let query = self.query.build(QUERY, input, scope);
        let candidate = self.candidate.build(CANDIDATE, input, scope);
        let (query, candidate) = Problems::both(query, candidate)?;
        if query.output != candidate.output {
            return Err(scope.problem(format!(
                "the query tower is {} wide but the candidate tower is {} wide; their dot product \
                 needs them equal",
                query.output.width(),
                candidate.output.width()
            )));
        }
        let shape = RowShape::Vector(query.output.width());
        let output = Signature::dict([(QUERY, shape), (CANDIDATE, shape)]);
        let block = TwoTowerBlock {
            query: query.block,
            candidate: candidate.block,
        };
        Ok(Built::new(block, output))
    }
}

#[derive(Module, Debug)]
struct TwoTowerBlock {
    query: BoxedBlock,
    candidate: BoxedBlock,
}

impl Block for TwoTowerBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        let query = self
            .query
            .forward(input.clone(), pass)?
            .into_rank2(TwoTower::NAME)?;
        let candidate = self
            .candidate
            .forward(input, pass)?
            .into_rank2(TwoTower::NAME)?;
        let towers = [
            (QUERY.to_owned(), query.into()),
            (CANDIDATE.to_owned(), candidate.into()),
        ];
        Ok(Value::Dict(BTreeMap::from(towers)))
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        match name {
            QUERY => Some(&self.query),
            CANDIDATE => Some(&self.candidate),
            _ => None,
        }
    }
}
