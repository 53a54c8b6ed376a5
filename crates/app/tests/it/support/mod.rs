//! What every test needs: an installation, its server, a client, random test data.

mod client;
mod consumer;
mod folder;
mod rng;
mod server;
mod simulated;

pub use client::{
    BALANCE, BANKING, Client, OFFER, RECHARGE, Reply, STATUS, minor, recharge, send_once,
};
pub use consumer::{Consumer, WALLET_API, anonymous};
pub use folder::{Folder, UNLIMITED, assert_exit, describe, saldo, touch};
pub use rng::{Rng, note};
pub use server::{Keys, Running, Server};
pub use simulated::Simulated;
