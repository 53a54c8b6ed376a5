//! Payments: money paid into or out of a wallet, each booked once in the whole house.
//!
//! Invariants: a payment's row names its journal, and the journal's note, which the chain covers,
//! begins with the payment's rail and reference. Rows are only added.

use super::JournalHead;
use crate::backend::{Row, SetQuery, Sql, WriteKey, all, first, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::Result;
use crate::purchases::digest;
use crate::read;
use domain::ids::JournalSeq;
use domain::{
    AccountId, Currency, Environment, Journal, Money, Needs, PaymentKey, PaymentOwner,
    PostingDenied, Purpose, Timestamp,
};
use std::collections::HashMap;

/// Money paid into or out of a wallet. Answers the wallet's available minor units right after.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The movement of money.
    pub journal: Journal,
    /// Whose wallet it is.
    pub account: AccountId,
    /// The same payment is never booked twice, for whomever.
    pub payment: PaymentKey,
    /// Who booked it and why.
    pub note: String,
    /// When it is booked.
    pub at: Timestamp,
}

impl Commit for Posting {
    type Done = i64;
    type Denied = PostingDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        let owner = PaymentOwner { account: self.account, at: self.at };
        let payment = Some((&self.payment, owner));
        let journal = Some(&self.journal);
        CommitNeeds {
            admission: Needs { payment, journal, ..Needs::default() },
            moves_at: Some(self.at),
            is_optimistic: true,
            ..CommitNeeds::default()
        }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<i64> {
        let (rail, reference) = (self.payment.rail().as_str(), self.payment.reference());
        // The hash covers the note as it is stored, and not every database stores a NUL.
        let note = format!("{rail} {reference}: {}", self.note.replace('\0', "\u{fffd}"));
        let environment = self.payment.environment();
        let head = JournalHead {
            account: self.account,
            environment,
            purchase: None,
            note: Some(&note),
            at: self.at,
            is_listed: false,
        };
        let seq = tx.ledger.append(tx.sql, &self.journal, &head)?;
        let row = values![environment, rail, reference, self.account, seq, self.at];
        let row_digest = digest::of_values(&row);
        let [environment, rail, reference, account, seq, at] = row;
        tx.sql.defer(
            "INSERT INTO payments (environment, rail, reference, account_id, journal_seq, at,
                 row_digest) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            // After its journal, and in any order with other payments.
            WriteKey::Last,
            &[environment, rail, reference, account, seq, at, (&row_digest).into()],
            Some(1),
        )?;
        let mut mentioned = self.journal.entries().iter().flat_map(|e| [e.debit(), e.credit()]);
        let wallet = mentioned
            .find(|account| account.purpose == Purpose::Available)
            .and_then(|account| tx.view.balances.get(account));
        Ok(wallet.map_or(0, |balance| balance.amount))
    }
}

/// A payment that is booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Where it was booked.
    pub environment: Environment,
    /// How the money came or went.
    pub rail: String,
    /// Its reference. One from before references were unique in the house may have a number behind
    /// a blank: then another payment has that reference.
    pub reference: String,
    /// Whose wallet it was booked to.
    pub account: AccountId,
    /// Its journal; none if that is not known any more.
    pub journal: Option<JournalSeq>,
    /// What its journal added to what can be spent; below zero: what it took. None if the journal
    /// is not known any more, or archived.
    pub moved: Option<Money>,
    /// When it was booked.
    pub at: Timestamp,
}

const OF_KEY: &str = "SELECT account_id, at FROM payments
     WHERE environment = $1 AND rail = $2 AND reference = $3";

/// Whose payment a key is, if it is booked.
pub(crate) fn owner_of(sql: &mut dyn Sql, key: &PaymentKey) -> Result<Option<PaymentOwner>> {
    let values = values![key.environment(), key.rail().as_str(), key.reference()];
    first(sql, OF_KEY, &values, payment_owner)
}

/// Asks which payments are booked.
pub(crate) fn payments_query<'a>(keys: &[&'a PaymentKey]) -> SetQuery<'a> {
    let mut query = SetQuery::new(OF_KEY, 3);
    for key in keys {
        query.add(&values![key.environment(), key.rail().as_str(), key.reference()]);
    }
    query
}

/// Reads a row of [`payments_query`].
pub(crate) fn payment_owner(row: &dyn Row) -> Result<PaymentOwner> {
    Ok(PaymentOwner { account: AccountId(row.int(0)?), at: Timestamp(row.int(1)?) })
}

pub(crate) const PAYMENTS_OF: &str =
    "SELECT environment, rail, reference, account_id, journal_seq, at FROM payments
     WHERE account_id = $1 AND at < $2 ORDER BY at DESC, reference LIMIT $3";

/// The payments of an account that were booked before a moment, latest first, at most `limit`.
pub(crate) fn payments_of(
    sql: &mut dyn Sql,
    account: AccountId,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Payment>> {
    let mut payments = all(sql, PAYMENTS_OF, &values![account, before, limit], |row| {
        Ok(Payment {
            environment: read::environment(row.text(0)?)?,
            rail: row.text(1)?.to_owned(),
            reference: row.text(2)?.to_owned(),
            account: AccountId(row.int(3)?),
            journal: row.opt_int(4)?.map(JournalSeq),
            moved: None,
            at: Timestamp(row.int(5)?),
        })
    })?;
    let Some(last) = payments.last() else { return Ok(payments) };
    let moved = moved(sql, account, last.at, before)?;
    for payment in &mut payments {
        payment.moved = payment.journal.and_then(|journal| moved.get(&journal.0).copied());
    }
    Ok(payments)
}

/// What the journals of an account's payments in this time moved into or out of what it can spend.
fn moved(
    sql: &mut dyn Sql,
    account: AccountId,
    from: Timestamp,
    before: Timestamp,
) -> Result<HashMap<i64, Money>> {
    let lines: Vec<(i64, i64, Currency)> = all(
        sql,
        "SELECT e.journal_seq, CASE WHEN e.credit_id = l.id THEN e.amount ELSE -e.amount END,
             l.currency
         FROM payments p JOIN entries e ON e.journal_seq = p.journal_seq
         JOIN ledger_accounts l ON l.id IN (e.credit_id, e.debit_id)
             AND l.account_id = p.account_id AND l.purpose = 'available'
         WHERE p.account_id = $1 AND p.at >= $2 AND p.at < $3",
        &values![account, from, before],
        from_row,
    )?;
    let mut moved = HashMap::new();
    for (journal, minor, currency) in lines {
        let sum = moved.get(&journal).map_or(0, |known: &Money| known.minor());
        moved.insert(journal, Money::new(sum + minor, currency));
    }
    Ok(moved)
}
