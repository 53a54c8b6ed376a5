//! Upstreams as staff manage them: added, changed, mapped, paused, removed.
//!
//! Invariant: a secret is sealed before it is stored, and never shown; an upstream that has open
//! attempts is not removed, and keeps its kind and environment.

use super::{SEALED_FOR, settings_of};
use crate::access::Changed;
use crate::accounts::keys::digest_of;
use crate::refusals::{ensure, invalid, not_possible, refuse_if_any, unless};
use crate::{Engine, Permit};
use domain::refusal::{Invalid, StaffRefused, Unavailable};
use domain::{
    AddressPolicy, Capabilities, Catalog, Environment, Money, PauseCause, Permitted, Timestamp,
    Upstream, UpstreamCode, WebhookAddress, act,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Pause, SetUpstream, StoredUpstream, UpstreamSet};

/// The longest code: routes and ledger accounts repeat it.
const CODE_CHARS_MAX: usize = 32;
/// The most secrets, hosts and bytes of settings: far more than any connector needs.
const NAMES_MAX: usize = 32;
const SETTINGS_BYTES_MAX: usize = 64 * 1024;

/// An upstream that is to be added.
#[derive(Clone)]
pub struct NewUpstream {
    /// Its name: small letters, digits and hyphens.
    pub code: String,
    /// Which connector it has.
    pub kind: String,
    /// Whose orders it may get; fixed for good.
    pub environment: Environment,
    /// The rest, which can be changed later; an URL is required.
    pub settings: UpstreamChange,
}

/// What is to be changed in an upstream; `None` and empty: it stays.
#[derive(Clone, Default)]
pub struct UpstreamChange {
    /// Where it is called.
    pub url: Option<String>,
    /// The hosts that may be called besides the URL's.
    pub hosts: Option<Vec<String>>,
    /// The connector's own settings, as TOML.
    pub own: Option<String>,
    /// Secrets that are set, by name; others stay.
    pub secrets: BTreeMap<String, String>,
    /// How many orders may be on their way to it; 0: any number.
    pub calls_at_once: Option<u32>,
    /// Below this float staff are told.
    pub float_alert: Option<Money>,
    /// Below this float it gets no orders.
    pub float_stop: Option<Money>,
    /// It is still the same account there, so "not found" counts for earlier attempts too.
    pub is_same_account: bool,
}

/// An upstream as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamView {
    /// Its name.
    pub code: UpstreamCode,
    /// As it is stored; none: it is built in.
    pub stored: Option<StoredUpstream>,
    /// It can be called: its settings are sound.
    pub is_connected: bool,
    /// This node sends it no orders for a while, because its calls failed.
    pub is_breaker_open: bool,
    /// Orders of this node on their way to it.
    pub calls: usize,
    /// Open purchases that have their latest attempt there.
    pub open_attempts: u32,
}

impl Engine {
    /// Adds an upstream: routes may use it at once, on all nodes. Answers whether it waits for
    /// another person first: a live one does whose code another one had before. Refuses a name that
    /// is taken, an address that may not be called, and settings of which no connector can be made.
    pub async fn add_upstream(
        &self,
        permit: Permit<act::SetCredentials>,
        new: NewUpstream,
    ) -> Result<bool, StaffRefused> {
        let code = UpstreamCode::new(&new.code);
        let is_plain = new.code.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let is_sized = (1..=CODE_CHARS_MAX).contains(&new.code.len());
        let is_free = code != UpstreamCode::staff() && !self.inner.upstreams.is_built_in(&code);
        let errors = [
            unless(is_plain && is_sized, "code", "A code is 1 to 32 of a to z, 0 to 9 and -."),
            unless(is_free, "code", "This name is Saldo's own."),
            unless(new.settings.url.is_some(), "url", "An upstream needs an URL."),
        ];
        refuse_if_any(errors.into_iter().flatten())?;
        let now = self.now();
        let blank = StoredUpstream {
            code: code.clone(),
            kind: new.kind,
            environment: new.environment,
            url: String::new(),
            hosts: Vec::new(),
            settings: String::new(),
            maps: BTreeMap::new(),
            secret_names: Vec::new(),
            secrets: Vec::new(),
            calls_at_once: None,
            float_currency: None,
            float_alert: None,
            float_stop: None,
            paused: None,
            account_since: now,
            created_at: now,
            removed_at: None,
            revision: 0,
        };
        // One that was removed may be added again, unless it still has orders.
        let rows = self.or_unavailable(self.inner.store.upstreams())?;
        let earlier = rows.into_iter().find(|row| row.code == code);
        let is_new = earlier.as_ref().is_none_or(|known| known.removed_at.is_some());
        ensure(is_new, not_possible("There is an upstream of this code already."))?;
        let mut upstream = self.changed_upstream(blank, BTreeMap::new(), new.settings, now)?;
        // Else one person would change it alone, by removing it first.
        let waits = earlier.is_some() && upstream.environment == Environment::Live;
        if waits {
            let by = permit.by("Say who adds it again: another person must look at it.")?;
            let (by, reason) = (by.to_owned(), format!("added again by {by}"));
            upstream.paused = Some(Pause { cause: PauseCause::NewFile, reason, by });
        }
        let changed = Changed::made(object(&code), shown(&upstream));
        self.store_upstream(&permit, upstream, true, changed).await?;
        Ok(waits)
    }

