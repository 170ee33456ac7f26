//! [`Dlrm`].

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::blocks::{
    ContinuousFeatures, DotProductInteraction, Embeddings, input_schema, stack_shape,
};
use crate::{
    Block, BlockSpec, BoxedBlock, Built, Pass, Problems, Result, RowShape, Scope, Signature, Spec,
    Value,
};

/// The deep learning recommendation model: embeddings and a vector made of the continuous columns
/// interact in pairs.
///
/// ```text
/// continuous -> bottom_block -+-> dot products of all pairs -+-> top_block
/// categorical -> embeddings --+   bottom_block --------------+
/// ```
///
/// Fields are ordered by name, `bottom_block` among the names of the categorical columns. The top
/// reads the bottom's vector followed by the dot products; without continuous columns, the dot
/// products alone. Without a top block the result is the dot products alone.
///
/// # Shapes
/// - input: a raw batch
/// - output: that of the top block; without one, `[B, F * (F - 1) / 2]` for F fields
/// # Parameters
/// Those of the two blocks; an embedding table per domain of a categorical column.
/// # Errors
/// At build: the input is not a raw batch; no categorical columns; continuous columns but no bottom
/// block; a bottom block whose width is not that of the embeddings; embeddings of different widths.
/// # Example
/// ```
/// use emrys_models::blocks::{Embeddings, Mlp};
/// use emrys_models::models::Dlrm;
///
/// let body = Dlrm::new(Embeddings::new(64))
///     .with_bottom(Mlp::new([128, 64]))
///     .with_top(Mlp::new([128, 64, 32]));
/// # let _ = body;
/// ```
/// # References
/// Naumov et al. 2019, arXiv:1906.00091. Order of the fields and the shortcut are those of Merlin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dlrm {
    embeddings: Embeddings,
    continuous: ContinuousFeatures,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bottom: Option<Spec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top: Option<Spec>,
}

const BOTTOM: &str = "bottom_block";

impl Dlrm {
    /// These embeddings, which must all be of one width.
    pub fn new(embeddings: Embeddings) -> Dlrm {
        Dlrm {
            embeddings,
            continuous: ContinuousFeatures::new(),
            bottom: None,
            top: None,
        }
    }

    /// Other continuous columns than all that are tagged so.
    #[must_use]
    pub fn with_continuous(mut self, continuous: ContinuousFeatures) -> Dlrm {
        self.continuous = continuous;
        self
    }

    /// What makes one vector of the continuous columns; its last layer must be as wide as the
    /// embeddings.
    #[must_use]
    pub fn with_bottom(mut self, bottom: impl Into<Spec>) -> Dlrm {
        self.bottom = Some(bottom.into());
        self
    }

    /// What follows the interaction.
    #[must_use]
    pub fn with_top(mut self, top: impl Into<Spec>) -> Dlrm {
        self.top = Some(top.into());
        self
    }

    /// The columns and the block that make the field of the continuous columns; `None` if the
    /// schema has no such columns.
    fn build_bottom(
        &self,
        input: &Signature,
        scope: &mut Scope<'_>,
    ) -> Result<Option<(BoxedBlock, Built)>, Problems> {
        let continuous = self.continuous.build(input, scope)?;
        if matches!(&continuous.output, Signature::Dict(columns) if columns.is_empty()) {
            return Ok(None);
        }
        let Some(bottom) = &self.bottom else {
            return Err(scope.problem(format!(
                "the schema has continuous columns ({}) but there is no bottom block to make a \
                 vector of them; give one with `with_bottom`, or leave the columns out with \
                 `with_continuous`",
                continuous.output
            )));
        };
        let built = scope.enter(BOTTOM, |scope| bottom.build(&continuous.output, scope))?;
        Ok(Some((continuous.block, built)))
    }

