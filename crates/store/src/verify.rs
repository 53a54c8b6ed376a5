//! The audit: recomputes everything that can be recomputed and names each row that lies.
//!
//! Reads in one snapshot, so it may run beside the writer. Not here: mending. Memory grows by some
//! 40 bytes a purchase.

use crate::backend::{Sql, all};
use crate::fault::Fault;
use crate::ledger::{GENESIS, Head, hash};
use crate::read;
use domain::clock::Timestamp;
use domain::journal::Reason;
use domain::lifecycle::{Place, State};
use domain::{AccountId, PurchaseId};
use std::collections::{BTreeMap, HashMap};

/// Lines of complaint that are kept; the rest are counted.
const COMPLAINTS_KEPT: usize = 100;

/// What the audit counted and what it found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Journals read.
    pub journals: u64,
    /// Entries read.
    pub entries: u64,
    /// Ledger accounts read.
    pub ledger_accounts: u64,
    /// Purchases read.
    pub purchases: u64,
    /// Purchases that are not final.
    pub open: u64,
    /// Sum of all balances by environment and currency, in minor units: all zero.
    pub sums: BTreeMap<String, i128>,
    /// Rows that lie, each named; at most 100.
    pub complaints: Vec<String>,
    /// How many rows lie.
    pub lies: u64,
}

impl Report {
    fn complain(&mut self, says: String) {
        self.lies += 1;
        if self.complaints.len() < COMPLAINTS_KEPT {
            self.complaints.push(says);
        }
    }
}

/// A ledger account as stored, and its balance as the entries make it.
struct Account {
    place: String,
    stored: i64,
    floor: Option<i64>,
    computed: i128,
}

/// What the journals say of one purchase.
#[derive(Clone, Copy, Default)]
struct Story {
    reasons: [u8; 4],
    held: i64,
}

/// Checks, in one snapshot: the hash chain, every entry, every balance against its entries and its
/// floor, sums of zero, every purchase against its journals, its reference, its job and its event.
pub(crate) fn audit(sql: &mut dyn Sql) -> Result<Report, Fault> {
    sql.run("BEGIN", &[])?;
    let report = audit_snapshot(sql);
    sql.run("COMMIT", &[])?;
    report
}

fn audit_snapshot(sql: &mut dyn Sql) -> Result<Report, Fault> {
    let mut report = Report::default();
    let mut accounts = ledger_accounts(sql)?;
    report.ledger_accounts = accounts.len() as u64;
    let stories = journals(sql, &mut report, &mut accounts)?;
    balances(&mut report, &accounts);
    purchases(sql, &mut report, &stories)?;
    orphans(sql, &mut report)?;
    Ok(report)
}

