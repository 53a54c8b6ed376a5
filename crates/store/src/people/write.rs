//! What happens to logins, written.
//!
//! Invariants: a code is used once and tried fifty times at most, an address is one login's, and a
//! session opens only on the password that was verified; each is judged in the commit itself, so
//! that a race has one winner.

use super::find::{PLACES_FOR, by_email};
use super::{
    Code, DeviceMark, Entry, NewDevice, Pending, PeopleChange, PeopleDone, Purpose, Session,
    SignUp, Typed,
};
use crate::accounts;
use crate::backend::{Row, Sql, Value, first};
use crate::change::User;
use crate::fault::Fault;
use domain::account::{Account, AccountId, Environment, Role};
use domain::clock::Timestamp;
use domain::ids::{DeviceId, SessionId, UserId};
use std::time::Duration;

/// Wrong tries that a code survives, wherever they come from; its column's CHECK says the same. Ten
/// times what one place is let try, so that a stranger does not use up another's.
const TRIES_MAX: i64 = 50;
/// Codes of a purpose and an address that count: who asks in between voids nobody's.
const CODES_OF_ONE_MAX: i64 = 3;
/// Codes of all, half a kilobyte each: anybody can ask for some, so the oldest go.
const CODES_MAX: i64 = 100_000;
/// Devices of a login that are told things; the longest unseen goes.
const DEVICES_MAX: i64 = 10;
/// Places that are known of a login.
const PLACES_MAX: i64 = 20;
/// A code is kept this long after it expired, so that it can be told what became of it.
const CODES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Writes one change.
pub(crate) fn write(sql: &mut dyn Sql, change: &PeopleChange) -> Result<PeopleDone, Fault> {
    match change {
        PeopleChange::OfferCode(code) => offer_code(sql, code),
        PeopleChange::SignUp(sign_up) => confirm(sql, sign_up),
        PeopleChange::Reset { typed, password_hash } => reset(sql, typed, password_hash),
        PeopleChange::LogIn(entry) => log_in(sql, entry),
        PeopleChange::SetPassword { user, was, password_hash, at } => {
            let set = sql.execute(
                "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 AND is_active = 1",
                &[password_hash.into(), user.0.into(), was.into()],
            )?;
            end_if(sql, set, *user, *at)
        }
        PeopleChange::LogOut { user, session: None, at } => end_all(sql, *user, *at),
        PeopleChange::LogOut { user, session: Some(session), at } => {
            end_one(sql, *user, *session, *at)
        }
        PeopleChange::SetActive { user, is_active, at } => {
            let set = sql.execute(
                "UPDATE users SET is_active = $1 WHERE id = $2",
                &[(*is_active).into(), user.0.into()],
            )?;
            end_if(sql, set, *user, *at)
        }
        PeopleChange::ForgetDevice(device) => {
            sql.execute("DELETE FROM devices WHERE id = $1", &[device.0.into()])?;
            Ok(PeopleDone::Yes)
        }
    }
}

fn offer_code(sql: &mut dyn Sql, code: &Code) -> Result<PeopleDone, Fault> {
    let purpose = if code.pending.is_some() { Purpose::SignUp } else { Purpose::Reset };
    let pending = code.pending.as_ref();
    ensure_partitions(sql, purpose, code)?;
    sql.execute(
        "INSERT INTO codes (purpose, email, digest, name, mobile, password_hash, made_at, expires_at, tries)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
         ON CONFLICT (purpose, email, digest) DO UPDATE SET name = excluded.name, mobile = excluded.mobile,
             password_hash = excluded.password_hash, made_at = excluded.made_at, expires_at = excluded.expires_at,
             tries = 0, used_at = NULL",
        &[
            purpose.code().into(),
            (&code.email).into(),
            (&code.digest).into(),
            pending.map(|p| &p.name).into(),
            pending.and_then(|p| p.mobile.as_ref()).into(),
            pending.map(|p| &p.password_hash).into(),
            code.made_at.0.into(),
            code.expires_at.0.into(),
        ],
    )?;
    Ok(PeopleDone::Yes)
}

