//! The connectors to upstreams: their cases as data, and the faults of a network, for each kind.

mod cases;
mod faults;
mod peer;
mod simulated;
mod world;
