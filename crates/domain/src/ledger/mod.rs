//! Double entry: journals between ledger accounts, and the admission of changes to a commit.
//!
//! Not here: rows and hashes (`store`). Invariant: an unbalanced journal cannot be built.

pub mod admission;
pub mod denial;
pub mod journal;
pub mod payment;
