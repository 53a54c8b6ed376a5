//! `saldo user`: makes logins, gives them roles and passwords, keeps them out, ends their sessions.
//!
//! Not here: signing up and logging in (`engine`).

use crate::cmd::{known_account, moment};
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
    /// Make a login of an account; its password is printed once.
    Make {
        /// Its e-mail address.
        #[arg(long)]
        email: String,
        /// Whose people it belongs to; 1 is the house.
        #[arg(long)]
        account: i64,
        /// Of a merchant: owner, developer or finance. Of the house: owner, support, operator,
        /// approver, finance or security.
        #[arg(long, default_value = "owner")]
        role: String,
    },
    /// Give a login a new password, which is printed once; its sessions end.
    Reset {
        /// Its e-mail address.
        email: String,
    },
    /// Give a login another role; its sessions end.
    Role {
        /// Its e-mail address.
        email: String,
        /// As with `make`.
        role: String,
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
        UserVerb::Make { email, account, role } => {
            let account = known_account(engine, account)?;
            let permit = machine(engine, "")?;
            let made = engine.make_user(permit, account, &email, &role).await;
            let (id, password) = made.map_err(refused)?;
            output.line(password);
            output.say(format!(
                "Login {id} of account {account} is made. The line above is its password: it is \
                 not shown again."
            ));
        }
        UserVerb::Reset { email } => {
            let given = engine.give_password(machine(engine, "")?, &email).await;
            output.line(given.map_err(refused)?);
            output.say("The line above is the new password: it is not shown again.");
        }
        UserVerb::Role { email, role } => {
            let set = engine.set_user_role(machine(engine, "")?, &email, &role).await;
            set.map_err(refused)?;
            output.say("Changed, and logged out everywhere.");
        }
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
