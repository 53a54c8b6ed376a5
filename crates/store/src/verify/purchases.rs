//! Checks of purchases: against their journals, references, attempts, jobs and events.

use super::journals::LedgerAccountRow;
use super::start::Start;
use super::{AuditReport, JournalSums, PurchaseSums, find};
use crate::backend::{Row, Sql, values};
use crate::fault::Result;
use crate::purchases::DIGEST_KINDS;
use crate::purchases::digest::{self, NO_DIGEST};
use crate::read;
use domain::account::HOUSE;
use domain::{AccountId, FundsAt, PurchaseId, Purpose, State, UpstreamCode};
use std::collections::HashMap;

/// A purchase's row, and what the other tables have of it.
pub(crate) struct PurchaseRow {
    pub(crate) id: i64,
    state: State,
    version: i64,
    /// Amount, fee and commission.
    price: [i64; 3],
    /// What its wallet had available right after the hold, or after the money came back; zero
    /// without a hold.
    available_after: i64,
    /// Whether the balance of its wallet is what its entries make: then they also tell what was
    /// left at any time.
    is_wallet_sound: bool,
    /// The ledger accounts that its money goes through: its wallet, and its upstream's float.
    /// `None`: there is no such ledger account.
    wallet: Option<i64>,
    float: Option<i64>,
    /// Whether a login made it: then statements list its journals.
    is_by_login: bool,
    /// Whether its row is as its digest says, or from before there were digests.
    is_as_written: bool,
    /// As counted in the row, and as found.
    attempts: [i64; 2],
    job: Option<String>,
    reference_owner: Option<i64>,
    /// The number of events, and the last one's sequence.
    events: (i64, Option<i64>),
}

/// The part of the ledger that is audited, as far as it was read.
pub(super) struct Audited<'a> {
    pub(super) accounts: &'a HashMap<i64, LedgerAccountRow>,
    pub(super) start: &'a Start,
}

/// Checks every purchase, and takes its sums out of `sums`. Those that may have more journals in a
/// later part go to `continued`, if it is given.
pub(super) fn check(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    sums: &mut HashMap<i64, JournalSums>,
    mut continued: Option<&mut PurchaseSums>,
    audited: &Audited<'_>,
) -> Result<()> {
    let Audited { accounts, start } = audited;
    let ids = ids_of(accounts);
    sql.query(
        "SELECT p.id, p.account_id, p.environment, p.space, p.reference, p.key_id, p.kind,
             p.operator, p.recipient, p.service_type, p.currency, p.amount, p.fee, p.commission,
             p.available_after, p.details, p.webhook_url, p.state, p.version, p.attempts,
             p.upstream, p.text, p.decider, p.opened_at, p.updated_at, p.delivered_at, p.product,
             p.row_digest, j.job,
             c.purchase_id, (SELECT count(*) FROM attempts a WHERE a.purchase_id = p.id
                  AND a.account_id = p.account_id AND a.environment = p.environment),
             (SELECT count(*) FROM events e WHERE e.purchase_id = p.id
                  AND e.account_id = p.account_id AND e.environment = p.environment),
             (SELECT max(e.sequence) FROM events e WHERE e.purchase_id = p.id
                  AND e.account_id = p.account_id AND e.environment = p.environment)
         FROM purchases p LEFT JOIN jobs j ON j.purchase_id = p.id AND j.account_id = p.account_id
             AND j.environment = p.environment
         LEFT JOIN claims c ON c.account_id = p.account_id AND c.environment = p.environment
             AND c.space = p.space AND c.reference = p.reference WHERE p.id >= $1 ORDER BY p.id",
        &values![start.ids_from],
        &mut |row| {
            let mut purchase = PurchaseRow::read(row, &ids)?;
            let wallet = purchase.wallet.and_then(|id| accounts.get(&id));
            purchase.is_wallet_sound = wallet.is_some_and(LedgerAccountRow::is_sound);
            report.purchases += 1;
            report.open += u64::from(!purchase.state.is_final());
            // What is left in `sums` at the end belongs to no purchase.
            let its_sums = sums.remove(&purchase.id).unwrap_or_default();
            check_rows(report, &purchase);
            match &mut continued {
                Some(continued) if may_continue(&purchase, &its_sums) => {
                    continued.insert(purchase.id, (purchase, its_sums));
                }
                Some(_) | None => check_journals(report, &purchase, &its_sums),
            }
            Ok(())
        },
    )?;
    // Journals of archived purchases were written after their month.
    let mut lost: Vec<&i64> = sums.keys().filter(|id| **id >= start.ids_from).collect();
    lost.sort();
    for id in lost {
        let id = PurchaseId(*id);
        report.add(format!("purchase {id}: has journals, but is not there"));
    }
    Ok(())
}

/// The number of each ledger account, by its pool, owner and purpose.
type AccountIds<'a> = HashMap<(&'a str, AccountId, &'a Purpose), i64>;

