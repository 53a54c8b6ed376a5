//! `saldo key`: makes, lists, limits, rotates and revokes the key pairs of an account.
//!
//! Invariant: a secret key is shown once, when it is made: printed, or written to a file.

use crate::cmd::webhook::{GracePeriod, grace_period};
use crate::cmd::{Caller, environment, instant, known_account, moment};
use crate::files::{cannot, write_private};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, anyhow, ensure};
use domain::account::HOUSE;
use domain::{AccountId, AllowList, Environment, Key, KeyId, KeyScope, KeyScopes, Timestamp};
use engine::{Engine, KeyPair, KeyTerms};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum KeyVerb {
    /// Make a pair. The secret is printed once; that of a live pair is stored nowhere.
    Make {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// sandbox or live.
        #[arg(long, value_parser = environment)]
        environment: Environment,
        /// Write open.key, secret.key and webhook.secret into this folder, for their owner only,
        /// and print no secret.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        #[command(flatten)]
        limits: KeyLimits,
    },
    /// List an account's pairs, without their secrets.
    List {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Set what a pair may be used for, and until when; without a flag: for all, without an end.
    Limit {
        /// The open key.
        open_key: String,
        #[command(flatten)]
        limits: KeyLimits,
    },
    /// Make a pair in the place of another, with its limits, address and webhook secret. Both work
    /// until the overlap is over. The secret is printed once.
    Rotate {
        /// The open key of the old pair.
        open_key: String,
        /// How long the old pair works beside the new one: 0, 1h, 24h or 7d.
        #[arg(long, value_parser = grace_period, default_value = "24h")]
        overlap: GracePeriod,
        /// Write open.key, secret.key and webhook.secret into this folder, for their owner only,
        /// and print no secret.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Allow a pair from these addresses and ranges only; none: from anywhere.
    Allow {
        /// The open key.
        open_key: String,
        /// 192.168.1.1 or 10.0.0.0/24.
        ranges: Vec<String>,
    },
    /// Revoke a pair, at once and for good.
    Revoke {
        /// The open key.
        open_key: String,
    },
}

/// What limits a pair.
#[derive(clap::Args, Debug)]
pub(crate) struct KeyLimits {
    /// What it may be used for: read, buy, money; may be given several times. None: for all.
    #[arg(long, value_parser = scope)]
    scope: Vec<KeyScope>,
    /// When it ends, such as 2027-01-31T00:00:00Z. None: never.
    #[arg(long, value_parser = instant)]
    expires: Option<Timestamp>,
}

fn scope(text: &str) -> Result<KeyScope, String> {
    KeyScope::from_code(text).ok_or_else(|| "read, buy or money".to_owned())
}

pub(crate) async fn run(on: &Caller<'_>, verb: KeyVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        KeyVerb::Make { account, environment, to, limits } => {
            ensure!(
                AccountId(account) != HOUSE,
                "account {account} is the house itself, which buys nothing"
            );
            let account = known_account(engine, account)?;
            // The secret cannot be shown again: first there is a place for it.
            let folder = to.map(|to| on.working_dir.join(to));
            folder.as_deref().map(make_folder).transpose()?;
            let terms = KeyTerms {
                scopes: KeyScopes::of(limits.scope),
                expires_at: limits.expires,
                ..KeyTerms::default()
            };
            let permit = machine(engine, "")?;
            let made = engine.make_key_with(permit, account, environment, terms).await;
            let (id, pair) = made.map_err(refused)?;
            made_pair(engine, MadePair { id, pair, folder }, output)?;
        }
        KeyVerb::Limit { open_key, limits } => {
            let (scopes, expires) = (KeyScopes::of(limits.scope), limits.expires);
            let permit = machine(engine, "")?;
            let key = engine.limit_key(permit, &open_key, scopes, expires).await;
            output.say(format!("Limited: {}.", limits_of(&key.map_err(refused)?)));
        }
        KeyVerb::Rotate { open_key, overlap, to } => {
            let folder = to.map(|to| on.working_dir.join(to));
            folder.as_deref().map(make_folder).transpose()?;
            let rotated = engine.rotate_key(machine(engine, "")?, &open_key, overlap.0).await;
            let (id, pair) = rotated.map_err(refused)?;
            made_pair(engine, MadePair { id, pair, folder }, output)?;
        }
        KeyVerb::List { account, json } => {
            list(engine, known_account(engine, account)?, json, output)?;
        }
        KeyVerb::Allow { open_key, ranges } => {
            let list = AllowList::parse(ranges.iter().map(String::as_str)).map_err(|bad| {
                anyhow!("{:?} is no address, or a range that allows everybody", bad.0)
            })?;
            let permit = machine(engine, "")?;
            engine.allow_addresses(permit, &open_key, list).await.map_err(refused)?;
            let from = if ranges.is_empty() { "anywhere" } else { "these only" };
            output.say(format!("Allowed from {from}."));
        }
        KeyVerb::Revoke { open_key } => {
            engine.revoke_key(machine(engine, "")?, &open_key).await.map_err(refused)?;
            output.say("Revoked.");
        }
    }
    Ok(0)
}

