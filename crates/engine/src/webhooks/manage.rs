//! Endpoints as people manage them: made, changed, removed, their secrets replaced; and the log.
//!
//! Invariant: a secret is shown to whoever makes it, and stored sealed in the row it is of.

use super::signature::{self, Secrets};
use crate::Engine;
use domain::account::{AccountId, Environment};
use domain::ids::{EndpointId, KeyId};
use domain::mail::Mail;
use domain::refusal::{FieldError, Refusal};
use domain::webhook::schedule::{PendingWebhook, SuccessEvent, webhook_id};
use domain::webhook::{AddressPolicy, WebhookAddress};
use domain::{PurchaseId, PurchaseKey};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Change, DeliveryAttempt, Destination, Done, Endpoint, EndpointChange, EndpointHealth, Fault,
    LogPage, LoggedWebhook, ReplayScope, WebhookChange,
};

/// What secrets are sealed for.
const SEALED_FOR: &str = "webhook secret";
/// A secret that was replaced counts this long at most (RELIABILITY K5).
const KEPT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An endpoint that is to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint<'a> {
    /// Whose.
    pub account: AccountId,
    /// Of which environment it is told.
    pub environment: Environment,
    /// Where it is.
    pub url: &'a str,
    /// Only events of these names; empty: all.
    pub events: Vec<String>,
}

/// An endpoint, and what is wrong with its address.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// As stored.
    pub endpoint: Endpoint,
    /// What is wrong with its address, if anything.
    pub health: Option<EndpointHealth>,
}

impl Engine {
    /// Makes an endpoint; its secret is in the answer and nowhere else in clear. Refuses an address
    /// that webhooks cannot go to, and events that there are not.
    pub async fn add_endpoint(
        &self,
        new: NewEndpoint<'_>,
    ) -> Result<(EndpointId, String), Refusal> {
        self.account(new.account)?.ok_or(Refusal::PurchaseUnknown)?;
        let mut endpoint = Endpoint {
            id: EndpointId(self.next_id()),
            account: new.account,
            environment: new.environment,
            key: None,
            url: Some(new.url.to_owned()),
            events: new.events,
            success_event: SuccessEvent::default(),
            secret: None,
            old_secret: None,
            created_at: self.now(),
            removed_at: None,
        };
        self.check_endpoint(&endpoint)?;
        let secret = self.give_secret(&mut endpoint)?;
        let id = endpoint.id;
        self.write_endpoint(EndpointChange::Set(endpoint)).await?;
        Ok((id, secret))
    }

    /// The endpoint that goes with a new key pair.
    pub(crate) fn endpoint_of_key(
        &self,
        key: KeyId,
        account: AccountId,
        environment: Environment,
    ) -> Result<Endpoint, Refusal> {
        let mut endpoint = Endpoint {
            id: EndpointId(key.0),
            account,
            environment,
            key: Some(key),
            url: None,
            events: Vec::new(),
            success_event: SuccessEvent::default(),
            secret: None,
            old_secret: None,
            created_at: self.now(),
            removed_at: None,
        };
        self.give_secret(&mut endpoint)?;
        Ok(endpoint)
    }

