//! From what the user names to a list of parquet files.

use std::cmp::Ordering;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use super::atomic::{INCOMPLETE_MARKER, set_aside};
use crate::{Error, Result};

/// What a path, folder or glob stands for.
pub(crate) struct Found {
    /// The files in reading order.
    pub(crate) files: Vec<PathBuf>,
    /// The folder, if a folder was named.
    pub(crate) folder: Option<PathBuf>,
}

/// The files of a path: the file itself, the files of a folder, or the files a glob matches.
///
/// A path that exists is never taken for a glob.
pub(crate) fn resolve(path: &Path) -> Result<Found> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Found {
            files: files_of_folder(path)?,
            folder: Some(path.to_owned()),
        }),
        Ok(_) => Ok(Found {
            files: vec![path.to_owned()],
            folder: None,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) => Ok(Found {
                    files: files_of_glob(pattern)?,
                    folder: None,
                }),
                None => Err(missing(path)),
            }
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The error for a path that does not exist.
pub(crate) fn missing(path: &Path) -> Error {
    let problem = match set_aside(path) {
        Some(aside) => format!(
            "there is no such file or folder; an interrupted overwrite has left the former one in `{}`",
            aside.display()
        ),
        None => "there is no such file or folder".into(),
    };
    Error::File {
        action: "read",
        path: path.to_owned(),
        problem,
    }
}

fn files_of_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.join(INCOMPLETE_MARKER).exists() {
        return Err(Error::File {
            action: "read",
            path: folder.to_owned(),
            problem: "it is the unfinished output of an interrupted run; run it again".into(),
        });
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if is_data_file(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::EmptyDataset {
            source_name: format!("folder `{}`", folder.display()),
            problem:
                "it holds no `*.parquet` file (subfolders and names that begin with `.` or `_` \
                      are not read); name the files or another folder"
                    .into(),
        });
    }
    files.sort_by(|a, b| natural_order(&file_name(a), &file_name(b)));
    Ok(files)
}

fn files_of_glob(pattern: &str) -> Result<Vec<PathBuf>> {
    let bad_pattern = |problem: String| Error::File {
        action: "read",
        path: PathBuf::from(pattern),
        problem,
    };
    let matches = glob::glob(pattern).map_err(|error| {
        bad_pattern(format!(
            "not a valid pattern at character {}: {}",
            error.pos, error.msg
        ))
    })?;
    let mut files = Vec::new();
    for entry in matches {
        let path = entry.map_err(|error| {
            let path = error.path().to_owned();
            Error::io("read", path)(error.into())
        })?;
        if path.is_file() && !is_hidden(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::EmptyDataset {
            source_name: format!("pattern `{pattern}`"),
            problem: "no file matches it".into(),
        });
    }
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(files)
}

fn is_data_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
        && !is_hidden(path)
        && path.is_file()
}

fn is_hidden(path: &Path) -> bool {
    file_name(path).starts_with(['.', '_'])
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Compares texts so that runs of digits compare as numbers: `part_2` before `part_10`.
pub(crate) fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left.chars().peekable(), right.chars().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return left.cmp(right),
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, y) = (take_number(&mut a), take_number(&mut b));
                x.len().cmp(&y.len()).then_with(|| x.cmp(&y))
            }
            _ => a.next().cmp(&b.next()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes a run of digits, without its leading zeros.
fn take_number(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        if digit != '0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        let mut names = [
            "part_10", "part_2", "part_1", "part", "part_02", "b", "part_1a",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "b", "part", "part_1", "part_1a", "part_02", "part_2", "part_10"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_total_and_tells_different_names_apart(a in "[a-b0-2]{0,6}", b in "[a-b0-2]{0,6}") {
            proptest::prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            proptest::prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
        }
    }
}
