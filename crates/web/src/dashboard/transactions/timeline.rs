//! What happened to a purchase, in words: money, attempts, answers, decisions, webhooks.
//!
//! Invariant: what an upstream wrote is not shown, for it may tell of our balance there; what it
//! meant is.

use crate::parts::{Markup, Moment, Tone, Zone, format, money};
use crate::words::Words;
use domain::webhook::schedule::host_of;
use domain::{Attempt, Purchase, State, Timestamp};
use engine::limits::REPORT_ANSWERED_WITHIN;
use engine::{DeliveryAttempt, LoggedWebhook, NOT_RECEIVED, PurchaseHistory};
use std::fmt::Display;

type Webhooks = [(LoggedWebhook, Vec<DeliveryAttempt>)];

struct Happened {
    at: Timestamp,
    tone: Tone,
    text: String,
    detail: String,
}

/// The moments, first to last.
pub(super) fn moments(
    words: Words,
    zone: Zone,
    history: &PurchaseHistory,
    webhooks: &Webhooks,
) -> Vec<Moment> {
    let mut all = vec![opened(words, &history.purchase)];
    all.extend(history.attempts.iter().map(|attempt| sent(words, attempt)));
    // An answer that an attempt records is in its moment; what else was said is evidence.
    all.extend(history.evidence.iter().map(|evidence| {
        let text = if evidence.word == NOT_RECEIVED {
            let until = evidence.at.after(REPORT_ANSWERED_WITHIN);
            words.with("story.not-received", &[("until", &format::time(words, until, zone))])
        } else {
            said(words, &evidence.source, &evidence.word)
        };
        Happened { at: evidence.at, tone: Tone::Info, text, detail: String::new() }
    }));
    let purchase = &history.purchase;
    all.extend(history.events.iter().map(|event| became(words, purchase, event.state, event.at)));
    for (webhook, tries) in webhooks {
        all.extend(tries.iter().map(|attempt| posted(words, webhook, attempt)));
        if let Some(due) = webhook.due_at {
            let host = host_of(&webhook.url);
            let values: [(&str, &dyn Display); 2] = [("event", &webhook.event), ("host", &host)];
            let text = words.with("story.webhook-due", &values);
            all.push(Happened { at: due, tone: Tone::Wait, text, detail: String::new() });
        }
    }
    all.sort_by_key(|happened| happened.at);
    let moment = |Happened { at, tone, text, detail }: Happened| Moment {
        at: exact_time(words, at, zone),
        tone,
        text,
        detail,
    };
    all.into_iter().map(moment).collect()
}

/// A time with its milliseconds.
fn exact_time(words: Words, at: Timestamp, zone: Zone) -> Markup {
    let Ok(moment) = jiff::Timestamp::from_microsecond(at.0) else { return Markup::default() };
    let there = zone.offset().to_datetime(moment);
    let seconds = format!(":{:02}.{:03}", there.second(), there.millisecond());
    let text = format!("{}{seconds}", format::time(words, at, zone));
    Markup(format!("<time datetime=\"{moment}\">{}</time>", format::in_digits(words, &text)))
}

fn opened(words: Words, purchase: &Purchase) -> Happened {
    let text = if purchase.state == State::Quoted {
        words.t("story.quoted").to_owned()
    } else {
        let amount = money(words, purchase.amount);
        let fee = money(words, purchase.fee);
        let left = money(words, purchase.available_after);
        let values: [(&str, &dyn Display); 3] =
            [("amount", &amount), ("fee", &fee), ("left", &left)];
        words.with("story.held", &values)
    };
    let detail = format!("transaction_id {}\nreference {}", purchase.key.id, purchase.reference);
    Happened { at: purchase.opened_at, tone: Tone::Info, text, detail }
}

fn sent(words: Words, attempt: &Attempt) -> Happened {
    let (tone, answer) = match attempt.outcome.as_deref() {
        None => (Tone::Info, "story.no-answer"),
        Some("delivered") => (Tone::Ok, "story.delivered"),
        Some("refused" | "refused_as_repeat" | "not_sent") => (Tone::Bad, "story.refused"),
        Some("accepted") => (Tone::Info, "story.accepted"),
        Some("reversed") => (Tone::Back, "story.reversed"),
        Some("not_found") => (Tone::Bad, "story.not-found"),
        Some(_) => (Tone::Doubt, "story.unknown"),
    };
    let number = format::number(words, u64::from(attempt.number));
    let text = words.with("story.sent", &[("n", &number)]);
    let outcome = attempt.outcome.as_deref().unwrap_or("-");
    let detail = match &attempt.upstream_reference {
        Some(reference) => format!("outcome {outcome}\noperator's reference {reference}"),
        None => format!("outcome {outcome}"),
    };
    let text = format!("{text} {}", words.t(answer));
    Happened { at: attempt.started_at, tone, text, detail }
}

/// Who said what, where no attempt records it.
fn said(words: Words, source: &str, word: &str) -> String {
    let who = if source.starts_with("staff") || source.starts_with("desk") {
        "story.staff"
    } else if source.starts_with("upstream") {
        "story.operator"
    } else {
        "story.saldo"
    };
    let what = match word {
        "delivered" => words.t("story.delivered"),
        "refused" => words.t("story.refused"),
        "not_found" => words.t("story.not-found"),
        "reversed" => words.t("story.reversed"),
        "unknown" | "unclear" | "unaskable" => words.t("story.unknown"),
        other => other,
    };
    words.with(who, &[("what", &what)])
}

fn became(words: Words, purchase: &Purchase, state: State, at: Timestamp) -> Happened {
    let total = money(words, purchase.total().unwrap_or(purchase.amount));
    let commission = money(words, purchase.commission);
    let (tone, key) = match state {
        State::Delivered => (Tone::Ok, "story.became-delivered"),
        State::Failed => (Tone::Bad, "story.became-failed"),
        State::Rejected => (Tone::Off, "story.became-rejected"),
        State::Refunded => (Tone::Back, "story.became-refunded"),
        State::Quoted
        | State::Awaiting
        | State::Held
        | State::Sent
        | State::InDoubt
        | State::WithStaff => (Tone::Info, "story.became-open"),
    };
    let values: [(&str, &dyn Display); 2] = [("total", &total), ("commission", &commission)];
    Happened { at, tone, text: words.with(key, &values), detail: String::new() }
}

fn posted(words: Words, webhook: &LoggedWebhook, attempt: &DeliveryAttempt) -> Happened {
    let is_taken = attempt.verdict == "taken";
    let host = host_of(&webhook.url);
    let key = if is_taken { "story.webhook-taken" } else { "story.webhook-failed" };
    let values: [(&str, &dyn Display); 2] = [("event", &webhook.event), ("host", &host)];
    let status = attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    Happened {
        at: attempt.at,
        tone: if is_taken { Tone::Ok } else { Tone::Bad },
        text: words.with(key, &values),
        detail: format!(
            "HTTP {status}, {} ms\n{}\n\n{}",
            attempt.took_ms, attempt.text, webhook.body
        ),
    }
}
