//! Loads a panel's file: reads every text in it once, and refuses a file that is not safe.
//!
//! Not here: the file's cases and the hostile replies, which are run after this (`cases.rs`).
//! Invariant: a file that loads cannot refund or deliver by a reply that is not shown to be ours.

use super::file::{self, CallForm, Meaning, PanelFile, Rule};
use super::judge::{Step, compiled};
use super::request::{Named, ReadyCall, named};
use super::sending::{Sending, check_headers};
use super::template::{EscapeContext, Template, Unfit};
use super::times::{
    GAP_MIN, balance_gap, connect_timeout, duration, rechecks, repeated_refusals, schedule,
    staff_after,
};
use super::values::AtStart;
use crate::upstream::kit::protocol::RepeatedRefusals;
use domain::retry::RetrySchedule;
use domain::{AskedBy, AttemptRef, Currency, PurchaseNumber, Timestamp};
use ipnet::IpNet;
use regex::Regex;
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The form of files that this program reads.
const FORMAT: u32 = 1;
/// No file is longer: what is stored and read at each start has a limit.
const FILE_BYTES_MAX: usize = 64 * 1024;
/// No reply is longer.
const BODY_MAX: usize = 64 * 1024;
/// *Not found* never counts earlier than this after a submit.
const GRACE_MIN: Duration = Duration::from_secs(120);
/// And never earlier than this after the submit's own time-out.
const GRACE_AFTER_TIMEOUT: Duration = Duration::from_secs(30);
/// The maps that a place can name.
const MAPS: [&str; 7] = ["operator", "type", "product", "kind", "currency", "country", "offer"];
/// The other names that an order gives values.
const NAMES: [&str; 13] = [
    "attempt",
    "reference",
    "recipient",
    "amount",
    "operator",
    "product",
    "kind",
    "service_type",
    "currency",
    "country",
    "now",
    "started",
    "nonce",
];
/// The attempt of the file's cases, and when it starts: 2026-01-02 03:04:05 UTC.
pub(super) const CASE_START: AtStart = AtStart {
    attempt: AttemptRef { purchase: PurchaseNumber(1042), number: 1 },
    started_at: Timestamp(1_767_323_045_000_000),
};

/// A panel whose file was read.
pub(super) struct Panel {
    pub(super) file: PanelFile,
    /// SHA-256 of the file's text: says which version decided.
    pub(super) digest: String,
    pub(super) currency: Currency,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) hosts: BTreeSet<String>,
    pub(super) reference: Template,
    pub(super) charset: Regex,
    pub(super) recipient_pattern: Regex,
    pub(super) values: Vec<Named>,
    pub(super) login: Option<ReadyCall>,
    pub(super) prepare: Option<ReadyCall>,
    pub(super) submit: ReadyCall,
    pub(super) query: Option<ReadyCall>,
    pub(super) balance: Option<ReadyCall>,
    pub(super) hook_networks: Vec<IpNet>,
    /// What callbacks have behind our address.
    pub(super) hook_path: Option<Template>,
    /// How long after a submit *not found* counts; `None`: never.
    pub(super) grace: Option<Duration>,
    /// It counts when it was said twice, so far apart.
    pub(super) not_found_gap: Duration,
    /// How long a connection may take to open, if the file says so.
    pub(super) connect_timeout: Option<Duration>,
    /// Longer replies are unknown.
    pub(super) body_max: usize,
    /// How long an order may be in doubt before staff find out.
    pub(super) staff_after: Option<Duration>,
    /// The balance is asked for no more often.
    pub(super) balance_gap: Option<Duration>,
    /// An order that has ended is asked about again so many days after.
    pub(super) rechecks: &'static [u32],
    /// When the panel is asked about an order.
    pub(super) enquiries: RetrySchedule,
    /// Panels show a failure while they try another route: one answer of an enquiry is not enough.
    pub(super) repeated_refusals: RepeatedRefusals,
    fresh_reference: Option<Template>,
}

/// What a company adds to a file when it adds the upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct Additions {
    /// In place of the file's base address.
    pub(super) url: Option<String>,
    pub(super) secrets: BTreeMap<String, String>,
    /// Our codes = theirs, by the map's name; they come before the file's.
    pub(super) maps: BTreeMap<String, BTreeMap<String, String>>,
}

/// `64KiB`, `1000`.
fn bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix("KiB") {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    let count: usize =
        digits.trim().parse().map_err(|_| format!("{text:?} is not a size such as 64KiB"))?;
    count.checked_mul(unit).ok_or_else(|| format!("{text:?} is too large"))
}

