//! What a reply means: the file's rules, and the rules that no file can change.
//!
//! Not here: reading the reply (`read.rs`); counting equal answers (`mod.rs`). Invariants: what no
//! rule matches is unknown; two rules that disagree are unknown; what is not shown to be about our
//! order decides nothing.

use super::file::{CallForm, Condition, Echo, Meaning, RecipientCompare, Rule, Unit};
use super::read::Fields;
use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Compiled regexes are no larger.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// The rules of one call, ready to judge.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    step: Step,
    rules: Vec<ReadyRule>,
    echo: Echo,
    fold: Vec<String>,
    amount_unit: Unit,
}

/// Which call is judged: they have different powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Buys nothing: whatever fails is refused.
    Prepare,
    Submit,
    Query,
}

#[derive(Clone, Debug)]
struct ReadyRule {
    name: String,
    http: Vec<u16>,
    when: Vec<ReadyCondition>,
    meaning: Meaning,
    reason: String,
    try_elsewhere: bool,
}

#[derive(Clone, Debug)]
struct ReadyCondition {
    field: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    OneOf(Vec<String>),
    Regex(Regex),
    Present,
}

/// What was sent, in the words of the panel.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) reference: String,
    pub(super) recipient: String,
    /// In the currency's minor unit.
    pub(super) amount_minor: i64,
    /// Of the currency.
    pub(super) decimals: u32,
}

/// What is known of the order from before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// The panel's own reference.
    pub(super) their_id: Option<&'a str>,
    /// The panel has shown that it has the order.
    pub(super) is_acknowledged: bool,
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The rule that decided.
    pub(super) rule: Option<String>,
    pub(super) found: Found,
}

/// As the outcomes, without what they carry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the word of the outcome")]
pub(super) enum Found {
    Delivered,
    Accepted,
    Refused {
        reason: String,
        try_elsewhere: bool,
    },
    Reversed,
    NotFound,
    Unknown {
        reason: String,
        /// It contradicts itself or what we know: somebody should look at the panel.
        is_alarm: bool,
    },
}

impl Reading {
    pub(super) fn unknown(reason: impl Into<String>) -> Reading {
        Reading { rule: None, found: Found::Unknown { reason: reason.into(), is_alarm: false } }
    }

    fn alarm(reason: impl Into<String>) -> Reading {
        Reading { rule: None, found: Found::Unknown { reason: reason.into(), is_alarm: true } }
    }
}

impl Judge {
    /// Reads the rules of a call; the unit is that of the file's amounts.
    pub(super) fn of(step: Step, form: &CallForm, unit: Unit) -> Result<Judge, String> {
        let rules = form.rules.iter().map(|rule| ReadyRule::of(step, rule));
        Ok(Judge {
            step,
            rules: rules.collect::<Result<_, _>>()?,
            echo: form.echo.clone(),
            fold: form.fold.fields.clone(),
            amount_unit: form.echo.amount_unit.unwrap_or(unit),
        })
    }

    /// Whether a reply repeats the recipient.
    pub(super) const fn is_named_by_recipient(&self) -> bool {
        self.echo.recipient.is_some()
    }

    /// Whether a reply repeats this reference of ours; `None`: the file does not say where.
    pub(super) fn repeats(&self, fields: &Fields, ours: &str) -> Option<bool> {
        let (_, name) = self.echoes().find(|(what, _)| *what == What::Reference)?;
        Some(fields.get(name).is_some_and(|value| value == ours))
    }

