//! `saldo upstream`: sets up the upstreams that orders go to, and tells what is left there.
//!
//! Invariant: a secret is read from a file, because the command line is seen by everybody on the
//! machine; it is never printed.

use crate::cmd::given::{NamedFile, SETTINGS_BYTES_MAX};
use crate::cmd::trial::check::CheckArgs;
use crate::cmd::trial::example::{self, ExampleArgs};
use crate::cmd::{Caller, currency, environment, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, bail, ensure};
use domain::{AmountError, BalanceAnswer, Currency, Environment, Money, UpstreamCode};
use engine::{FloatView, NewUpstream, UpstreamChange, UpstreamView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum UpstreamVerb {
    /// Add an upstream. Routes may name it at once, on all nodes.
    Add(AddArgs),
    /// List all, built-in ones too.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show one: its settings, the names of its secrets, how it does.
    Show {
        /// Which.
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change one, without a stop.
    Set(SetArgs),
    /// Say what the upstream calls one of our operators, products or offers.
    Map(MapArgs),
    /// Run a file of cases through a connector, or a generic file's own. Nothing is sent; no data
    /// folder is needed.
    Check(CheckArgs),
    /// Print the file of a panel, to begin with; needs no data folder.
    Example(ExampleArgs),
    /// Ask it what buys nothing: our balance there, and an order that it never got.
    Try {
        /// Which.
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Book what we paid to it.
    Fund(FundArgs),
    /// Tell what is left there: as we count it, and as it says.
    Balance {
        /// Which.
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send it no new orders; those that it has are still asked about.
    Pause {
        /// Which.
        code: String,
        /// Who decides.
        #[arg(long, value_parser = crate::cmd::name)]
        by: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Send it orders again.
    Resume(DecidedArgs),
    /// Remove one that has no open orders.
    Remove(DecidedArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct DecidedArgs {
    /// Which.
    code: String,
    /// Who decides.
    #[arg(long, value_parser = crate::cmd::name)]
    by: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct AddArgs {
    /// Its name, which routes use: a to z, 0 to 9 and hyphens.
    #[arg(long)]
    code: String,
    /// Which connector: irecharge, reloadly, generic, …
    #[arg(long)]
    kind: String,
    /// Whose orders it gets: sandbox or live. This cannot be changed later.
    #[arg(long, value_parser = environment)]
    environment: Environment,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct SetArgs {
    /// Which.
    code: String,
    #[command(flatten)]
    settings: SettingArgs,
    /// It is still the same account there: "not found" counts for the orders of before, too.
    #[arg(long)]
    same_account: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct SettingArgs {
    /// Where it is called; https, but for this machine.
    #[arg(long)]
    url: Option<String>,
    /// A further host that may be called; may be given several times.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// A secret, in a file; may be given several times.
    #[arg(long, value_name = "NAME=@FILE")]
    secret: Vec<String>,
    /// The connector's own settings.
    #[arg(long, value_name = "TOML")]
    file: Option<PathBuf>,
    /// At most this many orders on their way to it; 0: any number.
    #[arg(long, value_name = "N")]
    calls_at_once: Option<u32>,
    /// Tell staff once less than this is left there.
    #[arg(long, value_name = "AMOUNT")]
    alert_below: Option<String>,
    /// Send it no orders once less than this is left there.
    #[arg(long, value_name = "AMOUNT")]
    stop_below: Option<String>,
    /// The currency of these amounts.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// Who does it.
    #[arg(long, default_value = "")]
    by: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct MapArgs {
    /// Which.
    code: String,
    /// What is mapped: operator, product or offer.
    #[arg(long, default_value = "operator")]
    map: String,
    /// OURS=THEIRS, or OURS= to forget it; may be given several times.
    #[arg(required = true, value_name = "OURS=THEIRS")]
    names: Vec<String>,
    /// Who does it.
    #[arg(long, default_value = "")]
    by: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct FundArgs {
    /// Which.
    code: String,
    /// How much: 1500.00
    #[arg(long, required_unless_present = "reverses", conflicts_with = "reverses")]
    amount: Option<String>,
    /// In what.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// The number of the transfer: the same one is never booked twice.
    #[arg(long, required_unless_present = "reverses", conflicts_with = "reverses")]
    reference: Option<String>,
    /// Take back what was booked by mistake with this reference.
    #[arg(long, value_name = "REFERENCE")]
    reverses: Option<String>,
    /// Who books it.
    #[arg(long, value_parser = crate::cmd::name)]
    by: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(on: &Caller<'_>, verb: UpstreamVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        // It reads files, and needs no data folder: each process runs it by itself.
        UpstreamVerb::Check(_) => bail!("`saldo upstream check` is not run inside a server"),
        UpstreamVerb::Example(args) => example::run(&args, output),
        UpstreamVerb::Add(args) => {
            let (code, by) = (args.code.clone(), args.settings.by.clone());
            let new = NewUpstream {
                code: args.code,
                kind: args.kind,
                environment: args.environment,
                settings: change(on, args.settings, false)?,
            };
            let waits = engine.add_upstream(machine(engine, &by)?, new).await.map_err(refused)?;
            output.say(format!("The upstream {code} is set up; a route can name it."));
            if waits {
                output.say(format!(
                    "There was another one of this code: it gets no orders until another person \
                     has looked at it.\n  saldo upstream resume {code} --by NAME"
                ));
            }
        }
        UpstreamVerb::List { json } => {
            for view in engine.upstreams().map_err(refused)? {
                output.row(json, value(&view), line(&view));
            }
        }
        UpstreamVerb::Show { code, json } => show(on, &code, json, output)?,
        UpstreamVerb::Set(args) => {
            let (permit, code) = (machine(engine, &args.settings.by)?, args.code);
            let change = change(on, args.settings, args.same_account)?;
            let set = engine.change_upstream(permit, &UpstreamCode::new(&code), change).await;
            let waits = set.map_err(refused)?;
            output.say(format!("The upstream {code} is changed."));
            if waits {
                output.say(
                    "Its file is new, and decides about money: it gets no orders until another \
                     person has looked at it.",
                );
                output.say(format!("  saldo upstream resume {code} --by NAME"));
            }
        }
        UpstreamVerb::Map(args) => map(on, &args, output).await?,
        UpstreamVerb::Try { code, json } => return try_out(on, &code, json, output).await,
        UpstreamVerb::Fund(args) => fund(on, &args, output).await?,
        UpstreamVerb::Balance { code, json } => balance(on, &code, json, output).await?,
        UpstreamVerb::Pause { code, by, reason } => {
            let (permit, upstream) = (machine(engine, &by)?, UpstreamCode::new(&code));
            engine.pause_upstream(permit, &upstream, &reason).await.map_err(refused)?;
            output.say(format!("The upstream {code} gets no new orders."));
        }
        UpstreamVerb::Resume(DecidedArgs { code, by }) => {
            let (permit, upstream) = (machine(engine, &by)?, UpstreamCode::new(&code));
            engine.resume_upstream(permit, &upstream).await.map_err(refused)?;
            output.say(format!("The upstream {code} gets orders again."));
        }
        UpstreamVerb::Remove(DecidedArgs { code, by }) => {
            let (permit, upstream) = (machine(engine, &by)?, UpstreamCode::new(&code));
            engine.remove_upstream(permit, &upstream).await.map_err(refused)?;
            output.say(format!("The upstream {code} is removed."));
        }
    }
    Ok(0)
}

impl UpstreamVerb {
    /// The files whose text it needs.
    pub(crate) fn named_files(&self) -> Result<Vec<NamedFile>> {
        let settings = match self {
            UpstreamVerb::Add(args) => &args.settings,
            UpstreamVerb::Set(args) => &args.settings,
            UpstreamVerb::List { .. }
            | UpstreamVerb::Show { .. }
            | UpstreamVerb::Map(_)
            | UpstreamVerb::Check(_)
            | UpstreamVerb::Example(_)
            | UpstreamVerb::Try { .. }
            | UpstreamVerb::Fund(_)
            | UpstreamVerb::Balance { .. }
            | UpstreamVerb::Pause { .. }
            | UpstreamVerb::Resume(_)
            | UpstreamVerb::Remove(_) => return Ok(Vec::new()),
        };
        let secrets = settings.secret.iter().map(|given| Ok(secret_file(given)?.1.to_owned()));
        let mut paths = secrets.collect::<Result<Vec<PathBuf>>>()?;
        paths.extend(settings.file.clone());
        let named = |path| NamedFile { path, bytes_max: SETTINGS_BYTES_MAX };
        Ok(paths.into_iter().map(named).collect())
    }
}

/// The name and the file of `NAME=@FILE`.
fn secret_file(given: &str) -> Result<(&str, &Path)> {
    let (name, file) = given
        .split_once("=@")
        .context("--secret is NAME=@FILE: a command line is no place for a secret")?;
    Ok((name, Path::new(file)))
}

/// The settings that were given.
fn change(on: &Caller<'_>, args: SettingArgs, is_same_account: bool) -> Result<UpstreamChange> {
    let level =
        |text: Option<String>| text.map(|text| amount(&text, args.currency, "a level")).transpose();
    let mut secrets = BTreeMap::new();
    for given in &args.secret {
        let (name, file) = secret_file(given)?;
        let text = on.given.text(file)?.trim_end_matches(['\r', '\n']);
        secrets.insert(name.to_owned(), text.to_owned());
    }
    let own = args.file.as_deref().map(|file| on.given.text(file)).transpose()?;
    let own = own.map(str::to_owned);
    Ok(UpstreamChange {
        url: args.url,
        hosts: (!args.host.is_empty()).then_some(args.host),
        own,
        secrets,
        calls_at_once: args.calls_at_once,
        float_alert: level(args.alert_below)?,
        float_stop: level(args.stop_below)?,
        is_same_account,
    })
}

fn amount(text: &str, currency: Currency, what: &str) -> Result<Money> {
    match Money::parse(text, currency) {
        Ok(money) => Ok(money),
        Err(AmountError::Zero) => Ok(Money::zero(currency)),
        Err(_) => bail!("{what} is a number up to 999999999.99, such as 1500.00"),
    }
}

fn found(on: &Caller<'_>, code: &str) -> Result<UpstreamView> {
    let all = on.engine.upstreams().map_err(refused)?;
    let view = all.into_iter().find(|view| view.code.as_str() == code);
    view.with_context(|| format!("there is no upstream {code}"))
}

fn show(on: &Caller<'_>, code: &str, json: bool, output: &mut Output) -> Result<()> {
    let view = found(on, code)?;
    if json {
        output.line(value(&view));
        return Ok(());
    }
    output.line(line(&view));
    let Some(stored) = &view.stored else { return Ok(()) };
    if let Some(pause) = &stored.paused {
        let by = match pause.by.as_str() {
            "" => String::new(),
            by => format!(" (by {by})"),
        };
        output.line(format!("  paused   {}{by}", pause.reason));
    }
    output.line(format!("  url      {}", stored.url));
    for (what, minor) in [("alert", stored.float_alert), ("stop", stored.float_stop)] {
        if let (Some(minor), Some(currency)) = (minor, stored.float_currency) {
            output.line(format!("  {what:<8} below {}", Money::new(minor, currency)));
        }
    }
    if let Some(calls) = stored.calls_at_once {
        output.line(format!("  at once  {calls} orders"));
    }
    for host in &stored.hosts {
        output.line(format!("  host     {host}"));
    }
    for name in &stored.secret_names {
        output.line(format!("  secret   {name}"));
    }
    for (map, names) in &stored.maps {
        for (ours, theirs) in names {
            output.line(format!("  {map:<8} {ours} = {theirs}"));
        }
    }
    stored.settings.lines().for_each(|own| output.line(format!("  | {own}")));
    Ok(())
}

async fn map(on: &Caller<'_>, args: &MapArgs, output: &mut Output) -> Result<()> {
    if !["operator", "product", "offer"].contains(&args.map.as_str()) {
        bail!("--map is operator, product or offer");
    }
    let mut names = BTreeMap::new();
    for name in &args.names {
        let (ours, theirs) =
            name.split_once('=').with_context(|| format!("{name:?} is not OURS=THEIRS"))?;
        let theirs = Some(theirs.to_owned()).filter(|theirs| !theirs.is_empty());
        ensure!(names.insert(ours.to_owned(), theirs).is_none(), "{ours} is given twice");
    }
    let upstream = UpstreamCode::new(&args.code);
    let permit = machine(on.engine, &args.by)?;
    let mapped = on.engine.map_upstream(permit, &upstream, &args.map, names).await;
    mapped.map_err(refused)?;
    output.say(format!("The upstream {} knows {} of ours now.", args.code, args.names.len()));
    Ok(())
}

async fn try_out(on: &Caller<'_>, code: &str, json: bool, output: &mut Output) -> Result<u8> {
    let tried = on.engine.try_upstream(&UpstreamCode::new(code)).await.map_err(refused)?;
    let balance = match &tried.balance {
        BalanceAnswer::NotOffered => "it tells no balance".to_owned(),
        BalanceAnswer::Reported(balance) => format!("balance {balance}"),
        BalanceAnswer::Unavailable { reason } => format!("no balance: {reason}"),
    };
    let (outcome, text) = (&tried.enquiry.0, tried.enquiry.1.as_deref().unwrap_or_default());
    let reported = match &tried.balance {
        BalanceAnswer::Reported(balance) => Some(balance.exact()),
        BalanceAnswer::NotOffered | BalanceAnswer::Unavailable { .. } => None,
    };
    let answers = tried.is_answer || matches!(tried.balance, BalanceAnswer::Reported(_));
    let value =
        json!({ "answers": answers, "balance": reported, "enquiry": outcome, "text": text });
    let enquiry = format!("asked about an order that it never got: {outcome} {text}");
    output.row(json, value, format!("{code}  {balance}; {enquiry}"));
    Ok(u8::from(!answers))
}

async fn fund(on: &Caller<'_>, args: &FundArgs, output: &mut Output) -> Result<()> {
    let permit = machine(on.engine, &args.by)?;
    let code = UpstreamCode::new(&args.code);
    let (float, done) = match (&args.reverses, &args.amount, &args.reference) {
        (Some(reverses), _, _) => {
            let float = on.engine.reverse_funding(permit, &code, reverses).await;
            (float.map_err(refused)?, format!("Took {reverses} back"))
        }
        (None, Some(text), Some(reference)) => {
            let paid = amount(text, args.currency, "--amount")?;
            let float = on.engine.fund_upstream(permit, &code, paid, reference).await;
            (float.map_err(refused)?, format!("Booked {paid}"))
        }
        (None, _, _) => bail!("say --amount and --reference, or --reverses"),
    };
    output.row(args.json, float_value(Some(&float), None), float.ours.exact());
    output.say(format!("{done}; {} should be left at {}.", float.ours, args.code));
    Ok(())
}

async fn balance(on: &Caller<'_>, code: &str, json: bool, output: &mut Output) -> Result<()> {
    let answer = on.engine.upstream_float(&UpstreamCode::new(code)).await.map_err(refused)?;
    let text = match &answer.float {
        None => format!("{code}  nothing is known"),
        Some(float) => {
            let reported = |money: Option<Money>| money.map_or("?".to_owned(), |m| m.to_string());
            let hours = float.hours_left.map_or("?".to_owned(), |hours| hours.to_string());
            format!(
                "{code}  ours {}  theirs {}  difference {}  hours left {hours}",
                float.ours,
                reported(float.theirs),
                reported(float.difference)
            )
        }
    };
    let value = float_value(answer.float.as_ref(), answer.unavailable.as_deref());
    output.row(json, value, text);
    if let Some(reason) = answer.unavailable {
        output.say(format!("It could not be asked: {reason}"));
    }
    Ok(())
}

fn float_value(float: Option<&FloatView>, unavailable: Option<&str>) -> Value {
    let exact = |money: Option<Money>| money.map(|m| m.exact());
    json!({
        "currency": float.map(|f| f.ours.currency().code()),
        "ours": float.map(|f| f.ours.exact()),
        "theirs": exact(float.and_then(|f| f.theirs)),
        "difference": exact(float.and_then(|f| f.difference)),
        "hours_left": float.and_then(|f| f.hours_left),
        "reported_at": float.and_then(|f| f.reported_at).map(moment),
        "unavailable": unavailable,
    })
}

fn line(view: &UpstreamView) -> String {
    let UpstreamView { code, stored, open_attempts, calls, .. } = view;
    let (kind, environment) = match stored {
        Some(stored) => (stored.kind.as_str(), stored.environment.code()),
        None => ("built in", "both"),
    };
    format!("{code}  {kind}  {environment}  {}  open {open_attempts}  calls {calls}", state(view))
}

fn state(view: &UpstreamView) -> &'static str {
    let is_paused = view.stored.as_ref().is_some_and(|stored| stored.paused.is_some());
    match (view.is_connected, is_paused, view.is_breaker_open) {
        (false, ..) => "unusable",
        (true, true, _) => "paused",
        (true, false, true) => "breaker open",
        (true, false, false) => "ready",
    }
}

fn value(view: &UpstreamView) -> Value {
    let stored = view.stored.as_ref();
    let pause = stored.and_then(|stored| stored.paused.as_ref());
    let level = |minor: fn(&engine::StoredUpstream) -> Option<i64>| {
        let stored = stored?;
        Some(Money::new(minor(stored)?, stored.float_currency?).exact())
    };
    json!({
        "code": view.code.as_str(),
        "kind": stored.map_or("built in", |s| s.kind.as_str()),
        "environment": stored.map(|s| s.environment.code()),
        "state": state(view),
        "paused": pause.map(|pause| pause.reason.as_str()),
        "paused_cause": pause.map(|pause| pause.cause.code()),
        "paused_by": pause.map(|pause| pause.by.as_str()).filter(|by| !by.is_empty()),
        "url": stored.map(|s| s.url.as_str()),
        "hosts": stored.map(|s| s.hosts.as_slice()),
        "secrets": stored.map(|s| s.secret_names.as_slice()),
        "maps": stored.map(|s| &s.maps),
        "calls_at_once": stored.and_then(|s| s.calls_at_once),
        "float_currency": stored.and_then(|s| s.float_currency).map(|c| c.code()),
        "alert_below": level(|s| s.float_alert),
        "stop_below": level(|s| s.float_stop),
        "added_at": stored.map(|s| moment(s.created_at)),
        "open": view.open_attempts,
        "calls": view.calls,
    })
}