impl Panel {
    /// Reads a file's text. The reason of a refusal names the table.
    pub(super) fn load(text: &str, additions: Additions) -> Result<Panel, String> {
        if text.len() > FILE_BYTES_MAX {
            return Err("the file is longer than 64 KiB: leave cases and comments out".to_owned());
        }
        let mut file: PanelFile = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("format = {}: this program reads {FORMAT}", file.format));
        }
        let maps_operators = file.map.get("operator").is_some_and(|map| !map.is_empty());
        for (name, entries) in additions.maps {
            file.map.entry(name).or_default().extend(entries);
        }
        let in_table = |table: &'static str| move |text: String| format!("[{table}] {text}");
        let base = Url::parse(&file.base.url)
            .map_err(|error| format!("[base] url {:?}: {error}", file.base.url))?;
        let sign = file.sign.as_ref();
        let unit = file.amount.unit;
        let call = |step, form: &CallForm| ReadyCall::of(step, form, &base, sign, unit);
        let optional = |step, form: &Option<CallForm>, table| {
            form.as_ref().map(|form| call(step, form)).transpose().map_err(in_table(table))
        };
        let currency = Currency::from_code(&file.currency)
            .ok_or_else(|| format!("currency {:?} is not of ISO 4217", file.currency))?;
        let template = |text: &str| Template::parse(text).map_err(|error| error.to_string());
        let fresh = file.query.as_ref().and_then(|query| query.fresh_reference.as_ref());
        let fresh = fresh.map(|text| template(text)).transpose();
        let mut panel = Panel {
            digest: hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
            currency,
            secrets: additions.secrets,
            hosts: file.base.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            reference: template(&file.reference.template).map_err(in_table("reference"))?,
            charset: compiled(&format!("^[{}]+$", file.reference.charset))
                .map_err(in_table("reference"))?,
            recipient_pattern: anchored(&file.recipient.pattern).map_err(in_table("recipient"))?,
            values: named(&file.values).map_err(|error| format!("[values] {error}"))?,
            login: optional(Step::Prepare, &file.login, "login")?,
            prepare: optional(Step::Prepare, &file.prepare, "prepare")?,
            submit: call(Step::Submit, &file.submit).map_err(in_table("submit"))?,
            query: optional(Step::Query, &file.query, "query")?,
            balance: optional(Step::Prepare, &file.balance, "balance")?,
            hook_networks: networks(&file).map_err(in_table("hook"))?,
            hook_path: hook_path(&file).map_err(in_table("hook"))?,
            staff_after: staff_after(&file).map_err(in_table("schedule"))?,
            balance_gap: balance_gap(&file).map_err(in_table("balance"))?,
            rechecks: rechecks(&file).map_err(in_table("schedule"))?,
            grace: None,
            not_found_gap: GAP_MIN,
            connect_timeout: connect_timeout(&file).map_err(in_table("base"))?,
            body_max: file.base.max_body.as_deref().map_or(Ok(BODY_MAX), bytes)?,
            enquiries: schedule(&file).map_err(in_table("schedule"))?,
            repeated_refusals: repeated_refusals(&file).map_err(in_table("query"))?,
            fresh_reference: fresh.map_err(in_table("query"))?,
            file,
        };
        panel.check_base().map_err(in_table("base"))?;
        panel.check_forms()?;
        panel.check_rules()?;
        panel.check_places()?;
        panel.check_sending(maps_operators)?;
        if let Some(NotFoundWaits { grace, gap }) = panel.check_grace()? {
            (panel.grace, panel.not_found_gap) = (Some(grace), gap);
        }
        if let Some(url) = additions.url {
            panel.move_to(&base, &url).map_err(in_table("base"))?;
        }
        Ok(panel)
    }

    /// All calls, with their tables' names.
    fn calls(&self) -> Vec<Entry<'_>> {
        let mut all = vec![Entry { table: "submit", call: &self.submit, form: &self.file.submit }];
        let optional = [
            ("login", &self.login, &self.file.login),
            ("prepare", &self.prepare, &self.file.prepare),
            ("query", &self.query, &self.file.query),
            ("balance", &self.balance, &self.file.balance),
        ];
        for (table, call, form) in optional {
            if let (Some(call), Some(form)) = (call, form) {
                all.push(Entry { table, call, form });
            }
        }
        all
    }

    /// What calls send and what they do not. `maps_operators`: the file itself maps them.
    fn check_sending(&self, maps_operators: bool) -> Result<(), String> {
        self.calls().iter().try_for_each(check_headers)?;
        let sending = Sending {
            maps_operators,
            asked_by: self.asked_by(),
            values: &self.values,
            prepare: self.prepare.as_ref(),
            submit: &self.submit,
            query: self.query.as_ref(),
        };
        sending.check()
    }

    fn check_base(&self) -> Result<(), String> {
        for entry in self.calls() {
            if !entry.call.is_https() {
                return Err(format!(
                    "{}: https only; put a TLS tunnel before a panel without",
                    entry.table
                ));
            }
            let host = entry.call.host().unwrap_or_default();
            if !self.hosts.contains(&host.to_ascii_lowercase()) {
                return Err(format!("{}: its host {host} is not in hosts", entry.table));
            }
        }
        if self.file.base.max_in_flight == Some(0) || self.file.base.per_minute == Some(0) {
            return Err("max_in_flight and per_minute are above zero".to_owned());
        }
        let answer = self.file.hook.as_ref().and_then(|hook| hook.answer.as_ref());
        if answer.is_some_and(|answer| !(200..300).contains(&answer.status)) {
            return Err("[hook] answer: a hook that was heard is answered with a 2xx".to_owned());
        }
        match self.body_max {
            1..=BODY_MAX => Ok(()),
            _ => Err("max_body is between 1 byte and 64KiB".to_owned()),
        }
    }

    /// What the panel can be asked by.
    pub(super) fn asked_by(&self) -> AskedBy {
        match self.file.query.as_ref().map(|query| query.by.unwrap_or_default()) {
            None => AskedBy::Nothing,
            Some(file::AskedBy::Id) => AskedBy::TheirReference,
            Some(file::AskedBy::Reference) => AskedBy::OurReference,
        }
    }

    /// The reference of an enquiry itself, where the panel wants one.
    pub(super) const fn fresh_reference(&self) -> Option<&Template> {
        self.fresh_reference.as_ref()
    }

    /// Whether the panel can take a delivery back.
    pub(super) fn reverses(&self) -> bool {
        self.rules().any(|rule| rule.outcome == Meaning::Reversed)
    }

    /// The reference of an attempt, as the panel has it. It is the same for ever: a time in it is
    /// that of the attempt's record.
    pub(super) fn reference_of(&self, attempt: &AtStart) -> Result<String, Unfit> {
        self.reference.render(attempt, EscapeContext::Plain)
    }

    /// The attempt whose reference this is.
    pub(super) fn attempt_of(&self, reference: &str) -> Option<AttemptRef> {
        let digits = reference.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        let digits: Vec<&str> = digits.collect();
        digits.windows(2).find_map(|pair| {
            let attempt = AttemptRef::parse(&format!("S{}-{}", pair[0], pair[1]))?;
            let values = AtStart { attempt, started_at: Timestamp(0) };
            let pattern = compiled(&self.reference.pattern_at_any_time(&values)?).ok()?;
            pattern.is_match(reference).then_some(attempt)
        })
    }

    /// A field stands only in the table that it belongs to.
    fn check_forms(&self) -> Result<(), String> {
        for Entry { table, form, .. } in self.calls() {
            let owned = [
                ("by", form.by.is_some(), "query"),
                ("fresh_reference", form.fresh_reference.is_some(), "query"),
                ("not_found", form.not_found.is_some(), "query"),
                ("token", form.token.is_some(), "login"),
                ("lifetime", form.lifetime.is_some(), "login"),
                ("renew_on", !form.renew_on.is_empty(), "login"),
                ("unit", form.unit.is_some(), "balance"),
                ("min_interval", form.min_interval.is_some(), "balance"),
            ];
            if let Some((field, _, owner)) =
                owned.into_iter().find(|(_, is_set, owner)| *is_set && *owner != table)
            {
                return Err(format!("[{table}] {field} belongs to [{owner}]"));
            }
            let has_rules = !form.rules.is_empty();
            let wants_rules = !matches!(table, "login" | "balance");
            if has_rules != wants_rules {
                let text = if wants_rules { "needs at least one rule" } else { "has no rules" };
                return Err(format!("[{table}] {text}"));
            }
        }
        if let Some(login) = &self.file.login {
            if login.token.is_none() || login.lifetime.is_none() {
                return Err("[login] needs token and lifetime".to_owned());
            }
            for renewal in &login.renew_on {
                let is_401 = renewal.http == [401] && !renewal.when.is_empty();
                if !is_401 {
                    return Err(
                        "[login] renew_on is http = [401] and a value of the body".to_owned()
                    );
                }
            }
        }
        if self.balance.as_ref().is_some_and(|call| !call.taken().contains(&"amount".to_owned())) {
            return Err("[balance] must take amount".to_owned());
        }
        Ok(())
    }

    /// The rules of all calls.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.calls().into_iter().flat_map(|entry| &entry.form.rules)
    }

    fn check_rules(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for Entry { table, call, form } in self.calls() {
            let taken = call.taken();
            let is_taken = |name: &String| taken.contains(name);
            for rule in &form.rules {
                if !names.insert(rule.name.clone()) {
                    return Err(format!("[{table}] the rule {:?} is there twice", rule.name));
                }
                if let Some(name) = rule.when.keys().find(|name| !is_taken(name)) {
                    return Err(format!("[{table}] rule {:?}: {name} is not taken", rule.name));
                }
            }
            let echo = &form.echo;
            let reference = echo.reference.as_ref().filter(|name| *name != "none");
            let echoed = [reference, echo.recipient.as_ref(), echo.amount.as_ref()];
            let folded = form.fold.fields.iter();
            if let Some(name) = echoed.into_iter().flatten().chain(folded).find(|n| !is_taken(n)) {
                return Err(format!("[{table}] {name} is not taken"));
            }
            let has_id = taken.iter().any(|name| name == "id");
            let shows_order = has_id && echo.recipient.is_some() && echo.amount.is_some();
            let is_named = reference.is_some() || (table == "query" && has_id);
            for rule in &form.rules {
                let may = match (table, rule.outcome) {
                    ("submit", Meaning::Delivered) => is_named || shows_order,
                    ("query", Meaning::Delivered | Meaning::Refused | Meaning::Reversed) => {
                        is_named
                    }
                    _ => true,
                };
                if !may {
                    let text = "the reply does not repeat our reference, so it cannot decide";
                    return Err(format!("[{table}] rule {:?}: {text}", rule.name));
                }
                if let Some(gap) = &rule.gap
                    && duration(gap)? < GAP_MIN
                {
                    return Err(format!("[{table}] rule {:?}: gap is at least 60s", rule.name));
                }
            }
        }
        Ok(())
    }

    /// Every place names something that exists, and no secret stands in a path.
    fn check_places(&self) -> Result<(), String> {
        for map in self.file.map.keys() {
            if !MAPS.contains(&map.as_str()) {
                return Err(format!("[map.{map}]: a map is one of {}", MAPS.join(", ")));
            }
        }
        let prepared: Vec<String> = self.prepare.iter().flat_map(ReadyCall::taken).collect();
        for Entry { table, call, form } in self.calls() {
            let (open, closed) = call.texts();
            for text in &open {
                for place in text.places() {
                    self.check_place(&place.name, form, &prepared)
                        .map_err(|e| format!("[{table}] {e}"))?;
                }
            }
            for place in closed.iter().flat_map(|text| text.places()) {
                if place.name.starts_with("secret.") || place.name == "token" {
                    return Err(format!(
                        "[{table}] no secret stands in a path: it would be logged"
                    ));
                }
                self.check_place(&place.name, form, &prepared)
                    .map_err(|e| format!("[{table}] {e}"))?;
            }
        }
        let ours = self.values.iter().map(|named| &named.text).chain([&self.reference]);
        for place in ours.flat_map(Template::places) {
            if !NAMES.contains(&place.name.as_str()) {
                return Err(format!(
                    "[reference], [values]: {{{}}} is not known there",
                    place.name
                ));
            }
        }
        // An enquiry after a restart must write the same reference.
        let (moments, others): (Vec<_>, Vec<_>) =
            self.reference.places().partition(|place| place.is_moment());
        if others.len() != 1 || others[0].name != "attempt" {
            return Err(
                "[reference] template has {attempt} once, and besides it only {now|…}".into()
            );
        }
        let sample =
            self.reference_of(&CASE_START).map_err(|error| format!("[reference] {error}"))?;
        if self.attempt_of(&sample) != Some(CASE_START.attempt) {
            let between = if moments.is_empty() { "" } else { ", with no digit beside it" };
            return Err(format!(
                "[reference] template: our attempt cannot be read back from {sample}; write it \
                 whole{between}"
            ));
        }
        Ok(())
    }

    fn check_place(&self, name: &str, form: &CallForm, prepared: &[String]) -> Result<(), String> {
        let is_known = match name.split_once('.') {
            Some(("secret", secret)) => self.file.secrets.names.iter().any(|known| known == secret),
            Some(("map", map)) => self.file.map.contains_key(map),
            Some(("prepare", field)) => prepared.iter().any(|known| known == field),
            Some(("field", _)) => true,
            _ => {
                NAMES.contains(&name)
                    || matches!(name, "sign" | "body" | "id" | "fresh_reference")
                    || (name == "token" && self.file.login.is_some() && form.token.is_none())
                    || self.file.values.contains_key(name)
            }
        };
        match is_known {
            true => Ok(()),
            false => Err(format!("{{{name}}} is not known; is a secret's name or a map missing?")),
        }
    }

    fn check_grace(&self) -> Result<Option<NotFoundWaits>, String> {
        let query = self.file.query.as_ref();
        let form = query.and_then(|query| query.not_found.as_ref());
        let says = self.rules().any(|rule| rule.outcome == Meaning::NotFound);
        let Some(form) = form else {
            return match says {
                true => Err("a not_found rule needs [query.not_found] with its grace".to_owned()),
                false => Ok(None),
            };
        };
        let submit =
            self.file.submit.timeout.as_deref().map_or(Ok(Duration::from_secs(20)), duration)?;
        let grace = duration(&form.grace)?;
        if grace < GRACE_MIN.max(submit + GRACE_AFTER_TIMEOUT) {
            return Err("[query.not_found] grace is at least 120s, and the submit's timeout + 30s"
                .to_owned());
        }
        let gap = form.gap.as_deref().map_or(Ok(GAP_MIN), duration)?;
        if form.repeats.is_some_and(|repeats| repeats != 2) || gap < GAP_MIN {
            let text =
                "[query.not_found] counts two equal answers (repeats = 2), at least 60s apart";
            return Err(text.to_owned());
        }
        Ok(Some(NotFoundWaits { grace, gap }))
    }

    /// Calls another base address than the file's, on a host that becomes a listed one. A service
    /// on this machine takes the place of all: it is a simulated one.
    fn move_to(&mut self, from: &Url, to: &str) -> Result<(), String> {
        let to = Url::parse(to).map_err(|error| format!("{to:?}: {error}"))?;
        let host = to.host_str().ok_or_else(|| format!("{to} names no host"))?;
        self.hosts.insert(host.to_ascii_lowercase());
        let optional = [&mut self.login, &mut self.prepare, &mut self.query, &mut self.balance];
        let calls = optional.into_iter().flatten().chain([&mut self.submit]);
        let is_here = match to.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        calls.for_each(|call| call.with_base(if is_here { None } else { Some(from) }, &to));
        Ok(())
    }
}