    /// Judges a reply that was read.
    pub(super) fn judge(
        &self,
        http: u16,
        fields: &Fields,
        sent: &Sent,
        known: Known<'_>,
    ) -> Reading {
        if let Err(reading) = self.is_ours(fields, sent) {
            return reading;
        }
        let matching = self.rules.iter().filter(|rule| rule.matches(http, fields, &self.fold));
        let mut matching = matching.peekable();
        let Some(rule) = matching.peek().copied() else {
            return Reading::unknown(format!("HTTP {http}: no rule matches the reply"));
        };
        if let Some(other) = matching.find(|other| other.meaning != rule.meaning) {
            let names = format!("{:?} and {:?}", rule.name, other.name);
            return Reading::alarm(format!("the rules {names} both match and disagree"));
        }
        if let Err(reading) = self.may_decide(rule, fields, sent, known) {
            return reading;
        }
        let found = match rule.meaning {
            Meaning::Delivered => Found::Delivered,
            Meaning::Accepted => Found::Accepted,
            Meaning::Refused => {
                Found::Refused { reason: rule.reason.clone(), try_elsewhere: rule.try_elsewhere }
            }
            Meaning::Reversed => Found::Reversed,
            Meaning::NotFound => Found::NotFound,
        };
        Reading { rule: Some(rule.name.clone()), found }
    }

