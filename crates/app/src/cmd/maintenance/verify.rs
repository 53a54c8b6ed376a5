//! `saldo verify`: audits the ledger, or archive files, and lists the rows that are wrong.
//!
//! Not here: the checks (`store`).

use crate::cmd::Caller;
use crate::output::Output;
use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Audit these archive files instead, and whether they and the books join.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    archive: Vec<PathBuf>,
}

pub(crate) async fn run(on: &Caller<'_>, args: &VerifyArgs, output: &mut Output) -> Result<u8> {
    if !args.archive.is_empty() {
        return archives(on, args, output).await;
    }
    let report = on.engine.audit().await?;
    if args.json {
        output.line(serde_json::json!({
            "balanced": report.findings_count == 0, "journals": report.journals,
            "entries": report.entries, "ledger_accounts": report.ledger_accounts,
            "purchases": report.purchases, "open": report.open,
            "archived_months": report.archived,
            "lies": report.findings_count, "complaints": report.findings,
        }));
    } else if report.findings_count == 0 {
        let archived = match report.archived {
            0 => String::new(),
            1 => ", after 1 archived month".to_owned(),
            months => format!(", after {months} archived months"),
        };
        output.line(format!(
            "The ledger balances: {} journals, {} entries, {} ledger accounts, \
             {} purchases ({} open){archived}.",
            report.journals, report.entries, report.ledger_accounts, report.purchases, report.open
        ));
    } else {
        report.findings.iter().for_each(|finding| output.line(finding));
        output.say(format!(
            "{} rows lie. Stop selling, keep the data folder as it is, \
             and compare it with the last backup.",
            report.findings_count
        ));
    }
    Ok(u8::from(report.findings_count > 0))
}

async fn archives(on: &Caller<'_>, args: &VerifyArgs, output: &mut Output) -> Result<u8> {
    let files = on.archives(&args.archive)?;
    let audit = on.engine.audit_archives(files).await?;
    for (month, file, report) in &audit.months {
        if args.json {
            output.line(serde_json::json!({
                "month": month.to_string(), "file": file, "balanced": report.findings_count == 0,
                "journals": report.journals, "entries": report.entries,
                "purchases": report.purchases, "lies": report.findings_count,
                "complaints": report.findings,
            }));
        } else if report.findings_count == 0 {
            output.line(format!(
                "{month} balances: {} journals, {} entries, {} purchases.",
                report.journals, report.entries, report.purchases
            ));
        }
    }
    if !args.json {
        let findings = audit.months.iter().flat_map(|(_, _, report)| &report.findings);
        findings.for_each(|finding| output.line(finding));
    }
    audit.findings.iter().for_each(|finding| output.say(finding));
    if audit.unjudged > 0 {
        output.say(format!(
            "{} purchases go on in months whose files were not given; \
             give all later ones to judge them.",
            audit.unjudged
        ));
    }
    if audit.is_sound() {
        output.say("The archives are sound.");
        return Ok(0);
    }
    output.say("Archives lie: put them back from another copy.");
    Ok(1)
}
