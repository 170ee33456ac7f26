//! Updates against gradient steps by the book.

use proptest::prelude::*;

use super::*;

/// Gradient steps on a whole table, by the book: what the sparse update must equal where rows are
/// touched.
fn dense_step(optimizer: &SparseOptimizer, w: &mut [f64], a: &mut [f64], g: &[f64]) {
    for ((w, a), g) in w.iter_mut().zip(a).zip(g) {
        match *optimizer {
            SparseOptimizer::Sgd { learning_rate } => *w -= learning_rate * g,
            SparseOptimizer::Adagrad {
                learning_rate,
                initial_accumulator,
                epsilon,
            } => {
                *a += g * g;
                *w -= learning_rate * g / (*a + initial_accumulator + epsilon).sqrt();
            }
            _ => unreachable!("dense and sparse agree for these two alone"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For optimizers whose zero gradient changes nothing, updating touched rows is updating all.
    #[test]
    fn a_sparse_update_is_the_dense_update_of_the_touched_rows(
        steps in prop::collection::vec(
            (prop::collection::vec(0_i64..12, 6), prop::collection::vec(prop::collection::vec(0_i64..12, 0..4), 6)),
            1..4,
        ),
        adagrad in any::<bool>(),
    ) {
        let dim = 3;
        let optimizer = if adagrad { SparseOptimizer::adagrad() } else { SparseOptimizer::sgd() };
        let optimizer = optimizer.with_learning_rate(0.3);
        let features = vec![
            EmbeddingFeature::new("id", "t"),
            EmbeddingFeature::new("list", "t").with_combiner(Combiner::SqrtN),
        ];
        let mut tables = EmbeddingTables::new(vec![TableSpec::new("t", 12, dim)], features, 3).unwrap();
        let mut w: Vec<f64> = tables.weights("t").unwrap().iter().map(|w| f64::from(*w)).collect();
        let mut a = vec![0.0; w.len()];
        for (ids, lists) in steps {
            let probe = |shift: f32| (0..18_u8).map(|i| (f32::from(i) + shift).cos()).collect::<Vec<_>>();
            let probes = BTreeMap::from([("id", probe(0.0)), ("list", probe(1.0))]);
            let mut g = vec![0.0; w.len()];
            for row in 0..6 {
                for d in 0..dim {
                    let cell = |id: i64| usize::try_from(id).unwrap() * dim + d;
                    g[cell(ids[row])] += f64::from(probes["id"][row * dim + d]);
                    for id in &lists[row] {
                        let root = (lists[row].len() as f64).sqrt();
                        g[cell(*id)] += f64::from(probes["list"][row * dim + d]) / root;
                    }
                }
            }
            dense_step(&optimizer, &mut w, &mut a, &g);
            let columns = [("id", Column::from(ids)), ("list", Column::lists(lists))];
            let batch = Batch::new(columns).unwrap().with_lookups(&tables.lookup_specs()).unwrap();
            step_on(&mut tables, &batch, &probes, &optimizer).unwrap();
        }
        for (found, expected) in tables.weights("t").unwrap().iter().zip(&w) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
