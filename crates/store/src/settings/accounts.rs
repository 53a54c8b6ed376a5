//! Accounts, logins and keys: rows in, rows out.
//!
//! A login is written here and read in `people`, which knows its sessions and devices too. Of a
//! password or a secret key only a hash is stored.

use crate::backend::{Sql, WriteKey, all, columns, first, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::{Fault, Result};
use crate::ledger;
use crate::purchases::digest;
use crate::read::{self, to_json};
use crate::settings::catalog::notify_nodes;
use domain::ids::{KeyId, UserId};
use domain::{
    Account, AccountId, Currency, Environment, Key, LedgerAccount, Plan, Purpose, Timestamp,
};
use std::convert::Infallible;

/// A key pair with its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key pair, revoked or not.
    pub key: Key,
    /// The account that it belongs to, active or not.
    pub account: Account,
}

/// A login, as stored: the password's hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The address it logs in with: trimmed, in small letters.
    pub email: String,
    /// Its mobile number, in national form.
    pub mobile: Option<String>,
    /// The person's name.
    pub name: Option<String>,
    /// What it may do: `owner`, `operator`, `approver`, …
    pub role: String,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// Whether it may log in.
    pub is_active: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its address was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// The language of its mails and pages: `en`, `bn`.
    pub language: String,
}

/// Where calls a minute are not agreed, they are those of the plan's terms as they are now.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.role, a.name, a.is_active, a.plan,
                 CASE WHEN a.plan = 'enterprise' THEN a.per_minute
                     ELSE coalesce(p.per_minute, 0) END,
                 a.subscribed_until, a.opened_at, a.approved_at, a.subscribed_since, a.duplicates
             FROM accounts a LEFT JOIN plans p ON p.code = a.plan ",
            $rest
        )
    };
}

/// An account.
pub(crate) fn by_id(sql: &mut dyn Sql, id: AccountId) -> Result<Option<Account>> {
    first(sql, select_accounts!("WHERE a.id = $1"), &values![id], read::account)
}

/// Every account, oldest first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<Account>> {
    all(sql, select_accounts!("ORDER BY a.id"), &[], read::account)
}

macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, environment, open_key, secret_digest, secret_tail, allow_list,
                 revoked_at, scopes, expires_at, made_by FROM keys ",
            $rest
        )
    };
}

/// The pair of an open key, with its account; revoked ones too.
pub(crate) fn key_holder(sql: &mut dyn Sql, open_key: &str) -> Result<Option<KeyHolder>> {
    let key = first(sql, select_keys!("WHERE open_key = $1"), &values![open_key], from_row)?;
    let Some(key): Option<Key> = key else { return Ok(None) };
    let account = by_id(sql, key.account)?
        .ok_or_else(|| Fault::corrupt(format!("key {} belongs to nobody", key.id)))?;
    Ok(Some(KeyHolder { key, account }))
}

/// The key pairs of an account, oldest first.
pub(crate) fn keys_of(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<Key>> {
    all(sql, select_keys!("WHERE account_id = $1 ORDER BY id"), &values![account], from_row)
}

/// Inserts an account, or updates it.
pub(crate) fn set_account(sql: &mut dyn Sql, a: &Account) -> Result<()> {
    let plan = a.subscription.map(|s| s.plan);
    sql.run(
        "INSERT INTO accounts (id, role, name, is_active, plan, per_minute, subscribed_until,
             opened_at, approved_at, subscribed_since, duplicates)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE SET role = excluded.role, name = excluded.name,
             is_active = excluded.is_active, plan = excluded.plan, per_minute = excluded.per_minute,
             subscribed_until = excluded.subscribed_until, approved_at = excluded.approved_at,
             subscribed_since = excluded.subscribed_since, duplicates = excluded.duplicates",
        &values![
            a.id,
            a.role.code(),
            &a.name,
            a.is_active,
            plan.map(Plan::code),
            plan.map_or(0, Plan::per_minute),
            a.subscription.map(|s| s.until.0),
            a.opened_at,
            a.approved_at,
            a.subscription.map(|s| s.since.0),
            a.duplicates.code()
        ],
    )
}

/// Puts an account in the place of what was read of it. It answers whether that still was so;
/// otherwise nothing is written.
#[derive(Clone, Debug)]
pub struct ReviseAccount {
    /// As it was read.
    pub before: Account,
    /// As it shall be.
    pub after: Account,
}

unrefused!(ReviseAccount, bool, |change, tx| {
    if by_id(tx.sql, change.before.id)?.as_ref() != Some(&change.before) {
        return Ok(false);
    }
    set_account(tx.sql, &change.after)?;
    notify_nodes(tx.sql, "keys")?;
    Ok(true)
});

