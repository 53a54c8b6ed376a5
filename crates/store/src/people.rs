//! The logins of consumers: sessions, devices, known places, one-time codes. Rows in, rows out.
//!
//! Not here: passwords, tokens, what a code looks like (the engine's). Invariants: a code is used
//! once and tried five times at most, an address is one login's, and a session opens only on the
//! password that was verified; each is judged in the commit itself, so that a race has one winner.

use crate::accounts;
use crate::backend::{Row, Sql, Value, all, first};
use crate::change::User;
use crate::fault::Fault;
use crate::read;
use domain::account::{Account, AccountId, Environment, Role};
use domain::clock::Timestamp;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::money::Currency;
use std::time::Duration;

/// Wrong tries that a code survives; its column's CHECK says the same.
const TRIES_MOST: i64 = 5;
/// Sessions kept of a login, open and ended: more than a person has devices.
const SESSIONS_MOST: i64 = 50;
/// Devices of a login that are told things; the longest unseen goes.
const DEVICES_MOST: i64 = 10;
/// Places that are known of a login.
const PLACES_MOST: i64 = 20;
/// A place that was not seen for so long is strange again.
const PLACES_FOR: Duration = Duration::from_secs(90 * 24 * 3600);
/// A code is kept this long after it expired, so that it can be told what became of it.
const CODES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A digest that only the vault can make: of a code, of a place.
pub type Mark = [u8; 32];

/// What happens to logins.
#[derive(Clone, Debug)]
pub enum PeopleChange {
    /// A code was made; it replaces an older one of its purpose and address.
    OfferCode(Box<Code>),
    /// Opens the account and the login that a code waits with, and uses the code up.
    SignUp(Box<SignUp>),
    /// Sets the password by a code, uses the code up and ends every session.
    Reset {
        /// The code that was typed, and by whom.
        typed: Typed,
        /// The new password, hashed.
        password_hash: String,
    },
    /// Opens a session.
    LogIn(Box<Entry>),
    /// Sets the password and ends every session; nothing happens if it is not `was` any more.
    SetPassword {
        /// Whose.
        user: UserId,
        /// The hash that was verified.
        was: String,
        /// The new one.
        password_hash: String,
        /// When.
        at: Timestamp,
    },
    /// Ends one session, or all of a login; the devices that came with them are forgotten.
    LogOut {
        /// Whose.
        user: UserId,
        /// Which; none for all.
        session: Option<SessionId>,
        /// When.
        at: Timestamp,
    },
    /// Lets a login in, or not; either way its sessions end.
    SetActive {
        /// Whose.
        user: UserId,
        /// Whether it may come in.
        is_active: bool,
        /// When.
        at: Timestamp,
    },
    /// Forgets a device, which cannot be told things any more.
    ForgetDevice(DeviceId),
}

/// What became of a change of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleDone {
    /// It is done.
    Yes,
    /// The code is wrong, used, too old or tried too often; the try is counted.
    CodeWrong,
    /// The code was right, but its address has become somebody's, or is nobody's any more.
    EmailMoved,
    /// The login's password or standing has changed since it was looked at; nothing was done.
    Moved,
}

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opening an account.
    SignUp,
    /// Setting a new password.
    Reset,
}

impl Purpose {
    /// As stored: `sign_up`, `reset`.
    pub const fn code(self) -> &'static str {
        match self {
            Purpose::SignUp => "sign_up",
            Purpose::Reset => "reset",
        }
    }
}

/// A one-time code, as stored.
#[derive(Clone, Debug)]
pub struct Code {
    /// For which address.
    pub email: String,
    /// Its digest.
    pub digest: Mark,
    /// What waits for it: a sign-up; none for a reset.
    pub pending: Option<Pending>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// A sign-up that waits for its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How the person is called.
    pub name: String,
    /// In national form.
    pub mobile: Option<String>,
    /// The password, hashed.
    pub password_hash: String,
}

/// A code that somebody typed.
#[derive(Clone, Debug)]
pub struct Typed {
    /// For which address.
    pub email: String,
    /// Its digest.
    pub digest: Mark,
    /// The mark of where it was typed.
    pub place: Mark,
    /// When.
    pub at: Timestamp,
}

