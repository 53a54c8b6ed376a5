//! What an installation needs over the years: archived months, and the halt after a restore.
//!
//! Not here: backups and files (`app`).

mod archive;
mod halt;
