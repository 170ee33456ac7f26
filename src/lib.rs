//! Emrys
