//! `saldo halt`: nothing is sold and nothing is sent upstream, until `saldo resume`.

use crate::output::Output;
use crate::wiring::refused;
use engine::Engine;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Why, for whoever reads it later: "restored from the base backup of 23 April", …
    #[arg(long)]
    why: String,
}

pub(crate) async fn run(engine: &Engine, args: &Args, output: &mut Output) -> anyhow::Result<u8> {
    engine.begin_halt(&args.why).await.map_err(refused)?;
    output.say("Nothing is sold and nothing is sent upstream until `saldo resume`.");
    Ok(0)
}
