//! Floats in stored states, whatever they are.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Stores a float: a number, or the text of what JSON has no number for (infinities and NaN).
///
/// For fields: `#[serde(with = "any_float")]`.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        value.serialize(serializer)
    } else {
        serializer.collect_str(value)
    }
}

/// Reads what [`serialize`] wrote; earlier versions wrote every float as text.
///
/// # Errors
/// If it is not a number.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Number(f64),
        Text(String),
    }
    match Stored::deserialize(deserializer)? {
        Stored::Number(number) => Ok(number),
        Stored::Text(text) => text
            .parse()
            .map_err(|_| D::Error::custom(format!("`{text}` is not a number"))),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Stored(#[serde(with = "super")] f64);

    #[test]
    fn all_floats_survive_to_the_last_bit() {
        for float in [
            0.1 + 0.2,
            -0.0,
            f64::MIN_POSITIVE / 8.0,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ] {
            let text = serde_json::to_string(&Stored(float)).unwrap();
            let Stored(read) = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_bits(), float.to_bits(), "{text}");
            // As earlier versions wrote it.
            let Stored(read) = serde_json::from_str(&format!("\"{float}\"")).unwrap();
            assert_eq!(read.to_bits(), float.to_bits(), "{float}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let error = serde_json::from_str::<Stored>("\"many\"").err().unwrap();
        assert!(
            error.to_string().contains("`many` is not a number"),
            "{error}"
        );
    }
}
