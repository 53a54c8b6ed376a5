//! The edge from outside: bytes in, answers out, over real sockets on loopback.

mod noise;
mod payloads;
mod requests;
mod server;
mod shutdown;
mod timeouts;
