//! Full-catalogue evaluation and top-k retrieval.
