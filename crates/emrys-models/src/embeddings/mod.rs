//! Embedding tables: storage, declaration, lookup and sparse updates.
