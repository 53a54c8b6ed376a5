//! `saldo purchase`: lists and shows purchases and cases, and carries out the decisions of staff.
//!
//! Invariant: a line for people masks phone numbers; JSON has them in full.

use crate::cmd::{Caller, environment, instant, known_account, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, bail};
use domain::catalog::number::{masked, masked_in};
use domain::{Attempt, Environment, Purchase, PurchaseId, PurchaseNumber, State, Timestamp};
use engine::{Engine, Page, PurchaseFilter, PurchaseHistory};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How often a purchase that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(clap::Subcommand, Debug)]
pub(crate) enum PurchaseVerb {
    /// List purchases, latest first.
    List(ListArgs),
    /// Show one, with its attempts, evidence, events and tokens.
    Show {
        /// Its number, or its reference.
        which: String,
        /// Look into these archive files too.
        #[arg(long, value_name = "FILE", num_args = 1..)]
        archive: Vec<PathBuf>,
        /// First wait until it is final, or until staff must decide, but not longer than this.
        #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
        wait: u64,
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
    #[command(group = clap::ArgGroup::new("decision").required(true))]
    Settle {
        /// Which.
        id: i64,
        /// It was delivered: the money is spent.
        #[arg(long, group = "decision")]
        delivered: bool,
        /// It was not delivered: the money goes back.
        #[arg(long, group = "decision")]
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
pub(crate) struct ListArgs {
    /// Only those in this state: awaiting, in_doubt, with_staff, delivered, … May be given several
    /// times.
    #[arg(long)]
    state: Vec<String>,
    /// Only with this reference.
    #[arg(long)]
    reference: Option<String>,
    /// Only to this number, meter or other recipient, in national form.
    #[arg(long)]
    recipient: Option<String>,
    /// Only of this account.
    #[arg(long)]
    account: Option<i64>,
    /// Only in this environment: sandbox or live.
    #[arg(long, value_parser = environment)]
    environment: Option<Environment>,
    /// Only of this operator.
    #[arg(long)]
    operator: Option<String>,
    /// Only from this moment on: 2026-11-30T10:00:00Z
    #[arg(long, value_parser = instant)]
    since: Option<Timestamp>,
    /// Only before this moment.
    #[arg(long, value_parser = instant)]
    until: Option<Timestamp>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only what comes after this one in the list: the last number of the page before.
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// Look into these archive files too.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    archive: Vec<PathBuf>,
    /// Print JSON, a line each, with whole numbers.
    #[arg(long)]
    json: bool,
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

pub(crate) async fn run(on: &Caller<'_>, verb: PurchaseVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    let decided = match verb {
        PurchaseVerb::List(args) => {
            list(on, args, output)?;
            return Ok(0);
        }
        PurchaseVerb::Show { which, archive, wait, json } => {
            let archives = on.archives(&archive)?;
            let history = ended(engine, &which, &archives, Duration::from_secs(wait)).await?;
            show(&history, json, output);
            return Ok(0);
        }
        PurchaseVerb::Cases { json } => {
            cases(engine, json, output)?;
            return Ok(0);
        }
        PurchaseVerb::Close { id, by, evidence } => {
            let permit = machine(engine, &by)?;
            engine.close_case(permit, PurchaseNumber(id), &evidence).await.map_err(refused)?;
            output.say(format!("The case of purchase {id} is closed."));
            return Ok(0);
        }
        PurchaseVerb::Approve { id, by } => {
            engine.approve(machine(engine, &by)?, PurchaseNumber(id)).await
        }
        PurchaseVerb::Reject(d) => {
            engine.reject(machine(engine, &d.by)?, PurchaseNumber(d.id), &d.reason).await
        }
        PurchaseVerb::Settle { id, delivered, by, evidence, not_delivered: _ } => {
            let permit = machine(engine, &by)?;
            engine.settle_by_staff(permit, PurchaseNumber(id), delivered, &evidence).await
        }
        PurchaseVerb::Refund(d) => {
            engine.refund(machine(engine, &d.by)?, PurchaseNumber(d.id), &d.reason).await
        }
    };
    let purchase = decided.map_err(refused)?;
    output.line(line(&purchase));
    Ok(0)
}

fn list(on: &Caller<'_>, args: ListArgs, output: &mut Output) -> Result<()> {
    let read =
        |text: &String| State::from_code(text).with_context(|| format!("{text:?} is no state"));
    let filter = PurchaseFilter {
        states: args.state.iter().map(read).collect::<Result<_>>()?,
        operator: args.operator.map(|name| operator_of(on.engine, &name)).transpose()?,
        recipient: args.recipient,
        reference: args.reference,
        since: args.since,
        until: args.until,
        ..PurchaseFilter::default()
    };
    let account = args.account.map(|id| known_account(on.engine, id)).transpose()?;
    let page = Page { before: args.after, limit: args.limit };
    let archives = on.archives(&args.archive)?;
    let found = on.engine.find_purchases(account, args.environment, &filter, page, &archives)?;
    for purchase in found {
        output.row(args.json, value(&purchase), line(&purchase));
    }
    Ok(())
}

/// The code of an operator, by its code or another name, whether it is sold or not.
fn operator_of(engine: &Engine, name: &str) -> Result<String> {
    let catalog = engine.catalog();
    let found = catalog.operators.iter().find(|operator| operator.is_called(name.trim()));
    Ok(found.with_context(|| format!("there is no operator {name}"))?.code.clone())
}

/// The number of a purchase that is called so: by its number, else by its reference.
fn named(engine: &Engine, which: &str, archives: &[PathBuf]) -> Result<PurchaseNumber> {
    let filter = PurchaseFilter { reference: Some(which.to_owned()), ..PurchaseFilter::default() };
    let page = Page { before: None, limit: 10 };
    let found = engine.find_purchases(None, None, &filter, page, archives)?;
    match found.as_slice() {
        [] => bail!("there is no purchase {which}"),
        [one] => Ok(one.key.id.number()),
        several => {
            let numbers: Vec<String> = several.iter().map(|p| p.key.id.to_string()).collect();
            bail!("several have this reference: {}; give a number", numbers.join(", "))
        }
    }
}

/// The history of a purchase by its number or reference, with its archives.
fn history(engine: &Engine, which: &str, archives: &[PathBuf]) -> Result<PurchaseHistory> {
    let known = |number| match engine.history(number)? {
        Some(history) => anyhow::Ok(Some(history)),
        None => Ok(engine.archived_history(archives, number)?),
    };
    let by_number = which.parse().ok().map(PurchaseNumber).map(known).transpose()?.flatten();
    match by_number {
        Some(history) => Ok(history),
        None => known(named(engine, which, archives)?)?
            .with_context(|| format!("there is no purchase {which}")),
    }
}

/// The same, once it has ended or waits for people, or when the time is over.
async fn ended(
    engine: &Engine,
    which: &str,
    archives: &[PathBuf],
    within: Duration,
) -> Result<PurchaseHistory> {
    let wait = async {
        loop {
            let history = history(engine, which, archives)?;
            let state = history.purchase.state;
            let waits_for_people =
                matches!(state, State::Quoted | State::Awaiting | State::WithStaff);
            if state.is_final() || waits_for_people || within.is_zero() {
                return anyhow::Ok(history);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(within, wait).await {
        Ok(ended) => ended,
        Err(_) => history(engine, which, archives),
    }
}

fn show(history: &PurchaseHistory, json: bool, output: &mut Output) {
    if json {
        output.line(history_value(history));
        return;
    }
    output.line(line(&history.purchase));
    for attempt in &history.attempts {
        let outcome = attempt.outcome.as_deref().unwrap_or("nothing heard");
        let text = masked_in(attempt.text.as_deref().unwrap_or(""));
        let (number, upstream, at) =
            (attempt.number, &attempt.upstream, moment(attempt.started_at));
        for passed in &attempt.passed_over {
            output.line(format!("  {} was passed over: {}", passed.upstream, passed.why));
        }
        output.line(format!("  attempt {number} at {upstream} {at}: {outcome} {text}"));
        if let Some(cost) = attempt.cost {
            output.line(format!("  it cost us {cost} there"));
        }
    }
    for evidence in &history.evidence {
        let text = masked_in(evidence.text.as_deref().unwrap_or(""));
        let (at, source, word) = (moment(evidence.at), &evidence.source, &evidence.word);
        output.line(format!("  {at} {source} said {word} {text}"));
    }
    for exchange in &history.exchanges {
        let (at, number) = (moment(exchange.sent_at), exchange.attempt.number);
        let (upstream, step) = (&exchange.upstream, &exchange.step);
        let request = masked_in(&exchange.request);
        output.line(format!("  {at} attempt {number} {step} to {upstream}: {request}"));
        output.line(format!("  {at} {upstream} answered: {}", masked_reply(&exchange.reply)));
    }
    for event in &history.events {
        let (sequence, state, at) = (event.sequence, event.state.code(), moment(event.at));
        output.line(format!("  event {sequence} {state} {at}"));
    }
    for token in history.slip.iter().flat_map(|slip| slip.tokens()) {
        let units = token.units.as_ref().map_or(String::new(), |units| format!(", {units} units"));
        output.line(format!("  token ({}) {}{units}", token.kind.code(), token.digits()));
    }
}

/// Masks the numbers in a reply. Its first line is our own: the status, the rule that has read it,
/// the digits of its file.
fn masked_reply(reply: &str) -> String {
    match reply.split_once('\n') {
        Some((ours, body)) if ours.starts_with("HTTP ") => format!("{ours}\n{}", masked_in(body)),
        Some(_) | None => masked_in(reply),
    }
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
        let case =
            json!({ "purchase": id.number().0, "why": why, "opened_at": opened_at, "text": text });
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
        "id": p.key.id.number().0, "account": p.key.account.0,
         "environment": p.key.environment.code(),
        "reference": p.reference, "state": p.state.code(), "kind": p.kind.code(),
        "operator": p.operator, "recipient": p.recipient, "currency": p.amount.currency().code(),
        "amount": p.amount.exact(), "fee": p.fee.exact(), "commission": p.commission.exact(),
        "attempts": p.attempts, "upstream": p.upstream.as_ref().map(|u| u.as_str()),
        "opened_at": moment(p.opened_at), "updated_at": moment(p.updated_at),
    })
}

/// The upstreams before the attempt's, and what each was passed over for.
fn passed_over(attempt: &Attempt) -> Vec<Value> {
    let each = attempt.passed_over.iter();
    each.map(|p| json!({ "upstream": p.upstream.as_str(), "why": p.why })).collect()
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
                "cost": a.cost.map(|cost| cost.exact()),
                "cost_currency": a.cost.map(|cost| cost.currency().code()),
                "passed_over": passed_over(a),
            })
        })
        .collect();
    value["evidence"] = history
        .evidence
        .iter()
        .map(|e| json!({ "at": moment(e.at), "source": e.source, "word": e.word, "text": e.text }))
        .collect();
    value["exchanges"] = history
        .exchanges
        .iter()
        .map(|e| {
            json!({
                "attempt": e.attempt.number, "upstream": e.upstream.as_str(), "step": e.step,
                "at": moment(e.sent_at), "request": e.request, "reply": e.reply,
            })
        })
        .collect();
    value["slip"] = history.slip.as_ref().map_or(Value::Null, |slip| {
        let tokens = slip.tokens().iter().map(|token| {
            json!({ "kind": token.kind.code(), "token": token.digits(), "units": token.units })
        });
        let charges = slip.charges.iter();
        let charges = charges.map(|c| json!({ "label": c.label, "amount": c.amount.exact() }));
        json!({
            "tokens": tokens.collect::<Vec<_>>(), "units": slip.units, "tariff": slip.tariff,
            "charges": charges.collect::<Vec<_>>(),
        })
    });
    value["events"] = history
        .events
        .iter()
        .map(|e| json!({ "sequence": e.sequence, "state": e.state.code(), "at": moment(e.at) }))
        .collect();
    value
}