    /// What a reply repeats of our order must be ours.
    fn is_ours(&self, fields: &Fields, sent: &Sent) -> Result<(), Reading> {
        for (what, name) in self.echoes() {
            let is_optional = self.echo.optional.contains(&what.name().to_owned());
            match fields.get(name) {
                Some(value) if !self.is_equal(what, value, sent) => {
                    let text = format!("the reply names another {}: {value:?}", what.name());
                    return Err(Reading::alarm(text));
                }
                None if !is_optional => {
                    return Err(Reading::unknown(format!("the reply lacks our {}", what.name())));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// The values that repeat our order, with the names of what is taken.
    fn echoes(&self) -> impl Iterator<Item = (What, &String)> {
        let echo = &self.echo;
        let reference = echo.reference.as_ref().filter(|name| *name != "none");
        let all = [
            (What::Reference, reference),
            (What::Recipient, echo.recipient.as_ref()),
            (What::Amount, echo.amount.as_ref()),
        ];
        all.into_iter().filter_map(|(what, name)| Some((what, name?)))
    }

    fn is_equal(&self, what: What, value: &str, sent: &Sent) -> bool {
        match what {
            What::Reference => value == sent.reference,
            What::Recipient => {
                let digits = |text: &str| {
                    text.chars().filter(char::is_ascii_digit).rev().collect::<Vec<char>>()
                };
                let (theirs, ours) = (digits(value), digits(&sent.recipient));
                let last = |count: usize| {
                    theirs.len() >= count && ours.len() >= count && theirs[..count] == ours[..count]
                };
                match self.echo.recipient_compare {
                    RecipientCompare::Exact => value == sent.recipient,
                    RecipientCompare::Last9 => last(9),
                    RecipientCompare::Last10 => last(10),
                }
            }
            What::Amount => {
                minor(value, self.amount_unit, sent.decimals) == Some(sent.amount_minor)
            }
        }
    }

    /// Whether the reply shows enough of our order for what the rule says.
    fn may_decide(
        &self,
        rule: &ReadyRule,
        fields: &Fields,
        sent: &Sent,
        known: Known<'_>,
    ) -> Result<(), Reading> {
        let shows = |what: What| {
            let name = self.echoes().find(|(echoed, _)| *echoed == what).map(|(_, name)| name);
            name.and_then(|name| fields.get(name)).is_some_and(|v| self.is_equal(what, v, sent))
        };
        let id = fields.get("id");
        let is_their_id = id.is_some() && id.map(String::as_str) == known.their_id;
        let is_named = shows(What::Reference) || is_their_id;
        match (self.step, rule.meaning) {
            (Step::Prepare, _) | (_, Meaning::Accepted) => Ok(()),
            (Step::Submit, Meaning::Delivered) => {
                let is_shown = id.is_some() && shows(What::Recipient) && shows(What::Amount);
                match is_named || is_shown {
                    true => Ok(()),
                    false => Err(Reading::unknown("the reply does not show that it is about ours")),
                }
            }
            (Step::Submit, Meaning::Refused | Meaning::Reversed | Meaning::NotFound) => Ok(()),
            (Step::Query, Meaning::Delivered | Meaning::Refused | Meaning::Reversed) => {
                match is_named {
                    true => Ok(()),
                    false => Err(Reading::unknown("the reply does not show that it is about ours")),
                }
            }
            (Step::Query, Meaning::NotFound) => match known.is_acknowledged {
                true => Err(Reading::alarm("the panel has acknowledged what it now does not know")),
                false => Ok(()),
            },
        }
    }
}

/// A part of our order that replies repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Reference,
    Recipient,
    Amount,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            What::Reference => "reference",
            What::Recipient => "recipient",
            What::Amount => "amount",
        }
    }
}

/// An amount as it is written in a reply, in minor units; `None`: not an exact amount.
pub(super) fn minor(text: &str, unit: Unit, decimals: u32) -> Option<i64> {
    let shift = match unit {
        Unit::Major => usize::try_from(decimals).ok()?,
        Unit::Minor => 0,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (kept, rest) = fraction.split_at_checked(shift).unwrap_or((fraction, ""));
    let is_amount = !whole.is_empty() && is_digits(whole) && is_digits(fraction);
    if !is_amount || rest.bytes().any(|b| b != b'0') {
        return None;
    }
    format!("{whole}{kept:0<shift$}").parse().ok()
}

/// As [`minor`], without the decimals that the currency lacks: for balances, which are never made
/// larger than they are.
pub(super) fn minor_floor(text: &str, unit: Unit, decimals: u32) -> Option<i64> {
    let kept = match unit {
        Unit::Major => usize::try_from(decimals).ok()?,
        Unit::Minor => 0,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.get(..kept).unwrap_or(fraction);
    minor(&format!("{whole}.{fraction}"), unit, decimals)
}

/// Whether a reply has all of these values.
pub(super) fn all_hold(when: &BTreeMap<String, Condition>, fields: &Fields) -> bool {
    when.iter().all(|(field, condition)| {
        ReadyCondition::of(field, condition).is_ok_and(|test| test.holds(fields, &[]))
    })
}

impl ReadyRule {
    fn of(step: Step, rule: &Rule) -> Result<ReadyRule, String> {
        let name = &rule.name;
        let wrong = |text: &str| Err(format!("rule {name:?}: {text}"));
        if rule.http.is_empty() || rule.when.is_empty() {
            return wrong("needs http and at least one condition on the body");
        }
        let conditions = rule.when.iter().map(|(field, test)| ReadyCondition::of(field, test));
        let when: Vec<ReadyCondition> = conditions
            .collect::<Result<_, _>>()
            .map_err(|text| format!("rule {name:?}: {text}"))?;
        let has_exact = when.iter().any(|condition| matches!(condition.test, Test::OneOf(_)));
        let has_anchored = rule.when.values().any(|test| {
            test.regex.as_ref().is_some_and(|text| text.starts_with('^') && text.ends_with('$'))
        });
        for (field, test) in &rule.when {
            if let Some(text) = test.regex.as_ref().filter(|text| is_any_text(text)) {
                return Err(format!(
                    "rule {name:?}: the regex {text:?} of {field} matches everything; write the \
                     values that it stands for, or present = true"
                ));
            }
        }
        if rule.outcome == Meaning::Refused {
            let is_empty = |test: &ReadyCondition| match &test.test {
                Test::OneOf(texts) => texts.iter().any(String::is_empty),
                Test::Regex(regex) => regex.is_match(""),
                Test::Present => false,
            };
            if when.iter().any(is_empty) {
                return wrong("an empty value refuses nothing: write the panel's code of it");
            }
            let is_wide = |test: &ReadyCondition| match &test.test {
                Test::Regex(regex) => ANY_WORDS.iter().any(|word| regex.is_match(word)),
                Test::OneOf(_) | Test::Present => false,
            };
            if !has_exact && when.iter().all(|test| is_wide(test) || test.test.is_present()) {
                return wrong(
                    "refused by a regex that any code matches would refuse what was delivered: \
                     write the codes, or how they begin",
                );
            }
            if !has_exact && !has_anchored {
                return wrong("refused needs an exact value, or a regex anchored at both ends");
            }
            if rule.http.iter().any(|http| *http >= 500) && !has_exact {
                return wrong("refused by HTTP 5xx needs an exact value");
            }
        }
        let is_of_query = matches!(rule.outcome, Meaning::NotFound | Meaning::Reversed);
        if is_of_query && step != Step::Query {
            return wrong("only an enquiry can say not_found or reversed");
        }
        let may_repeat = step == Step::Query && rule.outcome == Meaning::Refused;
        if (rule.repeats.is_some() || rule.gap.is_some()) && !may_repeat {
            return wrong("repeats and gap belong to refused rules of an enquiry");
        }
        Ok(ReadyRule {
            name: name.clone(),
            http: rule.http.clone(),
            when,
            meaning: rule.outcome,
            reason: rule.reason.clone().unwrap_or_else(|| format!("refused by the rule {name}")),
            try_elsewhere: rule.try_elsewhere,
        })
    }

    fn matches(&self, http: u16, fields: &Fields, fold: &[String]) -> bool {
        self.http.contains(&http) && self.when.iter().all(|test| test.holds(fields, fold))
    }
}

impl Test {
    const fn is_present(&self) -> bool {
        matches!(self, Test::Present)
    }
}

impl ReadyCondition {
    fn of(field: &str, condition: &Condition) -> Result<ReadyCondition, String> {
        let test = match condition {
            Condition { eq: Some(text), one_of: None, regex: None, present: None } => {
                Test::OneOf(vec![text.clone()])
            }
            Condition { eq: None, one_of: Some(texts), regex: None, present: None }
                if !texts.is_empty() =>
            {
                Test::OneOf(texts.clone())
            }
            Condition { eq: None, one_of: None, regex: Some(text), present: None } => {
                Test::Regex(compiled(&whole(text))?)
            }
            Condition { eq: None, one_of: None, regex: None, present: Some(true) } => Test::Present,
            _ => return Err(format!("{field:?} needs one of eq, in, regex, present = true")),
        };
        Ok(ReadyCondition { field: field.to_owned(), test })
    }

    fn holds(&self, fields: &Fields, fold: &[String]) -> bool {
        let Some(value) = fields.get(&self.field) else { return false };
        let is_folded = fold.contains(&self.field);
        let is_equal = |text: &String| match is_folded {
            true => text.to_lowercase() == value.to_lowercase(),
            false => text == value,
        };
        match &self.test {
            Test::OneOf(texts) => texts.iter().any(is_equal),
            Test::Regex(regex) => regex.is_match(value),
            Test::Present => true,
        }
    }
}

/// Words that no panel has as codes of its own.
const ANY_WORDS: [&str; 6] = ["zq7", "ZQ_XJ", "Zq xj", "7000019", "0", "zq-7.xj/ü"];

/// What is anchored at both ends, as a whole: `^A|B$` is *A or B*, and no more.
fn whole(text: &str) -> String {
    match text.starts_with('^') && text.ends_with('$') {
        true => format!("^(?:{text})$"),
        false => text.to_owned(),
    }
}

/// Whether a regex tells nothing from anything.
fn is_any_text(text: &str) -> bool {
    compiled(&whole(text)).is_ok_and(|regex| ANY_WORDS.iter().all(|word| regex.is_match(word)))
}

/// A regex of a file: without backtracking, and of limited size.
pub(super) fn compiled(text: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    regex.map_err(|error| format!("the regex {text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_compared_exactly() {
        for (text, unit, decimals, minor_units) in [
            ("50", Unit::Major, 2, Some(5000)),
            ("50.5", Unit::Major, 2, Some(5050)),
            ("50.500", Unit::Major, 2, Some(5050)),
            ("50.501", Unit::Major, 2, None),
            ("150", Unit::Minor, 2, Some(150)),
            ("150.00", Unit::Minor, 2, Some(150)),
            ("10", Unit::Major, 0, Some(10)),
            ("18.605", Unit::Major, 3, Some(18_605)),
            ("1e3", Unit::Major, 2, None),
            ("-5", Unit::Major, 2, None),
            ("", Unit::Major, 2, None),
            (".5", Unit::Major, 2, None),
            ("99999999999999999999", Unit::Major, 2, None),
        ] {
            assert_eq!(minor(text, unit, decimals), minor_units, "{text}");
        }
    }
}
