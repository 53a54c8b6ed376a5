//! `saldo key`: makes, lists, restricts and revokes the key pairs of an account.
//!
//! Invariant: a secret key is shown once, when it is made: printed, or written to a file.

use crate::cmd::{Caller, environment, known_account};
use crate::files::{cannot, write_private};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, anyhow, ensure};
use domain::account::HOUSE;
use domain::{AccountId, AllowList, Environment};
use engine::KeyPair;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum KeyVerb {
    /// Make a pair. The secret is printed once and stored nowhere.
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
    },
    /// List an account's pairs, without their secrets.
    List {
        /// Whose.
        #[arg(long)]
        account: i64,
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

pub(crate) async fn run(on: &Caller<'_>, verb: KeyVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        KeyVerb::Make { account, environment, to } => {
            ensure!(
                AccountId(account) != HOUSE,
                "account {account} is the house itself, which buys nothing"
            );
            let account = known_account(engine, account)?;
            // The secret cannot be shown again: first there is a place for it.
            let folder = to.map(|to| on.working_dir.join(to));
            folder.as_deref().map(make_folder).transpose()?;
            let (id, pair) = engine
                .make_key(machine(engine, "")?, account, environment)
                .await
                .map_err(refused)?;
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
        }
        KeyVerb::List { account } => {
            for key in engine.keys_of(AccountId(account))? {
                let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                let from = match key.allow_list.lines() {
                    lines if lines.is_empty() => "anywhere".to_owned(),
                    lines => lines.join(" "),
                };
                let (id, open_key, tail) = (key.id, key.open_key, key.secret_tail);
                let environment = key.environment.code();
                output.line(format!(
                    "{id}  {open_key}  …{tail}  {environment}  {state}  from {from}"
                ));
            }
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
