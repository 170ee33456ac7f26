//! Sizes as people write them: `512MiB`, `1GB`.

/// The number of bytes that a text such as `512MiB`, `1.5 GB` or `4096` says; `None` if it says
/// none.
///
/// `KiB`, `MiB`, `GiB` and `TiB` are powers of 1024, and so are the bare letters `K`, `M`, `G` and
/// `T`; `KB`, `MB`, `GB` and `TB` are powers of 1000. Case does not matter.
///
/// ```
/// use emrys_etl::declaration::parse_bytes;
///
/// assert_eq!(parse_bytes("1GiB"), Some(1 << 30));
/// assert_eq!(parse_bytes("1.5 KB"), Some(1500));
/// assert_eq!(parse_bytes("much"), None);
/// ```
pub fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let number = number.replace('_', "");
    if let Ok(whole) = number.parse::<u64>() {
        return usize::try_from(whole.checked_mul(factor)?).ok();
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    // Beyond 2^53 a float no longer counts bytes.
    (bytes < 9e15).then_some(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024_or_1000() {
        let sizes = [
            "7", "7b", "2k", "2KiB", "2kb", "3 MiB", "1_000", "0.5GiB", "1TB",
        ];
        assert_eq!(
            sizes.map(|size| parse_bytes(size).unwrap()),
            [
                7,
                7,
                2048,
                2048,
                2000,
                3 << 20,
                1000,
                1 << 29,
                1_000_000_000_000
            ]
        );
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "GiB",
            "-1",
            "1.2.3",
            "1 gigabyte",
            "1e9",
            "99999999999T",
            "NaN",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