/// A sign-up that is confirmed.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The code.
    pub typed: Typed,
    /// The account that opens.
    pub account: AccountId,
    /// Its login.
    pub user: UserId,
    /// In what its wallets are, in each environment.
    pub currencies: Vec<Currency>,
}

/// A log-in whose password was verified.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What opens.
    pub session: Session,
    /// The hash that was verified: nothing opens if it is another by now.
    pub verified: String,
    /// The same password hashed with today's parameters, if the stored one is behind.
    pub rehashed: Option<String>,
    /// What it is told things on.
    pub device: Option<NewDevice>,
    /// The marks of where it logs in from.
    pub places: Vec<Mark>,
}

/// A device that comes with a log-in.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Which.
    pub id: DeviceId,
    /// The digest of its push token.
    pub mark: Mark,
    /// The push token, sealed for this id.
    pub sealed: Vec<u8>,
}

/// A session, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// Where.
    pub environment: Environment,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when, at the most.
    pub ends_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
}

/// A session with whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHolder {
    /// The session.
    pub session: Session,
    /// Whether its login may be in.
    pub is_user_active: bool,
    /// Its account.
    pub account: Account,
}

/// A login with its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHolder {
    /// The login.
    pub user: User,
    /// Its account.
    pub account: Account,
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// The push token, sealed for this id.
    pub sealed: Vec<u8>,
}

