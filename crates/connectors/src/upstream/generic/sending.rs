//! What a call must send and may not send, whatever the panel is: else its file is refused.
//!
//! Invariant: a sale names the order, the recipient and the amount, and an enquiry the order; a
//! header neither breaks the request's frame nor is taken for the connection's own.

use super::panel::Entry;
use super::request::{Named, ReadyCall};
use super::template::Template;
use domain::AskedBy;
use reqwest::header::{HeaderName, HeaderValue};
use std::collections::BTreeSet;

/// What the connection itself says.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What of a file the checks look at.
pub(super) struct Sending<'a> {
    /// Whether the file itself maps operators.
    pub(super) maps_operators: bool,
    pub(super) asked_by: AskedBy,
    pub(super) values: &'a [Named],
    pub(super) prepare: Option<&'a ReadyCall>,
    pub(super) submit: &'a ReadyCall,
    pub(super) query: Option<&'a ReadyCall>,
}

impl Sending<'_> {
    /// Refuses a file whose calls do not say what they are about.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut sold = self.sent_by(self.submit);
        // What a preparation was told is part of the sale that names it.
        if let Some(prepare) = self.prepare
            && sold.iter().any(|name| name.starts_with("prepare."))
        {
            sold.extend(self.sent_by(prepare));
        }
        let sends = |names: &[&str]| names.iter().any(|name| sold.contains(*name));
        let reference: &[&str] = &["reference", "attempt"];
        if !sends(reference) {
            return Err(
                "[submit] never sends {reference}: put it where the panel takes our number \
                        of the order, so that it can be asked about"
                    .to_owned(),
            );
        }
        for name in ["recipient", "amount"] {
            if !sends(&[name]) {
                return Err(format!(
                    "[submit] never sends {{{name}}}: put it where the panel takes it; a fixed \
                     text would be sold to every buyer"
                ));
            }
        }
        if self.maps_operators && !sends(&["map.operator", "operator"]) {
            return Err("[submit] never sends {map.operator}, although [map.operator] has names: \
                        put it where the panel takes the operator, or leave the map out"
                .to_owned());
        }
        for call in [Some(self.submit), self.prepare, self.query].into_iter().flatten() {
            if call.shortens("reference") || call.shortens("attempt") {
                return Err(
                    "{reference} has no filter last9 or last10: two orders would have one \
                            reference"
                        .to_owned(),
                );
            }
        }
        let Some(query) = self.query else { return Ok(()) };
        let asks = self.sent_by(query);
        let (wanted, name) = match self.asked_by {
            AskedBy::TheirReference => (&["id"][..], "id"),
            AskedBy::OurReference | AskedBy::Nothing => (reference, "reference"),
        };
        match wanted.iter().any(|name| asks.contains(*name)) {
            true => Ok(()),
            false => Err(format!(
                "[query] never sends {{{name}}}: put it where the panel takes the number of the \
                 order that is asked about"
            )),
        }
    }

    /// The names whose values a call sends as they are; a signature shows none of them.
    fn sent_by(&self, call: &ReadyCall) -> BTreeSet<String> {
        let mut names = names_in(call.sent_texts());
        let named = self.values.iter().filter(|named| names.contains(&named.name));
        let of_values = names_in(named.map(|named| &named.text));
        names.extend(of_values);
        names
    }
}

fn names_in<'a>(texts: impl IntoIterator<Item = &'a Template>) -> BTreeSet<String> {
    texts.into_iter().flat_map(Template::places).map(|place| place.name.clone()).collect()
}

/// Refuses headers that HTTP does not allow, and those of the connection.
pub(super) fn check_headers(entry: &Entry<'_>) -> Result<(), String> {
    let table = entry.table;
    let mut seen = BTreeSet::new();
    for (name, text) in entry.call.header_texts() {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!(
                "[{table}] headers: {name:?} is no name of a header: letters, digits and hyphens"
            ));
        };
        if OF_CONNECTION.contains(&header.as_str()) || header.as_str().starts_with("proxy-") {
            return Err(format!(
                "[{table}] headers: leave {name} out: Saldo writes what is about the connection"
            ));
        }
        if text.literals().any(|literal| HeaderValue::from_str(literal).is_err()) {
            return Err(format!(
                "[{table}] headers: the value of {name} has a character that HTTP does not allow \
                 in a header, such as the end of a line"
            ));
        }
        if !seen.insert(header.as_str().to_owned()) {
            return Err(format!("[{table}] headers: {name} is there twice"));
        }
    }
    Ok(())
}
