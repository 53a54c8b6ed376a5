//! Set-up by verbs: the catalog, upstreams, and trials of connectors without a data folder.

mod catalog;
mod given;
mod plans;
mod refused;
mod trial;
mod upstreams;