/// When *not found* counts.
struct NotFoundWaits {
    grace: Duration,
    gap: Duration,
}

/// One call of a panel.
pub(super) struct Entry<'a> {
    pub(super) table: &'static str,
    pub(super) call: &'a ReadyCall,
    form: &'a CallForm,
}

/// A path is made of secrets alone: else it is none.
fn hook_path(file: &PanelFile) -> Result<Option<Template>, String> {
    let Some(text) = file.hook.as_ref().and_then(|hook| hook.path.as_deref()) else {
        return Ok(None);
    };
    let path = Template::parse(text).map_err(|error| error.to_string())?;
    let is_secret = |name: &str| {
        name.strip_prefix("secret.")
            .is_some_and(|name| file.secrets.names.iter().any(|n| n == name))
    };
    match path.places().count() > 0 && path.places().all(|place| is_secret(&place.name)) {
        true => Ok(Some(path)),
        false => Err("path is a secret of the file: \"{secret.hook}\"".to_owned()),
    }
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    match pattern.starts_with('^') && pattern.ends_with('$') {
        true => compiled(pattern),
        false => Err("pattern is anchored at both ends: ^…$".to_owned()),
    }
}

fn networks(file: &PanelFile) -> Result<Vec<IpNet>, String> {
    let ips = file.hook.iter().flat_map(|hook| &hook.ips);
    ips.map(|text| {
        let single = text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
        text.parse().or(single).map_err(|_| format!("{text:?} is not an address or a network"))
    })
    .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
