//! Changes of logins, their sessions, devices and codes.
//!
//! Invariants: a code is used once and tried fifty times at most; an address has one login; a
//! session opens only on the password that was verified. Each is checked in the commit itself, so a
//! race has one winner.

use super::find::{KNOWN_FOR, by_email};
use super::{
    Code, CodeDone, CodePurpose, DeviceMark, EnteredCode, LoginDone, NewDevice, NewSession,
    PendingSignUp, Session, SignUp,
};
use crate::accounts::{self, User};
use crate::backend::{Row, Sql, first, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::{Account, AccountId, DuplicatePolicy, Environment, Role, Timestamp};
use std::time::Duration;

/// Tries of a code, from wherever they come; its column's CHECK has the same number. Ten times what
/// one network address may try, so that an attacker cannot use up somebody else's code alone.
const TRIES_MAX: i64 = 50;
/// Valid codes of a purpose and an address: a code that somebody else asks for voids none.
const CODES_PER_ADDRESS_MAX: i64 = 3;
/// Codes of all addresses, half a kilobyte each. Anybody can ask for codes, so past that the oldest
/// are deleted.
const CODES_MAX: i64 = 100_000;
/// Devices of a login that receive pushes; past that the one unseen for longest is deleted.
const DEVICES_MAX: i64 = 10;
/// Known devices of a login; past that the one unseen for longest is deleted.
const KNOWN_DEVICES_MAX: i64 = 20;
/// A code is kept this long after it expired, so that a late try can still be answered.
const CODES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Stores a code. Of each purpose and address the last three are valid.
#[derive(Clone, Debug)]
pub struct OfferCode(pub Code);

/// Sets the password by a code, uses the code up and ends every session.
#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// The code that was entered.
    pub typed: EnteredCode,
    /// The new password, hashed.
    pub password_hash: String,
}

/// Sets the password and ends every session; nothing happens if the stored hash is not `was`.
#[derive(Clone, Debug)]
pub struct SetPassword {
    /// The login.
    pub user: UserId,
    /// The hash that was verified.
    pub was: String,
    /// The new password, hashed.
    pub password_hash: String,
    /// When it happens.
    pub at: Timestamp,
}

/// Ends one session, or all of a login, and deletes the devices that came with them.
#[derive(Clone, Copy, Debug)]
pub struct LogOut {
    /// The login.
    pub user: UserId,
    /// The session; none: all.
    pub session: Option<SessionId>,
    /// When it happens.
    pub at: Timestamp,
}

/// Activates or deactivates a login; either way its sessions end. Nothing happens if the account of
/// a business, or the house, would be left without an active owner; the only login of a customer
/// may be kept out.
#[derive(Clone, Copy, Debug)]
pub struct SetActive {
    /// The login.
    pub user: UserId,
    /// Whether it may log in.
    pub is_active: bool,
    /// When it happens.
    pub at: Timestamp,
}

/// Sets a password without the one before, and ends every session.
#[derive(Clone, Debug)]
pub struct GivePassword {
    /// The login.
    pub user: UserId,
    /// The new password, hashed.
    pub password_hash: String,
    /// When it happens.
    pub at: Timestamp,
}

/// Deletes a device that cannot receive pushes any more.
#[derive(Clone, Copy, Debug)]
pub struct ForgetDevice(pub DeviceId);

unrefused!(OfferCode, (), |change, tx| offer_code(tx.sql, &change.0));

unrefused!(SignUp, CodeDone, |change, tx| confirm(tx.sql, change));

unrefused!(ResetPassword, CodeDone, |change, tx| reset(
    tx.sql,
    &change.typed,
    &change.password_hash
));

unrefused!(NewSession, LoginDone, |change, tx| log_in(tx.sql, change));

unrefused!(SetPassword, LoginDone, |change, tx| {
    let set = replace_hash(tx.sql, change.user, &change.was, &change.password_hash)?;
    end_if(tx.sql, set, change.user, change.at)
});

