//! Double entry: journals between ledger accounts, and which of many changes fit into one commit.
//!
//! Not here: rows and hashes (`store`). Invariant: a journal can only be built balanced.

pub mod admission;
pub mod journal;
