//! `saldo halt`: stops all sales and all orders to upstreams until `saldo resume`.
//!
//! For a database that was restored by other means than `saldo restore`.

use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::Result;
use engine::Engine;

#[derive(clap::Args, Debug)]
pub(crate) struct HaltArgs {
    /// Why, for whoever reads it later: "restored from the base backup of 23 April", …
    #[arg(long)]
    why: String,
}

pub(crate) async fn run(engine: &Engine, args: &HaltArgs, output: &mut Output) -> Result<u8> {
    engine.begin_halt(machine(engine, "")?, &args.why).await.map_err(refused)?;
    output.say("Nothing is sold and nothing is sent upstream until `saldo resume`.");
    Ok(0)
}
