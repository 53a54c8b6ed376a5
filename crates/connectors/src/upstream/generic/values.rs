//! What the places of a call stand for: an order's values, as the panel writes them.
//!
//! Invariants: a value that does not fit stops the call before anything is sent; amounts are
//! written from minor units; one attempt gives one reference for ever.

use super::file::{AmountForm, RecipientStyle, Unit};
use super::judge::{Sent, minor};
use super::panel::{Panel, hex};
use super::template::{EscapeContext, Unfit, Values};
use domain::money::decimals;
use domain::{AttemptRef, Order, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a reference is made of.
pub(super) struct AtStart {
    pub(super) attempt: AttemptRef,
    pub(super) started_at: Timestamp,
}

impl Values for AtStart {
    fn value(&self, name: &str) -> Option<String> {
        (name == "attempt").then(|| self.attempt.to_string())
    }

    fn now(&self) -> Timestamp {
        self.started_at
    }

    fn started_at(&self) -> Option<Timestamp> {
        Some(self.started_at)
    }
}

/// How many calls this process has written: no two have one `{nonce}`.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// What the places of a call stand for.
#[derive(Clone)]
pub(super) struct OrderValues<'a> {
    panel: &'a Panel,
    order: Option<&'a Order>,
    at: Timestamp,
    /// `token`, `sign`, `body`, what the preparation gave, and our values as they are written
    /// there.
    more: BTreeMap<String, String>,
}

impl<'a> OrderValues<'a> {
    /// For a call without an order: log-in, balance.
    pub(super) const fn without_order(panel: &'a Panel, at: Timestamp) -> OrderValues<'a> {
        OrderValues { panel, order: None, at, more: BTreeMap::new() }
    }

    /// For an order; the reference, the recipient and the amount are checked here.
    pub(super) fn of(
        panel: &'a Panel,
        order: &'a Order,
        at: Timestamp,
    ) -> Result<OrderValues<'a>, Unfit> {
        let more = BTreeMap::new();
        let mut values = OrderValues { panel, order: Some(order), at, more };
        if order.amount.currency() != panel.currency {
            let currency = order.amount.currency().code();
            return Err(Unfit::Unwritable(format!("an amount in {currency}")));
        }
        let start = AtStart { attempt: order.attempt, started_at: order.started_at };
        let reference = panel.reference_of(&start)?;
        if !panel.charset.is_match(&reference) || reference.len() > panel.file.reference.max {
            return Err(Unfit::Unwritable(format!("the reference {reference}")));
        }
        values.put("reference", reference);
        let recipient = recipient(panel.file.recipient.form, order)?;
        if !panel.recipient_pattern.is_match(&recipient) {
            return Err(Unfit::Unwritable(format!("the number {recipient}")));
        }
        values.put("recipient", recipient);
        values.put("amount", amount(&panel.file.amount, order)?);
        values.put("nonce", values.nonce());
        for named in &panel.values {
            let value = named.text.render(&values, EscapeContext::Plain)?;
            values.put(&named.name, value);
        }
        Ok(values)
    }

    /// Adds a value.
    pub(super) fn put(&mut self, name: &str, value: String) {
        self.more.insert(name.to_owned(), value);
    }

    /// A text that no other call has: 32 hex digits.
    fn nonce(&self) -> String {
        let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let attempt = self.order.map(|order| order.attempt.to_string()).unwrap_or_default();
        let text = format!("{} {attempt} {} {count}", self.panel.digest, self.at.0);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        hex(&digest.as_ref()[..16])
    }