fn ledger_accounts(sql: &mut dyn Sql) -> Result<HashMap<i64, Account>, Fault> {
    let rows = all(
        sql,
        "SELECT id, environment, currency, balance, floor FROM ledger_accounts",
        &[],
        |row| {
            let place = format!("{} {}", row.text(1)?, row.text(2)?);
            Ok((
                row.int(0)?,
                Account { place, stored: row.int(3)?, floor: row.opt_int(4)?, computed: 0 },
            ))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// One journal as it is gathered from its rows.
struct Gathered {
    seq: i64,
    account: AccountId,
    environment: String,
    purchase: Option<i64>,
    reason: String,
    note: Option<String>,
    at: Timestamp,
    hash: Vec<u8>,
    lines: Vec<(i64, i64, i64)>,
}

fn journals(
    sql: &mut dyn Sql,
    report: &mut Report,
    accounts: &mut HashMap<i64, Account>,
) -> Result<HashMap<i64, Story>, Fault> {
    let mut stories = HashMap::new();
    let mut chain = (0_i64, GENESIS);
    let mut current: Option<Gathered> = None;
    sql.each(
        "SELECT j.seq, j.account_id, j.environment, j.purchase_id, j.reason, j.note, j.at, j.hash, e.line, e.debit_id, e.credit_id, e.amount
         FROM journals j LEFT JOIN entries e ON e.journal_seq = j.seq ORDER BY j.seq, e.line",
        &[],
        &mut |row| {
            let seq = row.int(0)?;
            if current.as_ref().is_none_or(|journal| journal.seq != seq) {
                if let Some(journal) = current.take() {
                    check_journal(report, accounts, &mut stories, &mut chain, &journal)?;
                }
                current = Some(Gathered {
                    seq,
                    account: AccountId(row.int(1)?),
                    environment: row.text(2)?.to_owned(),
                    purchase: row.opt_int(3)?,
                    reason: row.text(4)?.to_owned(),
                    note: row.opt_text(5)?.map(str::to_owned),
                    at: Timestamp(row.int(6)?),
                    hash: row.bytes(7)?.to_vec(),
                    lines: Vec::new(),
                });
            }
            if let (Some(journal), Some(_)) = (&mut current, row.opt_int(8)?) {
                journal.lines.push((row.int(9)?, row.int(10)?, row.int(11)?));
            }
            Ok(())
        },
    )?;
    if let Some(journal) = current {
        check_journal(report, accounts, &mut stories, &mut chain, &journal)?;
    }
    Ok(stories)
}

fn check_journal(
    report: &mut Report,
    accounts: &mut HashMap<i64, Account>,
    stories: &mut HashMap<i64, Story>,
    chain: &mut (i64, [u8; 32]),
    journal: &Gathered,
) -> Result<(), Fault> {
    report.journals += 1;
    let seq = journal.seq;
    if seq != chain.0 + 1 {
        report.complain(format!(
            "journal {seq}: journals {} to {} are missing before it",
            chain.0 + 1,
            seq - 1
        ));
    }
    if journal.lines.is_empty() {
        report.complain(format!("journal {seq}: has no entries"));
    }
    let head = Head {
        account: journal.account,
        environment: read::environment(&journal.environment)?,
        purchase: journal.purchase.map(PurchaseId),
        note: journal.note.as_deref(),
        at: journal.at,
    };
    let expected = hash(&chain.1, seq, &journal.reason, &head, &journal.lines);
    if journal.hash != expected {
        report.complain(format!(
            "journal {seq}: its hash does not fit its rows; it or one of its entries was changed"
        ));
    }
    // Go on from what is stored, so that one lie is told once.
    *chain = (seq, <[u8; 32]>::try_from(journal.hash.as_slice()).unwrap_or(expected));
    for (line, (debit, credit, amount)) in (1..).zip(&journal.lines) {
        report.entries += 1;
        let place = |id: &i64| accounts.get(id).map(|a| a.place.clone());
        if place(debit).is_none()
            || place(debit) != place(credit)
            || debit == credit
            || *amount <= 0
        {
            report.complain(format!("entry {line} of journal {seq}: moves {amount} from ledger account {debit} to {credit}, which cannot be"));
        }
        for (id, delta) in [(debit, -i128::from(*amount)), (credit, i128::from(*amount))] {
            if let Some(account) = accounts.get_mut(id) {
                account.computed += delta;
            }
        }
    }
    if let Some(purchase) = journal.purchase {
        let story = stories.entry(purchase).or_default();
        let slot = match Reason::from_code(&journal.reason) {
            Some(Reason::Hold) => 0,
            Some(Reason::Settle) => 1,
            Some(Reason::Release) => 2,
            Some(Reason::Refund) => 3,
            Some(Reason::Deposit | Reason::Withdraw) | None => return Ok(()),
        };
        story.reasons[slot] = story.reasons[slot].saturating_add(1);
        if slot == 0 {
            story.held = journal.lines.iter().map(|(_, _, amount)| amount).sum();
        }
    }
    Ok(())
}

fn balances(report: &mut Report, accounts: &HashMap<i64, Account>) {
    let mut ids: Vec<&i64> = accounts.keys().collect();
    ids.sort();
    for id in ids {
        let Some(account) = accounts.get(id) else { continue };
        if i128::from(account.stored) != account.computed {
            report.complain(format!(
                "ledger account {id} ({}): stores a balance of {}, its entries make {}",
                account.place, account.stored, account.computed
            ));
        }
        if account.floor.is_some_and(|floor| account.stored < floor) {
            report.complain(format!(
                "ledger account {id} ({}): its balance {} is below its floor",
                account.place, account.stored
            ));
        }
        *report.sums.entry(account.place.clone()).or_default() += i128::from(account.stored);
    }
    let unbalanced: Vec<(String, i128)> =
        report.sums.iter().filter(|(_, sum)| **sum != 0).map(|(p, s)| (p.clone(), *s)).collect();
    for (place, sum) in unbalanced {
        report.complain(format!("{place}: all balances sum to {sum}, not to zero"));
    }
}

/// Which journals (hold, settle, release, refund) a purchase in this state has.
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

fn purchases(
    sql: &mut dyn Sql,
    report: &mut Report,
    stories: &HashMap<i64, Story>,
) -> Result<(), Fault> {
    let mut found = 0_u64;
    sql.each(
        "SELECT p.id, p.state, p.amount + p.fee, p.version, j.job, c.purchase_id,
                (SELECT max(e.sequence) FROM events e WHERE e.purchase_id = p.id AND e.account_id = p.account_id AND e.environment = p.environment)
         FROM purchases p
         LEFT JOIN jobs j ON j.purchase_id = p.id AND j.account_id = p.account_id AND j.environment = p.environment
         LEFT JOIN claims c ON c.account_id = p.account_id AND c.environment = p.environment AND c.space = p.space AND c.reference = p.reference
         ORDER BY p.id",
        &[],
        &mut |row| {
            let (id, state, total) = (row.int(0)?, read::state(row.text(1)?)?, row.int(2)?);
            report.purchases += 1;
            report.open += u64::from(!state.is_final());
            let story = stories.get(&id).copied().unwrap_or_default();
            found += u64::from(stories.contains_key(&id));
            if story.reasons != journals_of(state, story.reasons[0] > 0) {
                report.complain(format!(
                    "purchase {id}: is {} but its journals are (hold, settle, release, refund) {:?}",
                    state.code(),
                    story.reasons
                ));
            }
            if story.reasons[0] > 0 && story.held != total {
                report.complain(format!("purchase {id}: costs {total} but held {}", story.held));
            }
            let owed = (!state.is_final()).then(|| state.owes().code());
            if row.opt_text(4)? != owed {
                report.complain(format!("purchase {id}: is {} and owes {owed:?}, but the job is {:?}", state.code(), row.opt_text(4)?));
            }
            if row.opt_int(5)? != Some(id) {
                report.complain(format!("purchase {id}: its reference is not claimed for it"));
            }
            if state.is_final() && row.opt_int(6)? != Some(row.int(3)?) {
                report.complain(format!("purchase {id}: is {} as version {} but the outbox ends at {:?}", state.code(), row.int(3)?, row.opt_int(6)?));
            }
            if state.rests() == Place::Hold && story.reasons[0] == 0 {
                report.complain(format!("purchase {id}: is {} without a hold", state.code()));
            }
            Ok(())
        },
    )?;
    if found != stories.len() as u64 {
        report.complain(format!(
            "{} journals name purchases that are not there",
            stories.len() as u64 - found
        ));
    }
    Ok(())
}

fn orphans(sql: &mut dyn Sql, report: &mut Report) -> Result<(), Fault> {
    let lost = all(
        sql,
        "SELECT e.journal_seq, e.line FROM entries e LEFT JOIN journals j ON j.seq = e.journal_seq WHERE j.seq IS NULL LIMIT 100",
        &[],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    for (seq, line) in lost {
        report.complain(format!("entry {line} of journal {seq}: its journal is not there"));
    }
    Ok(())
}

/// A quick look between audits: balances that do not sum to zero, held money that differs from
/// what open purchases hold. Says what is wrong, or nothing.
pub(crate) fn quick(sql: &mut dyn Sql) -> Result<Vec<String>, Fault> {
    let mut wrong = all(
        sql,
        "SELECT environment, currency, sum(balance) FROM ledger_accounts GROUP BY environment, currency HAVING sum(balance) <> 0",
        &[],
        |row| {
            Ok(format!(
                "{} {}: all balances sum to {}, not to zero",
                row.text(0)?,
                row.text(1)?,
                row.int(2)?
            ))
        },
    )?;
    let held = all(
        sql,
        "SELECT l.environment, l.currency, l.held, coalesce(o.held, 0) FROM
            (SELECT environment, currency, sum(balance) AS held FROM ledger_accounts WHERE purpose = 'held' GROUP BY environment, currency) l
         LEFT JOIN
            (SELECT p.environment, p.currency, sum(p.amount + p.fee) AS held FROM jobs j
             JOIN purchases p ON p.id = j.purchase_id AND p.account_id = j.account_id AND p.environment = j.environment
             WHERE p.state <> 'quoted' GROUP BY p.environment, p.currency) o
         ON o.environment = l.environment AND o.currency = l.currency WHERE l.held <> coalesce(o.held, 0)",
        &[],
        |row| Ok(format!("{} {}: wallets hold {}, open purchases {}", row.text(0)?, row.text(1)?, row.int(2)?, row.int(3)?)),
    )?;
    wrong.extend(held);
    Ok(wrong)
}
