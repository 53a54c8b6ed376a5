//! The hash chain over journals, and the month that a journal belongs to.
//!
//! Invariant: a journal's hash covers the hash of the journal before it, so a row that is changed,
//! added or removed invalidates every later hash.

use domain::{AccountId, Environment, Month, PurchaseId, Timestamp};
use ring::digest;

/// The hash before the first journal.
pub(crate) const GENESIS: [u8; 32] = [0; 32];
/// A month before every journal's.
pub(crate) const FIRST_MONTH: Month = Month::of(Timestamp(i64::MIN));

/// What the hash of a journal covers besides the hash before it and its entries.
pub(crate) struct JournalHead<'a> {
    pub(crate) account: AccountId,
    pub(crate) environment: Environment,
    pub(crate) purchase: Option<PurchaseId>,
    pub(crate) note: Option<&'a str>,
    pub(crate) at: Timestamp,
    /// Whether statements list it: only for their index, not covered by the hash.
    pub(crate) is_listed: bool,
}

/// An entry as it is stored: the numbers of its ledger accounts, and minor units.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) debit: i64,
    pub(crate) credit: i64,
    pub(crate) amount: i64,
}

/// The month of a journal that follows one of the month `before`: never earlier than that, and
/// never earlier than the month in which its purchase was made.
pub(crate) fn month_of(before: Month, head: &JournalHead<'_>) -> Month {
    let made_in = head.purchase.map_or(FIRST_MONTH, Month::of_id);
    before.max(Month::of(head.at)).max(made_in)
}

/// SHA-256 over the hash before and everything that the journal says. Each text is preceded by its
/// length, so no two journals have the same bytes.
pub(crate) fn hash(
    before: &[u8; 32],
    seq: i64,
    reason: &str,
    head: &JournalHead<'_>,
    lines: &[Line],
) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(before);
    let mut text = |s: &str| {
        context.update(&(s.len() as u64).to_le_bytes());
        context.update(s.as_bytes());
    };
    text(reason);
    text(head.environment.code());
    text(head.note.unwrap_or(""));
    let mut number = |n: i64| context.update(&n.to_le_bytes());
    number(i64::from(head.note.is_some()));
    number(seq);
    number(head.account.0);
    number(head.purchase.map_or(0, |p| p.0));
    number(head.at.0);
    for Line { debit, credit, amount } in lines {
        number(*debit);
        number(*credit);
        number(*amount);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