fn ids_of(accounts: &HashMap<i64, LedgerAccountRow>) -> AccountIds<'_> {
    accounts.iter().map(|(id, a)| ((a.pool.as_str(), a.owner, &a.purpose), *id)).collect()
}

impl PurchaseRow {
    /// The columns of a purchase, its digest, its job, its reference's purchase, the number of its
    /// attempts and of its events, and the last event.
    fn read(row: &dyn Row, ids: &AccountIds<'_>) -> Result<PurchaseRow> {
        let (pool, owner) = (format!("{} {}", row.text(2)?, row.text(10)?), AccountId(row.int(1)?));
        let upstream = row.opt_text(20)?.map_or_else(UpstreamCode::staff, UpstreamCode::new);
        let digest = row.bytes(27)?;
        let find = |owner, purpose| ids.get(&(pool.as_str(), owner, &purpose)).copied();
        Ok(PurchaseRow {
            id: row.int(0)?,
            state: read::state(row.text(17)?)?,
            version: row.int(18)?,
            price: [row.int(11)?, row.int(12)?, row.int(13)?],
            available_after: row.int(14)?,
            is_wallet_sound: false,
            wallet: find(owner, Purpose::Available),
            float: find(HOUSE, Purpose::Float(upstream)),
            is_by_login: row.opt_int(5)?.is_none(),
            is_as_written: digest == NO_DIGEST || digest == digest::of_row(row, 0, DIGEST_KINDS)?,
            attempts: [row.int(19)?, row.int(30)?],
            job: row.opt_text(28)?.map(str::to_owned),
            reference_owner: row.opt_int(29)?,
            events: (row.int(31)?, row.opt_int(32)?),
        })
    }
}

/// Whether a purchase does not have all journals of its state yet.
fn may_continue(p: &PurchaseRow, sums: &JournalSums) -> bool {
    let expected = journals_of(p.state, sums.reasons[0] > 0);
    let is_within = sums.reasons.iter().zip(expected).all(|(found, due)| *found <= due);
    // A rejected purchase has a hold and its release, or neither.
    (is_within && sums.reasons != expected)
        || (p.state == State::Rejected && sums.reasons == [0; 4])
}

/// Checks that a purchase's journals are those of its state and its price.
pub(crate) fn check_journals(report: &mut AuditReport, p: &PurchaseRow, sums: &JournalSums) {
    let (id, state) = (PurchaseId(p.id), p.state.code());
    if sums.reasons != journals_of(p.state, sums.reasons[0] > 0) {
        report.add(format!(
            "purchase {id}: is {state} but its journals are (hold, settle, release, refund) {:?}",
            sums.reasons
        ));
    }
    let total = p.price[0].saturating_add(p.price[1]);
    if sums.reasons[0] > 0 && sums.held != total {
        report.add(format!("purchase {id}: costs {total} but held {}", sums.held));
    }
    if sums.reasons[1] > 0 && sums.settled != p.price {
        report.add(format!(
            "purchase {id}: amount, fee and commission are {:?} but {:?} were settled",
            p.price, sums.settled
        ));
    }
    if sums.reasons[2] > 0 && sums.released != total {
        report.add(format!("purchase {id}: costs {total} but {} was released", sums.released));
    }
    if sums.reasons[3] > 0 && sums.refunded != p.price {
        report.add(format!(
            "purchase {id}: amount, fee and commission are {:?} but {:?} were refunded",
            p.price, sums.refunded
        ));
    }
    if !sums.wallet.is_only(p.wallet) {
        report.add(format!("purchase {id}: its journals move the money of another wallet"));
    }
    if !sums.float.is_only(p.float) {
        report.add(format!("purchase {id}: its journals use the float of another upstream"));
    }
    let held = if sums.reasons[0] > 0 { sums.available_after } else { 0 };
    // In a row from before it was renewed, it is still what was left after the hold.
    let known = [Some(held), sums.available_returned];
    if p.is_wallet_sound && !known.contains(&Some(i128::from(p.available_after))) {
        let available = sums.available_returned.unwrap_or(held);
        report.add(format!(
            "purchase {id}: says that {} was left in its wallet; it was {available}",
            p.available_after
        ));
    }
    let journals = sums.reasons.iter().fold(0, |sum: u8, count| sum.saturating_add(*count));
    let listed = if p.is_by_login { journals } else { 0 };
    if sums.listed != listed {
        report.add(format!(
            "purchase {id}: {} of its journals are listed for its login, not {listed}",
            sums.listed
        ));
    }
    if p.state.funds_at() == FundsAt::Hold && sums.reasons[0] == 0 {
        report.add(format!("purchase {id}: is {state} without a hold"));
    }
}

