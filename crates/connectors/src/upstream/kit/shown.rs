//! What a reply shows of our order, however it is read.
//!
//! An upstream that has shown that it has an order cannot say afterwards that it never got it.
//! Invariant: no reading of a connector takes that away: the driver asks for it for each reply to
//! what buys and to an enquiry, and an answer that is unknown then is [`Answer::Unclear`].

use super::wire::WireReply;
use domain::{Answer, EnquiryOutcome};
use serde_json::Value;

/// What a reply shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// It repeats our reference.
    pub has_ours: bool,
    /// The upstream's own reference of an order.
    pub theirs: Option<String>,
}

impl Shown {
    /// What JSON shows: our reference as a whole value anywhere, theirs at the first of these
    /// pointers that has one. What is no JSON, and no page for people, shows our reference where
    /// that stands in it.
    pub fn in_json(reply: &WireReply, ours: &str, theirs: &[&str]) -> Shown {
        let Some(body) = reply.json::<Value>() else {
            return Shown { has_ours: is_in_text(&reply.body, ours), theirs: None };
        };
        let theirs = theirs.iter().find_map(|at| id(body.pointer(at)?));
        Shown { has_ours: has_value(&body, ours), theirs }
    }

    /// What the reply to an enquiry shows. An error there is about the enquiry, and an id without
    /// our reference may be that of another order.
    #[must_use]
    pub(super) fn of_enquiry(self, reply: &WireReply) -> Shown {
        let counts = self.has_ours && (200..300).contains(&reply.status);
        if counts { self } else { Shown::default() }
    }

    /// Adds what a further reply about the same order shows.
    pub(super) fn add(&mut self, other: Shown) {
        // Their reference is ours to ask by only where ours stands beside it.
        if other.has_ours && other.theirs.is_some() && !(self.has_ours && self.theirs.is_some()) {
            *self = other;
            return;
        }
        self.has_ours |= other.has_ours;
        self.theirs = self.theirs.take().or(other.theirs);
    }

    /// The answer, or that it is unclear where it was unknown.
    pub(super) fn marked(self, answer: Answer) -> Answer {
        match answer {
            Answer::Unknown { reason } if self.has_ours || self.theirs.is_some() => {
                let reference = self.theirs.filter(|_| self.has_ours);
                Answer::Unclear { reference, reason }
            }
            other @ (Answer::Delivered { .. }
            | Answer::Accepted { .. }
            | Answer::Refused { .. }
            | Answer::RefusedAsRepeat { .. }
            | Answer::Unknown { .. }
            | Answer::Unclear { .. }
            | Answer::Unaskable { .. }) => other,
        }
    }

    /// As [`Shown::marked`].
    pub(super) fn marked_enquiry(self, outcome: EnquiryOutcome) -> EnquiryOutcome {
        match outcome {
            EnquiryOutcome::Answered(answer) => self.marked(answer).into(),
            other @ (EnquiryOutcome::NotFound | EnquiryOutcome::Reversed { .. }) => other,
        }
    }
}

/// Whether our reference stands in a text, not as a part of a longer one. A page for people, such
/// as a proxy's, may repeat what was asked for: it shows nothing.
pub fn is_in_text(body: &[u8], ours: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    let start: String = text.trim_start().chars().take(15).collect();
    let start = start.to_ascii_lowercase();
    if ours.is_empty() || start.starts_with("<html") || start.starts_with("<!doctype html") {
        return false;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(ours).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + ours.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn has_value(body: &Value, ours: &str) -> bool {
    match body {
        Value::String(text) => text == ours,
        Value::Array(items) => items.iter().any(|item| has_value(item, ours)),
        Value::Object(fields) => fields.values().any(|value| has_value(value, ours)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty() && text != "0").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: u16, body: &str) -> Shown {
        let body = body.as_bytes().to_vec();
        let reply = WireReply { status, body, ..WireReply::default() };
        Shown::in_json(&reply, "S1042-1", &["/billing/transactionId", "/id"])
    }

    fn of(has_ours: bool, theirs: Option<&str>) -> Shown {
        Shown { has_ours, theirs: theirs.map(str::to_owned) }
    }

    #[test]
    fn our_reference_and_theirs_are_found_and_look_alikes_are_not() {
        for (body, expected) in [
            (r#"{"billing":{"reference":"S1042-1","transactionId":77}}"#, of(true, Some("77"))),
            (r#"{"rows":[{"ref":"S1042-1"}],"id":null}"#, of(true, None)),
            (r#"{"id":"T-9","ref":"S1042-11"}"#, of(false, Some("T-9"))),
            (r#"{"id":0}"#, Shown::default()),
            (r#"{"message":"no order S1042-1 here"}"#, Shown::default()),
            (r#"{"billing":{"reference":"S1042-1","transac"#, of(true, None)),
            ("OK|S1042-1|77", of(true, None)),
            ("OK|S1042-11|77", Shown::default()),
            ("OK|XS1042-1|77", Shown::default()),
            ("<html>GET /buy?ref=S1042-1 failed</html>", Shown::default()),
            (" <!DOCTYPE html><p>S1042-1", Shown::default()),
            ("<reply><ref>S1042-1</ref></reply>", of(true, None)),
            ("", Shown::default()),
        ] {
            assert_eq!(shown(200, body), expected, "{body}");
        }
    }

    #[test]
    fn what_was_shown_makes_an_unknown_answer_unclear_and_no_other() {
        let unknown = || Answer::Unknown { reason: "why".to_owned() };
        let unclear = |reference: Option<&str>| Answer::Unclear {
            reference: reference.map(str::to_owned),
            reason: "why".to_owned(),
        };
        assert_eq!(Shown::default().marked(unknown()), unknown());
        assert_eq!(of(true, Some("77")).marked(unknown()), unclear(Some("77")));
        // It may be another order's.
        assert_eq!(of(false, Some("77")).marked(unknown()), unclear(None));
        let refused = Answer::Refused { reason: String::new(), try_elsewhere: true };
        assert_eq!(of(true, Some("77")).marked(refused.clone()), refused);
        let mut seen = of(false, Some("66"));
        seen.add(of(true, Some("77")));
        assert_eq!(seen, of(true, Some("77")));
        seen.add(of(true, Some("88")));
        assert_eq!(seen, of(true, Some("77")));
    }

    #[test]
    fn an_enquiry_shows_only_what_is_about_our_reference() {
        let reply = |status| WireReply { status, ..WireReply::default() };
        assert_eq!(of(true, None).of_enquiry(&reply(200)), of(true, None));
        assert_eq!(of(true, None).of_enquiry(&reply(500)), Shown::default());
        assert_eq!(of(false, Some("7")).of_enquiry(&reply(200)), Shown::default());
    }
}
