//! Runs a file's own cases and the replies that no file may believe.
//!
//! Invariants: a file loads only if every case means what it says and every rule has a case; a
//! hostile reply (cut off, foreign, doubled, HTML, empty) never decides.

use super::file::{CaseBefore, CaseStep, FileCase, ReplyForm, Want};
use super::judge::{Found, Known, Reading, Sent};
use super::panel::{CASE_START, Panel};
use super::request::ReadyCall;
use super::values::OrderValues;
use domain::purchase::Details;
use domain::{Currency, Environment, Kind, Money, Order, ServiceType};

/// What became of a file's cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// How many cases and hostile replies were read as they should be.
    pub passed: usize,
    /// One line for each that was not.
    pub failed: Vec<String>,
}

impl FileReport {
    pub(super) fn note(&mut self, is_right: bool, line: impl FnOnce() -> String) {
        match is_right {
            true => self.passed += 1,
            false => self.failed.push(line()),
        }
    }
}

/// Runs everything that a file must pass.
pub(super) fn run(panel: &Panel) -> FileReport {
    let mut report = FileReport::default();
    let order = match order(panel) {
        Ok(order) => order,
        Err(text) => {
            report.failed.push(text);
            return report;
        }
    };
    let sent = match OrderValues::of(panel, &order, order.started_at) {
        Ok(values) => values.sent(),
        Err(error) => {
            report.failed.push(format!("the order of the cases cannot be written: {error}"));
            return report;
        }
    };
    for (at, case) in panel.file.cases.iter().enumerate() {
        run_case(panel, &sent, at + 1, case, &mut report);
    }
    for rule in panel.rules() {
        let has_case = panel.file.cases.iter().any(|case| case.rule.as_ref() == Some(&rule.name));
        report.note(has_case, || format!("the rule {:?} has no case", rule.name));
    }
    report
}

fn run_case(panel: &Panel, sent: &Sent, number: usize, case: &FileCase, report: &mut FileReport) {
    let label = format!("case {number} ({:?}, want {:?})", case.step, case.want);
    let call = match case.step {
        CaseStep::Prepare => panel.prepare.as_ref(),
        CaseStep::Submit => Some(&panel.submit),
        CaseStep::Query => panel.query.as_ref(),
    };
    let Some(call) = call else {
        report.failed.push(format!("{label}: the file has no such call"));
        return;
    };
    let known = Known { their_id: None, is_acknowledged: case.after == Some(CaseBefore::Accepted) };
    let Some(reply) = &case.reply else {
        let is_right = case.fault.is_some() && case.want == Want::Unknown;
        report.note(is_right, || format!("{label}: without a reply everything is unknown"));
        return;
    };
    let body = with_reference(&reply.body, &sent.reference);
    let reading = read(call, reply.status, body.as_bytes(), sent, known);
    let is_right = want_of(&reading.found) == case.want
        && case.rule.as_ref().is_none_or(|rule| reading.rule.as_ref() == Some(rule));
    report.note(is_right, || format!("{label}: was read as {}", described(&reading)));
    // A preparation buys nothing: whatever it says, a failure of it is a refusal.
    if want_of(&reading.found) == Want::Unknown || case.step == CaseStep::Prepare {
        return;
    }
    for hostile in hostile_replies(call, &body, sent) {
        let status = hostile.status.unwrap_or(reply.status);
        let reading = read(call, status, hostile.body.as_bytes(), sent, Known::default());
        // An order that the panel says it has stays in doubt: that decides nothing.
        let decides = !matches!(reading.found, Found::Unknown { .. } | Found::Accepted);
        report.note(!decides, || {
            format!(
                "{label}: a hostile reply ({}) was read as {}",
                hostile.what,
                described(&reading)
            )
        });
    }
}

/// The body of a case, in which `{reference}` stands for ours.
pub(super) fn with_reference(body: &str, reference: &str) -> String {
    body.replace("{reference}", reference)
}

/// What a reply to a call means.
pub(super) fn read(
    call: &ReadyCall,
    status: u16,
    body: &[u8],
    sent: &Sent,
    known: Known<'_>,
) -> Reading {
    match call.read(body) {
        Ok(fields) => call.judge.judge(status, &fields, sent, known),
        Err(error) => Reading::unknown(format!("HTTP {status}: the reply cannot be read: {error}")),
    }
}

/// A reply that must not decide.
struct Hostile {
    what: &'static str,
    status: Option<u16>,
    body: String,
}

