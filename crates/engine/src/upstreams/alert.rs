//! Alerts to staff when a float has crossed a level: a mail to each login of the house, and a
//! signed webhook to its endpoints, which is tried again like any other.
//!
//! Invariants: the webhooks are queued in the commit that notes the crossing, so that no crash can
//! lose them; mails are sent for each crossing once, by the node that noted it first.

use crate::Engine;
use crate::webhooks::{RenderedEvent, wants};
use domain::account::HOUSE;
use domain::webhook::schedule::webhook_id;
use domain::{Mail, Money, PendingWebhook, PurchaseKey};
use serde_json::json;
use std::sync::Arc;
use store::{Fault, StoredUpstream};

/// The event's name.
const EVENT: &str = "upstream.float";

impl Engine {
    /// The webhooks that tell staff at which level the float of an upstream is now: `enough`,
    /// `low`, `empty`.
    pub(super) async fn float_alerts(
        &self,
        upstream: &StoredUpstream,
        level: &'static str,
        left: Money,
    ) -> Result<Vec<(PurchaseKey, Arc<PendingWebhook>)>, Fault> {
        let mut alerts = Vec::new();
        let at = self.now();
        for endpoint in self.inner.store.endpoints()? {
            let is_wanted = wants(&endpoint, EVENT);
            let is_here = endpoint.account == HOUSE
                && endpoint.environment == upstream.environment
                && endpoint.removed_at.is_none();
            let Some(url) = endpoint.url.filter(|_| is_wanted && is_here) else { continue };
            let id = self.next_purchase().await?;
            let key = PurchaseKey { account: HOUSE, environment: upstream.environment, id };
            let body = json!({
                "id": webhook_id(id.number(), EVENT),
                "event": EVENT,
                "data": {
                    "upstream": upstream.code.as_str(),
                    "environment": upstream.environment.code(),
                    "level": level,
                    "left": left.exact(),
                    "currency": left.currency().code(),
                },
            });
            let event = RenderedEvent { event: EVENT, sequence: 1, body: body.to_string() };
            alerts.push((key, Arc::new(event.webhook(endpoint.id, url, at))));
        }
        Ok(alerts)
    }

    /// Mails each login of the house at which level a float is now.
    pub(super) fn mail_staff(
        &self,
        upstream: &StoredUpstream,
        level: &str,
        left: Money,
    ) -> Result<(), Fault> {
        let (code, environment) = (&upstream.code, upstream.environment.code());
        tracing::warn!(upstream = %code, level, %left, "the float of an upstream crossed a level");
        let what = match level {
            "empty" => "It gets no orders until there is more.",
            "low" => "Pay in soon.",
            _ => "That is enough again.",
        };
        for user in self.inner.store.users()?.iter().filter(|u| u.account == HOUSE && u.is_active) {
            self.send_mail(Mail {
                to: user.email.clone(),
                subject: format!("Saldo: the float at {code} is {level}"),
                text: format!(
                    "At the upstream {code} ({environment}) {left} are left. {what}\n\n\
                     saldo upstream balance {code} tells more.\n"
                ),
            });
        }
        Ok(())
    }
}
