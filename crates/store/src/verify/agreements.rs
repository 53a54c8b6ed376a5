//! Rows of different tables that must agree: what one says, another confirms.
//!
//! Each check is one query, whose rows are findings. Not here: what needs the journals' sums
//! (`purchases`), and digests (`digests`).

use super::start::Start;
use super::{AuditReport, find, numbers};
use crate::archive::{self, ClosedMonth};
use crate::backend::{Sql, all, from_row, values};
use crate::fault::Result;
use crate::ledger::GENESIS;
use domain::PurchaseId;

/// Checks of one part of the ledger: `$1` is the lowest id of its purchases.
///
/// `CROSS JOIN` makes SQLite read the left table once. No index leads from a purchase to its
/// references, so the other order reads an account's references once for each of its purchases.
const OF_PURCHASES: [&str; 6] = [
    "SELECT 'event ' || e.sequence || ' of purchase ', e.purchase_id,
         ': is not the step that its purchase has taken'
     FROM events e JOIN purchases p ON p.id = e.purchase_id AND p.account_id = e.account_id
         AND p.environment = e.environment
     WHERE e.purchase_id >= $1 AND NOT (
         (e.sequence = p.version AND e.state = p.state AND e.at = p.updated_at)
         OR (e.sequence = p.version - 1 AND e.state = 'delivered' AND p.state = 'refunded'
             AND e.at = p.delivered_at))
     ORDER BY e.purchase_id, e.sequence LIMIT 100",
    "SELECT 'purchase ', p.id, ': its upstream is not that of its attempt'
     FROM purchases p WHERE p.id >= $1 AND (
         (p.upstream IS NULL) <> (p.attempts = 0)
         OR (p.upstream IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM attempts a WHERE a.purchase_id = p.id AND a.account_id = p.account_id
                 AND a.environment = p.environment AND a.upstream = p.upstream
                 AND (a.number = p.attempts
                     OR p.state IN ('delivered', 'failed', 'rejected', 'refunded')))))
     ORDER BY p.id LIMIT 100",
    "SELECT 'purchase ', p.id, ': is ' || p.state || ', and nothing on record says so'
     FROM purchases p WHERE p.id >= $1 AND p.state IN ('delivered', 'failed', 'refunded')
         AND NOT EXISTS (
             SELECT 1 FROM attempts a WHERE a.purchase_id = p.id AND a.account_id = p.account_id
                 AND a.environment = p.environment AND a.upstream = p.upstream
                 AND ((p.state = 'delivered' AND a.outcome = 'delivered')
                     OR (p.state = 'refunded' AND a.outcome = 'reversed')
                     OR (p.state = 'failed'
                         AND a.outcome IN ('refused', 'refused_as_repeat', 'not_sent',
                             'not_found', 'reversed'))))
         AND NOT EXISTS (
             SELECT 1 FROM evidence v WHERE v.purchase_id = p.id AND v.account_id = p.account_id
                 AND v.environment = p.environment)
     ORDER BY p.id LIMIT 100",
    "SELECT 'purchase ', p.id, ': when it was delivered does not fit its state'
     FROM purchases p WHERE p.id >= $1
         AND ((p.delivered_at IS NOT NULL) <> (p.state IN ('delivered', 'refunded'))
             OR (p.state = 'delivered' AND p.delivered_at <> p.updated_at))
     ORDER BY p.id LIMIT 100",
    "SELECT 'slip of purchase ', s.purchase_id, ': is of an upstream that never had it'
     FROM slips s WHERE s.purchase_id >= $1 AND NOT EXISTS (
         SELECT 1 FROM attempts a WHERE a.purchase_id = s.purchase_id
             AND a.account_id = s.account_id AND a.environment = s.environment
             AND a.upstream = s.upstream)
     ORDER BY s.purchase_id LIMIT 100",
    "SELECT 'reference ' || c.reference || ' (' || c.space
         || '): was not used up when its purchase ', p.id, ' was made'
     FROM claims c CROSS JOIN purchases p
     WHERE c.purchase_id >= $1 AND p.id = c.purchase_id AND p.account_id = c.account_id
         AND p.environment = c.environment AND c.at <> p.opened_at
     ORDER BY c.purchase_id LIMIT 100",
];