    /// Adds the file's values that need no order.
    pub(super) fn put_own(&mut self) -> Result<(), Unfit> {
        self.put("nonce", self.nonce());
        for named in &self.panel.values {
            match named.text.render(self, EscapeContext::Plain) {
                Ok(value) => self.put(&named.name, value),
                Err(Unfit::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the reply must repeat.
    pub(super) fn sent(&self) -> Sent {
        let value = |name: &str| self.more.get(name).cloned().unwrap_or_default();
        Sent {
            reference: value("reference"),
            recipient: value("recipient"),
            amount_minor: self.order.map_or(0, |order| order.amount.minor()),
            decimals: decimals(self.panel.currency),
        }
    }

    fn of_order(&self, name: &str) -> Option<String> {
        let order = self.order?;
        match name {
            "attempt" => Some(order.attempt.to_string()),
            "operator" => Some(order.operator.clone()),
            "product" => order.product.clone(),
            "kind" => Some(order.kind.code().to_owned()),
            "service_type" => Some(order.service_type.code().to_owned()),
            "currency" => Some(order.amount.currency().code().to_owned()),
            "country" => order.country.clone(),
            "id" => order.upstream_reference.clone(),
            _ => {
                let field = name.strip_prefix("field.")?;
                order.details.get(field).cloned()
            }
        }
    }

    /// Our code in the words of the panel; the maps given at the set-up come before the file's.
    fn mapped(&self, map: &str) -> Option<String> {
        let order = self.order?;
        let ours = match map {
            "operator" => order.operator.clone(),
            "type" => order.service_type.code().to_owned(),
            "product" => order.product.clone()?,
            "kind" => order.kind.code().to_owned(),
            "currency" => order.amount.currency().code().to_owned(),
            "country" => order.country.clone()?,
            "offer" => order.details.get("offerId").cloned()?,
            _ => return None,
        };
        self.panel.file.map.get(map)?.get(&ours).cloned()
    }
}

impl Values for OrderValues<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.more.get(name) {
            return Some(value.clone());
        }
        if let Some(secret) = name.strip_prefix("secret.") {
            return self.panel.secrets.get(secret).cloned();
        }
        if let Some(map) = name.strip_prefix("map.") {
            return self.mapped(map);
        }
        self.of_order(name)
    }

    fn now(&self) -> Timestamp {
        self.at
    }

    fn started_at(&self) -> Option<Timestamp> {
        self.order.map(|order| order.started_at)
    }
}

/// The recipient as the panel wants it.
fn recipient(form: RecipientStyle, order: &Order) -> Result<String, Unfit> {
    let national = order.recipient.as_str();
    let international = || {
        let missing = || Unfit::Missing("the number with its country code".to_owned());
        order.international.clone().ok_or_else(missing)
    };
    Ok(match form {
        RecipientStyle::Raw | RecipientStyle::National => national.to_owned(),
        RecipientStyle::NationalNoZero => national.trim_start_matches('0').to_owned(),
        RecipientStyle::E164 => international()?,
        RecipientStyle::International => international()?.trim_start_matches('+').to_owned(),
    })
}

/// The amount as the panel wants it, if it takes such amounts.
fn amount(form: &AmountForm, order: &Order) -> Result<String, Unfit> {
    let places = decimals(order.amount.currency());
    let ours = order.amount.minor();
    let unfit = || Unfit::Unwritable(format!("the amount {}", order.amount.exact()));
    let bound = |text: &Option<String>| match text {
        Some(text) => minor(text, Unit::Major, places).map(Some).ok_or_else(unfit),
        None => Ok(None),
    };
    let is_below = bound(&form.min)?.is_some_and(|min| ours < min);
    let is_above = bound(&form.max)?.is_some_and(|max| ours > max);
    let is_off_step = bound(&form.step)?.is_some_and(|step| step == 0 || ours % step != 0);
    if is_below || is_above || is_off_step {
        return Err(unfit());
    }
    if form.unit == Unit::Minor {
        return Ok(ours.to_string());
    }
    let text = order.amount.exact();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let kept = usize::try_from(form.decimals).map_err(|_| unfit())?;
    let (kept_digits, rest) = fraction.split_at_checked(kept).unwrap_or((fraction, ""));
    if rest.bytes().any(|b| b != b'0') {
        return Err(unfit());
    }
    match kept {
        0 => Ok(whole.to_owned()),
        _ => Ok(format!("{whole}.{kept_digits:0<kept$}")),
    }
}
