//! What a user composes: [`BlockSpec`]s, and [`Spec`] that holds any of them.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Built, Problems, Scope, Signature, registry};

/// The description of a block: plain data that can be cloned, saved, and built many times.
///
/// A block of your own is a serialisable struct with this trait. Register it with
/// [`register_block`](crate::register_block) so that saved models that contain it can be loaded.
///
/// # Example
/// ```
/// use burn::module::Module;
/// use emrys_models::{
///     Block, BlockSpec, Built, Pass, Problems, Result, Scope, Signature, Spec, Value,
///     register_block,
/// };
/// use serde::{Deserialize, Serialize};
///
/// /// Doubles a tensor.
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// struct Double {}
///
/// #[derive(Debug, Module)]
/// struct DoubleBlock {}
///
/// impl BlockSpec for Double {
///     const NAME: &'static str = "double";
///
///     fn build(&self, input: &Signature, _: &mut Scope<'_>) -> Result<Built, Problems> {
///         Ok(Built::new(DoubleBlock {}, input.clone()))
///     }
/// }
///
/// impl Block for DoubleBlock {
///     fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
///         Ok((input.into_rank2("double")? * 2.0).into())
///     }
/// }
///
/// register_block::<Double>()?;
/// let spec: Spec = serde_json::from_str(r#"{"double": {}}"#).unwrap();
/// assert_eq!(spec.name(), "double");
/// # Ok::<(), emrys_models::Error>(())
/// ```
pub trait BlockSpec: Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the type in saved models, in snake case.
    const NAME: &'static str;

    /// Checks that the block can take `input` and makes it.
    ///
    /// # Errors
    /// Everything that does not fit, with the path of the block; see [`Scope::problem`].
    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems>;
}

/// Any [`BlockSpec`], with an optional name for this one place in a model.
///
/// As JSON it is an object with one entry, the type's name, such as
/// `{"mlp": {"units": [64, 32]}}`, and `"name"` where it has one.
#[derive(Debug, Clone)]
pub struct Spec {
    name: Option<String>,
    inner: Arc<dyn ErasedSpec>,
}

/// The object-safe form of [`BlockSpec`].
trait ErasedSpec: Debug + Send + Sync {
    fn type_name(&self) -> &'static str;
    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems>;
    fn to_json(&self) -> serde_json::Result<serde_json::Value>;
    fn as_any(&self) -> &dyn Any;
}

impl<S: BlockSpec> ErasedSpec for S {
    fn type_name(&self) -> &'static str {
        S::NAME
    }

    fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        BlockSpec::build(self, input, scope)
    }

    fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<S: BlockSpec> From<S> for Spec {
    fn from(spec: S) -> Spec {
        Spec {
            name: None,
            inner: Arc::new(spec),
        }
    }
}

impl Spec {
    /// The type's name, such as `mlp`.
    pub fn type_name(&self) -> &'static str {
        self.inner.type_name()
    }

    /// The name of this place in the model, else the type's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.type_name())
    }

    /// The name that was given with [`Compose::named`](crate::Compose::named).
    pub fn explicit_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn with_name(mut self, name: String) -> Spec {
        self.name = Some(name);
        self
    }

    /// The spec itself, if it is an unnamed `S`.
    pub(crate) fn downcast_unnamed<S: BlockSpec>(&self) -> Option<&S> {
        match self.name {
            None => self.inner.as_any().downcast_ref(),
            Some(_) => None,
        }
    }

    /// Checks that the block can take `input` and makes it.
    ///
    /// # Errors
    /// Everything that does not fit, with the path of the block.
    pub fn build(&self, input: &Signature, scope: &mut Scope<'_>) -> Result<Built, Problems> {
        self.inner.build(input, scope)
    }
}

impl PartialEq for Spec {
    fn eq(&self, other: &Spec) -> bool {
        let json = |spec: &Spec| spec.inner.to_json().ok();
        self.name == other.name
            && self.type_name() == other.type_name()
            && json(self).is_some()
            && json(self) == json(other)
    }
}

impl fmt::Display for Spec {
    /// The JSON form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        let fields = self.inner.to_json().map_err(serde::ser::Error::custom)?;
        map.serialize_entry(self.type_name(), &fields)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Spec, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        let name = map.remove("name").map(serde_json::from_value).transpose();
        let name: Option<String> = name.map_err(D::Error::custom)?;
        let mut entries = map.into_iter();
        let (Some((type_name, fields)), None) = (entries.next(), entries.next()) else {
            return Err(D::Error::custom(
                "expected a block as an object with one entry, such as {\"mlp\": {\"units\": [64]}}",
            ));
        };
        let spec = registry::read(&type_name, fields).map_err(D::Error::custom)?;
        Ok(Spec { name, ..spec })
    }
}
