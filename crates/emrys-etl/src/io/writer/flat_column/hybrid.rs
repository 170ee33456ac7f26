//! Small numbers as runs of equal ones and as packed bits, mixed: what parquet calls `RLE`.

use super::varint;

/// Packed numbers come in groups of so many.
const GROUP: usize = 8;

/// The bytes of a group of the widest numbers.
const GROUP_BYTES: usize = 16;

/// The bits of the numbers of so many values.
pub(super) fn width_of(values: usize) -> usize {
    let largest = values.saturating_sub(1);
    (usize::BITS - largest.leading_zeros()) as usize
}

/// The most bytes that so many numbers take.
pub(super) fn most_bytes(numbers: usize, width: usize) -> usize {
    // Runs are written where they are no larger than packed bits.
    10 + numbers.div_ceil(GROUP) * width
}

/// Appends numbers of at most `width` bits each.
pub(super) fn encode(numbers: &[u16], width: usize, bytes: &mut Vec<u8>) {
    let shortest_run = shortest_run(width);
    // Numbers from here to `at` are to be packed.
    let mut packed = 0;
    let mut at = 0;
    while at < numbers.len() {
        let run = run_length(&numbers[at..]);
        let is_all = packed == at && at + run == numbers.len();
        if run >= shortest_run || is_all {
            write_packed(&numbers[packed..at], width, bytes);
            write_run(numbers[at], run, width, bytes);
            at += run;
            packed = at;
        } else {
            at = numbers.len().min(at + GROUP);
        }
    }
    write_packed(&numbers[packed..], width, bytes);
}

/// From which length on a run is not larger than the same numbers packed. It costs its length, its
/// number, and that packed bits have to begin anew after it.
fn shortest_run(width: usize) -> usize {
    GROUP * 4_usize.div_ceil(width.max(1))
}

/// How many numbers are equal to the first; zero if they do not even fill a group.
fn run_length(numbers: &[u16]) -> usize {
    let first = numbers[0];
    match numbers.first_chunk::<GROUP>() {
        Some(group) if *group != [first; GROUP] => 0,
        _ => numbers
            .iter()
            .take_while(|&&number| number == first)
            .count(),
    }
}

/// Appends a number of `width` bits so many times.
pub(super) fn write_run(number: u16, length: usize, width: usize, bytes: &mut Vec<u8>) {
    varint::write((length << 1) as u64, bytes);
    bytes.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8)]);
}

/// Zeros fill the last group.
fn write_packed(numbers: &[u16], width: usize, bytes: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(GROUP);
    varint::write((groups << 1 | 1) as u64, bytes);
    let start = bytes.len();
    let end = start + groups * width;
    // Groups are written in full width; the next one overwrites what is too much.
    bytes.resize(end + GROUP_BYTES - width, 0);
    let (whole, rest) = numbers.as_chunks::<GROUP>();
    let mut last = [0; GROUP];
    last[..rest.len()].copy_from_slice(rest);
    let last = if rest.is_empty() { None } else { Some(&last) };
    for (group, start) in whole.iter().chain(last).zip((start..).step_by(width)) {
        bytes[start..start + GROUP_BYTES].copy_from_slice(&pack(group, width).to_le_bytes());
    }
    bytes.truncate(end);
}

/// The first number in the lowest bits.
#[inline(always)]
fn pack([a, b, c, d, e, f, g, h]: &[u16; GROUP], width: usize) -> u128 {
    let pack_four = |numbers: [&u16; 4]| {
        let mut bits = 0;
        for &number in numbers.into_iter().rev() {
            bits = bits << width | u64::from(number);
        }
        u128::from(bits)
    };
    pack_four([a, b, c, d]) | pack_four([e, f, g, h]) << (4 * width)
}
