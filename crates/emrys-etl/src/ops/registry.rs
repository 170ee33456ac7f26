//! The operators by name: what saved workflows, declarative graphs and listings know.

use std::sync::Arc;

use serde_json::Value;

use crate::operator::{DynOperator, Example, Operator};
use crate::{Error, Result};

/// An operator in a [`Registry`].
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name under which it is stored.
    pub name: &'static str,
    /// One sentence on what it does.
    pub description: &'static str,
    /// Examples with their results.
    pub examples: fn() -> Vec<Example>,
    build: fn(Value) -> Result<Arc<dyn DynOperator>, serde_json::Error>,
}

pub(crate) fn entry<O: Operator>() -> Entry {
    Entry {
        name: O::name(),
        description: O::description(),
        examples: O::examples,
        build: |config| Ok(Arc::new(serde_json::from_value::<O>(config)?)),
    }
}

impl Entry {
    /// Makes the operator from its configuration as JSON.
    ///
    /// # Errors
    /// [`Error::Declaration`] if the configuration is not one of it.
    pub fn build(&self, config: Value) -> Result<Arc<dyn DynOperator>> {
        (self.build)(config).map_err(|error| wrong(self.name, error.to_string()))
    }
}

/// The operators that stored workflows and declarative graphs may name.
///
/// The default holds all operators of Emrys; [`with`](Registry::with) adds one of your own.
///
/// ```
/// use emrys_etl::ops::Registry;
///
/// let registry = Registry::default();
/// let clip = registry.build("Clip", serde_json::json!({"min_value": 0}))?;
/// assert_eq!(clip.name(), "Clip");
/// # Ok::<(), emrys_etl::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry {
            entries: super::registry(),
        }
    }
}

impl Registry {
    /// Adds an operator; it takes the place of one of the same name.
    #[must_use]
    pub fn with<O: Operator>(self) -> Registry {
        self.with_entry(entry::<O>())
    }

    pub(crate) fn with_entry(mut self, new: Entry) -> Registry {
        match self.entries.iter_mut().find(|known| known.name == new.name) {
            Some(known) => *known = new,
            None => self.entries.push(new),
        }
        self
    }

    /// The operators: those of Emrys by name, then those that were added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The operator of a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The operator's name that is most like another.
    pub(crate) fn closest(&self, name: &str) -> Option<&'static str> {
        emrys_schema::closest_name(name, self.entries.iter().map(|entry| entry.name))
    }

    /// Makes an operator from its name and its configuration as JSON.
    ///
    /// # Errors
    /// [`Error::Declaration`] if there is no such operator, or the configuration is not one of it.
    pub fn build(&self, name: &str, config: Value) -> Result<Arc<dyn DynOperator>> {
        let Some(entry) = self.get(name) else {
            let advice = match self.closest(name) {
                Some(closest) => format!("did you mean `{closest}`?"),
                None => {
                    let names: Vec<_> = self.entries.iter().map(|entry| entry.name).collect();
                    format!(
                        "add your own with `Registry::with` (known: {})",
                        names.join(", ")
                    )
                }
            };
            return Err(wrong(name, format!("there is no such operator; {advice}")));
        };
        entry.build(config)
    }
}

fn wrong(name: &str, problem: String) -> Error {
    Error::Declaration {
        place: format!("operator `{name}`"),
        problem,
    }
}