    /// Changes an upstream's address, settings, secrets or limits, without a stop. Answers whether
    /// it waits for another person now: one whose file says what its replies mean, and gets live
    /// orders, is paused by a new file until somebody else resumes it. Refuses what
    /// [`Engine::add_upstream`] refuses, and such a file without a name.
    pub async fn change_upstream(
        &self,
        permit: Permit<act::SetCredentials>,
        code: &UpstreamCode,
        change: UpstreamChange,
    ) -> Result<bool, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let stored = self.stored_upstream(code)?;
        let secrets = super::opened(&self.inner.vault, &stored).map_err(not_possible)?;
        let (before, now) = (shown(&stored), self.now());
        let names: Vec<String> = change.secrets.keys().cloned().collect();
        let file_before = stored.settings.clone();
        let mut upstream = self.changed_upstream(stored, secrets, change, now)?;
        if upstream.settings != file_before && self.is_read_by_its_file(&upstream)? {
            let by = permit.by("Say who changes the file: another person must look at it.")?;
            let (by, reason) = (by.to_owned(), format!("a new file by {by}"));
            upstream.paused = Some(Pause { cause: PauseCause::NewFile, reason, by });
        }
        let waits = file_maker(&upstream).is_some();
        let mut after = shown(&upstream);
        after["secrets_set"] = json!(names);
        let changed = Changed::new(object(code), before, after);
        self.store_upstream(&permit, upstream, false, changed).await?;
        Ok(waits)
    }

    /// Maps our names to the upstream's, or ends that where it has none: all of them in one commit,
    /// or none. `map`: `operator`, `product`, `offer`. Ours may be written in any case; refuses
    /// operators and products that the catalog has not, and names that a connector of this kind
    /// cannot use.
    pub async fn map_upstream(
        &self,
        permit: Permit<act::SetCatalog>,
        code: &UpstreamCode,
        map: &str,
        names: BTreeMap<String, Option<String>>,
    ) -> Result<(), StaffRefused> {
        let is_named = |(ours, theirs): (&String, &Option<String>)| {
            !ours.trim().is_empty() && theirs.as_ref().is_none_or(|t| !t.trim().is_empty())
        };
        let message = "Neither our name nor theirs may be blank.";
        ensure(names.iter().all(is_named), invalid("map", message))?;
        let (catalog, map) = (self.catalog(), map.to_owned());
        self.edit_upstream(permit, code, move |upstream| {
            let known = upstream.maps.entry(map.clone()).or_default();
            let mut done = BTreeSet::new();
            for (ours, theirs) in names {
                let own = own_name(&catalog, &map, &ours);
                // What is forgotten may be unknown by now.
                let own = match &theirs {
                    Some(_) => own.map_err(not_possible)?,
                    None => own.unwrap_or(ours),
                };
                let before = known.len();
                known.retain(|key, _| !key.eq_ignore_ascii_case(&own));
                let is_known = theirs.is_some() || known.len() < before;
                ensure(is_known, not_possible(format!("{own} is not mapped.")))?;
                let is_first = done.insert(own.clone());
                ensure(is_first, not_possible(format!("{own} is given twice.")))?;
                known.extend(theirs.map(|theirs| (own, theirs)));
            }
            if known.is_empty() {
                upstream.maps.remove(&map);
            }
            Ok(())
        })
        .await
    }

    /// Sends an upstream no new orders, on all nodes; those that it has are still asked about.
    /// Refuses one whose new file waits for another person: it gets none already.
    pub async fn pause_upstream(
        &self,
        permit: Permit<act::Freeze>,
        code: &UpstreamCode,
        reason: &str,
    ) -> Result<(), StaffRefused> {
        let reason = reason.trim();
        ensure(!reason.is_empty(), invalid("reason", "Say why."))?;
        let by = permit.by("Say who.").unwrap_or_default().to_owned();
        let paused = Pause { cause: PauseCause::Staff, reason: reason.to_owned(), by };
        self.edit_upstream(permit, code, |upstream| {
            let because = "It gets no orders already: its new file waits for another person.";
            ensure(file_maker(upstream).is_none(), not_possible(because))?;
            upstream.paused = Some(paused);
            Ok(())
        })
        .await
    }

    /// Lets a paused upstream have orders again. If its new file waits for another person, refuses
    /// the one who changed it.
    pub async fn resume_upstream(
        &self,
        permit: Permit<act::Unfreeze>,
        code: &UpstreamCode,
    ) -> Result<(), StaffRefused> {
        let by = permit.by("Say who: its new file must be looked at by another person.");
        let by = by.map(str::to_owned);
        self.edit_upstream(permit, code, |upstream| {
            if let Some(maker) = file_maker(upstream) {
                let because = format!(
                    "{maker} made it what it is: another person must look at it and resume it."
                );
                let is_another = by?.trim().to_lowercase() != maker.trim().to_lowercase();
                ensure(is_another, not_possible(because))?;
            }
            upstream.paused = None;
            Ok(())
        })
        .await
    }

    /// Removes an upstream. Refuses while an order is open there, or a route names it. What raced
    /// with the removal, and what turns up later, is still asked about: its row stays.
    pub async fn remove_upstream(
        &self,
        permit: Permit<act::SetCredentials>,
        code: &UpstreamCode,
    ) -> Result<(), StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut upstream = self.stored_upstream(code)?;
        self.or_unavailable(self.reload())?;
        let catalog = self.catalog();
        let routes = catalog.routes.iter().filter(|route| route.upstreams.contains(code));
        let routes: Vec<String> = routes.map(|route| route.id.to_string()).collect();
        let because = format!(
            "Routes lead to it: {}. Set them to others, or remove them, first.",
            routes.join(", ")
        );
        ensure(routes.is_empty(), not_possible(because))?;
        let before = shown(&upstream);
        upstream.removed_at = Some(self.now());
        let changed = Changed::new(object(code), before, json!(null));
        self.store_upstream(&permit, upstream, true, changed).await
    }

    /// Every upstream that is built in or set up, by code; removed ones not.
    pub fn upstreams(&self) -> Result<Vec<UpstreamView>, StaffRefused> {
        let map = self.inner.upstreams.current.load();
        let mut views = Vec::new();
        for (code, connected) in map.iter() {
            if connected.row.as_ref().is_some_and(|row| row.removed_at.is_some()) {
                continue;
            }
            let open = self.or_unavailable(self.inner.store.open_attempts_at(code))?;
            let (is_breaker_open, calls) = connected.health.shown();
            views.push(UpstreamView {
                code: code.clone(),
                stored: connected.row.clone(),
                is_connected: connected.connector.is_some(),
                is_breaker_open,
                calls,
                open_attempts: open,
            });
        }
        views.sort_by(|a, b| a.code.cmp(&b.code));
        Ok(views)
    }

    async fn edit_upstream<A: Permitted>(
        &self,
        permit: Permit<A>,
        code: &UpstreamCode,
        edit: impl FnOnce(&mut StoredUpstream) -> Result<(), StaffRefused>,
    ) -> Result<(), StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut upstream = self.stored_upstream(code)?;
        let before = shown(&upstream);
        edit(&mut upstream)?;
        let secrets = super::opened(&self.inner.vault, &upstream).map_err(not_possible)?;
        self.check_connector(&upstream, secrets)?;
        let changed = Changed::new(object(code), before, shown(&upstream));
        self.store_upstream(&permit, upstream, false, changed).await
    }

    /// The row of an upstream that was set up and not removed.
    pub(super) fn stored_upstream(
        &self,
        code: &UpstreamCode,
    ) -> Result<StoredUpstream, StaffRefused> {
        let is_built_in = self.inner.upstreams.is_built_in(code);
        ensure(!is_built_in, not_possible("It is built in: there is nothing to set."))?;
        let rows = self.or_unavailable(self.inner.store.upstreams())?;
        let row = rows.into_iter().find(|row| row.code == *code && row.removed_at.is_none());
        Ok(row.ok_or_else(unknown_upstream)?)
    }

    /// The row with a change applied; its secrets are sealed.
    fn changed_upstream(
        &self,
        mut row: StoredUpstream,
        mut secrets: BTreeMap<String, String>,
        change: UpstreamChange,
        now: Timestamp,
    ) -> Result<StoredUpstream, StaffRefused> {
        let is_moved = change.url.is_some() || change.own.is_some() || !change.secrets.is_empty();
        if is_moved && !change.is_same_account {
            row.account_since = now;
        }
        if let Some(url) = change.url {
            row.url = checked_url(url)?;
        }
        row.hosts = change.hosts.unwrap_or(row.hosts);
        row.settings = change.own.unwrap_or(row.settings);
        row.calls_at_once = match change.calls_at_once {
            Some(0) => None,
            Some(calls) => Some(calls),
            None => row.calls_at_once,
        };
        let is_named = change.secrets.keys().all(|name| !name.trim().is_empty());
        let is_given = change.secrets.values().all(|text| !text.trim().is_empty());
        secrets.extend(change.secrets);
        let is_short = secrets.len().max(row.hosts.len()) <= NAMES_MAX;
        let errors = [
            unless(is_named, "secret", "A secret has a name."),
            unless(is_given, "secret", "A secret is not blank."),
            unless(is_short, "secret", "There are too many."),
            unless(row.settings.len() <= SETTINGS_BYTES_MAX, "file", "It is too long."),
        ];
        refuse_if_any(errors.into_iter().flatten())?;
        let connector = self.check_connector(&row, secrets.clone())?;
        let (alert, stop) = (change.float_alert, change.float_stop);
        self.set_levels(&mut row, alert, stop, &connector.capabilities())?;
        row.secret_names = secrets.keys().cloned().collect();
        let text = serde_json::to_vec(&secrets).map_err(|_| Unavailable { retry_after_s: 5 })?;
        row.secrets = self.sealed(SEALED_FOR, row.code.as_str(), &text)?;
        Ok(row)
    }

    /// Sets the levels of the float that were given. Those in another currency than before take the
    /// place of both; one that the float does not have is refused.
    fn set_levels(
        &self,
        row: &mut StoredUpstream,
        alert: Option<Money>,
        stop: Option<Money>,
        capabilities: &Capabilities,
    ) -> Result<(), StaffRefused> {
        let Some(currency) = alert.or(stop).map(|level| level.currency()) else { return Ok(()) };
        let given = || [alert, stop].into_iter().flatten();
        let is_one = given().all(|level| level.currency() == currency && level.minor() >= 0);
        let message = "The levels of a float are of one currency, and not below zero.";
        ensure(is_one, invalid("float", message))?;
        self.check_currency(row, capabilities, currency)?;
        if row.float_currency != Some(currency) {
            (row.float_alert, row.float_stop) = (None, None);
        }
        row.float_currency = Some(currency);
        row.float_alert = alert.map(Money::minor).or(row.float_alert);
        row.float_stop = stop.map(Money::minor).or(row.float_stop);
        Ok(())
    }

    /// Refuses settings of which no connector can be made, and what a connector of this kind cannot
    /// use.
    fn check_connector(
        &self,
        row: &StoredUpstream,
        secrets: BTreeMap<String, String>,
    ) -> Result<Arc<dyn Upstream>, Invalid> {
        let checked = self.inner.upstreams.check(settings_of(row, secrets));
        checked.map_err(|reason| invalid("upstream", &reason))
    }

    /// Whether live orders are read by its file: what the file says decides about money.
    fn is_read_by_its_file(&self, row: &StoredUpstream) -> Result<bool, StaffRefused> {
        let secrets = super::opened(&self.inner.vault, row).map_err(not_possible)?;
        let made = self.inner.upstreams.make(settings_of(row, secrets));
        let made = made.map_err(|reason| invalid("upstream", &reason))?;
        Ok(row.environment == Environment::Live && made.capabilities().refusals_shown > 0)
    }

    async fn store_upstream<A: Permitted>(
        &self,
        permit: &Permit<A>,
        upstream: StoredUpstream,
        if_unused: bool,
        changed: Changed,
    ) -> Result<(), StaffRefused> {
        let set = SetUpstream { upstream, if_unused };
        let set = self.recorded(permit, set, [changed], |set| *set == UpstreamSet::Stored);
        let set = self.commit(permit, set).await;
        match self.or_unavailable(set)? {
            UpstreamSet::Stored => Ok(self.or_unavailable(self.reload())?),
            UpstreamSet::Changed => {
                Err(not_possible("Somebody else has changed it just now: look again.").into())
            }
            UpstreamSet::InUse(open) => Err(not_possible(format!(
                "It has {open} open orders, and must be asked about them: pause it, and wait or \
                 settle them."
            ))
            .into()),
        }
    }
}