/// Before one more: what is long past goes, then the oldest, of this address and of all.
fn ensure_partitions(sql: &mut dyn Sql, purpose: Purpose, code: &Code) -> Result<(), Fault> {
    sql.execute(
        "DELETE FROM codes WHERE expires_at < $1",
        &[code.made_at.before(CODES_KEPT).0.into()],
    )?;
    sql.execute(
        "DELETE FROM codes WHERE purpose = $1 AND email = $2 AND digest NOT IN
             (SELECT digest FROM codes WHERE purpose = $1 AND email = $2 ORDER BY made_at DESC, digest LIMIT $3)",
        &[purpose.code().into(), (&code.email).into(), (CODES_OF_ONE_MAX - 1).into()],
    )?;
    // Along an index: a millisecond when the table is full, nothing else.
    sql.execute(
        "DELETE FROM codes WHERE made_at <= (SELECT made_at FROM codes ORDER BY made_at DESC LIMIT 1 OFFSET $1)",
        &[(CODES_MAX - 1).into()],
    )?;
    Ok(())
}

/// Uses a code up, and with it all that count beside it, and gives what waited for it; `None`, and
/// the try is counted for each of them, if it is wrong.
fn use_code(
    sql: &mut dyn Sql,
    purpose: Purpose,
    typed: &Typed,
) -> Result<Option<Option<Pending>>, Fault> {
    let pending = first(
        sql,
        "SELECT name, mobile, password_hash FROM codes
         WHERE purpose = $1 AND email = $2 AND digest = $3 AND used_at IS NULL AND tries < $4 AND expires_at > $5",
        &[
            purpose.code().into(),
            (&typed.email).into(),
            (&typed.digest).into(),
            TRIES_MAX.into(),
            typed.at.0.into(),
        ],
        pending,
    )?;
    match pending {
        Some(_) => sql.execute(
            "UPDATE codes SET used_at = $1, name = NULL, mobile = NULL, password_hash = NULL WHERE purpose = $2 AND email = $3",
            &[typed.at.0.into(), purpose.code().into(), (&typed.email).into()],
        )?,
        // A used one too: a try must not take longer where there is nothing to be found any more.
        None => sql.execute(
            "UPDATE codes SET tries = tries + 1 WHERE purpose = $1 AND email = $2 AND tries < $3",
            &[purpose.code().into(), (&typed.email).into(), TRIES_MAX.into()],
        )?,
    };
    Ok(pending)
}

fn pending(row: &dyn Row) -> Result<Option<Pending>, Fault> {
    let Some(password_hash) = row.opt_text(2)? else { return Ok(None) };
    Ok(Some(Pending {
        name: row.opt_text(0)?.unwrap_or_default().to_owned(),
        mobile: row.opt_text(1)?.map(str::to_owned),
        password_hash: password_hash.to_owned(),
    }))
}

/// Account, wallets and login, as a set-up makes them.
fn confirm(sql: &mut dyn Sql, sign_up: &SignUp) -> Result<PeopleDone, Fault> {
    let SignUp { typed, account: id, user, currencies } = sign_up;
    let Some(Some(pending)) = use_code(sql, Purpose::SignUp, typed)? else {
        return Ok(PeopleDone::CodeWrong);
    };
    if by_email(sql, &typed.email)?.is_some() {
        return Ok(PeopleDone::EmailMoved);
    }
    // After this point the sign-up is admitted: nothing below may refuse.
    let account = Account {
        id: *id,
        role: Role::Customer,
        name: pending.name.clone(),
        is_active: true,
        subscription: None,
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
    };
    accounts::set_user(sql, &user)?;
    Ok(PeopleDone::Yes)
}

fn reset(sql: &mut dyn Sql, typed: &Typed, password_hash: &str) -> Result<PeopleDone, Fault> {
    if use_code(sql, Purpose::Reset, typed)?.is_none() {
        return Ok(PeopleDone::CodeWrong);
    }
    let Some(holder) = by_email(sql, &typed.email)? else { return Ok(PeopleDone::EmailMoved) };
    let user = holder.user.id;
    sql.execute(
        "UPDATE users SET password_hash = $1 WHERE id = $2",
        &[password_hash.into(), user.0.into()],
    )?;
    end_all(sql, user, typed.at)
}