/// Writes one change.
pub(crate) fn write(sql: &mut dyn Sql, change: &PeopleChange) -> Result<PeopleDone, Fault> {
    match change {
        PeopleChange::OfferCode(code) => offer_code(sql, code),
        PeopleChange::SignUp(sign_up) => confirm(sql, sign_up),
        PeopleChange::Reset { typed, password_hash } => reset(sql, typed, password_hash),
        PeopleChange::LogIn(entry) => log_in(sql, entry),
        PeopleChange::SetPassword { user, was, password_hash, at } => {
            let set = sql.run(
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
            let set = sql.run(
                "UPDATE users SET is_active = $1 WHERE id = $2",
                &[(*is_active).into(), user.0.into()],
            )?;
            end_if(sql, set, *user, *at)
        }
        PeopleChange::ForgetDevice(device) => {
            sql.run("DELETE FROM devices WHERE id = $1", &[device.0.into()])?;
            Ok(PeopleDone::Yes)
        }
    }
}

fn offer_code(sql: &mut dyn Sql, code: &Code) -> Result<PeopleDone, Fault> {
    let purpose = if code.pending.is_some() { Purpose::SignUp } else { Purpose::Reset };
    let pending = code.pending.as_ref();
    sql.run(
        "DELETE FROM codes WHERE expires_at < $1",
        &[code.made_at.before(CODES_KEPT).0.into()],
    )?;
    sql.run(
        "INSERT INTO codes (purpose, email, digest, name, mobile, password_hash, made_at, expires_at, tries)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
         ON CONFLICT (purpose, email) DO UPDATE SET digest = excluded.digest, name = excluded.name, mobile = excluded.mobile,
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

/// Uses a code up and gives what waited for it; `None`, and the try is counted, if it is wrong.
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
            TRIES_MOST.into(),
            typed.at.0.into(),
        ],
        pending,
    )?;
    match pending {
        Some(_) => sql.run(
            "UPDATE codes SET used_at = $1, name = NULL, mobile = NULL, password_hash = NULL WHERE purpose = $2 AND email = $3",
            &[typed.at.0.into(), purpose.code().into(), (&typed.email).into()],
        )?,
        None => sql.run(
            "UPDATE codes SET tries = tries + 1 WHERE purpose = $1 AND email = $2 AND tries < $3 AND used_at IS NULL",
            &[purpose.code().into(), (&typed.email).into(), TRIES_MOST.into()],
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
    know(sql, (user.id, *id), &[typed.place], typed.at)?;
    Ok(PeopleDone::Yes)
}

fn reset(sql: &mut dyn Sql, typed: &Typed, password_hash: &str) -> Result<PeopleDone, Fault> {
    if use_code(sql, Purpose::Reset, typed)?.is_none() {
        return Ok(PeopleDone::CodeWrong);
    }
    let Some(holder) = by_email(sql, &typed.email)? else { return Ok(PeopleDone::EmailMoved) };
    let user = holder.user.id;
    sql.run(
        "UPDATE users SET password_hash = $1 WHERE id = $2",
        &[password_hash.into(), user.0.into()],
    )?;
    // Whoever reads the address's mail is at home here: a lock does not keep them out.
    know(sql, (user, holder.account.id), &[typed.place], typed.at)?;
    end_all(sql, user, typed.at)
}

fn log_in(sql: &mut dyn Sql, entry: &Entry) -> Result<PeopleDone, Fault> {
    let Session { id, user, account, environment, opened_at, ends_at, revoked_at: _ } =
        entry.session;
    let hash = entry.rehashed.as_ref().unwrap_or(&entry.verified);
    let still = sql.run(
        "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 AND is_active = 1",
        &[hash.into(), user.0.into(), (&entry.verified).into()],
    )?;
    if still == 0 {
        return Ok(PeopleDone::Moved);
    }
    // After this point the log-in is admitted: nothing below may refuse.
    let device = entry.device.as_ref();
    if let Some(device) = device {
        set_device(sql, (user, account), device, opened_at)?;
    }
    sql.run(
        "INSERT INTO sessions (id, account_id, user_id, environment, device_id, opened_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            id.0.into(),
            account.0.into(),
            user.0.into(),
            environment.code().into(),
            device.map(|d| d.id.0).into(),
            opened_at.0.into(),
            ends_at.0.into(),
        ],
    )?;
    sql.run(
        "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2)",
        &[user.0.into(), SESSIONS_MOST.into()],
    )?;
    know(sql, (user, account), &entry.places, opened_at)?;
    Ok(PeopleDone::Yes)
}

/// A device is one login's: on a phone that changed hands, the one who had it is told nothing more.
fn set_device(
    sql: &mut dyn Sql,
    (user, account): (UserId, AccountId),
    device: &NewDevice,
    at: Timestamp,
) -> Result<(), Fault> {
    sql.run(
        "DELETE FROM devices WHERE mark = $1 AND user_id <> $2",
        &[(&device.mark).into(), user.0.into()],
    )?;
    sql.run(
        "INSERT INTO devices (id, account_id, user_id, mark, sealed, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, mark) DO UPDATE SET id = excluded.id, sealed = excluded.sealed, seen_at = excluded.seen_at",
        &[
            device.id.0.into(),
            account.0.into(),
            user.0.into(),
            (&device.mark).into(),
            Value::Bytes(&device.sealed),
            at.0.into(),
        ],
    )?;
    sql.run(
        "DELETE FROM devices WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM devices WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
        &[user.0.into(), DEVICES_MOST.into()],
    )?;
    Ok(())
}

/// Remembers where a login is at home, and forgets what is long past.
fn know(
    sql: &mut dyn Sql,
    (user, account): (UserId, AccountId),
    marks: &[Mark],
    at: Timestamp,
) -> Result<(), Fault> {
    for mark in marks {
        sql.run(
            "INSERT INTO places (user_id, account_id, mark, seen_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user_id, account_id, mark) DO UPDATE SET seen_at = excluded.seen_at",
            &[user.0.into(), account.0.into(), mark.into(), at.0.into()],
        )?;
    }
    sql.run(
        "DELETE FROM places WHERE user_id = $1 AND (seen_at < $2 OR mark NOT IN
             (SELECT mark FROM places WHERE user_id = $1 ORDER BY seen_at DESC, mark LIMIT $3))",
        &[user.0.into(), at.before(PLACES_FOR).0.into(), PLACES_MOST.into()],
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
    sql.run(
        "UPDATE sessions SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL",
        &[at.0.into(), user.0.into()],
    )?;
    sql.run("DELETE FROM devices WHERE user_id = $1", &[user.0.into()])?;
    Ok(PeopleDone::Yes)
}

fn end_one(
    sql: &mut dyn Sql,
    user: UserId,
    session: SessionId,
    at: Timestamp,
) -> Result<PeopleDone, Fault> {
    sql.run(
        "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL",
        &[at.0.into(), session.0.into(), user.0.into()],
    )?;
    sql.run(
        "DELETE FROM devices WHERE user_id = $1 AND id IN (SELECT device_id FROM sessions WHERE id = $2 AND user_id = $1)",
        &[user.0.into(), session.0.into()],
    )?;
    Ok(PeopleDone::Yes)
}

/// A session, ended or not, with its login's standing and its account.
pub(crate) fn session(sql: &mut dyn Sql, id: SessionId) -> Result<Option<SessionHolder>, Fault> {
    let found = first(
        sql,
        "SELECT s.id, s.user_id, s.account_id, s.environment, s.opened_at, s.ends_at, s.revoked_at, u.is_active
         FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.id = $1",
        &[id.0.into()],
        |row| {
            let session = Session {
                id: SessionId(row.int(0)?),
                user: UserId(row.int(1)?),
                account: AccountId(row.int(2)?),
                environment: read::environment(row.text(3)?)?,
                opened_at: Timestamp(row.int(4)?),
                ends_at: Timestamp(row.int(5)?),
                revoked_at: row.opt_int(6)?.map(Timestamp),
            };
            Ok((session, row.bool(7)?))
        },
    )?;
    let Some((session, is_user_active)) = found else { return Ok(None) };
    let account = account_of(sql, session.account, session.user)?;
    Ok(Some(SessionHolder { session, is_user_active, account }))
}

/// Columns of [`user`], in its order.
macro_rules! user_columns {
    () => {
        "id, account_id, email, mobile, name, role, password_hash, is_active, created_at"
    };
}

/// A login by its address, as it is stored: without spaces around it, in small letters.
pub(crate) fn by_email(sql: &mut dyn Sql, email: &str) -> Result<Option<UserHolder>, Fault> {
    let select = concat!("SELECT ", user_columns!(), " FROM users WHERE email = $1");
    let found = first(sql, select, &[email.into()], user)?;
    with_account(sql, found)
}

/// A login.
pub(crate) fn by_id(sql: &mut dyn Sql, id: UserId) -> Result<Option<UserHolder>, Fault> {
    let select = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
    let found = first(sql, select, &[id.0.into()], user)?;
    with_account(sql, found)
}

/// Every login, oldest first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<User>, Fault> {
    all(sql, concat!("SELECT ", user_columns!(), " FROM users ORDER BY id"), &[], user)
}

