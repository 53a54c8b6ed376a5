//! `saldo resume`: ends a halt. The name and the evidence of the person who decides are stored.
//!
//! Not here: what a halt stops (`engine`).

use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::Result;
use engine::Engine;

#[derive(clap::Args, Debug)]
pub(crate) struct ResumeArgs {
    /// Who decides.
    #[arg(long)]
    by: String,
    /// What was looked into: the upstreams' statements since the backup, …
    #[arg(long)]
    evidence: String,
}

pub(crate) async fn run(engine: &Engine, args: &ResumeArgs, output: &mut Output) -> Result<u8> {
    engine.resume(machine(engine, &args.by)?, &args.evidence).await.map_err(refused)?;
    output.say("What is bought is sold and sent again.");
    Ok(0)
}
