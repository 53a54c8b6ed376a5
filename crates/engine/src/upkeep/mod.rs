//! What an installation needs over the years: archived months, the halt after a restore,
//! and the lists of accounts.
//!
//! Not here: backups and files (`app`).

mod archive;
mod halt;
mod lists;
