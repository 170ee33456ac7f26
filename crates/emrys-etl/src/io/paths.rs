//! From what the user names to a list of files.

use std::cmp::Ordering;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use emrys_schema::{SCHEMA_JSON, SCHEMA_PBTXT};

use super::atomic::{INCOMPLETE_MARKER, set_aside};
use super::formats::named_format;
use super::hive;
use super::open_options::OpenOptions;
use crate::{Error, Result};

/// What a path, folder or glob stands for.
pub(crate) struct Found {
    /// The files in reading order.
    pub(crate) files: Vec<PathBuf>,
    /// The folder, if a folder was named.
    pub(crate) folder: Option<PathBuf>,
    /// Below which folder `key=value` names are columns.
    pub(crate) root: Option<PathBuf>,
}

/// The files of a path: the file itself, the files of a folder, or the files a glob matches.
///
/// A path that exists is never taken for a glob.
pub(crate) fn resolve(path: &Path, options: &OpenOptions) -> Result<Found> {
    let hive = options.hive() != Some(false);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Found {
            files: files_of_folder(path, options)?,
            folder: Some(path.to_owned()),
            root: hive.then(|| path.to_owned()),
        }),
        Ok(_) => Ok(Found {
            files: vec![path.to_owned()],
            folder: None,
            root: None,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) => Ok(Found {
                    files: files_of_glob(pattern)?,
                    folder: None,
                    root: hive.then(|| Path::new(fixed_folder(pattern)).to_owned()),
                }),
                None => Err(missing(path)),
            }
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The folders of a pattern before the first with a wildcard.
pub(crate) fn fixed_folder(pattern: &str) -> &str {
    let fixed = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    match fixed.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => "",
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

/// The error for a folder that is not whole.
pub(crate) fn unfinished(folder: &Path) -> Error {
    Error::File {
        action: "read",
        path: folder.to_owned(),
        problem: "it is the unfinished output of an interrupted run; run it again".into(),
    }
}

fn files_of_folder(folder: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>> {
    if folder.join(INCOMPLETE_MARKER).exists() {
        return Err(unfinished(folder));
    }
    let mut files = Vec::new();
    add_files(folder, options.hive() != Some(false), &mut files)?;
    let mut files = data_files(files, options, PathBuf::as_path);
    if files.is_empty() {
        return Err(no_data_file(&format!("folder `{}`", folder.display())));
    }
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(files)
}

/// The files of a folder, and of its `key=value` folders if they are wanted.
fn add_files(folder: &Path, hive: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if is_hidden(&path) {
            continue;
        }
        if path.is_dir() {
            if hive && hive::pair(&file_name(&path)).is_some() {
                add_files(&path, hive, files)?;
            }
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The files that hold data: those whose names tell the format that is asked for, or any if none
/// is. If a format is asked for that no name tells, all files are taken for it.
pub(crate) fn data_files<T>(
    files: Vec<T>,
    options: &OpenOptions,
    path: impl Fn(&T) -> &Path,
) -> Vec<T> {
    let is_data = |file: &T| match (named_format(path(file)), options.format()) {
        (Some(named), Some(asked)) => {
            std::mem::discriminant(&named) == std::mem::discriminant(asked)
        }
        (named, _) => named.is_some(),
    };
    let (data, others): (Vec<T>, Vec<T>) = files.into_iter().partition(is_data);
    match options.format() {
        Some(_) if data.is_empty() => {
            let is_schema = |name: &str| [SCHEMA_JSON, SCHEMA_PBTXT].contains(&name);
            let mut others = others;
            others.retain(|file| !is_schema(&file_name(path(file))));
            others
        }
        _ => data,
    }
}

/// The error for a folder without data.
pub(crate) fn no_data_file(source_name: &str) -> Error {
    Error::EmptyDataset {
        source_name: source_name.to_owned(),
        problem: "it holds no data file, such as `*.parquet`, `*.csv`, `*.jsonl` or `*.arrow` \
                  (subfolders other than `key=value` and names that begin with `.` or `_` are not \
                  read); name the files or another folder, or give their format"
            .into(),
    }
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
