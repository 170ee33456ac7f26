//! Where data come from and go to: data sets, the writer and its manifest.
