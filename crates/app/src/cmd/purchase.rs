//! `saldo purchase`: lists and shows purchases and cases, and carries out the decisions of staff.
//!
//! Invariant: a line for people masks phone numbers; JSON has them in full.

use crate::cmd::moment;
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result};
use domain::catalog::number::{masked, masked_in};
use domain::{Purchase, PurchaseId, State};
use engine::{Engine, PurchaseHistory};
use serde_json::{Value, json};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum PurchaseVerb {
    /// List the latest purchases.
    List {
        /// Only those in this state: awaiting, in_doubt, with_staff, delivered, …
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print JSON, a line each, with whole numbers.
        #[arg(long)]
        json: bool,
    },
    /// Show one, with its attempts, evidence and events.
    Show {
        /// Which.
        id: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the cases that wait for staff.
    Cases {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Let one that waits for approval go out.
    Approve {
        /// Which.
        id: i64,
        /// Who decides.
        #[arg(long)]
        by: String,
    },
    /// Call one off that was not sent; the money goes back.
    Reject(DecisionArgs),
    /// Settle one that nobody can tell about, with evidence.
    Settle {
        /// Which.
        id: i64,
        /// It was delivered: the money is spent.
        #[arg(long, conflicts_with = "not_delivered", required_unless_present = "not_delivered")]
        delivered: bool,
        /// It was not delivered: the money goes back.
        #[arg(long)]
        not_delivered: bool,
        /// Who decides.
        #[arg(long)]
        by: String,
        /// What shows it: the operator's confirmation, a statement's line, …
        #[arg(long)]
        evidence: String,
    },
    /// Close a case: what was found out is kept, no money moves.
    Close {
        /// Of which purchase.
        id: i64,
        /// Who closes it.
        #[arg(long)]
        by: String,
        /// What was found.
        #[arg(long)]
        evidence: String,
    },
    /// Undo a delivered one; the money goes back, the commission is clawed back.
    Refund(DecisionArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct DecisionArgs {
    /// Which.
    id: i64,
    /// Who decides.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(engine: &Engine, verb: PurchaseVerb, output: &mut Output) -> Result<u8> {
    let decided = match verb {
        PurchaseVerb::List { state, limit, json } => {
            list(engine, state.as_deref(), limit, json, output)?;
            return Ok(0);
        }
        PurchaseVerb::Show { id, json } => {
            show(engine, PurchaseId(id), json, output)?;
            return Ok(0);
        }
        PurchaseVerb::Cases { json } => {
            cases(engine, json, output)?;
            return Ok(0);
        }
        PurchaseVerb::Close { id, by, evidence } => {
            let permit = machine(engine, &by)?;
            engine.close_case(permit, PurchaseId(id), &evidence).await.map_err(refused)?;
            output.say(format!("The case of purchase {id} is closed."));
            return Ok(0);
        }
        PurchaseVerb::Approve { id, by } => {
            engine.approve(machine(engine, &by)?, PurchaseId(id)).await
        }
        PurchaseVerb::Reject(d) => {
            engine.reject(machine(engine, &d.by)?, PurchaseId(d.id), &d.reason).await
        }
        PurchaseVerb::Settle { id, delivered, by, evidence, not_delivered: _ } => {
            let permit = machine(engine, &by)?;
            engine.settle_by_staff(permit, PurchaseId(id), delivered, &evidence).await
        }
        PurchaseVerb::Refund(d) => {
            engine.refund(machine(engine, &d.by)?, PurchaseId(d.id), &d.reason).await
        }
    };
    let purchase = decided.map_err(refused)?;
    output.line(line(&purchase));
    Ok(0)
}

fn list(
    engine: &Engine,
    state: Option<&str>,
    limit: u32,
    json: bool,
    output: &mut Output,
) -> Result<()> {
    let read = |text: &str| State::from_code(text).with_context(|| format!("{text:?} is no state"));
    for purchase in engine.latest_purchases(state.map(read).transpose()?, limit)? {
        output.row(json, value(&purchase), line(&purchase));
    }
    Ok(())
}

fn show(engine: &Engine, id: PurchaseId, json: bool, output: &mut Output) -> Result<()> {
    let history = engine.history(id)?.with_context(|| format!("there is no purchase {id}"))?;
    if json {
        output.line(history_value(&history));
        return Ok(());
    }
    output.line(line(&history.purchase));
    for attempt in &history.attempts {
        let outcome = attempt.outcome.as_deref().unwrap_or("nothing heard");
        let text = masked_in(attempt.text.as_deref().unwrap_or(""));
        let (number, upstream, at) =
            (attempt.number, &attempt.upstream, moment(attempt.started_at));
        output.line(format!("  attempt {number} at {upstream} {at}: {outcome} {text}"));
    }
    for evidence in &history.evidence {
        let text = masked_in(evidence.text.as_deref().unwrap_or(""));
        let (at, source, word) = (moment(evidence.at), &evidence.source, &evidence.word);
        output.line(format!("  {at} {source} said {word} {text}"));
    }
    for event in &history.events {
        let (sequence, state, at) = (event.sequence, event.state.code(), moment(event.at));
        output.line(format!("  event {sequence} {state} {at}"));
    }
    Ok(())
}

fn cases(engine: &Engine, json: bool, output: &mut Output) -> Result<()> {
    // Updates about archived purchases: their rows are gone, so no case could be opened for them.
    for late in engine.late_outcomes()? {
        let text = late.text.map_or(late.word.clone(), |text| format!("{}: {text}", late.word));
        output.line(case_line(late.purchase, "archived", moment(late.at), &text, json));
    }
    for case in engine.open_cases()? {
        let opened_at = moment(case.opened_at);
        output.line(case_line(case.key.id, &case.why, opened_at, &case.text, json));
    }
    Ok(())
}

fn case_line(id: PurchaseId, why: &str, opened_at: String, text: &str, json: bool) -> String {
    if json {
        let case = json!({ "purchase": id.0, "why": why, "opened_at": opened_at, "text": text });
        return case.to_string();
    }
    format!("{id}  {why}  {opened_at}  {}", masked_in(text))
}

fn line(p: &Purchase) -> String {
    let Purchase { key, operator, amount, reference, .. } = p;
    let (id, state, environment) = (key.id, p.state.code(), key.environment.code());
    let (at, recipient, kind) = (moment(p.opened_at), masked(&p.recipient), p.kind.code());
    format!(
        "{id}  {state}  {environment}  {at}  {operator} {amount} to {recipient}  \
         {kind}  ref {reference}"
    )
}

fn value(p: &Purchase) -> Value {
    json!({
        "id": p.key.id.0, "account": p.key.account.0, "environment": p.key.environment.code(),
        "reference": p.reference, "state": p.state.code(), "kind": p.kind.code(),
        "operator": p.operator, "recipient": p.recipient, "currency": p.amount.currency().code(),
        "amount": p.amount.exact(), "fee": p.fee.exact(), "commission": p.commission.exact(),
        "attempts": p.attempts, "upstream": p.upstream.as_ref().map(|u| u.as_str()),
        "opened_at": moment(p.opened_at), "updated_at": moment(p.updated_at),
    })
}

fn history_value(history: &PurchaseHistory) -> Value {
    let mut value = value(&history.purchase);
    value["tries"] = history
        .attempts
        .iter()
        .map(|a| {
            json!({
                "number": a.number, "upstream": a.upstream.as_str(),
                "started_at": moment(a.started_at), "outcome": a.outcome,
                "upstream_reference": a.upstream_reference, "text": a.text,
            })
        })
        .collect();
    value["evidence"] = history
        .evidence
        .iter()
        .map(|e| json!({ "at": moment(e.at), "source": e.source, "word": e.word, "text": e.text }))
        .collect();
    value["events"] = history
        .events
        .iter()
        .map(|e| json!({ "sequence": e.sequence, "state": e.state.code(), "at": moment(e.at) }))
        .collect();
    value
}
