//! What limits a key pair: its scopes, its end; rotation with an overlap; its last use.
//!
//! Not here: how a pair is made and recognised (`keys`). Invariant: a rotation writes the new pair
//! and the old one's end in one commit.

use super::keys::KeyPair;
use super::setup::shown_key;
use crate::access::Changed;
use crate::refusals::{ensure, invalid, not_possible};
use crate::worker::pause;
use crate::{Caller, Engine, Permit, limits};
use domain::refusal::{Invalid, KeysInvalid, StaffRefused, StoreRefused};
use domain::{AccountId, AllowList, Environment, Key, KeyId, KeyScopes, Timestamp, act};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use store::{KeyUse, NoteKeyUses, Setting};
use tokio_util::sync::CancellationToken;

/// What limits a new key pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    /// What it may be used for.
    pub scopes: KeyScopes,
    /// Its end, exclusive; none: it has none.
    pub expires_at: Option<Timestamp>,
    /// Addresses that may use it; empty: any.
    pub allow_list: AllowList,
    /// Who makes it, as the record of acts names them; set when it is made.
    pub made_by: Option<String>,
}

/// The uses of key pairs that are not noted yet.
#[derive(Default)]
pub(crate) struct KeyUses(Mutex<HashMap<KeyId, (Timestamp, IpAddr)>>);

impl Engine {
    /// Makes a key pair with limits; the secret is in the answer and nowhere else. Refuses a
    /// customer's account, and an end that is not in the future (`expires`).
    pub async fn make_key_with(
        &self,
        permit: Permit<act::ManageKeys>,
        account: AccountId,
        environment: Environment,
        terms: KeyTerms,
    ) -> Result<(KeyId, KeyPair), StaffRefused> {
        self.check_end(terms.expires_at)?;
        self.may_have_keys(account)?;
        let pair = self.fresh_pair(environment)?;
        let terms = KeyTerms { made_by: Some(permit.maker()), ..terms };
        let (id, settings, changed) = self.new_key(account, environment, &pair, terms).await?;
        self.set(&permit, settings, vec![changed]).await?;
        Ok((id, pair))
    }

    /// Changes what a pair may be used for, and until when. On this node the change applies at
    /// once. Refuses an end that is not in the future (`expires`).
    pub async fn limit_key(
        &self,
        permit: Permit<act::ManageKeys>,
        open_key: &str,
        scopes: KeyScopes,
        expires_at: Option<Timestamp>,
    ) -> Result<Key, StaffRefused> {
        self.check_end(expires_at)?;
        let limit = |key: &mut Key| {
            key.scopes = scopes;
            key.expires_at = expires_at;
        };
        self.edit_key(&permit, open_key, limit).await
    }

    /// Makes a pair in the place of another, with the same limits, address and webhook secret; the
    /// old one still works for `overlap`. Refuses a pair that gives no access any more, and an
    /// overlap that is too long (`overlap`).
    pub async fn rotate_key(
        &self,
        permit: Permit<act::ManageKeys>,
        open_key: &str,
        overlap: Duration,
    ) -> Result<(KeyId, KeyPair), StaffRefused> {
        let message = "The old pair works for 30 days more at most.";
        ensure(overlap <= limits::KEY_OVERLAP_MAX, invalid("overlap", message))?;
        let _lock = self.inner.settings_lock.lock().await;
        let now = self.now();
        let mut old = self.holder_of(open_key)?.ok_or(KeysInvalid)?;
        let because = "This pair gives no access any more: make a new one.";
        ensure(old.is_valid_at(now), not_possible(because))?;
        let pair = self.fresh_pair(old.environment)?;
        let terms = KeyTerms {
            scopes: old.scopes,
            expires_at: old.expires_at,
            allow_list: old.allow_list.clone(),
            made_by: Some(permit.maker()),
        };
        let (id, mut settings, made) =
            self.new_key(old.account, old.environment, &pair, terms).await?;
        self.take_over_endpoint(old.id, &mut settings)?;
        let before = shown_key(&old);
        let ends_at = now.after(overlap);
        old.expires_at = Some(old.expires_at.map_or(ends_at, |end| end.min(ends_at)));
        let mut after = shown_key(&old);
        after["rotated_to"] = json!(id.0);
        let ended = Changed::new(format_args!("key {}", old.id), before, after);
        settings.push(Setting::Key(old, now));
        self.set(&permit, settings, vec![made, ended]).await?;
        self.inner.keys.remove(open_key);
        Ok((id, pair))
    }

    /// When and from where the pairs of the caller's account were last used.
    pub fn key_uses(&self, caller: &Caller) -> Result<HashMap<KeyId, KeyUse>, StoreRefused> {
        let mut uses: HashMap<KeyId, KeyUse> =
            self.or_unavailable(self.inner.store.key_uses(caller.account))?.into_iter().collect();
        // What this node has not noted yet is later.
        let own = self.or_unavailable(self.inner.store.keys_of(caller.account))?;
        let waiting = self.inner.key_uses.0.lock();
        for key in own {
            if let Some((used_at, address)) = waiting.get(&key.id) {
                uses.insert(key.id, KeyUse { used_at: *used_at, address: address.to_string() });
            }
        }
        Ok(uses)
    }

    /// Who made a pair of the caller's account, for people: a mail address, or the words of the
    /// record; none if it is not known.
    pub fn maker_of(&self, caller: &Caller, key: &Key) -> Result<Option<String>, StoreRefused> {
        let Some(made_by) = &key.made_by else { return Ok(None) };
        let Some(login) = made_by.strip_prefix("login ") else {
            return Ok(Some(made_by.clone()));
        };
        let users = self.or_unavailable(self.inner.store.users_of(caller.account))?;
        let user = users.into_iter().find(|user| user.id.to_string() == login);
        Ok(Some(user.map_or_else(|| made_by.clone(), |user| user.email)))
    }

    /// Notes that a pair was used; it is written later.
    pub(crate) fn note_key_use(&self, key: KeyId, from: IpAddr) {
        let mut uses = self.inner.key_uses.0.lock();
        if uses.len() < limits::KEY_USES_WAITING || uses.contains_key(&key) {
            uses.insert(key, (self.now(), from));
        }
    }

    /// Writes the uses of key pairs now and then, and at the stop.
    pub(crate) async fn write_key_uses(self, stop: CancellationToken) {
        loop {
            let is_stopping = pause(&stop, limits::KEY_USES_WRITTEN_EVERY).await.is_none();
            let uses = std::mem::take(&mut *self.inner.key_uses.0.lock());
            if !uses.is_empty() {
                let note = |(id, (used_at, address)): (KeyId, (Timestamp, IpAddr))| {
                    (id, KeyUse { used_at, address: address.to_string() })
                };
                let uses = NoteKeyUses(uses.into_iter().map(note).collect());
                if let Err(fault) = self.commit(&self.work(), uses).await {
                    tracing::warn!(%fault, "the last uses of key pairs could not be noted");
                }
            }
            if is_stopping {
                return;
            }
        }
    }

    fn check_end(&self, expires_at: Option<Timestamp>) -> Result<(), Invalid> {
        let is_to_come = expires_at.is_none_or(|end| end > self.now());
        ensure(is_to_come, invalid("expires", "The end lies in the past."))
    }
}
