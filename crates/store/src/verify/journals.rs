//! Checks of journals, entries and balances.
//!
//! One walk along the chain recomputes every hash and adds up every entry, by ledger account and by
//! purchase.

use super::start::{ChainEnd, Start};
use super::{AuditReport, find};
use crate::backend::{Sql, all, values};
use crate::fault::{Fault, Result};
use crate::ledger::{JournalHead, Line, hash, month_of};
use crate::read;
use domain::account::HOUSE;
use domain::{AccountId, Month, PurchaseId, Purpose, Reason, Timestamp};
use std::collections::{HashMap, HashSet};

/// A ledger account as stored, and its balance as its entries make it.
pub(super) struct LedgerAccountRow {
    pub(super) owner: AccountId,
    pub(super) purpose: Purpose,
    /// Environment and currency: the balances of one pool sum to zero.
    pub(super) pool: String,
    stored: i64,
    floor: Option<i64>,
    computed: i128,
}

impl LedgerAccountRow {
    /// Whether its balance is what its entries make.
    pub(super) fn is_sound(&self) -> bool {
        i128::from(self.stored) == self.computed
    }
}

/// What the journals of one purchase add up to. All amounts are minor units.
#[derive(Clone, Copy, Default)]
pub(crate) struct JournalSums {
    /// The number of journals by reason: hold, settle, release, refund.
    pub(super) reasons: [u8; 4],
    /// How many of them statements list.
    pub(super) listed: u8,
    pub(super) held: i64,
    pub(super) released: i64,
    /// Amount, fee and commission as they were settled, and as they were refunded.
    pub(super) settled: [i64; 3],
    pub(super) refunded: [i64; 3],
    /// The wallet's ledger account that was held from, and that money went back to.
    pub(super) wallet: OneOf,
    /// The float that was settled to, and refunded from.
    pub(super) float: OneOf,
    /// What the wallet had available right after the hold.
    pub(super) available_after: i128,
    /// The same right after its money came back, if it did.
    pub(super) available_returned: Option<i128>,
}

/// The number of a ledger account that several entries must name alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OneOf {
    #[default]
    None,
    One(i64),
    Several,
}

impl OneOf {
    fn and(self, other: OneOf) -> OneOf {
        match (self, other) {
            (OneOf::None, one) | (one, OneOf::None) => one,
            (one, other) if one == other => one,
            _ => OneOf::Several,
        }
    }

    fn add(&mut self, id: i64) {
        *self = self.and(OneOf::One(id));
    }

    /// Whether no entry names another ledger account than this one.
    pub(super) fn is_only(self, id: Option<i64>) -> bool {
        self == OneOf::None || id.is_some_and(|id| self == OneOf::One(id))
    }
}

impl JournalSums {
    /// The sums of a purchase whose journals are in two parts of the ledger.
    pub(crate) fn plus(mut self, other: &JournalSums) -> JournalSums {
        for (count, more) in self.reasons.iter_mut().zip(other.reasons) {
            *count = count.saturating_add(more);
        }
        let parts = self.settled.iter_mut().chain(&mut self.refunded);
        for (part, more) in parts.zip(other.settled.into_iter().chain(other.refunded)) {
            *part = part.saturating_add(more);
        }
        self.listed = self.listed.saturating_add(other.listed);
        self.held = self.held.saturating_add(other.held);
        self.released = self.released.saturating_add(other.released);
        self.wallet = self.wallet.and(other.wallet);
        self.float = self.float.and(other.float);
        if other.reasons[0] > 0 {
            self.available_after = other.available_after;
        }
        self.available_returned = other.available_returned.or(self.available_returned);
        self
    }