    /// Changes where an endpoint is, or what it is told. Refuses what [`Engine::add_endpoint`]
    /// refuses.
    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Result<Endpoint, Refusal> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let mut endpoint = self.endpoint(id)?;
        change(&mut endpoint);
        self.check_endpoint(&endpoint)?;
        self.write_endpoint(EndpointChange::Set(endpoint.clone())).await?;
        Ok(endpoint)
    }

    /// Replaces an endpoint's secret; the old one signs beside the new one for `keep`, a week at most.
    pub async fn rotate_secret(&self, id: EndpointId, keep: Duration) -> Result<String, Refusal> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let mut endpoint = self.endpoint(id)?;
        let until = self.now().after(keep.min(KEPT_MAX));
        let old = endpoint.secret.take().filter(|_| !keep.is_zero());
        endpoint.old_secret = old.map(|secret| (secret, until));
        let secret = self.give_secret(&mut endpoint)?;
        self.write_endpoint(EndpointChange::Set(endpoint)).await?;
        Ok(secret)
    }

    /// Sends to an endpoint's address again, which was switched off.
    pub async fn switch_on(&self, id: EndpointId) -> Result<(), Refusal> {
        let endpoint = self.endpoint(id)?;
        let Some(address) = destination_of(&endpoint) else { return Ok(()) };
        self.inner.webhooks.endpoint_cache().switch_on(&address);
        self.write_endpoint(EndpointChange::Health(address, None)).await
    }

    /// The endpoints of an account that were not removed, oldest first.
    pub fn endpoints_of(&self, account: AccountId) -> Result<Vec<EndpointView>, Refusal> {
        let endpoints = self.inner.store.endpoints().map_err(|fault| self.unavailable(&fault))?;
        // Troubles that another node has seen are read with the book.
        self.cached_endpoints().map_err(|fault| self.unavailable(&fault))?;
        let view = |endpoint: Endpoint| {
            let address = destination_of(&endpoint);
            let health = address.and_then(|a| self.inner.webhooks.endpoint_cache().health(&a));
            EndpointView { endpoint, health }
        };
        let mine = |e: &Endpoint| e.account == account && e.removed_at.is_none();
        Ok(endpoints.into_iter().filter(mine).map(view).collect())
    }

    /// An endpoint that was not removed.
    pub fn endpoint(&self, id: EndpointId) -> Result<Endpoint, Refusal> {
        let endpoints = self.inner.store.endpoints().map_err(|fault| self.unavailable(&fault))?;
        let found = endpoints.into_iter().find(|e| e.id == id && e.removed_at.is_none());
        found.ok_or(Refusal::PurchaseUnknown)
    }

    /// What the webhooks of a key pair are signed with now: for whoever has just made the pair.
    pub fn webhook_secret_of(&self, key: KeyId) -> Result<String, Refusal> {
        let endpoint = self.endpoint(EndpointId(key.0))?;
        let secret = self.opened(&endpoint).current.ok_or(Refusal::KeysInvalid)?;
        Ok(signature::shown(&secret))
    }

    /// Makes the secrets of key pairs that are older than webhooks.
    pub async fn give_missing_secrets(&self) -> Result<(), Refusal> {
        let endpoints = self.inner.store.endpoints().map_err(|fault| self.unavailable(&fault))?;
        for mut endpoint in endpoints.into_iter().filter(|e| e.secret.is_none()) {
            self.give_secret(&mut endpoint)?;
            self.write_endpoint(EndpointChange::Set(endpoint)).await?;
        }
        Ok(())
    }

    /// The webhooks of an account, latest first.
    pub fn webhook_log(&self, page: LogPage) -> Result<Vec<LoggedWebhook>, Refusal> {
        self.inner.store.webhook_log(page).map_err(|fault| self.unavailable(&fault))
    }

    /// The webhooks about a purchase, each with its tries, the one that was taken last.
    pub fn webhooks_of(
        &self,
        purchase: PurchaseId,
    ) -> Result<Vec<(LoggedWebhook, Vec<DeliveryAttempt>)>, Refusal> {
        let fault = |fault| self.unavailable(&fault);
        let webhooks = self.inner.store.webhooks_of(purchase).map_err(fault)?;
        let with_tries = |webhook: LoggedWebhook| {
            let mut tries = self.inner.store.webhook_attempts(&webhook).map_err(fault)?;
            tries.extend(webhook.accepted.clone());
            Ok((webhook, tries))
        };
        webhooks.into_iter().map(with_tries).collect()
    }

    /// Tells some once more, to the byte, as if they had just happened; answers how many.
    pub async fn replay_webhooks(&self, which: ReplayScope) -> Result<usize, Refusal> {
        let change = WebhookChange::Replay { which, at: self.now() };
        let written = self.inner.store.write(Change::Webhook(change)).await;
        self.inner.webhooks.due.notify_one();
        match written.map_err(|fault| self.unavailable(&fault))? {
            Ok(Done::Counted(count)) => Ok(count),
            // Nothing in it can be denied, and it answers nothing else.
            Ok(_) | Err(_) => Ok(0),
        }
    }

    /// Sends an endpoint a webhook that tells of nothing; answers its id.
    pub async fn send_test(&self, id: EndpointId) -> Result<String, Refusal> {
        let endpoint = self.endpoint(id)?;
        let not_possible = |because: &str| Refusal::NotPossible { because: because.to_owned() };
        let parts = self.inner.webhooks.parts.as_ref();
        let parts = parts.ok_or_else(|| not_possible("Nothing carries webhooks."))?;
        let url = endpoint.url.clone();
        let url = url.ok_or_else(|| not_possible("The key pair has no address of its own."))?;
        let now = self.now();
        let tale = parts.renderer.test(&endpoint, now);
        let key = PurchaseKey {
            account: endpoint.account,
            environment: endpoint.environment,
            id: PurchaseId(self.next_id()),
        };
        let owed = Arc::new(PendingWebhook {
            event: tale.event.into(),
            sequence: tale.sequence,
            endpoint: id,
            url,
            body: tale.body,
            at: now,
            due: Some(now),
            is_leased: false,
        });
        let webhook = webhook_id(key.id, &owed.event);
        let written =
            self.inner.store.write(Change::Webhook(WebhookChange::Enqueue(key, owed))).await;
        // Nothing in it can be denied: it needs nothing.
        let _ = written.map_err(|fault| self.unavailable(&fault))?;
        self.inner.webhooks.due.notify_one();
        Ok(webhook)
    }

    /// Tells an account's owners that an address of theirs was switched off.
    pub(crate) fn tell_of_switch_off(&self, address: &Destination, why: &str) {
        tracing::warn!(account = %address.account, environment = address.environment.code(), why, "an address of webhooks was switched off");
        let users = match self.inner.store.users() {
            Ok(users) => users,
            Err(fault) => {
                tracing::warn!(%fault, "its account's owners could not be told");
                return;
            }
        };
        let environment = address.environment.code();
        for user in users.iter().filter(|u| u.account == address.account && u.is_active) {
            let host = domain::webhook::schedule::host_of(&address.url);
            let text = format!(
                "Webhooks of your {environment} environment are no longer sent to {host}: {why}.\n\n\
                 They are kept for 30 days. Once the address works, have it switched on again and \
                 what was missed replayed.\n"
            );
            let subject = format!("Webhooks to {host} are switched off");
            self.post(Mail { to: user.email.clone(), subject, text });
        }
    }

    /// Writes what an address's troubles have become.
    pub(crate) async fn write_trouble(
        &self,
        address: &Destination,
        health: Option<EndpointHealth>,
    ) -> Result<(), Fault> {
        let change = Change::Endpoint(EndpointChange::Health(address.clone(), health));
        // Nothing in it can be denied: it needs nothing.
        self.inner.store.write(change).await.map(|_| ())
    }

    /// An endpoint's secrets in clear; one that does not open is none.
    pub(crate) fn opened(&self, endpoint: &Endpoint) -> Secrets {
        let place = place(endpoint);
        let open = |sealed: &Vec<u8>| {
            let opened = self.inner.vault.open(SEALED_FOR, &place, sealed);
            if opened.is_err() {
                tracing::error!(endpoint = %endpoint.id, "its webhook secret cannot be opened: nothing is sent there");
            }
            opened.ok()
        };
        let old = endpoint.old_secret.as_ref();
        Secrets {
            current: endpoint.secret.as_ref().and_then(open),
            old: old.and_then(|(sealed, until)| open(sealed).map(|secret| (secret, *until))),
        }
    }

    /// Gives an endpoint a new secret; answers it as people see it.
    fn give_secret(&self, endpoint: &mut Endpoint) -> Result<String, Refusal> {
        let random = self.inner.random.as_ref();
        let no_chance = |_| Refusal::Unavailable { retry_after_s: 5 };
        let secret = signature::fresh(random).map_err(no_chance)?;
        let sealed = self.inner.vault.seal(SEALED_FOR, &place(endpoint), &secret, random);
        endpoint.secret = Some(sealed.map_err(no_chance)?);
        Ok(signature::shown(&secret))
    }

    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        let parts = self.inner.webhooks.parts.as_ref();
        let mut complaints = Vec::new();
        let known = parts.map_or(&[][..], |parts| parts.renderer.events());
        for event in &endpoint.events {
            if !known.contains(&event.as_str()) {
                let says = format!("{event:?} is none of {}.", known.join(", "));
                complaints.push(FieldError { field: "event", message: says });
            }
        }
        if let Some(url) = &endpoint.url {
            let allow_loopback = parts.is_some_and(|parts| parts.allow_loopback);
            let allowed = AddressPolicy { environment: endpoint.environment, allow_loopback };
            if let Err(says) = WebhookAddress::parse(url, allowed) {
                complaints
                    .push(FieldError { field: "url", message: format!("The address {says}") });
            }
        }
        if complaints.is_empty() { Ok(()) } else { Err(Refusal::Invalid(complaints)) }
    }

    async fn write_endpoint(&self, change: EndpointChange) -> Result<(), Refusal> {
        let written = self.inner.store.write(Change::Endpoint(change)).await;
        self.inner.webhooks.endpoint_cache().forget();
        // Nothing in it can be denied: it needs nothing.
        written.map(|_| ()).map_err(|fault| self.unavailable(&fault))
    }
}

fn destination_of(endpoint: &Endpoint) -> Option<Destination> {
    let (account, environment) = (endpoint.account, endpoint.environment);
    endpoint.url.clone().map(|url| Destination { account, environment, url })
}

/// Where an endpoint's secrets are sealed to.
fn place(endpoint: &Endpoint) -> String {
    format!("endpoint {} of account {}", endpoint.id, endpoint.account)
}