unrefused!(LogOut, (), |change, tx| {
    match change.session {
        None => end_all(tx.sql, change.user, change.at),
        Some(session) => end_one(tx.sql, change.user, session, change.at),
    }
});

unrefused!(SetActive, LoginDone, |change, tx| {
    let statement = match change.is_active {
        true => "UPDATE users SET is_active = $1 WHERE id = $2",
        false => {
            "UPDATE users SET is_active = $1 WHERE id = $2 AND (role <> 'owner' OR is_active = 0
                 OR EXISTS (SELECT 1 FROM accounts AS a
                     WHERE a.id = users.account_id AND a.role = 'customer')
                 OR EXISTS (SELECT 1 FROM users AS o WHERE o.account_id = users.account_id
                     AND o.id <> users.id AND o.role = 'owner' AND o.is_active = 1))"
        }
    };
    let set = tx.sql.execute(statement, &values![change.is_active, change.user])?;
    end_if(tx.sql, set, change.user, change.at)
});

unrefused!(GivePassword, LoginDone, |change, tx| {
    let set = tx.sql.execute(SET_HASH, &values![&change.password_hash, change.user])?;
    end_if(tx.sql, set, change.user, change.at)
});

unrefused!(ForgetDevice, (), |change, tx| tx
    .sql
    .run("DELETE FROM devices WHERE id = $1", &values![change.0]));

fn offer_code(sql: &mut dyn Sql, code: &Code) -> Result<()> {
    let purpose = if code.pending.is_some() { CodePurpose::SignUp } else { CodePurpose::Reset };
    let pending = code.pending.as_ref();
    prune_codes(sql, purpose, code)?;
    sql.run(
        "INSERT INTO codes (purpose, email, digest, name, mobile, password_hash, made_at,
             expires_at, tries) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
         ON CONFLICT (purpose, email, digest) DO UPDATE SET name = excluded.name,
             mobile = excluded.mobile, password_hash = excluded.password_hash,
             made_at = excluded.made_at, expires_at = excluded.expires_at, tries = 0,
             used_at = NULL",
        &values![
            purpose.code(),
            &code.email,
            &code.digest,
            pending.map(|p| &p.name),
            pending.and_then(|p| p.mobile.as_ref()),
            pending.map(|p| &p.password_hash),
            code.made_at,
            code.expires_at
        ],
    )
}

/// Before a code is added: deletes those long expired, then the oldest of its address, then the
/// oldest of all.
fn prune_codes(sql: &mut dyn Sql, purpose: CodePurpose, code: &Code) -> Result<()> {
    sql.execute(
        "DELETE FROM codes WHERE expires_at < $1",
        &values![code.made_at.before(CODES_KEPT)],
    )?;
    sql.execute(
        "DELETE FROM codes WHERE purpose = $1 AND email = $2 AND digest NOT IN (
             SELECT digest FROM codes WHERE purpose = $1 AND email = $2
             ORDER BY made_at DESC, digest LIMIT $3)",
        &values![purpose.code(), &code.email, CODES_PER_ADDRESS_MAX - 1],
    )?;
    // By an index: it costs a millisecond, and only when the table is full.
    sql.run(
        "DELETE FROM codes
         WHERE made_at <= (SELECT made_at FROM codes ORDER BY made_at DESC LIMIT 1 OFFSET $1)",
        &values![CODES_MAX - 1],
    )
}

/// Uses up a code and all others of its purpose and address; answers the sign-up that it confirms.
/// If the code is wrong the answer is `None`, and the try is counted for each of those codes.
fn use_code(
    sql: &mut dyn Sql,
    purpose: CodePurpose,
    typed: &EnteredCode,
) -> Result<Option<Option<PendingSignUp>>> {
    let pending = first(
        sql,
        "SELECT name, mobile, password_hash FROM codes
         WHERE purpose = $1 AND email = $2 AND digest = $3 AND used_at IS NULL AND tries < $4
             AND expires_at > $5",
        &values![purpose.code(), &typed.email, &typed.digest, TRIES_MAX, typed.at],
        pending,
    )?;
    match pending {
        Some(_) => sql.execute(
            "UPDATE codes SET used_at = $1, name = NULL, mobile = NULL, password_hash = NULL
             WHERE purpose = $2 AND email = $3",
            &values![typed.at, purpose.code(), &typed.email],
        )?,
        // Used codes count too: the time of a try must not reveal whether a valid code exists.
        None => sql.execute(
            "UPDATE codes SET tries = tries + 1 WHERE purpose = $1 AND email = $2 AND tries < $3",
            &values![purpose.code(), &typed.email, TRIES_MAX],
        )?,
    };
    Ok(pending)
}

