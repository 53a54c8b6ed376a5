//! Queries on logins, their sessions and devices.
//!
//! Not here: whether a login may use a session. Invariant: an address is looked up in its stored
//! form.

use super::{Audience, Device, DeviceMark, Login, Session, SessionHolder, UserHolder};
use crate::accounts::{self, User};
use crate::backend::{Row, Sql, all, first, values};
use crate::fault::{Fault, Result};
use crate::read;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::{Account, AccountId, Timestamp};
use std::time::Duration;

/// A device that was not seen for so long is no longer a known device.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// A session, ended or not, with its login's state and its account.
pub(crate) fn session(sql: &mut dyn Sql, id: SessionId) -> Result<Option<SessionHolder>> {
    let found = first(
        sql,
        "SELECT s.id, s.user_id, s.account_id, s.environment, s.opened_at, s.ends_at, s.revoked_at,
             s.door, s.proved_at, u.is_active, u.email, u.name, u.role, u.language,
             u.confirmed_at, (SELECT count(*) FROM second_factors AS f
                 WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
         FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = $1",
        &values![id],
        |row| {
            let session = Session {
                id: SessionId(row.int(0)?),
                user: UserId(row.int(1)?),
                account: AccountId(row.int(2)?),
                environment: read::environment(row.text(3)?)?,
                opened_at: Timestamp(row.int(4)?),
                ends_at: Timestamp(row.int(5)?),
                revoked_at: row.opt_int(6)?.map(Timestamp),
                audience: audience(row.text(7)?)?,
                proved_at: row.opt_int(8)?.map(Timestamp),
            };
            let login = Login {
                is_active: row.bool(9)?,
                email: row.text(10)?.to_owned(),
                name: row.opt_text(11)?.map(str::to_owned),
                role: row.text(12)?.to_owned(),
                language: row.text(13)?.to_owned(),
                is_confirmed: row.opt_int(14)?.is_some(),
                has_second_factor: row.int(15)? > 0,
            };
            Ok((session, login))
        },
    )?;
    let Some((session, login)) = found else { return Ok(None) };
    let account = account_of(sql, session.account, session.user)?;
    Ok(Some(SessionHolder { session, login, account }))
}

pub(super) fn audience(text: &str) -> Result<Audience> {
    Audience::from_code(text).ok_or_else(|| Fault::corrupt(format!("audience {text:?}")))
}

/// Columns of [`user`], in its order.
macro_rules! user_columns {
    () => {
        "id, account_id, email, mobile, name, role, password_hash, is_active, created_at, \
         confirmed_at, language"
    };
}

/// A login by its address in its stored form: trimmed, in small letters.
pub(crate) fn by_email(sql: &mut dyn Sql, email: &str) -> Result<Option<UserHolder>> {
    let select = concat!("SELECT ", user_columns!(), " FROM users WHERE email = $1");
    let found = first(sql, select, &values![email], user)?;
    with_account(sql, found)
}

/// A login.
pub(crate) fn by_id(sql: &mut dyn Sql, id: UserId) -> Result<Option<UserHolder>> {
    let select = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
    let found = first(sql, select, &values![id], user)?;
    with_account(sql, found)
}

/// The logins of an account, oldest first.
pub(crate) fn of_account(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<User>> {
    let select =
        concat!("SELECT ", user_columns!(), " FROM users WHERE account_id = $1 ORDER BY id");
    all(sql, select, &values![account], user)
}

/// Every login, oldest first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<User>> {
    all(sql, concat!("SELECT ", user_columns!(), " FROM users ORDER BY id"), &[], user)
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

fn user(row: &dyn Row) -> Result<User> {
    Ok(User {
        id: UserId(row.int(0)?),
        account: AccountId(row.int(1)?),
        email: row.text(2)?.to_owned(),
        mobile: row.opt_text(3)?.map(str::to_owned),
        name: row.opt_text(4)?.map(str::to_owned),
        role: row.text(5)?.to_owned(),
        password_hash: row.text(6)?.to_owned(),
        is_active: row.bool(7)?,
        created_at: Timestamp(row.int(8)?),
        confirmed_at: row.opt_int(9)?.map(Timestamp),
        language: row.text(10)?.to_owned(),
    })
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
    all(
        sql,
        "SELECT id, user_id, mark, sealed FROM devices WHERE account_id = $1 ORDER BY id",
        &values![account],
        |row| {
            Ok(Device {
                id: DeviceId(row.int(0)?),
                user: UserId(row.int(1)?),
                mark: mark(row.bytes(2)?)?,
                sealed: row.bytes(3)?.to_vec(),
            })
        },
    )
}

fn mark(bytes: &[u8]) -> Result<DeviceMark> {
    bytes.try_into().map_err(|_| Fault::corrupt("a mark has 32 bytes"))
}
