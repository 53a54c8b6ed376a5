//! What the pages change of logins: sign-ups of merchants, codes of mails, second factors.
//!
//! Invariants: an address has one login that it can log in with; a code of a mail and a recovery
//! code are used once, a time step of a second factor too. Each is checked in the commit itself.

use super::find::by_email;
use super::{CodeDigest, LoginDone, write};
use crate::accounts::{self, User};
use crate::backend::{Sql, all, columns, first, from_row, number, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::read::words;
use crate::settings::Setting;
use domain::ids::{SessionId, UserId};
use domain::{Account, AccountId, Timestamp};
use std::time::Duration;

/// Codes of mails are kept this long after they expired.
const CODES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a code of a mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailCodePurpose {
    /// Confirms the address.
    Confirm,
    /// Joins an account with a role.
    Join,
    /// Makes the first owner of the staff.
    FirstOwner,
}

domain::codes! {
    MailCodePurpose {
        Confirm => "confirm",
        Join => "join",
        FirstOwner => "first_owner",
    }
}
words!(MailCodePurpose "purpose of a code");

/// A code that a mail carries, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailCode {
    /// Its digest, which only the vault can compute.
    pub digest: CodeDigest,
    /// What it is for.
    pub purpose: MailCodePurpose,
    /// The address that it is sent to; empty for the first owner's.
    pub email: String,
    /// The account that it is about.
    pub account: AccountId,
    /// The role of who joins.
    pub role: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

columns!(MailCode: digest, purpose, email, account, role, made_at, expires_at);

/// Opens a merchant's account with its first login, in one commit. If the address has a login
/// already, the new one gets an address that nobody can log in with.
#[derive(Clone, Debug)]
pub struct OpenMerchant {
    /// The account.
    pub account: Account,
    /// Its first login.
    pub user: User,
    /// Its wallets, keys and endpoints.
    pub settings: Vec<Setting>,
    /// The code that confirms the address.
    pub code: MailCode,
}

/// Stores a code of a mail. Of a first owner's there is one.
#[derive(Clone, Debug)]
pub struct OfferMailCode(pub MailCode);

/// Takes a code of a mail back, by its account and address.
#[derive(Clone, Debug)]
pub struct WithdrawMailCode {
    /// The account.
    pub account: AccountId,
    /// The address.
    pub email: String,
    /// When it happens.
    pub at: Timestamp,
}

/// Confirms a login's address by a code.
#[derive(Clone, Debug)]
pub struct ConfirmEmail {
    /// The login.
    pub user: UserId,
    /// The code's digest.
    pub digest: CodeDigest,
    /// When it happens.
    pub at: Timestamp,
}

/// Makes a login by a code: the code says for which account and with which role.
#[derive(Clone, Debug)]
pub struct JoinAccount {
    /// The code's digest.
    pub digest: CodeDigest,
    /// The login; its account and role are the code's.
    pub user: User,
}

/// The end of [`JoinAccount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinDone {
    /// The login is made.
    Written,
    /// The code is used, expired or unknown.
    CodeWrong,
    /// The address has a login.
    EmailTaken,
}

/// Gives a login another role, and ends its sessions; nothing happens if its account would be left
/// without an active owner.
#[derive(Clone, Debug)]
pub struct SetRole {
    /// The login.
    pub user: UserId,
    /// The role.
    pub role: String,
    /// When it happens.
    pub at: Timestamp,
}

/// Notes that a session has shown its second factor, or its password where there is none.
#[derive(Clone, Copy, Debug)]
pub struct ProveSession {
    /// The session.
    pub session: SessionId,
    /// When it happens.
    pub at: Timestamp,
}

/// A second factor, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// Its secret, sealed for its login.
    pub sealed: Vec<u8>,
    /// The last time step that was used.
    pub last_step: i64,
    /// Whether it counts.
    pub is_confirmed: bool,
}

columns!(SecondFactor: sealed, last_step, is_confirmed);

/// Stores a second factor that does not count yet, in place of one that does not count.
#[derive(Clone, Debug)]
pub struct OfferFactor {
    /// The login.
    pub user: UserId,
    /// Its secret, sealed for its login.
    pub sealed: Vec<u8>,
    /// When it happens.
    pub at: Timestamp,
}

/// Makes a second factor count by its first code, with new recovery codes.
#[derive(Clone, Debug)]
pub struct ConfirmFactor {
    /// The login.
    pub user: UserId,
    /// The time step of the code.
    pub step: i64,
    /// The digests of its recovery codes.
    pub recovery: Vec<CodeDigest>,
    /// When it happens.
    pub at: Timestamp,
}