fn hostile_replies(call: &ReadyCall, body: &str, sent: &Sent) -> Vec<Hostile> {
    let html = "<html><body>Please wait</body></html>";
    let mut all = vec![
        Hostile { what: "empty", status: None, body: String::new() },
        Hostile { what: "HTML 200", status: Some(200), body: html.to_owned() },
        Hostile { what: "HTML 500", status: Some(500), body: html.to_owned() },
        Hostile { what: "redirect", status: Some(302), body: body.to_owned() },
        Hostile { what: "cut off", status: None, body: half(body) },
    ];
    let mut changed = |what, body: Option<String>| {
        all.extend(body.map(|body| Hostile { what, status: None, body }));
    };
    changed("a foreign reference", replaced(body, &sent.reference, "S9999999-9"));
    if call.judge.is_named_by_recipient() {
        changed("another recipient", replaced(body, last(&sent.recipient), "000000000"));
    }
    match call.reply_form() {
        ReplyForm::Json => {
            let doubled = body.trim().strip_prefix('{').and_then(|rest| {
                let end = rest.trim_start().strip_prefix('"')?.find('"')?;
                let name = &rest.trim_start()[..end + 2];
                Some(format!("{{{name}:\"another value\",{rest}"))
            });
            changed("a doubled key", doubled);
        }
        ReplyForm::Xml => {
            let typed = format!("<!DOCTYPE a [<!ENTITY x \"0\">]>{body}");
            changed("a document type", Some(typed));
            changed("two documents", Some(format!("{body}{body}")));
        }
        ReplyForm::Text => changed("two lines", Some(format!("{body}\n{body}"))),
        ReplyForm::Form => {}
    }
    all
}

/// The first half of a text.
fn half(text: &str) -> String {
    text.chars().take(text.chars().count() / 2).collect()
}

/// The text with another value, if the value is there.
fn replaced(text: &str, value: &str, by: &str) -> Option<String> {
    (!value.is_empty() && text.contains(value)).then(|| text.replace(value, by))
}

/// What every spelling of a number ends with.
fn last(recipient: &str) -> &str {
    recipient.get(recipient.len().saturating_sub(9)..).unwrap_or(recipient)
}

const fn want_of(found: &Found) -> Want {
    match found {
        Found::Delivered => Want::Delivered,
        Found::Accepted => Want::Accepted,
        Found::Refused { .. } => Want::Refused,
        Found::Reversed => Want::Reversed,
        Found::NotFound => Want::NotFound,
        Found::Unknown { .. } => Want::Unknown,
    }
}

fn described(reading: &Reading) -> String {
    let rule = reading.rule.as_ref().map(|rule| format!(" by the rule {rule:?}"));
    match &reading.found {
        Found::Unknown { reason, .. } => format!("unknown: {reason}"),
        found @ (Found::Delivered
        | Found::Accepted
        | Found::Refused { .. }
        | Found::Reversed
        | Found::NotFound) => format!("{:?}{}", want_of(found), rule.unwrap_or_default()),
    }
}

/// The order that the cases are about: the file's, or the usual one of the country.
pub(super) fn order(panel: &Panel) -> Result<Order, String> {
    let form = panel.file.order.as_ref();
    let usual = match panel.file.country.as_str() {
        "BD" => Some(Usual { recipient: "01712345678", calling_code: "880", amount: "50" }),
        "ZW" => Some(Usual { recipient: "0771234567", calling_code: "263", amount: "1.50" }),
        _ => None,
    };
    let of_file = |text: Option<&String>| text.cloned();
    let missing = |what| format!("[order] needs {what}: the cases are about it");
    let recipient = of_file(form.and_then(|form| form.recipient.as_ref()))
        .or_else(|| usual.as_ref().map(|usual| usual.recipient.to_owned()))
        .ok_or_else(|| missing("recipient"))?;
    let international = of_file(form.and_then(|form| form.international.as_ref())).or_else(|| {
        let digits = recipient.strip_prefix('0')?;
        usual.as_ref().map(|usual| format!("+{}{digits}", usual.calling_code))
    });
    let amount = of_file(form.and_then(|form| form.amount.as_ref()))
        .or_else(|| usual.as_ref().map(|usual| usual.amount.to_owned()))
        .ok_or_else(|| missing("amount"))?;
    let first_operator = panel.file.map.get("operator").and_then(|map| map.keys().next().cloned());
    let operator = of_file(form.and_then(|form| form.operator.as_ref())).or(first_operator);
    Ok(Order {
        attempt: CASE_START.attempt,
        started_at: CASE_START.started_at,
        environment: Environment::Live,
        operator: operator.unwrap_or_else(|| "OPERATOR".to_owned()),
        product: None,
        kind: Kind::Recharge,
        recipient,
        amount: money(&amount, panel.currency)?,
        service_type: ServiceType::Prepaid,
        details: Details::default(),
        reference: "case".to_owned(),
        country: Some(panel.file.country.clone()),
        international,
        upstream_reference: None,
        is_acknowledged: false,
    })
}

struct Usual {
    recipient: &'static str,
    calling_code: &'static str,
    amount: &'static str,
}

fn money(text: &str, currency: Currency) -> Result<Money, String> {
    Money::parse(text, currency).map_err(|_| format!("[order] amount {text:?} is not an amount"))
}
