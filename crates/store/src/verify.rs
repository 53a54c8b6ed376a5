//! The audit: recomputes everything that can be recomputed and names each row that lies.
//!
//! Reads in one snapshot, so it may run beside the writer. The live books begin where the last archive
//! ends, with what it carried forward. Not here: mending. Memory grows by some 40 bytes a purchase.

use crate::archive::{self, Closing};
use crate::backend::{Sql, all, first};
use crate::fault::Fault;
use crate::ledger::{FIRST_MONTH, GENESIS, Head, hash, month_of};
use crate::read;
use domain::account::HOUSE;
use domain::clock::Timestamp;
use domain::ledger::journal::{Purpose, Reason};
use domain::purchase::lifecycle::{Place, State};
use domain::{AccountId, Month, PurchaseId};
use std::collections::{BTreeMap, HashMap, HashSet};

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
    /// Months that are archived: the rest begins after them.
    pub archived: u64,
    /// Sum of all balances by environment and currency, in minor units: all zero.
    pub sums: BTreeMap<String, i128>,
    /// Rows that lie, each named; at most 100.
    pub complaints: Vec<String>,
    /// How many rows lie.
    pub lies: u64,
}

impl Report {
    pub(crate) fn report(&mut self, says: String) {
        self.lies += 1;
        if self.complaints.len() < COMPLAINTS_KEPT {
            self.complaints.push(says);
        }
    }
}

/// A ledger account as stored, and its balance as the entries make it.
struct Account {
    owner: AccountId,
    purpose: Purpose,
    place: String,
    stored: i64,
    floor: Option<i64>,
    computed: i128,
}

/// What the journals say of one purchase.
#[derive(Clone, Copy, Default)]
pub(crate) struct JournalSums {
    reasons: [u8; 4],
    held: i64,
    /// Amount, fee and commission as they were settled.
    settled: [i64; 3],
}

/// Checks, in one snapshot: the hash chain, every entry, every balance against its entries and its
/// floor, sums of zero, every purchase against its journals, its reference, its attempts, its job
/// and its events, every payment against its paper.
pub(crate) fn audit(sql: &mut dyn Sql) -> Result<Report, Fault> {
    audit_part(sql, None).map(|(report, _)| report)
}

/// The same of a part of the books: the live ones, or a month that was archived, in its own file.
/// What goes on in another part is left to be judged with that.
pub(crate) fn audit_part(
    sql: &mut dyn Sql,
    month: Option<&Closing>,
) -> Result<(Report, Rest), Fault> {
    sql.begin_snapshot()?;
    let audited = audit_snapshot(sql, month);
    sql.end_snapshot()?;
    audited
}

type Pending = HashMap<i64, (Bought, JournalSums)>;

/// What one part of the books cannot judge alone.
#[derive(Default)]
pub(crate) struct Rest {
    /// Purchases whose journals may go on later, with what is told of them here.
    pub(crate) pending: Pending,
    /// What is told here of purchases that are archived.
    pub(crate) loose: HashMap<i64, JournalSums>,
}

fn audit_snapshot(sql: &mut dyn Sql, month: Option<&Closing>) -> Result<(Report, Rest), Fault> {
    let (mut report, mut rest) = (Report::default(), Rest::default());
    let start = start(sql)?;
    report.archived = start.archived;
    let mut accounts = ledger_accounts(sql, &start)?;
    report.ledger_accounts = accounts.len() as u64;
    let (mut sums, end) = journals(sql, &mut report, &mut accounts, &start)?;
    balances(&mut report, &accounts);
    let pending = month.is_some().then_some(&mut rest.pending);
    purchases(sql, &mut report, (&mut sums, pending), &start)?;
    loose_entries(sql, &mut report, &start)?;
    orphans(sql, &mut report, &start)?;
    match month {
        Some(closing) => bounds(sql, &mut report, closing, (&start, end))?,
        None => loose_claims(sql, &mut report, &start)?,
    }
    rest.loose = sums;
    Ok((report, rest))
}

/// Whether a month's file has what the month was closed with.
fn bounds(
    sql: &mut dyn Sql,
    report: &mut Report,
    closing: &Closing,
    (start, end): (&Start, Chain),
) -> Result<(), Fault> {
    let month = closing.month;
    if (start.chain.seq + 1, start.chain.hash) != (closing.journals.0, closing.hashes.0) {
        report.report(format!("{month}: does not begin where the month before it ended"));
    }
    if (end.seq, end.hash) != (closing.journals.1, closing.hashes.1) {
        report.report(format!("{month}: does not end at journal {}", closing.journals.1));
    }
    let strangers = first(
        sql,
        "SELECT count(*) FROM purchases WHERE id < $1 OR id >= $2",
        &[closing.ids_from.into(), closing.ids_below().into()],
        |row| row.int(0),
    )?;
    if let Some(strangers @ 1..) = strangers {
        report.report(format!("{month}: {strangers} purchases in it are of other months"));
    }
    Ok(())
}