/// Our name of what a map is about, as the catalog spells it; the error is a sentence.
fn own_name(catalog: &Catalog, map: &str, name: &str) -> Result<String, String> {
    let name = name.trim();
    let operator = || catalog.operators.iter().find(|operator| operator.is_called(name));
    let product = || catalog.products.iter().find(|p| p.name.eq_ignore_ascii_case(name));
    match map {
        "operator" => {
            let code = operator().map(|operator| operator.code.clone());
            code.ok_or_else(|| format!("There is no operator {name}."))
        }
        // A bill without a product is mapped by its operator.
        "product" => {
            let code = || operator().map(|operator| operator.code.clone());
            let found = product().map(|product| product.name.clone()).or_else(code);
            found.ok_or_else(|| format!("There is no product {name:?}."))
        }
        // Upstreams quote offers; the catalog has none.
        _ => Ok(name.to_owned()),
    }
}

/// Who changed the file of an upstream that waits for another person.
fn file_maker(upstream: &StoredUpstream) -> Option<&str> {
    let pause = upstream.paused.as_ref()?;
    (pause.cause == PauseCause::NewFile).then_some(pause.by.as_str())
}

fn object(code: &UpstreamCode) -> String {
    format!("upstream {code}")
}

pub(super) fn unknown_upstream() -> domain::refusal::NotPossible {
    not_possible("There is no such upstream.")
}