/// Uses a time step of a second factor, or a recovery code.
#[derive(Clone, Copy, Debug)]
pub struct UseFactor {
    /// The login.
    pub user: UserId,
    /// The time step; none: the recovery code.
    pub step: Option<i64>,
    /// The digest of the recovery code.
    pub recovery: CodeDigest,
    /// When it happens.
    pub at: Timestamp,
}

/// Removes a second factor with its recovery codes.
#[derive(Clone, Copy, Debug)]
pub struct RemoveFactor(pub UserId);

unrefused!(OpenMerchant, bool, |change, tx| open_merchant(tx.sql, change));

unrefused!(OfferMailCode, (), |change, tx| offer(tx.sql, &change.0));

unrefused!(WithdrawMailCode, (), |change, tx| tx.sql.run(
    "UPDATE mail_codes SET used_at = $1 WHERE account_id = $2 AND email = $3 AND used_at IS NULL",
    &values![change.at, change.account, &change.email]
));

unrefused!(ConfirmEmail, LoginDone, |change, tx| {
    let Some(code) = use_code(tx.sql, &change.digest, MailCodePurpose::Confirm, change.at)? else {
        return Ok(LoginDone::Moved);
    };
    let set = tx.sql.execute(
        "UPDATE users SET confirmed_at = $1 WHERE id = $2 AND email = $3",
        &values![change.at, change.user, &code.email],
    )?;
    Ok(LoginDone::of(set))
});

unrefused!(JoinAccount, JoinDone, |change, tx| join(tx.sql, change));

unrefused!(SetRole, LoginDone, |change, tx| {
    let set = tx.sql.execute(
        "UPDATE users SET role = $1 WHERE id = $2 AND ($3 = 'owner' OR role <> 'owner' OR EXISTS (
             SELECT 1 FROM users AS o WHERE o.account_id = users.account_id AND o.id <> users.id
                 AND o.role = 'owner' AND o.is_active = 1))",
        &values![&change.role, change.user, &change.role],
    )?;
    write::end_if(tx.sql, set, change.user, change.at)
});

unrefused!(ProveSession, (), |change, tx| tx.sql.run(
    "UPDATE sessions SET proved_at = $1 WHERE id = $2 AND revoked_at IS NULL",
    &values![change.at, change.session]
));

unrefused!(OfferFactor, LoginDone, |change, tx| {
    let set = tx.sql.execute(
        "INSERT INTO second_factors (user_id, kind, sealed, last_step, made_at)
         VALUES ($1, 'totp', $2, 0, $3)
         ON CONFLICT (user_id, kind) DO UPDATE SET sealed = excluded.sealed, last_step = 0,
             made_at = excluded.made_at WHERE second_factors.confirmed_at IS NULL",
        &values![change.user, &change.sealed, change.at],
    )?;
    Ok(LoginDone::of(set))
});

unrefused!(ConfirmFactor, LoginDone, |change, tx| confirm_factor(tx.sql, change));

unrefused!(UseFactor, LoginDone, |change, tx| {
    let used = match change.step {
        Some(step) => tx.sql.execute(
            "UPDATE second_factors SET last_step = $1
             WHERE user_id = $2 AND kind = 'totp' AND last_step < $1 AND confirmed_at IS NOT NULL",
            &values![step, change.user],
        )?,
        None => tx.sql.execute(
            "UPDATE recovery_codes SET used_at = $1
             WHERE user_id = $2 AND digest = $3 AND used_at IS NULL",
            &values![change.at, change.user, &change.recovery],
        )?,
    };
    Ok(LoginDone::of(used))
});

unrefused!(RemoveFactor, (), |change, tx| {
    tx.sql.run("DELETE FROM recovery_codes WHERE user_id = $1", &values![change.0])?;
    tx.sql.run("DELETE FROM second_factors WHERE user_id = $1", &values![change.0])
});

/// Answers whether the address had a login already.
fn open_merchant(sql: &mut dyn Sql, opened: &OpenMerchant) -> Result<bool> {
    let is_known = by_email(sql, &opened.user.email)?.is_some();
    accounts::set_account(sql, &opened.account)?;
    let mut user = opened.user.clone();
    if is_known {
        // A space is in no address.
        user.email = format!("{} {}", user.email, user.id);
    }
    accounts::set_user(sql, &user)?;
    opened.settings.iter().try_for_each(|setting| setting.write(sql))?;
    if !is_known {
        offer(sql, &opened.code)?;
    }
    Ok(is_known)
}