/// Inserts a login, or updates it; whose it is stays as it is.
pub(crate) fn set_user(sql: &mut dyn Sql, u: &User) -> Result<()> {
    let owner = digest::of(values![u.id, u.account, u.created_at].into_iter());
    sql.run(
        "INSERT INTO users (id, account_id, email, mobile, name, role, password_hash, is_active,
             created_at, confirmed_at, language, owner_digest)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET email = excluded.email, mobile = excluded.mobile,
             name = excluded.name, role = excluded.role, password_hash = excluded.password_hash,
             is_active = excluded.is_active, confirmed_at = excluded.confirmed_at,
             language = excluded.language",
        &values![
            u.id,
            u.account,
            &u.email,
            &u.mobile,
            &u.name,
            &u.role,
            &u.password_hash,
            u.is_active,
            u.created_at,
            u.confirmed_at,
            &u.language,
            &owner
        ],
    )
}

/// Inserts a key pair, or updates what limits it.
pub(crate) fn set_key(sql: &mut dyn Sql, k: &Key, created_at: Timestamp) -> Result<()> {
    let allow_list = to_json(&k.allow_list.lines())?;
    let scopes = match k.scopes.is_all() {
        true => None,
        false => Some(to_json(&k.scopes.codes())?),
    };
    sql.run(
        "INSERT INTO keys (id, account_id, environment, open_key, secret_digest, secret_tail,
             allow_list, revoked_at, created_at, scopes, expires_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET allow_list = excluded.allow_list,
             revoked_at = excluded.revoked_at, scopes = excluded.scopes,
             expires_at = excluded.expires_at",
        &values![
            k.id,
            k.account,
            k.environment,
            &k.open_key,
            &k.secret_digest,
            &k.secret_tail,
            &allow_list,
            k.revoked_at,
            created_at,
            &scopes,
            k.expires_at,
            &k.made_by
        ],
    )
}

/// When and from where a key pair was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// When.
    pub used_at: Timestamp,
    /// The client's address.
    pub address: String,
}

columns!(KeyUse: used_at, address);

/// Notes the last uses of key pairs; an earlier one does not take the place of a later one.
#[derive(Clone, Debug)]
pub struct NoteKeyUses(pub Vec<(KeyId, KeyUse)>);

impl Commit for NoteKeyUses {
    type Done = ();
    type Denied = Infallible;

    fn needs(&self) -> CommitNeeds<'_> {
        // It relies on nothing: no row of another change is touched.
        CommitNeeds { is_optimistic: true, ..CommitNeeds::default() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        for (key, KeyUse { used_at, address }) in &self.0 {
            tx.sql.defer(
                "INSERT INTO key_uses (key_id, used_at, address) VALUES ($1, $2, $3)
                 ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at,
                     address = excluded.address WHERE key_uses.used_at < excluded.used_at",
                WriteKey::Last,
                &values![*key, *used_at, address],
                None,
            )?;
        }
        Ok(())
    }
}

/// The last uses of an account's key pairs.
pub(crate) fn key_uses(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<(KeyId, KeyUse)>> {
    all(
        sql,
        "SELECT u.key_id, u.used_at, u.address FROM keys k JOIN key_uses u ON u.key_id = k.id
         WHERE k.account_id = $1",
        &values![account],
        from_row,
    )
}

/// Keeps the sealed secret of a sandbox key.
pub(crate) fn keep_key_secret(
    sql: &mut dyn Sql,
    key: KeyId,
    account: AccountId,
    sealed: &[u8],
) -> Result<()> {
    sql.run(
        "INSERT INTO key_secrets (key_id, account_id, sealed) VALUES ($1, $2, $3)
         ON CONFLICT (key_id) DO UPDATE SET sealed = excluded.sealed",
        &values![key, account, sealed],
    )
}

/// The sealed secrets of an account's sandbox keys.
pub(crate) fn key_secrets(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<(KeyId, Vec<u8>)>> {
    all(
        sql,
        "SELECT key_id, sealed FROM key_secrets WHERE account_id = $1 ORDER BY key_id",
        &values![account],
        from_row,
    )
}

/// Opens a wallet: its ledger accounts get adjacent ids, because they are used together.
pub(crate) fn open_wallet(
    sql: &mut dyn Sql,
    owner: AccountId,
    environment: Environment,
    currency: Currency,
) -> Result<()> {
    for purpose in [Purpose::Available, Purpose::Held, Purpose::Commission] {
        ledger::open_ledger_account(sql, &LedgerAccount { owner, environment, currency, purpose })?;
    }
    Ok(())
}

/// Keeps the tag of the master key that seals this data, unless there is one.
pub(crate) fn keep_master_key(sql: &mut dyn Sql, tag: &[u8; 32]) -> Result<()> {
    sql.run(
        "INSERT INTO marks (name, mark) VALUES ('master key', $1) ON CONFLICT DO NOTHING",
        &values![tag],
    )
}

/// The tag of the master key that seals this data; `None` until one is kept.
pub(crate) fn master_key(sql: &mut dyn Sql) -> Result<Option<[u8; 32]>> {
    first(sql, "SELECT mark FROM marks WHERE name = 'master key'", &[], from_row)
}