/// Checks of the live ledger: whose everything is.
const OF_OWNERS: [&str; 10] = [
    "SELECT 'account ' || id || ': is ' || role || ', and account 1 alone is the house'
     FROM accounts WHERE (role = 'house') <> (id = 1) ORDER BY id LIMIT 100",
    "SELECT 'account ' || account_id || ': its ' || environment || ' wallet in ' || currency
         || ' is not whole'
     FROM ledger_accounts WHERE purpose IN ('available', 'held', 'commission')
     GROUP BY account_id, environment, currency HAVING count(*) <> 3 OR min(upstream) <> ''
     ORDER BY account_id LIMIT 100",
    "SELECT 'ledger account ' || id || ': is no ' || purpose || ' of the house'
     FROM ledger_accounts
     WHERE purpose NOT IN ('available', 'held', 'commission')
         AND (account_id <> 1 OR (purpose = 'float') <> (upstream <> ''))
     ORDER BY id LIMIT 100",
    "SELECT 'session ' || s.id || ': its login is of account ' || u.account_id || ', not '
         || s.account_id
     FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.account_id <> s.account_id
     ORDER BY s.id LIMIT 100",
    "SELECT 'device ' || d.id || ': its login is of account ' || u.account_id || ', not '
         || d.account_id
     FROM devices d JOIN users u ON u.id = d.user_id WHERE u.account_id <> d.account_id
     ORDER BY d.id LIMIT 100",
    "SELECT 'login ' || p.user_id || ': is of account ' || u.account_id
         || ', and was opened on a device for ' || p.account_id
     FROM places p JOIN users u ON u.id = p.user_id WHERE u.account_id <> p.account_id
     ORDER BY p.user_id LIMIT 100",
    "SELECT 'endpoint ' || e.id || ': is not of the account and environment of its key'
     FROM endpoints e JOIN keys k ON k.id = e.key_id
     WHERE e.account_id <> k.account_id OR e.environment <> k.environment
     ORDER BY e.id LIMIT 100",
    "SELECT 'reference ' || reference || ': no purchase used it up, and it is no payment''s'
     FROM claims WHERE purchase_id IS NULL AND space <> 'desk' ORDER BY reference LIMIT 100",
    "SELECT 'reference ' || c.reference || ' (' || c.space || '): is of account '
         || c.account_id || ', which is not there'
     FROM claims c WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = c.account_id)
     ORDER BY c.reference LIMIT 100",
    "SELECT 'month ' || b.month || ': does not begin where the month before it ended'
     FROM archives b JOIN archives a
         ON a.month = (SELECT max(e.month) FROM archives e WHERE e.month < b.month)
     WHERE b.first_journal <> a.last_journal + 1 OR b.hash_before <> a.last_hash
     ORDER BY b.month LIMIT 100",
];

/// A payment names its journal, whose note names the payment; and each journal of no purchase is a
/// payment's. Payments from before they had a table have no digest; their notes are as staff wrote
/// them, and one that was booked at the same moment as another of its account names no journal.
const PAYMENTS: [&str; 2] = [
    "SELECT 'payment ' || p.reference || ' (' || p.rail || ') of account ' || p.account_id
         || ': its journal ' || p.journal_seq || ' is not there, or is not its own'
     FROM payments p LEFT JOIN journals j ON j.seq = p.journal_seq
     WHERE p.journal_seq > $1 AND (j.seq IS NULL OR j.purchase_id IS NOT NULL
         OR j.account_id <> p.account_id OR j.environment <> p.environment OR j.at <> p.at
         OR (length(p.row_digest) > 1 AND (j.note IS NULL
             OR substr(j.note, 1, length(p.rail) + length(p.reference) + 3)
                 <> p.rail || ' ' || p.reference || ': ')))
     ORDER BY p.journal_seq LIMIT 100",
    "SELECT 'journal ' || j.seq || ' of account ' || j.account_id || ': is of no purchase'
         || ' and no payment'
     FROM journals j LEFT JOIN payments p ON p.journal_seq = j.seq
     WHERE j.purchase_id IS NULL AND j.seq > $1 AND p.journal_seq IS NULL AND NOT EXISTS (
         SELECT 1 FROM payments o WHERE o.journal_seq IS NULL AND o.account_id = j.account_id
             AND o.environment = j.environment AND o.at = j.at)
     ORDER BY j.seq LIMIT 100",
];

/// What one part of the ledger must agree on.
pub(super) fn check(sql: &mut dyn Sql, report: &mut AuditReport, start: &Start) -> Result<()> {
    for query in OF_PURCHASES {
        find(sql, report, query, &values![start.ids_from], |row| {
            Ok(format!("{}{}{}", row.text(0)?, PurchaseId(row.int(1)?), row.text(2)?))
        })?;
    }
    Ok(())
}

/// What only the live ledger has: owners, payments, the record of archived months.
pub(super) fn check_live(sql: &mut dyn Sql, report: &mut AuditReport, start: &Start) -> Result<()> {
    for query in OF_OWNERS {
        find(sql, report, query, &[], from_row)?;
    }
    for query in PAYMENTS {
        find(sql, report, query, &values![start.chain.seq], from_row)?;
    }
    numbers::check(sql, report, start.ids_from)?;
    check_months(sql, report)
}

/// The first closed month begins with the first journal, and no month ends at another month's ids.
fn check_months(sql: &mut dyn Sql, report: &mut AuditReport) -> Result<()> {
    let months = all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before
         FROM archives ORDER BY month",
        &[],
        |row| Ok((archive::closed(row)?, row.int(4)?, row.bytes(5)? == GENESIS)),
    )?;
    for (index, (closed, first_journal, is_genesis)) in months.into_iter().enumerate() {
        let ClosedMonth { month, ids_below, .. } = closed;
        let next = month.next();
        if ![next.first_id(), next.first_old_id()].contains(&ids_below) {
            report.add(format!("month {month}: its ids do not end where the month ends"));
        }
        if index == 0 && (first_journal != 1 || !is_genesis) {
            report.add(format!("month {month}: does not begin with the first journal"));
        }
    }
    Ok(())
}