fn offer(sql: &mut dyn Sql, code: &MailCode) -> Result<()> {
    sql.execute(
        "DELETE FROM mail_codes WHERE expires_at < $1",
        &values![code.made_at.before(CODES_KEPT)],
    )?;
    if code.purpose == MailCodePurpose::FirstOwner {
        sql.execute("DELETE FROM mail_codes WHERE purpose = 'first_owner'", &[])?;
    }
    sql.run(
        "INSERT INTO mail_codes (digest, purpose, email, account_id, role, made_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &values![
            &code.digest,
            code.purpose.code(),
            &code.email,
            code.account,
            &code.role,
            code.made_at,
            code.expires_at
        ],
    )
}

/// What a code that is used up now was for.
struct UsedCode {
    email: String,
    account: AccountId,
    role: String,
}

columns!(UsedCode: email, account, role);

fn use_code(
    sql: &mut dyn Sql,
    digest: &CodeDigest,
    purpose: MailCodePurpose,
    at: Timestamp,
) -> Result<Option<UsedCode>> {
    let found = first(
        sql,
        "SELECT email, account_id, role FROM mail_codes
         WHERE digest = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3",
        &values![digest, purpose.code(), at],
        from_row,
    )?;
    if found.is_some() {
        sql.execute("UPDATE mail_codes SET used_at = $1 WHERE digest = $2", &values![at, digest])?;
    }
    Ok(found)
}

/// Uses a code of either kind that makes a login.
fn join(sql: &mut dyn Sql, change: &JoinAccount) -> Result<JoinDone> {
    let at = change.user.created_at;
    // Before the code is used: it is good for another address.
    if by_email(sql, &change.user.email)?.is_some() {
        return Ok(JoinDone::EmailTaken);
    }
    let joined = use_code(sql, &change.digest, MailCodePurpose::Join, at)?;
    let code = match joined {
        Some(code) if code.email == change.user.email => code,
        Some(_) => return Ok(JoinDone::CodeWrong),
        None => match use_code(sql, &change.digest, MailCodePurpose::FirstOwner, at)? {
            Some(code) => code,
            None => return Ok(JoinDone::CodeWrong),
        },
    };
    let user = User { account: code.account, role: code.role, ..change.user.clone() };
    accounts::set_user(sql, &user)?;
    Ok(JoinDone::Written)
}

fn confirm_factor(sql: &mut dyn Sql, change: &ConfirmFactor) -> Result<LoginDone> {
    let set = sql.execute(
        "UPDATE second_factors SET confirmed_at = $1, last_step = $2
         WHERE user_id = $3 AND kind = 'totp' AND confirmed_at IS NULL",
        &values![change.at, change.step, change.user],
    )?;
    if set == 0 {
        return Ok(LoginDone::Moved);
    }
    sql.run("DELETE FROM recovery_codes WHERE user_id = $1", &values![change.user])?;
    for digest in &change.recovery {
        sql.run(
            "INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)",
            &values![change.user, digest],
        )?;
    }
    Ok(LoginDone::Written)
}

/// A login's second factor, whether it counts yet or not.
pub(crate) fn factor_of(sql: &mut dyn Sql, user: UserId) -> Result<Option<SecondFactor>> {
    first(
        sql,
        "SELECT sealed, last_step, CASE WHEN confirmed_at IS NULL THEN 0 ELSE 1 END
         FROM second_factors WHERE user_id = $1 AND kind = 'totp'",
        &values![user],
        from_row,
    )
}

/// The recovery codes of a login that are not used yet.
pub(crate) fn recovery_left(sql: &mut dyn Sql, user: UserId) -> Result<i64> {
    let left = "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL";
    number(sql, left, &values![user])
}

/// The codes of an account that wait to be used, for people to join it.
pub(crate) fn invitations(
    sql: &mut dyn Sql,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<MailCode>> {
    all(
        sql,
        "SELECT digest, purpose, email, account_id, role, made_at, expires_at FROM mail_codes
         WHERE account_id = $1 AND expires_at > $2 AND used_at IS NULL AND purpose = 'join'
         ORDER BY made_at",
        &values![account, now],
        from_row,
    )
}

/// A session as its owner's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    /// Its id.
    pub id: SessionId,
    /// Where it is valid.
    pub audience: super::Audience,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The browser, as it named itself.
    pub agent: String,
    /// The client's address.
    pub address: String,
}

columns!(ListedSession: id, audience, opened_at, ends_at, agent, address);

/// The open sessions of a login, newest first.
pub(crate) fn open_sessions(
    sql: &mut dyn Sql,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<ListedSession>> {
    all(
        sql,
        "SELECT id, door, opened_at, ends_at, coalesce(agent, ''), coalesce(address, '')
         FROM sessions
         WHERE user_id = $1 AND revoked_at IS NULL AND ends_at > $2 ORDER BY id DESC",
        &values![user, now],
        from_row,
    )
}
