//! Seeded starting values.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::spec::TableSpec;

/// Each run of this many rows has a random stream of its own, so that threads can share the work
/// and the result does not depend on how many they are.
const ROWS_PER_STREAM: usize = 4096;

/// Fills a table. The values depend on the seed and on the table's name and shape alone: neither
/// on other tables nor on the number of threads.
pub(super) fn fill(table: &TableSpec, seed: u64, rows: &mut [f32]) {
    let mut key = <ChaCha8Rng as SeedableRng>::Seed::default();
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(table.name.as_bytes()).to_le_bytes());
    rows.par_chunks_mut(ROWS_PER_STREAM * table.dim)
        .enumerate()
        .for_each(|(stream, chunk)| {
            let mut rng = ChaCha8Rng::from_seed(key);
            rng.set_stream(stream as u64);
            table
                .initializer
                .fill(chunk, table.rows, table.dim, &mut rng);
        });
}

/// The 64-bit FNV-1a hash, which, unlike the standard library's, is the same in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Initializer;

    fn filled(table: &TableSpec, seed: u64) -> Vec<f32> {
        let mut rows = vec![0.0; table.rows * table.dim];
        fill(table, seed, &mut rows);
        rows
    }

    #[test]
    fn values_depend_on_seed_and_name() {
        let item = TableSpec::new("item", 10_000, 3);
        assert_eq!(filled(&item, 1), filled(&item, 1));
        assert_ne!(filled(&item, 1), filled(&item, 2));
        assert_ne!(
            filled(&item, 1),
            filled(&TableSpec::new("user", 10_000, 3), 1)
        );
    }

    #[test]
    fn values_do_not_depend_on_the_number_of_threads() {
        let table = TableSpec::new("item", 20_000, 5);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| filled(&table, 7))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn values_spread_over_the_whole_range_and_do_not_repeat_between_streams() {
        let values = filled(&TableSpec::new("item", 10_000, 4), 3);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.001, "mean {mean}");
        assert!(values.iter().all(|v| (-0.05..0.05).contains(v)));
        assert!(values.iter().any(|v| *v < -0.0499) && values.iter().any(|v| *v > 0.0499));
        assert_ne!(values[..16], values[ROWS_PER_STREAM * 4..][..16]);
    }

    #[test]
    fn a_truncated_normal_stays_within_two_deviations() {
        let table =
            TableSpec::new("item", 5000, 4).with_initializer(Initializer::TruncatedNormal {
                mean: 1.0,
                std: 0.1,
            });
        let values = filled(&table, 3);
        assert!(values.iter().all(|v| (0.8..=1.2).contains(v)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
    }
}
