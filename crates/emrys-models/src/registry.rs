//! The list of block types that a saved model may contain.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use crate::{BlockSpec, Error, Result, Spec, blocks, models};

/// A block type: which one it is, and how its fields are read.
#[derive(Clone, Copy)]
struct Entry {
    type_id: TypeId,
    read: fn(serde_json::Value) -> serde_json::Result<Spec>,
}

fn entry<S: BlockSpec>() -> (&'static str, Entry) {
    let read = |fields| serde_json::from_value::<S>(fields).map(Spec::from);
    (
        S::NAME,
        Entry {
            type_id: TypeId::of::<S>(),
            read,
        },
    )
}

/// The blocks of this crate.
fn built_in() -> BTreeMap<&'static str, Entry> {
    BTreeMap::from([
        entry::<blocks::Concat>(),
        entry::<blocks::ContinuousFeatures>(),
        entry::<blocks::CosineSimilarity>(),
        entry::<blocks::DotProductInteraction>(),
        entry::<blocks::ElementwiseProduct>(),
        entry::<blocks::ElementwiseSum>(),
        entry::<blocks::Embeddings>(),
        entry::<blocks::Filter>(),
        entry::<blocks::Inputs>(),
        entry::<blocks::L2Norm>(),
        entry::<blocks::LogitsTemperature>(),
        entry::<blocks::Mlp>(),
        entry::<blocks::Parallel>(),
        entry::<blocks::Residual>(),
        entry::<blocks::Sequential>(),
        entry::<blocks::Shortcut>(),
        entry::<blocks::Stack>(),
        entry::<models::Dlrm>(),
        entry::<models::MlpModel>(),
        entry::<models::TwoTower>(),
    ])
}

static REGISTRY: LazyLock<RwLock<BTreeMap<&'static str, Entry>>> =
    LazyLock::new(|| RwLock::new(built_in()));

/// Makes a block type of your own known, so that saved models that contain it can be loaded.
///
/// Registering a type again does nothing.
///
/// # Errors
/// [`Error::DuplicateBlock`] if another type has the same [`BlockSpec::NAME`].
pub fn register_block<S: BlockSpec>() -> Result<()> {
    let (name, entry) = entry::<S>();
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let known = registry.entry(name).or_insert(entry);
    if known.type_id == entry.type_id {
        Ok(())
    } else {
        Err(Error::DuplicateBlock { name })
    }
}

/// The names of all known block types, in order.
pub fn registered_blocks() -> Vec<&'static str> {
    REGISTRY
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .keys()
        .copied()
        .collect()
}

/// Reads a block of the type `name`; the error says what is wrong in words.
pub(crate) fn read(name: &str, fields: serde_json::Value) -> Result<Spec, String> {
    let entry = {
        let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
        *registry.get(name).ok_or_else(|| {
            let known = registry.keys().map(|&known| known.to_owned()).collect();
            Error::UnknownBlock {
                name: name.to_owned(),
                known,
            }
            .to_string()
        })?
    };
    // The lock is free again: a block that contains blocks comes back here.
    (entry.read)(fields).map_err(|error| format!("{name}: {error}"))
}
