//! Optimizers, dense and sparse.