fn pending(row: &dyn Row) -> Result<Option<PendingSignUp>> {
    let Some(password_hash) = row.opt_text(2)? else { return Ok(None) };
    Ok(Some(PendingSignUp {
        name: row.opt_text(0)?.unwrap_or_default().to_owned(),
        mobile: row.opt_text(1)?.map(str::to_owned),
        password_hash: password_hash.to_owned(),
    }))
}

/// Opens the account, its wallets and its login.
fn confirm(sql: &mut dyn Sql, sign_up: &SignUp) -> Result<CodeDone> {
    let SignUp { typed, account: id, user, currencies } = sign_up;
    let Some(Some(pending)) = use_code(sql, CodePurpose::SignUp, typed)? else {
        return Ok(CodeDone::CodeWrong);
    };
    if by_email(sql, &typed.email)?.is_some() {
        return Ok(CodeDone::EmailMoved);
    }
    // After this point the sign-up must succeed: nothing below may refuse.
    let account = Account {
        id: *id,
        role: Role::Customer,
        name: pending.name.clone(),
        is_active: true,
        subscription: None,
        approved_at: Some(typed.at),
        duplicates: DuplicatePolicy::default(),
        opened_at: typed.at,
    };
    accounts::set_account(sql, &account)?;
    for environment in Environment::ALL {
        for currency in currencies {
            accounts::open_wallet(sql, *id, environment, *currency)?;
        }
    }
    let user = User {
        id: *user,
        account: *id,
        email: typed.email.clone(),
        mobile: pending.mobile,
        name: Some(pending.name),
        role: "owner".to_owned(),
        password_hash: pending.password_hash,
        is_active: true,
        created_at: typed.at,
        confirmed_at: Some(typed.at),
        language: "en".to_owned(),
    };
    accounts::set_user(sql, &user)?;
    Ok(CodeDone::Written)
}

fn reset(sql: &mut dyn Sql, typed: &EnteredCode, password_hash: &str) -> Result<CodeDone> {
    if use_code(sql, CodePurpose::Reset, typed)?.is_none() {
        return Ok(CodeDone::CodeWrong);
    }
    let Some(holder) = by_email(sql, &typed.email)? else { return Ok(CodeDone::EmailMoved) };
    let user = holder.user.id;
    sql.execute(SET_HASH, &values![password_hash, user])?;
    end_all(sql, user, typed.at)?;
    Ok(CodeDone::Written)
}

const SET_HASH: &str = "UPDATE users SET password_hash = $1 WHERE id = $2";

/// Puts a hash in the place of the one that was verified, if that is still stored and the login is
/// active; answers how many it replaced.
fn replace_hash(sql: &mut dyn Sql, user: UserId, verified: &str, hash: &str) -> Result<usize> {
    sql.execute(
        "UPDATE users SET password_hash = $1
         WHERE id = $2 AND password_hash = $3 AND is_active = 1",
        &values![hash, user, verified],
    )
}