/// Lists an account's pairs.
fn list(engine: &Engine, account: AccountId, json: bool, output: &mut Output) -> Result<()> {
    for key in engine.keys_of(account)? {
        let state = match (key.revoked_at, key.is_over_at(engine.now())) {
            (Some(_), _) => "revoked",
            (None, true) => "expired",
            (None, false) => "active",
        };
        let limits = limits_of(&key);
        let from = match key.allow_list.lines() {
            lines if lines.is_empty() => "anywhere".to_owned(),
            lines => lines.join(" "),
        };
        let environment = key.environment.code();
        let value = json!({
            "id": key.id.0,
            "open_key": key.open_key,
            "secret_ends": key.secret_tail,
            "environment": environment,
            "state": state,
            "allow": key.allow_list.lines(),
            "scopes": key.scopes.codes(),
            "expires_at": key.expires_at.map(moment),
        });
        let (id, open_key, tail) = (key.id, key.open_key, key.secret_tail);
        let text =
            format!("{id}  {open_key}  …{tail}  {environment}  {state}  from {from}  {limits}");
        output.row(json, value, text);
    }
    Ok(())
}

/// A new pair, and where its files go; none: it is printed.
struct MadePair {
    id: KeyId,
    pair: KeyPair,
    folder: Option<PathBuf>,
}

/// Prints a new pair, or writes it into its folder.
fn made_pair(engine: &Engine, made: MadePair, output: &mut Output) -> Result<()> {
    let MadePair { id, pair, folder } = made;
    let webhook_secret = engine.webhook_secret_of(id).map_err(refused)?;
    match folder {
        None => {
            output.line(json!({
                "id": id.0, "open_key": pair.open, "secret_key": pair.secret,
                "webhook_secret": webhook_secret,
            }));
            output.say("Keep both secrets now: they will not be shown again.");
        }
        Some(folder) => {
            write_files(&folder, &pair, &webhook_secret)?;
            output.line(json!({ "id": id.0, "open_key": pair.open }));
            output.say(format!("The keys are in {}.", folder.display()));
        }
    }
    Ok(())
}

/// What limits a pair, in words.
fn limits_of(key: &Key) -> String {
    let scopes = match key.scopes.is_all() {
        true => "all scopes".to_owned(),
        false => format!("scopes {}", key.scopes.codes().join(" ")),
    };
    match key.expires_at {
        Some(end) => format!("{scopes}, until {}", moment(end)),
        None => scopes,
    }
}

/// The files of a pair.
const FILES: [&str; 3] = ["open.key", "secret.key", "webhook.secret"];

/// A folder without an earlier pair.
fn make_folder(folder: &Path) -> Result<()> {
    for file in FILES.map(|name| folder.join(name)) {
        ensure!(!file.exists(), "{} exists: give another folder", file.display());
    }
    std::fs::create_dir_all(folder).with_context(cannot(folder, "be made"))
}

fn write_files(folder: &Path, pair: &KeyPair, webhook_secret: &str) -> Result<()> {
    for (name, text) in FILES.iter().zip([pair.open.as_str(), &pair.secret, webhook_secret]) {
        write_private(&folder.join(name), format!("{text}\n").as_bytes())?;
    }
    Ok(())
}
