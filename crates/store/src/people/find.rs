//! Queries on logins, their sessions and devices.
//!
//! Not here: whether a login may use a session. Invariant: an address is looked up in its stored
//! form.

use super::{Audience, Device, DeviceMark, Login, Session, SessionHolder, UserHolder};
use crate::accounts::{self, User};
use crate::backend::{Columns, FromRow, Sql, all, columns, first, from_row, values};
use crate::fault::{Fault, Result};
use crate::read::words;
use domain::ids::{SessionId, UserId};
use domain::{Account, AccountId, Timestamp};
use std::time::Duration;

/// A device that was not seen for so long is no longer a known device.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

columns! {
    Session: id, user, account, environment, opened_at, ends_at, revoked_at, audience, proved_at
}
columns! {
    Login: is_active, email, name, role, language, is_confirmed by is_there, has_second_factor
}
columns! {
    User: id, account, email, mobile, name, role, password_hash, is_active, created_at,
    confirmed_at, language
}
columns!(Device: id, user, mark, sealed);
words!(Audience "audience");

fn is_there(columns: &mut Columns<'_>) -> Result<bool> {
    Ok(Option::<i64>::read(columns)?.is_some())
}

/// A session, ended or not, with its login's state and its account.
pub(crate) fn session(sql: &mut dyn Sql, id: SessionId) -> Result<Option<SessionHolder>> {
    let found: Option<(Session, Login)> = first(
        sql,
        "SELECT s.id, s.user_id, s.account_id, s.environment, s.opened_at, s.ends_at, s.revoked_at,
             s.door, s.proved_at, u.is_active, u.email, u.name, u.role, u.language,
             u.confirmed_at, (SELECT count(*) FROM second_factors AS f
                 WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
         FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = $1",
        &values![id],
        from_row,
    )?;
    let Some((session, login)) = found else { return Ok(None) };
    let account = account_of(sql, session.account, session.user)?;
    Ok(Some(SessionHolder { session, login, account }))
}

macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, email, mobile, name, role, password_hash, is_active, created_at,
                 confirmed_at, language FROM users ",
            $rest
        )
    };
}

/// A login by its address in its stored form: trimmed, in small letters.
pub(crate) fn by_email(sql: &mut dyn Sql, email: &str) -> Result<Option<UserHolder>> {
    let found = first(sql, select_users!("WHERE email = $1"), &values![email], from_row)?;
    with_account(sql, found)
}

/// A login.
pub(crate) fn by_id(sql: &mut dyn Sql, id: UserId) -> Result<Option<UserHolder>> {
    let found = first(sql, select_users!("WHERE id = $1"), &values![id], from_row)?;
    with_account(sql, found)
}

/// The logins of an account, oldest first.
pub(crate) fn of_account(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<User>> {
    all(sql, select_users!("WHERE account_id = $1 ORDER BY id"), &values![account], from_row)
}

/// Every login, oldest first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<User>> {
    all(sql, select_users!("ORDER BY id"), &[], from_row)
}

fn with_account(sql: &mut dyn Sql, user: Option<User>) -> Result<Option<UserHolder>> {
    let Some(user) = user else { return Ok(None) };
    let account = account_of(sql, user.account, user.id)?;
    Ok(Some(UserHolder { user, account }))
}

fn account_of(sql: &mut dyn Sql, account: AccountId, user: UserId) -> Result<Account> {
    accounts::by_id(sql, account)?
        .ok_or_else(|| Fault::corrupt(format!("user {user} belongs to nobody")))
}

/// Whether this is a known device of the address's login. It is one query whether the address has a
/// login or not, so that its time does not reveal which.
pub(crate) fn known_device(
    sql: &mut dyn Sql,
    email: &str,
    mark: &DeviceMark,
    now: Timestamp,
) -> Result<bool> {
    let known = first(
        sql,
        "SELECT p.seen_at FROM users AS u JOIN places AS p ON p.user_id = u.id
         WHERE u.email = $1 AND p.mark = $2 AND p.seen_at >= $3",
        &values![email, mark, now.before(KNOWN_FOR)],
        |row| row.int(0),
    )?;
    Ok(known.is_some())
}

/// The devices of an account.
pub(crate) fn devices_of(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<Device>> {
    let of = "SELECT id, user_id, mark, sealed FROM devices WHERE account_id = $1 ORDER BY id";
    all(sql, of, &values![account], from_row)
}
