//! What all connectors to upstreams share: a connector is two pure halves, and the driver does the
//! rest.
//!
//! `protocol` is what a connector implements, `wire` what it makes and reads, `driver` sends.
//! Invariants (the rules of every connector): an attempt's reference is submitted once; what a
//! reply does not plainly say is unknown; a secret is in no log and no record.

pub mod address;
pub mod call_limits;
pub mod cases;
pub mod decimal;
pub mod driver;
pub mod echo;
pub mod protocol;
pub mod redact;
mod repeats;
pub mod settings;
pub mod shown;
#[cfg(test)]
pub(crate) mod testing;
pub mod token;
pub mod wire;