    fn add(&mut self, accounts: &HashMap<i64, LedgerAccountRow>, journal: &JournalRows) {
        let slot = match Reason::from_code(&journal.reason) {
            Some(Reason::Hold) => 0,
            Some(Reason::Settle) => 1,
            Some(Reason::Release) => 2,
            Some(Reason::Refund) => 3,
            Some(Reason::Deposit | Reason::Withdraw | Reason::Commission | Reason::Plan) | None => {
                return;
            }
        };
        self.reasons[slot] = self.reasons[slot].saturating_add(1);
        self.listed = self.listed.saturating_add(u8::from(journal.is_listed));
        for line in &journal.lines {
            // The sides of a refund are those of a settlement the other way round.
            let (from, to) = match slot {
                3 => (line.credit, line.debit),
                _ => (line.debit, line.credit),
            };
            // What a float is put right by is between the house's own accounts.
            let purpose_of = |id| accounts.get(id).map(|account| &account.purpose);
            if matches!(purpose_of(&from), Some(Purpose::Float(_) | Purpose::Fees)) {
                continue;
            }
            let part = match (slot, accounts.get(&to).map(|a| &a.purpose)) {
                (0, _) => {
                    self.wallet.add(from);
                    self.available_after = accounts.get(&from).map_or(0, |a| a.computed);
                    &mut self.held
                }
                (2, _) => {
                    self.wallet.add(to);
                    self.available_returned = accounts.get(&to).map(|a| a.computed);
                    &mut self.released
                }
                (1, Some(Purpose::Float(_))) => {
                    self.float.add(to);
                    &mut self.settled[0]
                }
                (1, Some(Purpose::Fees)) => &mut self.settled[1],
                (1, Some(Purpose::Commission)) => &mut self.settled[2],
                (3, Some(Purpose::Float(_))) => {
                    self.float.add(to);
                    self.wallet.add(from);
                    self.available_returned = accounts.get(&from).map(|a| a.computed);
                    &mut self.refunded[0]
                }
                (3, Some(Purpose::Fees)) => {
                    self.wallet.add(from);
                    &mut self.refunded[1]
                }
                (3, Some(Purpose::Commission)) => &mut self.refunded[2],
                (_, _) => continue,
            };
            *part = part.saturating_add(line.amount);
        }
    }
}

