//! Integers of as many bytes as they need.

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn write(mut number: u64, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a number that may be negative, small ones in few bytes.
pub(super) fn write_signed(number: i64, bytes: &mut Vec<u8>) {
    write((number << 1 ^ number >> 63) as u64, bytes);
}