    /// The embeddings of the categorical columns, and their common width.
    fn build_embeddings(
        &self,
        input: &Signature,
        scope: &mut Scope<'_>,
    ) -> Result<(Built, usize), Problems> {
        let built = scope.enter("embeddings", |scope| self.embeddings.build(input, scope))?;
        if matches!(&built.output, Signature::Dict(fields) if fields.is_empty()) {
            return Err(scope.problem(
                "the schema has no categorical columns, and the interaction needs at least one; \
                 tag them in the workflow",
            ));
        }
        let (_, dim) = scope.enter("embeddings", |scope| stack_shape(&built.output, scope))?;
        Ok((built, dim))
    }
}

impl BlockSpec for Dlrm {
    const NAME: &'static str = "dlrm";

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        input_schema(input, scope)?;
        let bottom = self.build_bottom(input, scope);
        let embeddings = self.build_embeddings(input, scope);
        let (bottom, (embeddings, dim)) = Problems::both(bottom, embeddings)?;

        let mut fields = embeddings.output.shapes();
        if let Some((_, bottom)) = &bottom {
            if bottom.output != Signature::Tensor(RowShape::Vector(dim)) {
                return Err(scope.enter(BOTTOM, |scope| {
                    scope.problem(match &bottom.output {
                        Signature::Tensor(RowShape::Vector(width)) => format!(
                            "last layer has {width} units but embedding_dim is {dim}; the \
                             interaction needs them equal"
                        ),
                        other => format!("gives {other}, expected a tensor [B, {dim}]"),
                    })
                }));
            }
            fields.insert(BOTTOM.to_owned(), RowShape::Vector(dim));
        }
        let fields = Signature::Dict(fields);
        let interaction = scope.enter("interaction", |scope| {
            DotProductInteraction::new().build(&fields, scope)
        })?;

        let mut output = interaction.output;
        let mut top_block = None;
        if let Some(top) = &self.top {
            let bottom_width = bottom.as_ref().map_or(0, |(_, built)| built.output.width());
            let joined = RowShape::Vector(bottom_width + output.width());
            let built = scope.enter("top_block", |scope| {
                top.build(&Signature::Tensor(joined), scope)
            })?;
            output = built.output;
            top_block = Some(built.block);
        }
        let (continuous, bottom) = bottom
            .map(|(columns, built)| (columns, built.block))
            .unzip();
        let block = DlrmBlock {
            continuous,
            bottom_block: bottom,
            embeddings: embeddings.block,
            interaction: interaction.block,
            top_block,
        };
        Ok(Built::new(block, output))
    }
}

#[derive(Module, Debug)]
struct DlrmBlock {
    continuous: Option<BoxedBlock>,
    bottom_block: Option<BoxedBlock>,
    embeddings: BoxedBlock,
    interaction: BoxedBlock,
    top_block: Option<BoxedBlock>,
}

impl Block for DlrmBlock {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        let bottom = match (&self.continuous, &self.bottom_block) {
            (Some(continuous), Some(bottom)) => {
                let columns = continuous.forward(input.clone(), pass)?;
                Some(bottom.forward(columns, pass)?.into_rank2(Dlrm::NAME)?)
            }
            _ => None,
        };
        let mut fields = self
            .embeddings
            .forward(input, pass)?
            .into_dict(Dlrm::NAME)?;
        fields.extend(
            bottom
                .iter()
                .map(|bottom| (BOTTOM.to_owned(), bottom.clone().into())),
        );
        let products = self.interaction.forward(Value::Dict(fields), pass)?;
        let Some(top) = &self.top_block else {
            return Ok(products);
        };
        let products = products.into_rank2(Dlrm::NAME)?;
        let joined = match bottom {
            Some(bottom) => Tensor::cat(vec![bottom, products], 1),
            None => products,
        };
        top.forward(joined, pass)
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        match name {
            BOTTOM => self.bottom_block.as_ref(),
            "embeddings" => Some(&self.embeddings),
            "interaction" => Some(&self.interaction),
            "top_block" => self.top_block.as_ref(),
            _ => None,
        }
    }
}