pub(super) fn ledger_accounts(
    sql: &mut dyn Sql,
    start: &Start,
) -> Result<HashMap<i64, LedgerAccountRow>> {
    let rows = all(
        sql,
        "SELECT id, environment, currency, balance, floor, account_id, purpose, upstream
         FROM ledger_accounts",
        &[],
        |row| {
            let purpose = Purpose::from_code(row.text(6)?, row.text(7)?)
                .ok_or_else(|| Fault::corrupt("a ledger account's purpose"))?;
            let account = LedgerAccountRow {
                owner: AccountId(row.int(5)?),
                purpose,
                pool: format!("{} {}", row.text(1)?, row.text(2)?),
                stored: row.int(3)?,
                floor: row.opt_int(4)?,
                computed: start.carried.get(&row.int(0)?).copied().map_or(0, i128::from),
            };
            Ok((row.int(0)?, account))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// One journal with its entries.
struct JournalRows {
    seq: i64,
    account: AccountId,
    environment: String,
    purchase: Option<i64>,
    reason: String,
    note: Option<String>,
    at: Timestamp,
    month: i64,
    hash: Vec<u8>,
    /// Whether statements list it, because a login bought it.
    is_listed: bool,
    lines: Vec<Line>,
    is_numbered: bool,
}

/// What the journals add up to so far.
struct Totals<'a> {
    accounts: &'a mut HashMap<i64, LedgerAccountRow>,
    sums: HashMap<i64, JournalSums>,
    chain: ChainEnd,
    closed: &'a HashSet<Month>,
}

/// Checks every journal; answers the sums by purchase, and the end of the chain.
pub(super) fn check(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    accounts: &mut HashMap<i64, LedgerAccountRow>,
    start: &Start,
) -> Result<(HashMap<i64, JournalSums>, ChainEnd)> {
    let mut totals =
        Totals { accounts, sums: HashMap::new(), chain: start.chain, closed: &start.closed };
    let mut current: Option<JournalRows> = None;
    sql.query(
        "SELECT j.seq, j.account_id, j.environment, j.purchase_id, j.reason, j.note, j.at, j.hash,
             e.line, e.debit_id, e.credit_id, e.amount, j.month,
             j.listed
         FROM journals j LEFT JOIN entries e ON e.journal_seq = j.seq AND e.month = j.month
         WHERE j.seq > $1 ORDER BY j.seq, e.line",
        &values![start.chain.seq],
        &mut |row| {
            let seq = row.int(0)?;
            if current.as_ref().is_none_or(|journal| journal.seq != seq) {
                if let Some(journal) = current.take() {
                    check_journal(report, &mut totals, &journal)?;
                }
                current = Some(JournalRows {
                    seq,
                    account: AccountId(row.int(1)?),
                    environment: row.text(2)?.to_owned(),
                    purchase: row.opt_int(3)?,
                    reason: row.text(4)?.to_owned(),
                    note: row.opt_text(5)?.map(str::to_owned),
                    at: Timestamp(row.int(6)?),
                    month: row.int(12)?,
                    hash: row.bytes(7)?.to_vec(),
                    is_listed: row.opt_int(13)? == Some(1),
                    lines: Vec::new(),
                    is_numbered: true,
                });
            }
            if let (Some(journal), Some(number)) = (&mut current, row.opt_int(8)?) {
                journal.is_numbered &= usize::try_from(number) == Ok(journal.lines.len() + 1);
                let (debit, credit, amount) = (row.int(9)?, row.int(10)?, row.int(11)?);
                journal.lines.push(Line { debit, credit, amount });
            }
            Ok(())
        },
    )?;
    if let Some(journal) = current {
        check_journal(report, &mut totals, &journal)?;
    }
    Ok((totals.sums, totals.chain))
}

fn check_journal(
    report: &mut AuditReport,
    totals: &mut Totals<'_>,
    journal: &JournalRows,
) -> Result<()> {
    report.journals += 1;
    let (seq, before) = (journal.seq, totals.chain);
    if seq != before.seq + 1 {
        report.add(format!(
            "journal {seq}: journals {} to {} are missing before it",
            before.seq + 1,
            seq - 1
        ));
    }
    if journal.lines.is_empty() {
        report.add(format!("journal {seq}: has no entries"));
    }
    if !journal.is_numbered {
        report.add(format!("journal {seq}: its entries are not numbered from 1"));
    }
    let head = JournalHead {
        account: journal.account,
        environment: read::environment(&journal.environment)?,
        purchase: journal.purchase.map(PurchaseId),
        note: journal.note.as_deref(),
        at: journal.at,
        is_listed: false,
    };
    let expected = hash(&before.hash, seq, &journal.reason, &head, &journal.lines);
    if journal.hash != expected {
        report.add(format!(
            "journal {seq}: its hash does not fit its rows; it or one of its entries was changed"
        ));
    }
    let due = month_of(before.month, &head);
    let may_be = |m: &Month| *m == due || (*m > due && totals.closed.contains(&m.previous()));
    let month = Month::from_number(journal.month).filter(may_be);
    if month.is_none() {
        report.add(format!("journal {seq}: is filed under month {}, not {due}", journal.month));
    }
    // Go on from what is stored, so that one wrong row is reported once.
    totals.chain = ChainEnd {
        seq,
        hash: <[u8; 32]>::try_from(journal.hash.as_slice()).unwrap_or(expected),
        month: month.unwrap_or(due),
    };
    check_entries(report, totals.accounts, journal);
    match journal.purchase {
        Some(purchase) => {
            totals.sums.entry(purchase).or_default().add(totals.accounts, journal);
        }
        None if journal.is_listed => {
            report.add(format!("journal {seq}: is listed as a login's purchase, and is none"));
        }
        None => {}
    }
    Ok(())
}

/// Checks each entry of a journal, and adds it to its ledger accounts.
fn check_entries(
    report: &mut AuditReport,
    accounts: &mut HashMap<i64, LedgerAccountRow>,
    journal: &JournalRows,
) {
    let seq = journal.seq;
    let reason = Reason::from_code(&journal.reason);
    for (number, Line { debit, credit, amount }) in (1..).zip(&journal.lines) {
        report.entries += 1;
        let sides = accounts.get(debit).zip(accounts.get(credit));
        if debit == credit || *amount <= 0 || sides.is_none_or(|(d, c)| d.pool != c.pool) {
            report.add(format!(
                "entry {number} of journal {seq}: moves {amount} from ledger account {debit} to \
                 {credit}, which cannot be"
            ));
        } else if let Some((from, to)) = sides
            && !(reason.is_some_and(|r| may_move(r, &from.purpose, &to.purpose))
                && [from, to].iter().all(|side| is_owned(side, journal.account)))
        {
            report.add(format!(
                "entry {number} of journal {seq}: a {} of account {} does not go from the {} of {} \
                 to the {} of {} (ledger accounts {debit}, {credit})",
                journal.reason,
                journal.account,
                from.purpose.code(),
                from.owner,
                to.purpose.code(),
                to.owner
            ));
        }
        for (id, delta) in [(debit, -i128::from(*amount)), (credit, i128::from(*amount))] {
            if let Some(account) = accounts.get_mut(id) {
                account.computed += delta;
            }
        }
    }
}

/// Whether a journal of this reason may move money so (see `Journal::of_step`).
const fn may_move(reason: Reason, from: &Purpose, to: &Purpose) -> bool {
    use Purpose::{Available, Commission, CommissionExpense, Fees, Float, Funding, Held};
    match reason {
        Reason::Hold => matches!((from, to), (Available, Held)),
        Reason::Release => matches!((from, to), (Held, Available)),
        Reason::Settle => {
            matches!(
                (from, to),
                (Held, Float(_) | Fees)
                    | (CommissionExpense, Commission)
                    | (Fees, Float(_))
                    | (Float(_), Fees)
            )
        }
        Reason::Refund => {
            matches!(
                (from, to),
                (Float(_) | Fees, Available)
                    | (Commission, CommissionExpense)
                    | (Fees, Float(_))
                    | (Float(_), Fees)
            )
        }
        // Into a wallet, or back from a float where it was booked by mistake.
        Reason::Deposit => matches!((from, to), (Funding, Available | Float(_))),
        // Out of a wallet, or out of the house into a float.
        Reason::Withdraw => matches!((from, to), (Available | Float(_), Funding)),
        Reason::Commission => matches!((from, to), (Commission, Available)),
        Reason::Plan => matches!((from, to), (Available, Fees)),
    }
}

/// A wallet belongs to its journal's account; every other ledger account belongs to the house.
fn is_owned(side: &LedgerAccountRow, account: AccountId) -> bool {
    side.owner == if side.purpose.is_wallet() { account } else { HOUSE }
}

/// Checks each balance against its entries and its floor, and that balances sum to zero.
pub(super) fn check_balances(report: &mut AuditReport, accounts: &HashMap<i64, LedgerAccountRow>) {
    let mut ids: Vec<&i64> = accounts.keys().collect();
    ids.sort();
    for id in ids {
        let Some(account) = accounts.get(id) else { continue };
        if !account.is_sound() {
            report.add(format!(
                "ledger account {id} ({}): stores a balance of {}, its entries make {}",
                account.pool, account.stored, account.computed
            ));
        }
        if account.floor.is_some_and(|floor| account.stored < floor) {
            report.add(format!(
                "ledger account {id} ({}): its balance {} is below its floor",
                account.pool, account.stored
            ));
        }
        if account.floor != account.purpose.floor() {
            report.add(format!(
                "ledger account {id} ({}): its floor is {:?} and should be {:?}",
                account.pool,
                account.floor,
                account.purpose.floor()
            ));
        }
        *report.sums.entry(account.pool.clone()).or_default() += i128::from(account.stored);
    }
    let unbalanced: Vec<(String, i128)> =
        report.sums.iter().filter(|(_, sum)| **sum != 0).map(|(p, s)| (p.clone(), *s)).collect();
    for (pool, sum) in unbalanced {
        report.add(format!("{pool}: all balances sum to {sum}, not to zero"));
    }
}

/// Entries without their journal.
pub(super) fn check_orphans(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    start: &Start,
) -> Result<()> {
    find(
        sql,
        report,
        "SELECT e.journal_seq, e.line FROM entries e
         LEFT JOIN journals j ON j.seq = e.journal_seq AND j.month = e.month
         WHERE e.journal_seq > $1 AND j.seq IS NULL LIMIT 100",
        &values![start.chain.seq],
        |row| {
            let (seq, line) = (row.int(0)?, row.int(1)?);
            Ok(format!("entry {line} of journal {seq}: its journal is not there"))
        },
    )
}