/// Where the rows begin that are audited: after the last archive.
struct Start {
    chain: Chain,
    /// Purchases below are archived.
    ids_from: i64,
    /// How many months are archived, and the last of them, as stored; 0 without one.
    archived: u64,
    month: i64,
    /// What ledger accounts held at its end.
    carried: HashMap<i64, i64>,
    /// Months that were closed: what was written then, with the clock behind, is of the next.
    closed: HashSet<Month>,
}

/// The end of the chain as far as it is checked.
#[derive(Clone, Copy)]
struct Chain {
    seq: i64,
    hash: [u8; 32],
    month: Month,
}

fn start(sql: &mut dyn Sql) -> Result<Start, Fault> {
    let months = all(sql, "SELECT month, digest FROM archives ORDER BY month", &[], |row| {
        Ok((archive::month(row.int(0)?)?, row.opt_bytes(1)?.is_some()))
    })?;
    let archived: Vec<Month> = months.iter().filter(|(_, is)| *is).map(|(m, _)| *m).collect();
    let month = archived.last().map_or(0, |month| month.number());
    let last = first(
        sql,
        "SELECT month, ids_below, last_journal, last_hash FROM archives WHERE month = $1",
        &[month.into()],
        archive::closed,
    )?;
    let carried = all(
        sql,
        "SELECT ledger_account_id, balance FROM carried WHERE month = $1",
        &[month.into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let genesis = Chain { seq: 0, hash: GENESIS, month: FIRST_MONTH };
    Ok(Start {
        chain: last.map_or(genesis, |last| Chain {
            seq: last.last_journal,
            hash: last.last_hash,
            month: last.month.next(),
        }),
        ids_from: last.map_or(0, |last| last.ids_below),
        archived: archived.len() as u64,
        month,
        carried: carried.into_iter().collect(),
        closed: months.into_iter().map(|(month, _)| month).collect(),
    })
}

fn ledger_accounts(sql: &mut dyn Sql, start: &Start) -> Result<HashMap<i64, Account>, Fault> {
    let rows = all(
        sql,
        "SELECT id, environment, currency, balance, floor, account_id, purpose, upstream FROM ledger_accounts",
        &[],
        |row| {
            let purpose = Purpose::from_code(row.text(6)?, row.text(7)?)
                .ok_or_else(|| Fault::corrupt("a ledger account's purpose"))?;
            let account = Account {
                owner: AccountId(row.int(5)?),
                purpose,
                place: format!("{} {}", row.text(1)?, row.text(2)?),
                stored: row.int(3)?,
                floor: row.opt_int(4)?,
                computed: start.carried.get(&row.int(0)?).copied().map_or(0, i128::from),
            };
            Ok((row.int(0)?, account))
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
    month: i64,
    hash: Vec<u8>,
    lines: Vec<(i64, i64, i64)>,
    is_numbered: bool,
}

fn journals(
    sql: &mut dyn Sql,
    report: &mut Report,
    accounts: &mut HashMap<i64, Account>,
    start: &Start,
) -> Result<(HashMap<i64, JournalSums>, Chain), Fault> {
    let mut told =
        Told { accounts, sums: HashMap::new(), chain: start.chain, closed: &start.closed };
    let mut current: Option<Gathered> = None;
    sql.query(
        "SELECT j.seq, j.account_id, j.environment, j.purchase_id, j.reason, j.note, j.at, j.hash, e.line, e.debit_id, e.credit_id, e.amount, j.month
         FROM journals j LEFT JOIN entries e ON e.journal_seq = j.seq AND e.month = j.month
         WHERE j.seq > $1 ORDER BY j.seq, e.line",
        &[start.chain.seq.into()],
        &mut |row| {
            let seq = row.int(0)?;
            if current.as_ref().is_none_or(|journal| journal.seq != seq) {
                if let Some(journal) = current.take() {
                    check_journal(report, &mut told, &journal)?;
                }
                current = Some(Gathered {
                    seq,
                    account: AccountId(row.int(1)?),
                    environment: row.text(2)?.to_owned(),
                    purchase: row.opt_int(3)?,
                    reason: row.text(4)?.to_owned(),
                    note: row.opt_text(5)?.map(str::to_owned),
                    at: Timestamp(row.int(6)?),
                    month: row.int(12)?,
                    hash: row.bytes(7)?.to_vec(),
                    lines: Vec::new(),
                    is_numbered: true,
                });
            }
            if let (Some(journal), Some(line)) = (&mut current, row.opt_int(8)?) {
                journal.is_numbered &= usize::try_from(line) == Ok(journal.lines.len() + 1);
                journal.lines.push((row.int(9)?, row.int(10)?, row.int(11)?));
            }
            Ok(())
        },
    )?;
    if let Some(journal) = current {
        check_journal(report, &mut told, &journal)?;
    }
    Ok((told.sums, told.chain))
}

/// What the journals have told so far.
struct Told<'a> {
    accounts: &'a mut HashMap<i64, Account>,
    sums: HashMap<i64, JournalSums>,
    chain: Chain,
    closed: &'a HashSet<Month>,
}

fn check_journal(
    report: &mut Report,
    told: &mut Told<'_>,
    journal: &Gathered,
) -> Result<(), Fault> {
    report.journals += 1;
    let (seq, before) = (journal.seq, told.chain);
    if seq != before.seq + 1 {
        report.report(format!(
            "journal {seq}: journals {} to {} are missing before it",
            before.seq + 1,
            seq - 1
        ));
    }
    if journal.lines.is_empty() {
        report.report(format!("journal {seq}: has no entries"));
    }
    if !journal.is_numbered {
        report.report(format!("journal {seq}: its entries are not numbered from 1"));
    }
    let head = Head {
        account: journal.account,
        environment: read::environment(&journal.environment)?,
        purchase: journal.purchase.map(PurchaseId),
        note: journal.note.as_deref(),
        at: journal.at,
        is_listed: false,
    };
    let expected = hash(&before.hash, seq, &journal.reason, &head, &journal.lines);
    if journal.hash != expected {
        report.report(format!(
            "journal {seq}: its hash does not fit its rows; it or one of its entries was changed"
        ));
    }
    let due = month_of(before.month, &head);
    let may_be = |m: &Month| *m == due || (*m > due && told.closed.contains(&m.previous()));
    let month = Month::from_number(journal.month).filter(may_be);
    if month.is_none() {
        report.report(format!("journal {seq}: is filed under month {}, not {due}", journal.month));
    }
    // Go on from what is stored, so that one lie is told once.
    told.chain = Chain {
        seq,
        hash: <[u8; 32]>::try_from(journal.hash.as_slice()).unwrap_or(expected),
        month: month.unwrap_or(due),
    };
    entries(report, told.accounts, journal);
    if let Some(purchase) = journal.purchase {
        tell(told.sums.entry(purchase).or_default(), told.accounts, journal);
    }
    Ok(())
}

/// Checks each entry, and adds it up.
fn entries(report: &mut Report, accounts: &mut HashMap<i64, Account>, journal: &Gathered) {
    let seq = journal.seq;
    let reason = Reason::from_code(&journal.reason);
    for (line, (debit, credit, amount)) in (1..).zip(&journal.lines) {
        report.entries += 1;
        let sides = accounts.get(debit).zip(accounts.get(credit));
        if debit == credit || *amount <= 0 || sides.is_none_or(|(d, c)| d.place != c.place) {
            report.report(format!("entry {line} of journal {seq}: moves {amount} from ledger account {debit} to {credit}, which cannot be"));
        } else if let Some((from, to)) = sides
            && !(reason.is_some_and(|r| moves(r, &from.purpose, &to.purpose))
                && [from, to].iter().all(|side| is_owned(side, journal.account)))
        {
            report.report(format!(
                "entry {line} of journal {seq}: a {} of account {} does not go from the {} of {} to the {} of {} (ledger accounts {debit}, {credit})",
                journal.reason, journal.account, from.purpose.code(), from.owner, to.purpose.code(), to.owner
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
const fn moves(reason: Reason, from: &Purpose, to: &Purpose) -> bool {
    use Purpose::{Available, Commission, CommissionExpense, Fees, Float, Funding, Held};
    match reason {
        Reason::Hold => matches!((from, to), (Available, Held)),
        Reason::Release => matches!((from, to), (Held, Available)),
        Reason::Settle => {
            matches!((from, to), (Held, Float(_) | Fees) | (CommissionExpense, Commission))
        }
        Reason::Refund => {
            matches!((from, to), (Float(_) | Fees, Available) | (Commission, CommissionExpense))
        }
        Reason::Deposit => matches!((from, to), (Funding, Available)),
        Reason::Withdraw => matches!((from, to), (Available, Funding)),
    }
}

/// A wallet is its journal's account's; everything else is the house's.
fn is_owned(side: &Account, account: AccountId) -> bool {
    side.owner == if side.purpose.is_wallet() { account } else { HOUSE }
}

/// Adds a journal to the story of its purchase.
fn tell(story: &mut JournalSums, accounts: &HashMap<i64, Account>, journal: &Gathered) {
    let slot = match Reason::from_code(&journal.reason) {
        Some(Reason::Hold) => 0,
        Some(Reason::Settle) => 1,
        Some(Reason::Release) => 2,
        Some(Reason::Refund) => 3,
        Some(Reason::Deposit | Reason::Withdraw) | None => return,
    };
    story.reasons[slot] = story.reasons[slot].saturating_add(1);
    for (_, credit, amount) in &journal.lines {
        let part = match (slot, accounts.get(credit).map(|a| &a.purpose)) {
            (0, _) => &mut story.held,
            (1, Some(Purpose::Float(_))) => &mut story.settled[0],
            (1, Some(Purpose::Fees)) => &mut story.settled[1],
            (1, Some(Purpose::Commission)) => &mut story.settled[2],
            (_, _) => continue,
        };
        *part = part.saturating_add(*amount);
    }
}

fn balances(report: &mut Report, accounts: &HashMap<i64, Account>) {
    let mut ids: Vec<&i64> = accounts.keys().collect();
    ids.sort();
    for id in ids {
        let Some(account) = accounts.get(id) else { continue };
        if i128::from(account.stored) != account.computed {
            report.report(format!(
                "ledger account {id} ({}): stores a balance of {}, its entries make {}",
                account.place, account.stored, account.computed
            ));
        }
        if account.floor.is_some_and(|floor| account.stored < floor) {
            report.report(format!(
                "ledger account {id} ({}): its balance {} is below its floor",
                account.place, account.stored
            ));
        }
        if account.floor != account.purpose.floor() {
            report.report(format!(
                "ledger account {id} ({}): its floor is {:?} and should be {:?}",
                account.place,
                account.floor,
                account.purpose.floor()
            ));
        }
        *report.sums.entry(account.place.clone()).or_default() += i128::from(account.stored);
    }
    let unbalanced: Vec<(String, i128)> =
        report.sums.iter().filter(|(_, sum)| **sum != 0).map(|(p, s)| (p.clone(), *s)).collect();
    for (place, sum) in unbalanced {
        report.report(format!("{place}: all balances sum to {sum}, not to zero"));
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

/// How many events a purchase in this state has put out.
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

/// A purchase's row beside what the other tables have of it.
pub(crate) struct Bought {
    pub(crate) id: i64,
    state: State,
    version: i64,
    /// Amount, fee and commission.
    price: [i64; 3],
    attempts: [i64; 2],
    job: Option<String>,
    claimed_by: Option<i64>,
    events: (i64, Option<i64>),
}

fn purchases(
    sql: &mut dyn Sql,
    report: &mut Report,
    (sums, mut pending): (&mut HashMap<i64, JournalSums>, Option<&mut Pending>),
    start: &Start,
) -> Result<(), Fault> {
    sql.query(
        "SELECT p.id, p.state, p.version, p.amount, p.fee, p.commission, p.attempts, j.job, c.purchase_id,
                (SELECT count(*) FROM attempts a WHERE a.purchase_id = p.id AND a.account_id = p.account_id AND a.environment = p.environment),
                (SELECT count(*) FROM events e WHERE e.purchase_id = p.id AND e.account_id = p.account_id AND e.environment = p.environment),
                (SELECT max(e.sequence) FROM events e WHERE e.purchase_id = p.id AND e.account_id = p.account_id AND e.environment = p.environment)
         FROM purchases p
         LEFT JOIN jobs j ON j.purchase_id = p.id AND j.account_id = p.account_id AND j.environment = p.environment
         LEFT JOIN claims c ON c.account_id = p.account_id AND c.environment = p.environment AND c.space = p.space AND c.reference = p.reference
         WHERE p.id >= $1 ORDER BY p.id",
        &[start.ids_from.into()],
        &mut |row| {
            let bought = Bought {
                id: row.int(0)?,
                state: read::state(row.text(1)?)?,
                version: row.int(2)?,
                price: [row.int(3)?, row.int(4)?, row.int(5)?],
                attempts: [row.int(6)?, row.int(9)?],
                job: row.opt_text(7)?.map(str::to_owned),
                claimed_by: row.opt_int(8)?,
                events: (row.int(10)?, row.opt_int(11)?),
            };
            report.purchases += 1;
            report.open += u64::from(!bought.state.is_final());
            // What is left at the end belongs to no purchase.
            let story = sums.remove(&bought.id).unwrap_or_default();
            dues(report, &bought);
            match &mut pending {
                Some(pending) if may_go_on(&bought, &story) => {
                    pending.insert(bought.id, (bought, story));
                }
                Some(_) | None => money(report, &bought, &story),
            }
            Ok(())
        },
    )?;
    // What is told of an archived purchase was told after its month.
    let mut lost: Vec<&i64> = sums.keys().filter(|id| **id >= start.ids_from).collect();
    lost.sort();
    for id in lost {
        report.report(format!("purchase {id}: has journals, but is not there"));
    }
    Ok(())
}

/// Whether what is told of a purchase is not yet all that its state asks for.
fn may_go_on(p: &Bought, story: &JournalSums) -> bool {
    let expected = journals_of(p.state, story.reasons[0] > 0);
    let is_within = story.reasons.iter().zip(expected).all(|(told, due)| *told <= due);
    // Called off: with a hold or without one.
    (is_within && story.reasons != expected)
        || (p.state == State::Rejected && story.reasons == [0; 4])
}

/// A story that goes on in another part of the books.
pub(crate) fn told_together(first: &JournalSums, then: &JournalSums) -> JournalSums {
    let mut told = *first;
    for (count, more) in told.reasons.iter_mut().zip(then.reasons) {
        *count = count.saturating_add(more);
    }
    for (part, more) in told.settled.iter_mut().zip(then.settled) {
        *part = part.saturating_add(more);
    }
    told.held = told.held.saturating_add(then.held);
    told
}

/// Whether its journals are those of its state and its price.
pub(crate) fn money(report: &mut Report, p: &Bought, story: &JournalSums) {
    let (id, state) = (p.id, p.state.code());
    if story.reasons != journals_of(p.state, story.reasons[0] > 0) {
        report.report(format!(
            "purchase {id}: is {state} but its journals are (hold, settle, release, refund) {:?}",
            story.reasons
        ));
    }
    let total = p.price[0].saturating_add(p.price[1]);
    if story.reasons[0] > 0 && story.held != total {
        report.report(format!("purchase {id}: costs {total} but held {}", story.held));
    }
    if story.reasons[1] > 0 && story.settled != p.price {
        report.report(format!(
            "purchase {id}: amount, fee and commission are {:?} but {:?} were settled",
            p.price, story.settled
        ));
    }
    if p.state.rests() == Place::Hold && story.reasons[0] == 0 {
        report.report(format!("purchase {id}: is {state} without a hold"));
    }
}

/// Whether its reference, attempts, job and events are those of its state.
fn dues(report: &mut Report, p: &Bought) {
    let (id, state) = (p.id, p.state.code());
    if p.claimed_by != Some(id) {
        report.report(format!("purchase {id}: its reference is not claimed for it"));
    }
    let [counted, found] = p.attempts;
    if counted != found {
        report.report(format!("purchase {id}: counts {counted} attempts, {found} are on record"));
    }
    let owed = (!p.state.is_final()).then(|| p.state.owes().code());
    if p.job.as_deref() != owed {
        report.report(format!(
            "purchase {id}: is {state} and owes {owed:?}, but the job is {:?}",
            p.job
        ));
    }
    let last = p.state.is_final().then_some(p.version);
    if p.events != (events_of(p.state), last) {
        report.report(format!(
            "purchase {id}: is {state} as version {}, but its events are {} and end at {:?}",
            p.version, p.events.0, p.events.1
        ));
    }
}

/// Entries that belong to nothing.
fn loose_entries(sql: &mut dyn Sql, report: &mut Report, start: &Start) -> Result<(), Fault> {
    let lost = all(
        sql,
        "SELECT e.journal_seq, e.line FROM entries e LEFT JOIN journals j ON j.seq = e.journal_seq AND j.month = e.month
         WHERE e.journal_seq > $1 AND j.seq IS NULL LIMIT 100",
        &[start.chain.seq.into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    for (seq, line) in lost {
        report.report(format!("entry {line} of journal {seq}: its journal is not there"));
    }
    Ok(())
}

/// Attempts, events and jobs of purchases that are not there.
fn orphans(sql: &mut dyn Sql, report: &mut Report, start: &Start) -> Result<(), Fault> {
    let lost = all(
        sql,
        "SELECT o.what, o.number, o.purchase_id FROM (
             SELECT 'attempt' AS what, number, purchase_id, account_id, environment FROM attempts
             UNION ALL
             SELECT 'event', sequence, purchase_id, account_id, environment FROM events
             UNION ALL
             SELECT 'job', 1, purchase_id, account_id, environment FROM jobs
         ) o LEFT JOIN purchases p ON p.id = o.purchase_id AND p.account_id = o.account_id AND p.environment = o.environment
         WHERE o.purchase_id >= $1 AND p.id IS NULL ORDER BY o.purchase_id, o.what, o.number LIMIT 100",
        &[start.ids_from.into()],
        |row| Ok(format!("{} {} of purchase {}: its purchase is not there", row.text(0)?, row.int(1)?, row.int(2)?)),
    )?;
    lost.into_iter().for_each(|says| report.report(says));
    Ok(())
}

/// References that belong to nothing, and payments without their paper.
fn loose_claims(sql: &mut dyn Sql, report: &mut Report, start: &Start) -> Result<(), Fault> {
    let dangling = all(
        sql,
        "SELECT c.space, c.reference, c.purchase_id FROM claims c
         LEFT JOIN purchases p ON p.id = c.purchase_id AND p.account_id = c.account_id AND p.environment = c.environment
         WHERE c.purchase_id >= $1 AND p.id IS NULL LIMIT 100",
        &[start.ids_from.into()],
        |row| Ok(format!("reference {:?} ({}): its purchase {} is not there", row.text(1)?, row.text(0)?, row.int(2)?)),
    )?;
    let unbalanced = all(
        sql,
        "SELECT account_id, environment, CAST(sum(booked) AS BIGINT), CAST(sum(used) AS BIGINT) FROM (
             SELECT account_id, environment, count(*) AS booked, 0 AS used FROM journals WHERE purchase_id IS NULL AND seq > $1 GROUP BY account_id, environment
             UNION ALL
             SELECT account_id, environment, payments, 0 FROM carried_payments WHERE month = $2
             UNION ALL
             SELECT account_id, environment, 0, count(*) FROM claims WHERE purchase_id IS NULL GROUP BY account_id, environment
         ) AS both_sides GROUP BY account_id, environment HAVING sum(booked) <> sum(used) ORDER BY account_id, environment",
        &[start.chain.seq.into(), start.month.into()],
        |row| Ok(format!("account {} ({}): {} payments are booked, {} papers are used", row.int(0)?, row.text(1)?, row.int(2)?, row.int(3)?)),
    )?;
    dangling.into_iter().chain(unbalanced).for_each(|says| report.report(says));
    Ok(())
}

/// A quick look between audits: balances that do not sum to zero, held money that differs from
/// what open purchases hold. Says what is wrong, or nothing.
pub(crate) fn quick(sql: &mut dyn Sql) -> Result<Vec<String>, Fault> {
    let mut wrong = all(
        sql,
        "SELECT environment, currency, CAST(sum(balance) AS BIGINT) FROM ledger_accounts GROUP BY environment, currency HAVING sum(balance) <> 0",
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
    // A cross join: SQLite begins with the jobs, which are few, only if it is told to.
    let held = all(
        sql,
        "SELECT l.environment, l.currency, CAST(l.held AS BIGINT), CAST(coalesce(o.held, 0) AS BIGINT) FROM
            (SELECT environment, currency, sum(balance) AS held FROM ledger_accounts WHERE purpose = 'held' GROUP BY environment, currency) l
         LEFT JOIN
            (SELECT p.environment, p.currency, sum(p.amount + p.fee) AS held FROM jobs j CROSS JOIN purchases p
             WHERE p.id = j.purchase_id AND p.account_id = j.account_id AND p.environment = j.environment AND p.state <> 'quoted' GROUP BY p.environment, p.currency) o
         ON o.environment = l.environment AND o.currency = l.currency WHERE l.held <> coalesce(o.held, 0)",
        &[],
        |row| Ok(format!("{} {}: wallets hold {}, open purchases {}", row.text(0)?, row.text(1)?, row.int(2)?, row.int(3)?)),
    )?;
    wrong.extend(held);
    Ok(wrong)
}
