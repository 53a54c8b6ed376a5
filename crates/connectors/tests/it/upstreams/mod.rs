//! The connectors to upstreams: their cases as data, and the faults of a network, for each kind.

mod cases;
mod faults;
mod panels;
mod peer;
mod simulated;
mod world;
