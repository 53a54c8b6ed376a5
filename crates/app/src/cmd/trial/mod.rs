//! Verbs that need no data folder: checks of cases, examples of files, and simulated services.

pub(crate) mod check;
pub(crate) mod example;
pub(crate) mod simulate;
