//! Set-up by verbs: the catalog, upstreams, and trials of connectors without a data folder.

mod catalog;
mod plans;
mod trial;
mod upstreams;