/// Where connectors may be told to call. Whether this machine may be called is judged when a
/// connection is made.
fn checked_url(url: String) -> Result<String, Invalid> {
    let allowed = AddressPolicy { environment: Environment::Live, allow_loopback: true };
    match WebhookAddress::parse(&url, allowed) {
        Ok(_) => Ok(url),
        Err(why) => Err(invalid("url", &format!("It {why}"))),
    }
}

/// Which file its settings are, as `sha256sum` says it; none: it has no file.
fn file_digest(settings: &str) -> Option<String> {
    let hex = || digest_of(settings).iter().map(|byte| format!("{byte:02x}")).collect();
    (!settings.is_empty()).then(hex)
}

/// What the record of acts shows: no secret, only the names.
fn shown(upstream: &StoredUpstream) -> Value {
    json!({
        "kind": upstream.kind,
        "environment": upstream.environment.code(),
        "url": upstream.url,
        "hosts": upstream.hosts,
        "file_sha256": file_digest(&upstream.settings),
        "maps": upstream.maps,
        "secrets": upstream.secret_names,
        "calls_at_once": upstream.calls_at_once,
        "float_alert": upstream.float_alert,
        "float_stop": upstream.float_stop,
        "paused": upstream.paused.as_ref().map(|pause| pause.reason.as_str()),
        "paused_cause": upstream.paused.as_ref().map(|pause| pause.cause.code()),
    })
}