fn with_account(sql: &mut dyn Sql, user: Option<User>) -> Result<Option<UserHolder>, Fault> {
    let Some(user) = user else { return Ok(None) };
    let account = account_of(sql, user.account, user.id)?;
    Ok(Some(UserHolder { user, account }))
}

fn account_of(sql: &mut dyn Sql, account: AccountId, user: UserId) -> Result<Account, Fault> {
    accounts::by_id(sql, account)?
        .ok_or_else(|| Fault::corrupt(format!("user {user} belongs to nobody")))
}

fn user(row: &dyn Row) -> Result<User, Fault> {
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
    })
}

/// The first of these marks that a login was seen at since `after`. One question for addresses that are
/// somebody's and those that are nobody's.
pub(crate) fn known_place(
    sql: &mut dyn Sql,
    email: &str,
    marks: &[Mark],
    now: Timestamp,
) -> Result<Option<Mark>, Fault> {
    for mark in marks {
        let known = first(
            sql,
            "SELECT p.seen_at FROM users AS u JOIN places AS p ON p.user_id = u.id WHERE u.email = $1 AND p.mark = $2 AND p.seen_at >= $3",
            &[email.into(), mark.into(), now.before(PLACES_FOR).0.into()],
            |row| row.int(0),
        )?;
        if known.is_some() {
            return Ok(Some(*mark));
        }
    }
    Ok(None)
}

/// The devices of an account.
pub(crate) fn devices_of(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<Device>, Fault> {
    all(
        sql,
        "SELECT id, user_id, sealed FROM devices WHERE account_id = $1 ORDER BY id",
        &[account.0.into()],
        |row| {
            Ok(Device {
                id: DeviceId(row.int(0)?),
                user: UserId(row.int(1)?),
                sealed: row.bytes(2)?.to_vec(),
            })
        },
    )
}
