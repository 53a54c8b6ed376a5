//! Endpoints as people manage them: made, changed, removed, their secrets replaced; and the log.
//!
//! Invariant: a secret is shown once, in the answer to the call that made it, and stored sealed for
//! its endpoint's row.

use super::signature::{self, Secrets};
use crate::access::Changed;
use crate::people::Letters;
use crate::refusals::{field_error, not_possible, refuse_if_any};
use crate::{Engine, Permit};
use domain::refusal::{
    Invalid, KeysInvalid, PurchaseUnknown, StaffRefused, StoreRefused, Unavailable,
};
use domain::webhook::schedule::{host_of, webhook_id};
use domain::{
    AccountId, AddressPolicy, EndpointId, Environment, FieldError, KeyId, Permitted, PurchaseKey,
    PurchaseNumber, SuccessEvent, WebhookAddress, act,
};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::{
    Commit, DeliveryAttempt, Destination, Endpoint, EndpointHealth, EnqueueWebhook, LogPage,
    LoggedWebhook, ReplayScope, ReplayWebhooks, SetEndpoint, SetEndpointHealth, Setting,
};

/// The purpose that secrets are sealed for.
const SEALED_FOR: &str = "webhook secret";
/// A secret that was replaced signs for this long at most (RELIABILITY K5).
const OLD_SECRET_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An endpoint that is to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint<'a> {
    /// The account whose events it gets.
    pub account: AccountId,
    /// The environment whose events it gets.
    pub environment: Environment,
    /// Its address.
    pub url: &'a str,
    /// The names of the events that it gets; empty: all.
    pub events: Vec<String>,
}

/// An endpoint, and what is wrong with its address.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// The endpoint as it is stored.
    pub endpoint: Endpoint,
    /// What is wrong with its address, if anything.
    pub health: Option<EndpointHealth>,
}

impl Engine {
    /// Makes an endpoint; its secret is in the answer and nowhere else in clear. Refuses an address
    /// that webhooks cannot go to, and events that do not exist.
    pub async fn add_endpoint(
        &self,
        permit: Permit<act::ManageEndpoints>,
        new: NewEndpoint<'_>,
    ) -> Result<(EndpointId, String), StaffRefused> {
        self.account(new.account)?.ok_or(PurchaseUnknown)?;
        let id = self.or_unavailable(self.next_endpoint().await)?;
        let mut endpoint = Endpoint {
            url: Some(new.url.to_owned()),
            events: new.events,
            ..self.blank_endpoint(id, new.account, new.environment)
        };
        self.check_endpoint(&endpoint)?;
        let secret = self.give_secret(&mut endpoint)?;
        let changed = Changed::made(format_args!("endpoint {id}"), shown(&endpoint));
        self.write_endpoint(&permit, SetEndpoint(endpoint), changed).await?;
        Ok((id, secret))
    }

    /// The endpoint that goes with a new key pair.
    pub(crate) fn endpoint_of_key(
        &self,
        id: EndpointId,
        key: KeyId,
        account: AccountId,
        environment: Environment,
    ) -> Result<Endpoint, Unavailable> {
        let blank = self.blank_endpoint(id, account, environment);
        let mut endpoint = Endpoint { key: Some(key), ..blank };
        self.give_secret(&mut endpoint)?;
        Ok(endpoint)
    }

    /// Gives the endpoint of a new key pair, which is among these settings, the address, the events
    /// and the secret of the one whose place it takes: receivers need not change.
    pub(crate) fn take_over_endpoint(
        &self,
        old: KeyId,
        settings: &mut [Setting],
    ) -> Result<(), StoreRefused> {
        let endpoints = self.or_unavailable(self.inner.store.endpoints())?;
        let is_its = |e: &Endpoint| e.key == Some(old) && e.removed_at.is_none();
        let Some(before) = endpoints.into_iter().find(is_its) else { return Ok(()) };
        let of_new = settings.iter_mut().find_map(|setting| {
            if let Setting::Endpoint(endpoint) = setting { Some(endpoint) } else { None }
        });
        let Some(new) = of_new else { return Ok(()) };
        if let Some(secret) = self.opened_secrets(&before).current {
            new.secret = Some(self.sealed(SEALED_FOR, &endpoint_row(new), &secret)?);
        }
        new.url = before.url;
        new.events = before.events;
        new.success_event = before.success_event;
        Ok(())
    }