fn log_in(sql: &mut dyn Sql, entry: &Entry) -> Result<PeopleDone, Fault> {
    let Session { id, user, account, environment, opened_at, ends_at, revoked_at: _ } =
        entry.session;
    let hash = entry.rehashed.as_ref().unwrap_or(&entry.verified);
    let still = sql.execute(
        "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 AND is_active = 1",
        &[hash.into(), user.0.into(), (&entry.verified).into()],
    )?;
    if still == 0 {
        return Ok(PeopleDone::Moved);
    }
    // After this point the log-in is admitted: nothing below may refuse.
    let device = match &entry.device {
        Some(device) => Some(set_device(sql, (user, account), device, opened_at)?),
        None => None,
    };
    sql.execute(
        "INSERT INTO sessions (id, account_id, user_id, environment, device_id, opened_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            id.0.into(),
            account.0.into(),
            user.0.into(),
            environment.code().into(),
            device.map(|id| id.0).into(),
            opened_at.0.into(),
            ends_at.0.into(),
        ],
    )?;
    // Those that are still on are as many as log-ins are let through in their hour.
    sql.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND (ends_at <= $2 OR revoked_at IS NOT NULL)",
        &[user.0.into(), opened_at.0.into()],
    )?;
    if let Some(mark) = &entry.place {
        know(sql, (user, account), mark, opened_at)?;
    }
    Ok(PeopleDone::Yes)
}

/// A device is one login's: on a phone that changed hands, the one who had it is told nothing more.
/// One that its login has already stays the same one, because pushes wait for it by its number.
fn set_device(
    sql: &mut dyn Sql,
    (user, account): (UserId, AccountId),
    device: &NewDevice,
    at: Timestamp,
) -> Result<DeviceId, Fault> {
    sql.execute(
        "DELETE FROM devices WHERE mark = $1 AND user_id <> $2",
        &[(&device.mark).into(), user.0.into()],
    )?;
    sql.execute(
        "INSERT INTO devices (id, account_id, user_id, mark, sealed, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, mark) DO UPDATE SET sealed = excluded.sealed, seen_at = excluded.seen_at",
        &[
            device.id.0.into(),
            account.0.into(),
            user.0.into(),
            (&device.mark).into(),
            Value::Bytes(&device.sealed),
            at.0.into(),
        ],
    )?;
    sql.execute(
        "DELETE FROM devices WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM devices WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
        &[user.0.into(), DEVICES_MAX.into()],
    )?;
    let kept = first(
        sql,
        "SELECT id FROM devices WHERE user_id = $1 AND mark = $2",
        &[user.0.into(), (&device.mark).into()],
        |row| row.int(0),
    )?;
    // Ten were seen later than now only if a clock was put back; then there is no such device.
    Ok(kept.map_or(device.id, DeviceId))
}

/// Remembers where a login is at home, and forgets what is long past.
fn know(
    sql: &mut dyn Sql,
    (user, account): (UserId, AccountId),
    mark: &DeviceMark,
    at: Timestamp,
) -> Result<(), Fault> {
    sql.execute(
        "INSERT INTO places (user_id, account_id, mark, seen_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id, account_id, mark) DO UPDATE SET seen_at = excluded.seen_at",
        &[user.0.into(), account.0.into(), mark.into(), at.0.into()],
    )?;
    sql.execute(
        "DELETE FROM places WHERE user_id = $1 AND (seen_at < $2 OR mark NOT IN
             (SELECT mark FROM places WHERE user_id = $1 ORDER BY seen_at DESC, mark LIMIT $3))",
        &[user.0.into(), at.before(PLACES_FOR).0.into(), PLACES_MAX.into()],
    )?;
    Ok(())
}

fn end_if(
    sql: &mut dyn Sql,
    changed: usize,
    user: UserId,
    at: Timestamp,
) -> Result<PeopleDone, Fault> {
    if changed == 0 { Ok(PeopleDone::Moved) } else { end_all(sql, user, at) }
}

fn end_all(sql: &mut dyn Sql, user: UserId, at: Timestamp) -> Result<PeopleDone, Fault> {
    sql.execute(
        "UPDATE sessions SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL",
        &[at.0.into(), user.0.into()],
    )?;
    sql.execute("DELETE FROM devices WHERE user_id = $1", &[user.0.into()])?;
    Ok(PeopleDone::Yes)
}

fn end_one(
    sql: &mut dyn Sql,
    user: UserId,
    session: SessionId,
    at: Timestamp,
) -> Result<PeopleDone, Fault> {
    sql.execute(
        "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL",
        &[at.0.into(), session.0.into(), user.0.into()],
    )?;
    // Not if the same device has come in anew since: it is that session's by now.
    sql.execute(
        "DELETE FROM devices WHERE user_id = $1 AND id IN (SELECT device_id FROM sessions WHERE id = $2 AND user_id = $1)
             AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.user_id = $1 AND s.device_id = devices.id AND s.id > $2)",
        &[user.0.into(), session.0.into()],
    )?;
    Ok(PeopleDone::Yes)
}
