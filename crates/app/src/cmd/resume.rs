//! `saldo resume`: a restored installation sells and sends again, because somebody says so.

use crate::output::Output;
use crate::wiring::refused;
use engine::Engine;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Who decides.
    #[arg(long)]
    by: String,
    /// What was looked into: the upstreams' statements since the backup, …
    #[arg(long)]
    evidence: String,
}

pub(crate) async fn run(engine: &Engine, args: &Args, output: &mut Output) -> anyhow::Result<u8> {
    engine.resume(&args.by, &args.evidence).await.map_err(refused)?;
    output.say("What is bought is sold and sent again.");
    Ok(0)
}
