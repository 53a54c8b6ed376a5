//! `saldo verify`: recomputes the ledger and names the rows that lie.

use crate::output::Output;
use engine::Engine;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(engine: &Engine, args: &Args, output: &mut Output) -> anyhow::Result<u8> {
    let report = engine.audit().await?;
    if args.json {
        output.line(serde_json::json!({
            "balanced": report.lies == 0, "journals": report.journals, "entries": report.entries,
            "ledger_accounts": report.ledger_accounts, "purchases": report.purchases, "open": report.open,
            "lies": report.lies, "complaints": report.complaints,
        }));
    } else if report.lies == 0 {
        output.line(format!(
            "The ledger balances: {} journals, {} entries, {} ledger accounts, {} purchases ({} open).",
            report.journals, report.entries, report.ledger_accounts, report.purchases, report.open
        ));
    } else {
        for complaint in &report.complaints {
            output.line(complaint);
        }
        output.say(format!("{} rows lie. Stop selling, keep the data folder as it is, and compare it with the last backup.", report.lies));
    }
    Ok(u8::from(report.lies > 0))
}
