//! How wide an embedding should be.

/// The embedding width that Merlin infers for `cardinality` ids:
/// `ceil(cardinality^(1/4) * multiplier)`, rounded up to a multiple of 8 if `multiple_of_8`.
///
/// Merlin's second generation of inputs uses a multiplier of 2 and rounds up; its first does not
/// round. The cardinality is the number of rows, the domain's maximum plus 1.
///
/// # Example
/// ```
/// use emrys_models::embeddings::infer_embedding_dim;
///
/// assert_eq!(infer_embedding_dim(116_742, 2.0, true), 40);
/// assert_eq!(infer_embedding_dim(101, 3.0, false), 10);
/// ```
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the root of a count is small and positive; a negative multiplier saturates to width 0"
)]
pub fn infer_embedding_dim(cardinality: usize, multiplier: f64, multiple_of_8: bool) -> usize {
    let dim = ((cardinality as f64).powf(0.25) * multiplier).ceil() as usize;
    if multiple_of_8 {
        dim.next_multiple_of(8)
    } else {
        dim
    }
}
