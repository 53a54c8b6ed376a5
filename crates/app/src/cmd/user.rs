//! `saldo user`: lists logins, disables and enables them, and ends their sessions.
//!
//! Not here: signing up and logging in (`engine`).

use crate::cmd::moment;
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::Result;
use engine::{Engine, UserView};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum UserVerb {
    /// List all logins.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Keep a login out; its sessions end at once.
    Disable {
        /// Its e-mail address.
        email: String,
    },
    /// Let a login in again.
    Enable {
        /// Its e-mail address.
        email: String,
    },
    /// End every session of a login, and forget its devices.
    LogOut {
        /// Its e-mail address.
        email: String,
    },
}

pub(crate) async fn run(engine: &Engine, verb: UserVerb, output: &mut Output) -> Result<u8> {
    match verb {
        UserVerb::List { json } => list(engine, json, output)?,
        UserVerb::Disable { email } => {
            engine.set_user_active(machine(engine, "")?, &email, false).await.map_err(refused)?;
            output.say("Kept out from now on.");
        }
        UserVerb::Enable { email } => {
            engine.set_user_active(machine(engine, "")?, &email, true).await.map_err(refused)?;
            output.say("Let in again.");
        }
        UserVerb::LogOut { email } => {
            engine.log_user_out(machine(engine, "")?, &email).await.map_err(refused)?;
            output.say("Logged out everywhere.");
        }
    }
    Ok(0)
}

fn list(engine: &Engine, json: bool, output: &mut Output) -> Result<()> {
    for user in engine.users()? {
        let value = serde_json::json!({
            "id": user.id.0, "account": user.account.0, "email": user.email,
            "mobile": user.mobile, "name": user.name, "role": user.role,
            "active": user.is_active, "created_at": moment(user.created_at),
        });
        output.row(json, value, line(&user));
    }
    Ok(())
}

fn line(user: &UserView) -> String {
    let active = if user.is_active { "active" } else { "disabled" };
    format!("{}  {}  {}  of account {}  {active}", user.id, user.email, user.role, user.account)
}
