//! Cutting a sequence of files into contiguous ranges of rows, one per partition.

use std::ops::Range;

/// A range of rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Which file.
    pub(crate) file: usize,
    /// Which of its rows.
    pub(crate) rows: Range<u64>,
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRows {
    /// How many rows each of its row groups has.
    pub(crate) row_groups: Vec<u64>,
    /// Into how many pieces a row group may be cut: each piece reads bytes of the row group that
    /// are not its own.
    pub(crate) pieces: u64,
}

/// Cuts files with the given row groups into at most `partitions` ranges of about equal numbers
/// of rows, none shorter than about `min_rows`.
///
/// The ranges follow each other without gap or overlap: reading one after the other is reading
/// the files in order. Cuts fall between row groups where one is near, else at an end of one of
/// the pieces of a row group.
pub(crate) fn partition(files: &[FileRows], partitions: usize, min_rows: u64) -> Vec<Vec<Slice>> {
    let total: u64 = files.iter().flat_map(|file| &file.row_groups).sum();
    let most = total.div_ceil(min_rows.max(1)).max(1);
    let partitions = (partitions.max(1) as u64).min(most);
    let row_groups = files.iter().flat_map(|file| {
        let pieces = file.pieces.max(1);
        file.row_groups.iter().map(move |rows| (*rows, pieces))
    });
    let mut cuts = cuts(row_groups, total, partitions);
    cuts.push(total);

    let mut result = Vec::with_capacity(cuts.len());
    let mut start = 0;
    for end in cuts {
        result.push(slices(files, start..end));
        start = end;
    }
    result
}

/// Where to cut, in rows from the first; rising, without 0 and `total`.
fn cuts(row_groups: impl Iterator<Item = (u64, u64)>, total: u64, partitions: u64) -> Vec<u64> {
    let size = total / partitions;
    let mut cuts: Vec<u64> = Vec::new();
    let mut wanted = (1..partitions)
        .map(|i| rows_share(total, i, partitions))
        .peekable();
    let mut start = 0;
    for (rows, pieces) in row_groups {
        let end = start + rows;
        while let Some(cut) = wanted.next_if(|cut| *cut < end) {
            let near = size / 10;
            let cut = if cut - start <= near {
                start
            } else if end - cut <= near {
                end
            } else {
                let piece = rows.div_ceil(pieces);
                start + (cut - start + piece / 2) / piece * piece
            };
            let cut = cut.min(end);
            if cut > cuts.last().copied().unwrap_or(0) && cut < total {
                cuts.push(cut);
            }
        }
        start = end;
    }
    cuts
}

/// `total * part / parts`, which fits although the product may not.
fn rows_share(total: u64, part: u64, parts: u64) -> u64 {
    u64::try_from(u128::from(total) * u128::from(part) / u128::from(parts))
        .expect("a share is not greater than the whole")
}

/// The pieces of the files that make up a range of all rows.
fn slices(files: &[FileRows], range: Range<u64>) -> Vec<Slice> {
    let mut slices = Vec::new();
    let mut first = 0;
    for (file, FileRows { row_groups, .. }) in files.iter().enumerate() {
        let rows: u64 = row_groups.iter().sum();
        let start = range.start.max(first);
        let end = range.end.min(first + rows);
        if start < end {
            slices.push(Slice {
                file,
                rows: start - first..end - first,
            });
        }
        first += rows;
    }
    slices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Files whose row groups may be cut into eighths.
    fn partition(files: &[Vec<u64>], partitions: usize, min_rows: u64) -> Vec<Vec<Slice>> {
        super::partition(&file_rows(files, 8), partitions, min_rows)
    }

    fn file_rows(files: &[Vec<u64>], pieces: u64) -> Vec<FileRows> {
        let files = files.iter().map(|row_groups| FileRows {
            row_groups: row_groups.clone(),
            pieces,
        });
        files.collect()
    }

    #[test]
    fn files_that_must_be_read_from_the_start_stay_whole() {
        let files = file_rows(&[vec![800], vec![100], vec![100]], 1);
        let parts = super::partition(&files, 4, 1);
        let whole = |file, rows| Slice {
            file,
            rows: 0..rows,
        };
        assert_eq!(
            parts,
            [vec![whole(0, 800)], vec![whole(1, 100), whole(2, 100)]]
        );
    }

    #[test]
    fn equal_row_groups_stay_whole() {
        let parts = partition(&[vec![100, 100], vec![100, 100]], 2, 1);
        assert_eq!(
            parts,
            [
                [Slice {
                    file: 0,
                    rows: 0..200
                }],
                [Slice {
                    file: 1,
                    rows: 0..200
                }]
            ]
        );
    }

    #[test]
    fn a_single_row_group_is_cut() {
        let parts = partition(&[vec![800]], 4, 1);
        let lengths: Vec<_> = parts.iter().map(|part| part[0].rows.clone()).collect();
        assert_eq!(lengths, [0..200, 200..400, 400..600, 600..800]);
    }

    #[test]
    fn few_rows_are_not_cut() {
        assert_eq!(partition(&[vec![100]], 8, 8192).len(), 1);
        assert_eq!(partition(&[vec![]], 8, 8192), [[]]);
        assert_eq!(partition(&[], 8, 8192), [[]]);
    }

    proptest! {
        #[test]
        fn ranges_cover_all_rows_in_order(
            files in prop::collection::vec(prop::collection::vec(0u64..50, 0..5), 0..6),
            partitions in 1usize..20,
            min_rows in 1u64..30,
        ) {
            let total: u64 = files.iter().flatten().sum();
            let parts = partition(&files, partitions, min_rows);
            prop_assert!(parts.len() <= partitions);
            let mut expected = Vec::new();
            for (file, groups) in files.iter().enumerate() {
                expected.extend((0..groups.iter().sum()).map(|row| (file, row)));
            }
            let mut found = Vec::new();
            for slice in parts.iter().flatten() {
                prop_assert!(slice.rows.start < slice.rows.end);
                found.extend(slice.rows.clone().map(|row| (slice.file, row)));
            }
            prop_assert_eq!(found, expected);
            if total > 0 {
                prop_assert!(parts.iter().all(|part| !part.is_empty()));
            }
        }

        #[test]
        fn no_partition_is_much_longer_than_the_others(
            groups in prop::collection::vec(1000u64..2000, 1..10),
            partitions in 1usize..8,
        ) {
            let total: u64 = groups.iter().sum();
            let longest = partition(std::slice::from_ref(&groups), partitions, 1)
                .iter()
                .map(|part| part.iter().map(|slice| slice.rows.end - slice.rows.start).sum::<u64>())
                .max()
                .unwrap_or(0);
            let fair = total / partitions as u64;
            prop_assert!(longest <= fair + fair / 5 + 2 * 250, "{longest} of {fair}");
        }
    }
}
