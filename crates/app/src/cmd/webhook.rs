//! `saldo webhook`: manages the endpoints of an account, shows its webhooks with their attempts,
//! and replays them.
//!
//! Not here: sending (`engine`).

use crate::cmd::{environment, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result};
use domain::ids::EndpointId;
use domain::webhook::schedule::{parse_webhook_id, webhook_id};
use domain::{AccountId, Environment, PurchaseNumber, SuccessEvent, Timestamp};
use engine::{
    DeliveryAttempt, Endpoint, EndpointView, Engine, LogPage, LoggedWebhook, NewEndpoint,
    ReplayScope,
};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum WebhookVerb {
    /// List where an account's events are told: an endpoint for each key pair, and the account's
    /// own.
    Endpoints {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Tell an account's events to one more address. The secret is printed once.
    Add {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// sandbox or live.
        #[arg(long, value_parser = environment)]
        environment: Environment,
        /// Where.
        #[arg(long)]
        url: String,
        /// Only this event; may be given several times. Without it: all.
        #[arg(long, value_name = "NAME")]
        event: Vec<String>,
    },
    /// Change an endpoint.
    Set(EndpointChanges),
    /// Tell an endpoint nothing more.
    Remove {
        /// Which (a key pair's own has the pair's number).
        endpoint: i64,
    },
    /// Replace an endpoint's secret. The new one is printed once; the old one counts beside it for
    /// a while.
    Rotate {
        /// Which.
        endpoint: i64,
        /// How long the old one counts: 0, 1h, 24h or 7d.
        #[arg(long, value_parser = grace_period, default_value = "24h")]
        keep_old: GracePeriod,
    },
    /// List what was told, latest first.
    List {
        /// To whom.
        #[arg(long)]
        account: i64,
        /// What happened since then: 2026-04-23T12:00:00Z.
        #[arg(long, value_parser = instant)]
        since: Option<Timestamp>,
        /// Only what is still owed.
        #[arg(long = "owed")]
        pending_only: bool,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show what was told of a purchase (its number) or of an event (evt_…), try by try.
    Show {
        /// Which.
        id: String,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Tell an event (evt_…) once more, or all of an account since a time.
    Replay(ReplayArgs),
    /// Send an endpoint a webhook that tells of nothing.
    Test {
        /// Which.
        endpoint: i64,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct EndpointChanges {
    /// Which (a key pair's own has the pair's number).
    endpoint: i64,
    /// Tell it there.
    #[arg(long, conflicts_with = "no_url")]
    url: Option<String>,
    /// Of a key pair's own: tell nothing where a request names no address.
    #[arg(long)]
    no_url: bool,
    /// Tell it only this event; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "all_events")]
    event: Vec<String>,
    /// Tell it all events.
    #[arg(long)]
    all_events: bool,
    /// Of a key pair's own: tell a success once it is final (on_final) or accepted (on_accept).
    #[arg(long, value_parser = success_event)]
    success_event: Option<SuccessEvent>,
    /// Send to its address again, which was switched off.
    #[arg(long)]
    on: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Which event.
    #[arg(
        conflicts_with_all = ["account", "since", "endpoint"],
        required_unless_present = "account"
    )]
    id: Option<String>,
    /// All of this account.
    #[arg(long, requires = "since")]
    account: Option<i64>,
    /// What happened since then: 2026-04-23T12:00:00Z.
    #[arg(long, value_parser = instant, requires = "account")]
    since: Option<Timestamp>,
    /// Only to this endpoint.
    #[arg(long, requires = "account")]
    endpoint: Option<i64>,
}

/// How long something old counts beside what takes its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GracePeriod(pub(crate) Duration);

pub(crate) fn grace_period(text: &str) -> Result<GracePeriod, String> {
    let hours = match text {
        "0" => 0,
        "1h" => 1,
        "24h" => 24,
        "7d" => 7 * 24,
        _ => return Err("0, 1h, 24h or 7d".to_owned()),
    };
    Ok(GracePeriod(Duration::from_secs(hours * 3600)))
}

fn success_event(text: &str) -> Result<SuccessEvent, String> {
    SuccessEvent::from_code(text).ok_or_else(|| "on_final or on_accept".to_owned())
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let read = text.parse::<jiff::Timestamp>();
    read.map(|at| Timestamp(at.as_microsecond()))
        .map_err(|_| "a moment such as 2026-04-23T12:00:00Z".to_owned())
}

pub(crate) async fn run(engine: &Engine, verb: WebhookVerb, output: &mut Output) -> Result<u8> {
    match verb {
        WebhookVerb::Endpoints { account, json } => {
            endpoints(engine, AccountId(account), json, output)?
        }
        WebhookVerb::Add { account, environment, url, event } => {
            let account = AccountId(account);
            let new = NewEndpoint { account, environment, url: &url, events: event };
            let (id, secret) =
                engine.add_endpoint(machine(engine, "")?, new).await.map_err(refused)?;
            output.line(json!({ "id": id.0, "webhook_secret": secret }));
            output.say("Keep the secret now: it is not shown again.");
        }
        WebhookVerb::Set(changes) => set(engine, changes, output).await?,
        WebhookVerb::Remove { endpoint } => {
            let now = engine.now();
            let endpoint = ensure_of_account(engine, EndpointId(endpoint))?;
            let remove = |e: &mut Endpoint| e.removed_at = Some(now);
            engine
                .change_endpoint(machine(engine, "")?, endpoint, remove)
                .await
                .map_err(refused)?;
            output.say("Removed: it is told nothing more.");
        }
        WebhookVerb::Rotate { endpoint, keep_old: GracePeriod(keep) } => {
            let permit = machine(engine, "")?;
            let rotated = engine.rotate_secret(permit, EndpointId(endpoint), keep).await;
            let secret = rotated.map_err(refused)?;
            output.line(json!({ "id": endpoint, "webhook_secret": secret }));
            output.say("Keep the secret now: it is not shown again.");
        }
        WebhookVerb::List { account, since, pending_only, limit, json } => {
            let (account, since) = (AccountId(account), since.unwrap_or(Timestamp(0)));
            let page = LogPage { account, since, only_pending: pending_only, limit };
            for webhook in engine.webhook_log(page).map_err(refused)? {
                output.row(json, value(&webhook), line(&webhook));
            }
        }
        WebhookVerb::Show { id, json } => show(engine, &id, json, output)?,
        WebhookVerb::Replay(args) => {
            let permit = machine(engine, "")?;
            let replayed = engine.replay_webhooks(permit, replay_scope(args)?).await;
            let count = replayed.map_err(refused)?;
            anyhow::ensure!(count > 0, "there is nothing to tell again");
            output.say(format!("{count} to be told again."));
        }
        WebhookVerb::Test { endpoint } => {
            let id = engine
                .send_test(machine(engine, "")?, EndpointId(endpoint))
                .await
                .map_err(refused)?;
            output.line(json!({ "webhook": id }));
            output.say(format!("On its way: see saldo webhook show {id}"));
        }
    }
    Ok(0)
}

/// Refuses the endpoint of a key pair: it exists as long as the pair.
fn ensure_of_account(engine: &Engine, id: EndpointId) -> Result<EndpointId> {
    let endpoint = engine.endpoint(id).map_err(refused)?;
    anyhow::ensure!(
        endpoint.key.is_none(),
        "endpoint {id} is a key pair's own; \
         take its address away with saldo webhook set {id} --no-url"
    );
    Ok(id)
}

async fn set(engine: &Engine, changes: EndpointChanges, output: &mut Output) -> Result<()> {
    let id = EndpointId(changes.endpoint);
    if changes.no_url {
        let endpoint = engine.endpoint(id).map_err(refused)?;
        let is_of_pair = endpoint.key.is_some();
        anyhow::ensure!(is_of_pair, "endpoint {id} is nothing but its address; remove it");
    }
    let apply = |endpoint: &mut Endpoint| {
        if changes.url.is_some() || changes.no_url {
            endpoint.url = changes.url;
        }
        if changes.all_events || !changes.event.is_empty() {
            endpoint.events = changes.event;
        }
        if let Some(success_event) = changes.success_event {
            endpoint.success_event = success_event;
        }
    };
    engine.change_endpoint(machine(engine, "")?, id, apply).await.map_err(refused)?;
    if changes.on {
        engine.switch_on(machine(engine, "")?, id).await.map_err(refused)?;
    }
    output.say("Set.");
    Ok(())
}

fn replay_scope(args: ReplayArgs) -> Result<ReplayScope> {
    match (args.id, args.account, args.since) {
        (Some(id), _, _) => {
            let (purchase, tail) =
                parse_webhook_id(&id).with_context(|| format!("{id:?} is no event"))?;
            Ok(ReplayScope::One(purchase, tail.to_owned()))
        }
        (None, Some(account), Some(since)) => {
            Ok(ReplayScope::Since(AccountId(account), since, args.endpoint.map(EndpointId)))
        }
        (None, _, _) => anyhow::bail!("say which event, or which account's and since when"),
    }
}

fn endpoints(engine: &Engine, account: AccountId, json: bool, output: &mut Output) -> Result<()> {
    for view in engine.endpoints_of(account).map_err(refused)? {
        output.row(json, endpoint_value(&view), endpoint_line(&view));
    }
    Ok(())
}

fn endpoint_line(view: &EndpointView) -> String {
    let e = &view.endpoint;
    let whose = if e.key.is_some() { "of the key pair" } else { "of the account" };
    let events = if e.events.is_empty() { "all events".to_owned() } else { e.events.join(" ") };
    let health = view.health.as_ref();
    let state = match (health.and_then(|h| h.off.as_ref()), health.and_then(|h| h.since)) {
        (Some((at, why)), _) => format!("off since {}: {why}", moment(*at)),
        (None, Some(since)) => format!("fails since {}", moment(since)),
        (None, None) => "on".to_owned(),
    };
    let url = e.url.as_deref().unwrap_or("where requests say");
    let (id, environment, success) = (e.id, e.environment.code(), e.success_event.code());
    format!("{id}  {environment}  {whose}  {url}  {events}  {success}  {state}")
}

fn endpoint_value(view: &EndpointView) -> Value {
    let e = &view.endpoint;
    let off = view.health.as_ref().and_then(|h| h.off.as_ref());
    json!({
        "id": e.id.0, "account": e.account.0, "environment": e.environment.code(),
        "key": e.key.map(|key| key.0), "url": e.url, "events": e.events,
        "success_event": e.success_event.code(), "created_at": moment(e.created_at),
        "old_secret_until": e.old_secret.as_ref().map(|(_, until)| moment(*until)),
        "fails_since": view.health.as_ref().and_then(|h| h.since).map(moment),
        "off_at": off.map(|(at, _)| moment(*at)), "off_why": off.map(|(_, why)| why),
    })
}

fn show(engine: &Engine, id: &str, json: bool, output: &mut Output) -> Result<()> {
    let (purchase, tail) = match parse_webhook_id(id) {
        Some((purchase, tail)) => (purchase, Some(tail)),
        None => {
            let id = id.parse().with_context(|| format!("{id:?} is no purchase and no event"))?;
            (PurchaseNumber(id), None)
        }
    };
    let mut webhooks = engine.webhooks_of(purchase).map_err(refused)?;
    webhooks.retain(|(w, _)| tail.is_none_or(|tail| w.event.rsplit('.').next() == Some(tail)));
    anyhow::ensure!(!webhooks.is_empty(), "nobody is told anything of it");
    for (webhook, attempts) in &webhooks {
        if json {
            let mut value = value(webhook);
            value["body"] = json!(webhook.body);
            value["tries"] = attempts.iter().map(attempt_value).collect();
            output.line(value);
            continue;
        }
        output.line(line(webhook));
        output.line(format!("  {}", webhook.body));
        for attempt in attempts {
            let status = attempt.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
            let DeliveryAttempt { verdict, took_ms, text, .. } = attempt;
            let at = moment(attempt.at);
            output.line(format!("  {at}  {verdict}  {status}  {took_ms} ms  {text}"));
        }
    }
    Ok(())
}

fn attempt_value(a: &DeliveryAttempt) -> Value {
    json!({
        "at": moment(a.at), "verdict": a.verdict, "status": a.status, "took_ms": a.took_ms,
        "says": a.text,
    })
}

fn line(w: &LoggedWebhook) -> String {
    let next = w.due_at.map_or(String::new(), |due| format!("  next try {}", moment(due)));
    let LoggedWebhook { event, state, endpoint, url, .. } = w;
    let (id, at) = (webhook_id(w.key.id.number(), event), moment(w.at));
    format!("{id}  {event}  {at}  {state}  to endpoint {endpoint}  {url}{next}")
}

fn value(w: &LoggedWebhook) -> Value {
    json!({
        "webhook": webhook_id(w.key.id.number(), &w.event), "event": w.event,
        "purchase": w.key.id.number().0,
        "sequence": w.sequence, "account": w.key.account.0,
        "environment": w.key.environment.code(), "endpoint": w.endpoint.0, "url": w.url,
        "at": moment(w.at), "state": w.state, "next_try_at": w.due_at.map(moment),
        "tries_in_vain": w.tries, "taken_at": w.accepted.as_ref().map(|t| moment(t.at)),
    })
}
