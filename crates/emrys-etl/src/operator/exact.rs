//! Floats in stored states, to the last bit.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Stores a float as text: readers of JSON may round numbers in the last place, and a workflow
/// must give the same bits after it was saved and loaded.
///
/// For fields: `#[serde(with = "exact")]`.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // The shortest text that gives the same float when it is read.
    serializer.collect_str(value)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// If it is not a number.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("`{text}` is not a number")))
}