    fn blank_endpoint(
        &self,
        id: EndpointId,
        account: AccountId,
        environment: Environment,
    ) -> Endpoint {
        Endpoint {
            id,
            account,
            environment,
            key: None,
            url: None,
            events: Vec::new(),
            success_event: SuccessEvent::default(),
            secret: None,
            old_secret: None,
            created_at: self.now(),
            removed_at: None,
        }
    }

    /// Changes an endpoint's address, or the events that it gets. Refuses what
    /// [`Engine::add_endpoint`] refuses.
    pub async fn change_endpoint(
        &self,
        permit: Permit<act::ManageEndpoints>,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Result<Endpoint, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut endpoint = self.endpoint(id)?;
        let before = shown(&endpoint);
        change(&mut endpoint);
        self.check_endpoint(&endpoint)?;
        let changed = Changed::new(format_args!("endpoint {id}"), before, shown(&endpoint));
        self.write_endpoint(&permit, SetEndpoint(endpoint.clone()), changed).await?;
        Ok(endpoint)
    }

    /// Replaces an endpoint's secret. The old one signs beside the new one for `keep`, a week at
    /// most.
    pub async fn rotate_secret(
        &self,
        permit: Permit<act::ManageEndpoints>,
        id: EndpointId,
        keep: Duration,
    ) -> Result<String, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut endpoint = self.endpoint(id)?;
        let until = self.now().after(keep.min(OLD_SECRET_MAX));
        let old = endpoint.secret.take().filter(|_| !keep.is_zero());
        endpoint.old_secret = old.map(|secret| (secret, until));
        let secret = self.give_secret(&mut endpoint)?;
        let after = json!({ "secret": "new", "old_until": until.0 });
        let changed = Changed::made(format_args!("endpoint {id}"), after);
        self.write_endpoint(&permit, SetEndpoint(endpoint), changed).await?;
        Ok(secret)
    }

    /// Switches an endpoint's address on again.
    pub async fn switch_on(
        &self,
        permit: Permit<act::ManageEndpoints>,
        id: EndpointId,
    ) -> Result<(), StaffRefused> {
        let endpoint = self.endpoint(id)?;
        let Some(address) = destination_of(&endpoint) else { return Ok(()) };
        self.inner.webhooks.endpoint_cache.switch_on(&address);
        let (before, after) = (json!({ "on": false }), json!({ "on": true }));
        let changed = Changed::new(format_args!("endpoint {id}"), before, after);
        Ok(self.write_endpoint(&permit, SetEndpointHealth(address, None), changed).await?)
    }

    /// The endpoints of an account that were not removed, oldest first.
    pub fn endpoints_of(&self, account: AccountId) -> Result<Vec<EndpointView>, StoreRefused> {
        let endpoints = self.or_unavailable(self.inner.store.endpoints())?;
        // Brings the health of addresses up to date, which other nodes may have changed.
        self.or_unavailable(self.cached_endpoints())?;
        let view = |endpoint: Endpoint| {
            let address = destination_of(&endpoint);
            let health = address.and_then(|a| self.inner.webhooks.endpoint_cache.health(&a));
            EndpointView { endpoint, health }
        };
        let is_listed = |e: &Endpoint| e.account == account && e.removed_at.is_none();
        Ok(endpoints.into_iter().filter(is_listed).map(view).collect())
    }

    /// An endpoint that was not removed.
    pub fn endpoint(&self, id: EndpointId) -> Result<Endpoint, StaffRefused> {
        let endpoints = self.or_unavailable(self.inner.store.endpoints())?;
        let found = endpoints.into_iter().find(|e| e.id == id && e.removed_at.is_none());
        Ok(found.ok_or(PurchaseUnknown)?)
    }

    /// The secret that signs the webhooks of a key pair, to be shown with a new pair.
    pub fn webhook_secret_of(&self, key: KeyId) -> Result<String, StaffRefused> {
        let endpoints = self.or_unavailable(self.inner.store.endpoints())?;
        let is_its = |e: &Endpoint| e.key == Some(key) && e.removed_at.is_none();
        let endpoint = endpoints.into_iter().find(is_its).ok_or(PurchaseUnknown)?;
        let secret = self.opened_secrets(&endpoint).current.ok_or(KeysInvalid)?;
        Ok(signature::shown(&secret))
    }

    /// Makes the missing secrets of key pairs that are older than webhooks.
    pub async fn give_missing_secrets(
        &self,
        permit: Permit<act::Maintain>,
    ) -> Result<(), StoreRefused> {
        let endpoints = self.or_unavailable(self.inner.store.endpoints())?;
        for mut endpoint in endpoints.into_iter().filter(|e| e.secret.is_none()) {
            self.give_secret(&mut endpoint)?;
            let object = format!("endpoint {}", endpoint.id);
            let changed = Changed::made(object, json!({ "secret": "new" }));
            self.write_endpoint(&permit, SetEndpoint(endpoint), changed).await?;
        }
        Ok(())
    }

    /// The webhooks of an account, latest first.
    pub fn webhook_log(&self, page: LogPage) -> Result<Vec<LoggedWebhook>, StoreRefused> {
        self.or_unavailable(self.inner.store.webhook_log(page))
    }

    /// The webhooks about a purchase, each with its tries, the accepted one last.
    pub fn webhooks_of(
        &self,
        number: PurchaseNumber,
    ) -> Result<Vec<(LoggedWebhook, Vec<DeliveryAttempt>)>, StoreRefused> {
        let Some(purchase) = self.or_unavailable(self.purchase_id(number))? else {
            return Ok(Vec::new());
        };
        let webhooks = self.or_unavailable(self.inner.store.webhooks_of(purchase))?;
        let with_tries = |webhook: LoggedWebhook| {
            let mut tries = self.or_unavailable(self.inner.store.webhook_attempts(&webhook))?;
            tries.extend(webhook.accepted.clone());
            Ok((webhook, tries))
        };
        webhooks.into_iter().map(with_tries).collect()
    }

    /// Sends some webhooks again, byte for byte, as if they had just happened; answers how many.
    pub async fn replay_webhooks(
        &self,
        permit: Permit<act::ReplayWebhooks>,
        which: ReplayScope,
    ) -> Result<usize, StoreRefused> {
        let object = match &which {
            ReplayScope::One(purchase, _) => format!("purchase {purchase}"),
            ReplayScope::Since(account, ..) => format!("account {account}"),
        };
        let changed = Changed::made(object, json!({ "webhooks": "replayed" }));
        let replay = ReplayWebhooks { which, at: self.now() };
        let replayed = self.commit_act(&permit, replay, changed).await;
        self.inner.webhooks.due.notify_one();
        self.or_unavailable(replayed)
    }

    /// Sends an endpoint a webhook that reports nothing; answers its id.
    pub async fn send_test(
        &self,
        permit: Permit<act::ReplayWebhooks>,
        id: EndpointId,
    ) -> Result<String, StaffRefused> {
        let endpoint = self.endpoint(id)?;
        let parts = self.inner.webhooks.parts.as_ref();
        let parts = parts.ok_or_else(|| not_possible("Nothing carries webhooks."))?;
        let url = endpoint.url.clone();
        let url = url.ok_or_else(|| not_possible("The key pair has no address of its own."))?;
        let now = self.now();
        let event = parts.renderer.render_test(&endpoint, now);
        let key = PurchaseKey {
            account: endpoint.account,
            environment: endpoint.environment,
            id: self.or_unavailable(self.next_purchase().await)?,
        };
        let webhook = Arc::new(event.webhook(id, url, now));
        let changed = Changed::made(format_args!("endpoint {id}"), json!({ "test": "sent" }));
        let sent = self.commit_act(&permit, EnqueueWebhook(key, webhook), changed).await;
        self.or_unavailable(sent)?;
        self.inner.webhooks.due.notify_one();
        Ok(webhook_id(key.id.number(), event.event))
    }

    /// Mails the account's users, each in their language, that an address of theirs was switched
    /// off.
    pub(crate) fn mail_switch_off(&self, address: &Destination, why: &str) {
        let environment = address.environment.code();
        let users = self.inner.store.users_of(address.account).unwrap_or_else(|fault| {
            tracing::warn!(%fault, "the users of an account could not be informed");
            Vec::new()
        });
        let host = host_of(&address.url);
        for user in users.into_iter().filter(|user| user.is_active) {
            let letters = Letters::of(&user.language);
            // An address that nobody can log in with has its login's number behind it.
            if !user.email.contains(' ') {
                self.send_mail(letters.switched_off(user.email, environment, &host, why));
            }
        }
        tracing::warn!(
            account = %address.account,
            environment,
            why,
            "an address of webhooks was switched off"
        );
    }

    /// An endpoint's secrets in clear, without those that cannot be opened.
    pub(crate) fn opened_secrets(&self, endpoint: &Endpoint) -> Secrets {
        let row = endpoint_row(endpoint);
        let open = |sealed: &Vec<u8>| {
            let opened = self.inner.vault.open(SEALED_FOR, &row, sealed);
            if opened.is_err() {
                tracing::error!(
                    endpoint = %endpoint.id,
                    "its webhook secret cannot be opened: nothing is sent there"
                );
            }
            opened.ok()
        };
        let old = endpoint.old_secret.as_ref();
        Secrets {
            current: endpoint.secret.as_ref().and_then(open),
            old: old.and_then(|(sealed, until)| open(sealed).map(|secret| (secret, *until))),
        }
    }

    /// Gives an endpoint a new secret; answers it as it is shown to people.
    fn give_secret(&self, endpoint: &mut Endpoint) -> Result<String, Unavailable> {
        // 256 random bits.
        let secret: [u8; 32] = self.random_bytes()?;
        endpoint.secret = Some(self.sealed(SEALED_FOR, &endpoint_row(endpoint), &secret)?);
        Ok(signature::shown(&secret))
    }

    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), Invalid> {
        let parts = self.inner.webhooks.parts.as_ref();
        let known = parts.map_or(&[][..], |parts| parts.renderer.event_names());
        let unknown = endpoint.events.iter().filter(|event| !known.contains(&event.as_str()));
        let mut errors: Vec<FieldError> = unknown
            .map(|event| format!("{event:?} is none of {}.", known.join(", ")))
            .map(|message| field_error("event", &message))
            .collect();
        if let Some(url) = &endpoint.url {
            let allow_loopback = parts.is_some_and(|parts| parts.allow_loopback);
            let allowed = AddressPolicy { environment: endpoint.environment, allow_loopback };
            if let Err(wrong) = WebhookAddress::parse(url, allowed) {
                errors.push(field_error("url", &format!("The address {wrong}")));
            }
        }
        refuse_if_any(errors)
    }

    async fn write_endpoint<A: Permitted>(
        &self,
        permit: &Permit<A>,
        change: impl Commit<Done = (), Denied = Infallible>,
        changed: Changed,
    ) -> Result<(), StoreRefused> {
        let written = self.commit_act(permit, change, changed).await;
        self.inner.webhooks.endpoint_cache.forget();
        self.or_unavailable(written)
    }
}

fn destination_of(endpoint: &Endpoint) -> Option<Destination> {
    let (account, environment) = (endpoint.account, endpoint.environment);
    endpoint.url.clone().map(|url| Destination { account, environment, url })
}

/// An endpoint in the record of acts, without its secrets.
fn shown(endpoint: &Endpoint) -> Value {
    json!({
        "account": endpoint.account.0,
        "environment": endpoint.environment.code(),
        "url": endpoint.url,
        "events": endpoint.events,
        "success_event": endpoint.success_event.code(),
        "removed": endpoint.removed_at.is_some(),
    })
}

/// The row that an endpoint's secrets are sealed for.
fn endpoint_row(endpoint: &Endpoint) -> String {
    format!("endpoint {} of account {}", endpoint.id, endpoint.account)
}