/// The number of journals (hold, settle, release, refund) of a purchase in this state.
const fn journals_of(state: State, was_held: bool) -> [u8; 4] {
    match state {
        State::Quoted => [0, 0, 0, 0],
        State::Awaiting | State::Held | State::Sent | State::InDoubt | State::WithStaff => {
            [1, 0, 0, 0]
        }
        State::Delivered => [1, 1, 0, 0],
        State::Refunded => [1, 1, 0, 1],
        State::Failed => [1, 0, 1, 0],
        State::Rejected => {
            if was_held {
                [1, 0, 1, 0]
            } else {
                [0, 0, 0, 0]
            }
        }
    }
}

/// Checks that a purchase's reference, attempts, job and events are those of its state.
fn check_rows(report: &mut AuditReport, p: &PurchaseRow) {
    let (id, state) = (PurchaseId(p.id), p.state.code());
    if !p.is_as_written {
        report.add(format!("purchase {id}: its digest does not fit its row, which was changed"));
    }
    if p.reference_owner != Some(p.id) {
        report.add(format!("purchase {id}: its reference is not claimed for it"));
    }
    let [counted, found] = p.attempts;
    if counted != found {
        report.add(format!("purchase {id}: counts {counted} attempts, {found} are on record"));
    }
    let required = (!p.state.is_final()).then(|| p.state.job().code());
    if p.job.as_deref() != required {
        report.add(format!(
            "purchase {id}: is {state} and owes {required:?}, but the job is {:?}",
            p.job
        ));
    }
    let last = p.state.is_final().then_some(p.version);
    if p.events != (events_of(p.state), last) {
        report.add(format!(
            "purchase {id}: is {state} as version {}, but its events are {} and end at {:?}",
            p.version, p.events.0, p.events.1
        ));
    }
}

/// The number of events of a purchase in this state.
const fn events_of(state: State) -> i64 {
    match state {
        State::Refunded => 2,
        State::Delivered | State::Failed | State::Rejected => 1,
        State::Quoted
        | State::Awaiting
        | State::Held
        | State::Sent
        | State::InDoubt
        | State::WithStaff => 0,
    }
}

/// Attempts, events and jobs without their purchase.
pub(super) fn check_orphans(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    start: &Start,
) -> Result<()> {
    find(
        sql,
        report,
        "SELECT o.what, o.number, o.purchase_id FROM (
             SELECT 'attempt' AS what, number, purchase_id, account_id, environment FROM attempts
             UNION ALL SELECT 'event', sequence, purchase_id, account_id, environment FROM events
             UNION ALL SELECT 'job', 1, purchase_id, account_id, environment FROM jobs) o
         LEFT JOIN purchases p ON p.id = o.purchase_id AND p.account_id = o.account_id
             AND p.environment = o.environment WHERE o.purchase_id >= $1 AND p.id IS NULL
         ORDER BY o.purchase_id, o.what, o.number LIMIT 100",
        &values![start.ids_from],
        |row| {
            let (what, number) = (row.text(0)?, row.int(1)?);
            let purchase = PurchaseId(row.int(2)?);
            Ok(format!("{what} {number} of purchase {purchase}: its purchase is not there"))
        },
    )
}

/// References without their purchase, and payments without their reference.
pub(super) fn check_references(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    start: &Start,
) -> Result<()> {
    find(
        sql,
        report,
        "SELECT c.space, c.reference, c.purchase_id FROM claims c
         LEFT JOIN purchases p ON p.id = c.purchase_id AND p.account_id = c.account_id
             AND p.environment = c.environment
         WHERE c.purchase_id >= $1 AND p.id IS NULL LIMIT 100",
        &values![start.ids_from],
        |row| {
            let (scope, reference) = (row.text(0)?, row.text(1)?);
            let purchase = PurchaseId(row.int(2)?);
            Ok(format!("reference {reference:?} ({scope}): its purchase {purchase} is not there"))
        },
    )?;
    find(
        sql,
        report,
        "SELECT account_id, environment, CAST(sum(booked) AS BIGINT), CAST(sum(used) AS BIGINT)
         FROM (SELECT account_id, environment, count(*) AS booked, 0 AS used FROM journals
             WHERE purchase_id IS NULL AND seq > $1 GROUP BY account_id, environment
             UNION ALL SELECT account_id, environment, payments, 0 FROM carried_payments
             WHERE month = $2
             UNION ALL SELECT account_id, environment, 0, count(*) FROM payments
             GROUP BY account_id, environment) AS both_sides
         GROUP BY account_id, environment HAVING sum(booked) <> sum(used)
         ORDER BY account_id, environment",
        &values![start.chain.seq, start.month],
        |row| {
            let (account, environment) = (row.int(0)?, row.text(1)?);
            let (booked, used) = (row.int(2)?, row.int(3)?);
            Ok(format!(
                "account {account} ({environment}): {booked} payments are in journals, \
                 {used} are on record"
            ))
        },
    )
}