fn log_in(sql: &mut dyn Sql, new: &NewSession) -> Result<LoginDone> {
    let Session { id, user, account, environment, opened_at, ends_at, .. } = new.session;
    let hash = new.rehashed.as_ref().unwrap_or(&new.verified);
    if replace_hash(sql, user, &new.verified, hash)? == 0 {
        return Ok(LoginDone::Moved);
    }
    // After this point the log-in must succeed: nothing below may refuse.
    let device = match &new.device {
        Some(device) => Some(set_device(sql, user, account, device, opened_at)?),
        None => None,
    };
    sql.execute(
        "INSERT INTO sessions (id, account_id, user_id, environment, device_id, opened_at, ends_at,
             door, proved_at, agent, address)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &values![
            id,
            account,
            user,
            environment,
            device,
            opened_at,
            ends_at,
            new.session.audience.code(),
            new.session.proved_at,
            &new.agent,
            &new.address
        ],
    )?;
    // So a login has at most as many sessions as may be opened within a session's lifetime.
    sql.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND (ends_at <= $2 OR revoked_at IS NOT NULL)",
        &values![user, opened_at],
    )?;
    if let Some(mark) = &new.known_device {
        set_known_device(sql, user, account, mark, opened_at)?;
    }
    Ok(LoginDone::Written)
}

/// Inserts a device, or updates it; answers its id. A device belongs to one login: on a phone that
/// changed hands, the login before gets no more pushes. A device that its login already has keeps
/// its id, because pending pushes name it.
fn set_device(
    sql: &mut dyn Sql,
    user: UserId,
    account: AccountId,
    device: &NewDevice,
    at: Timestamp,
) -> Result<DeviceId> {
    sql.execute(
        "DELETE FROM devices WHERE mark = $1 AND user_id <> $2",
        &values![&device.mark, user],
    )?;
    sql.execute(
        "INSERT INTO devices (id, account_id, user_id, mark, sealed, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, mark) DO UPDATE SET sealed = excluded.sealed,
             seen_at = excluded.seen_at",
        &values![device.id, account, user, &device.mark, &device.sealed, at],
    )?;
    sql.execute(
        "DELETE FROM devices WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM devices WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
        &values![user, DEVICES_MAX],
    )?;
    let kept = first(
        sql,
        "SELECT id FROM devices WHERE user_id = $1 AND mark = $2",
        &values![user, &device.mark],
        |row| row.int(0),
    )?;
    // It was deleted again only if ten devices were seen later than now, because the clock stepped
    // back. Then the session names a device that does not exist.
    Ok(kept.map_or(device.id, DeviceId))
}

/// Inserts or renews a known device, and deletes those that are outdated.
fn set_known_device(
    sql: &mut dyn Sql,
    user: UserId,
    account: AccountId,
    mark: &DeviceMark,
    at: Timestamp,
) -> Result<()> {
    sql.execute(
        "INSERT INTO places (user_id, account_id, mark, seen_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id, account_id, mark) DO UPDATE SET seen_at = excluded.seen_at",
        &values![user, account, mark, at],
    )?;
    sql.run(
        "DELETE FROM places WHERE user_id = $1 AND (seen_at < $2 OR mark NOT IN
             (SELECT mark FROM places WHERE user_id = $1 ORDER BY seen_at DESC, mark LIMIT $3))",
        &values![user, at.before(KNOWN_FOR), KNOWN_DEVICES_MAX],
    )
}

pub(super) fn end_if(
    sql: &mut dyn Sql,
    changed: usize,
    user: UserId,
    at: Timestamp,
) -> Result<LoginDone> {
    if changed > 0 {
        end_all(sql, user, at)?;
    }
    Ok(LoginDone::of(changed))
}

fn end_all(sql: &mut dyn Sql, user: UserId, at: Timestamp) -> Result<()> {
    sql.run(
        "UPDATE sessions SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL",
        &values![at, user],
    )?;
    sql.run("DELETE FROM devices WHERE user_id = $1", &values![user])
}

fn end_one(sql: &mut dyn Sql, user: UserId, session: SessionId, at: Timestamp) -> Result<()> {
    sql.run(
        "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL",
        &values![at, session, user],
    )?;
    // Unless the same device has logged in again since: it belongs to that session by now.
    sql.run(
        "DELETE FROM devices WHERE user_id = $1
             AND id IN (SELECT device_id FROM sessions WHERE id = $2 AND user_id = $1)
             AND NOT EXISTS (SELECT 1 FROM sessions AS s
                 WHERE s.user_id = $1 AND s.device_id = devices.id AND s.id > $2)",
        &values![user, session],
    )
}
