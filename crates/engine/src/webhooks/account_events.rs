//! Events about an account and its wallets, not about a purchase.
//!
//! Invariant: they go to every endpoint of the account and to the address of each valid key pair,
//! each address once, and are written in the commit of what they report.

use super::endpoint_cache::{destination, wants};
use crate::Engine;
use domain::account::HOUSE;
use domain::webhook::canonical;
use domain::{AccountId, Environment, Money, PendingWebhook, PurchaseKey};
use std::sync::Arc;
use store::Fault;

/// What has happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEvent<'a> {
    /// What a wallet can spend has fallen below an amount that was set.
    LowBalance {
        /// What it can spend.
        available: Money,
        /// The amount.
        below: Money,
    },
    /// Money that was paid in is booked.
    DepositPaid {
        /// How much.
        amount: Money,
        /// How it came.
        rail: &'a str,
        /// The payment's reference on its rail.
        reference: &'a str,
    },
}

impl Engine {
    /// The webhooks that tell an account of an event. They are due at once, for whichever node is
    /// first. On a fault the receivers are unknown, and what the event reports must not happen.
    pub(crate) async fn account_webhooks(
        &self,
        account: AccountId,
        environment: Environment,
        event: AccountEvent<'_>,
    ) -> Result<Vec<(PurchaseKey, Arc<PendingWebhook>)>, Fault> {
        let Some(parts) = self.inner.webhooks.parts.as_ref().filter(|_| account != HOUSE) else {
            return Ok(Vec::new());
        };
        let now = self.now();
        let endpoints = self.cached_endpoints()?;
        let receivers = endpoints.receivers_of(account, environment);
        if receivers.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.inner.store.keys_of(account)?;
        let is_valid = |id| keys.iter().any(|key| Some(key.id) == id && key.is_valid_at(now));
        let rendered = parts.renderer.render_account(account, event, now);
        let mut urls: Vec<String> = Vec::new();
        let mut webhooks = Vec::new();
        for opened in receivers {
            let endpoint = &opened.endpoint;
            let Some(url) = endpoint.url.as_ref() else { continue };
            let one = canonical(url);
            let is_here = endpoint.key.is_none() || is_valid(endpoint.key);
            if !is_here || !wants(endpoint, rendered.event) || urls.contains(&one) {
                continue;
            }
            urls.push(one);
            webhooks.push(rendered.webhook(endpoint.id, url.clone(), now));
        }
        if webhooks.is_empty() {
            return Ok(Vec::new());
        }
        // One event has one id, wherever it is sent.
        let key = PurchaseKey { account, environment, id: self.next_purchase().await? };
        let with_key = |mut webhook: PendingWebhook| {
            if self.inner.webhooks.endpoint_cache.is_off(&destination(&key, &webhook)) {
                webhook.due = None;
            }
            (key, Arc::new(webhook))
        };
        Ok(webhooks.into_iter().map(with_key).collect())
    }
}
