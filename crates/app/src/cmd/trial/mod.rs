//! Verbs that need connectors and no data folder: checks of cases, and simulated services.

pub(crate) mod check;
pub(crate) mod simulate;
