//! The heart: one thread that takes whatever has queued and makes it durable in one Tx.
//!
//! While one commit is on its way to the disk, the next batch gathers; one flush then serves
//! hundreds of purchases; so it does while another node writes. Where the database can be told so, the next one goes out before the answer
//! to the last: it is good only if that one was. Admission is `domain::ledger::admission::admit`, pure and in order. A change that
//! is refused does not disturb its neighbours; if the Tx itself fails, the batch is tried again in
//! halves, so that one bad change cannot sink the rest. Invariant: nobody is answered before the
//! commit that holds the change is durable.

use crate::archive::{self, ArchiveChange, ArchiveDone, Standing};
use crate::backend::{SetIndex, Sql, WriteSql};
use crate::calls::{CallQuota, Calls, Who};
use crate::change::{Change, Done, Posting, Setting};
use crate::fault::Fault;
use crate::ledger::{Balances, Head, LedgerCache, LedgerMark};
use crate::pushes::{self, PushChange};
use crate::webhooks::{self, WebhookChange};
use crate::{accounts, catalog, endpoints, halts, outbox, people, purchases, slips};
use domain::Month;
use domain::clock::Timestamp;
use domain::ledger::admission::{self, Denial, View};
use domain::ledger::journal::{LedgerAccount, Purpose, Reason};
use domain::purchase::settle::{CaseKind, Move};
use domain::purchase::{PurchaseKey, ReferenceKey};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Changes in one Tx at most: bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 512;
/// Changes that may queue: some seconds of work. Past that, new ones are refused at once rather
/// than answered too late.
const QUEUE_MAX: usize = 16_384;
/// A Tx that was lost before its commit is tried so often.
const TRIES_MAX: u32 = 3;
/// After blind Txs that failed, so many are not blind at most: known references that are sent again,
/// or other nodes at work, must not cost everybody a second try each time.
const SEEING_MAX: u32 = 63;
/// A batch goes out behind another once it is this part of it.
const SHARE_OF_THE_LAST: usize = 2;
/// While a commit is under way, what waits is there.
const AT_ONCE: Duration = Duration::from_millis(1);
/// After this long without work the writer tidies up.
const IDLE_AFTER: Duration = Duration::from_secs(20);

/// Admitted or not; a fault is ours.
pub(crate) type CommitAnswer = Result<Done, Denial>;

type Answer = oneshot::Sender<Result<CommitAnswer, Fault>>;

struct Request {
    change: Change,
    answer: Answer,
    taken: Withdrawable,
}

/// Whether the writer has begun with a request, or its asker taken it back: whoever is first.
#[derive(Clone, Default)]
struct Withdrawable(Arc<AtomicBool>);

impl Withdrawable {
    fn is_mine(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// How many changes wait, and at how many the writer wants to be woken.
#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    enough: AtomicUsize,
}

/// The way to the writer: cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: SyncSender<Request>,
    waiting: Arc<Waiting>,
    thread: Thread,
    failed: watch::Receiver<Option<Fault>>,
}

impl Writer {
    /// Starts the thread on a connection that it owns from now on.
    pub(crate) fn start(sql: impl WriteSql + 'static) -> std::io::Result<(Writer, JoinHandle<()>)> {
        let (queue, requests) = sync_channel(QUEUE_MAX);
        let (fail, failed) = watch::channel(None);
        let waiting = Arc::new(Waiting::default());
        let writer = BatchWriter {
            sql: Box::new(sql),
            ledger: LedgerCache::default(),
            partitions: HashSet::new(),
            calls: Calls::default(),
            sight: Backoff::default(),
            under_way: VecDeque::new(),
            waiting: waiting.clone(),
            fail,
        };
        let running = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(&requests))?;
        let thread = running.thread().clone();
        Ok((Writer { queue, waiting, thread, failed }, running))
    }

    /// Queues a change and waits until the commit that holds it is durable, or it is refused.
    pub(crate) async fn write(&self, change: Change) -> Result<CommitAnswer, Fault> {
        let coming = self.enqueue(change, Withdrawable::default())?;
        coming.await.map_err(|_| Fault::Closed)?
    }

    /// The same, if the writer begins with it before `timeout` is over; else it is taken back.
    pub(crate) async fn write_soon(
        &self,
        change: Change,
        timeout: Duration,
    ) -> Result<CommitAnswer, Fault> {
        let taken = Withdrawable::default();
        let mut coming = self.enqueue(change, taken.clone())?;
        let answer = match tokio::time::timeout(timeout, &mut coming).await {
            Ok(answer) => answer,
            Err(_) if taken.is_mine() => return Err(Fault::Busy),
            Err(_) => coming.await,
        };
        answer.map_err(|_| Fault::Closed)?
    }

    fn enqueue(
        &self,
        change: Change,
        taken: Withdrawable,
    ) -> Result<oneshot::Receiver<Result<CommitAnswer, Fault>>, Fault> {
        let (answer, coming) = oneshot::channel();
        // Counted before it is there, so that nobody takes what is not counted.
        let count = 1 + self.waiting.count.fetch_add(1, Ordering::SeqCst);
        self.queue.try_send(Request { change, answer, taken }).map_err(|error| {
            self.waiting.count.fetch_sub(1, Ordering::SeqCst);
            match error {
                TrySendError::Full(_) => Fault::Busy,
                TrySendError::Disconnected(_) => Fault::Closed,
            }
        })?;
        if count == self.waiting.enough.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ok(coming)
    }

    /// Resolves when the writer has stopped because the disk failed; the process should end.
    pub(crate) async fn failed(&self) -> Fault {
        let mut failed = self.failed.clone();
        let fault = failed.wait_for(Option::is_some).await.ok().and_then(|fault| fault.clone());
        fault.unwrap_or(Fault::Closed)
    }
}

/// What the changes of a batch mention.
#[derive(Default)]
struct Mentioned<'a> {
    references: Vec<&'a ReferenceKey>,
    purchases: Vec<PurchaseKey>,
    accounts: Vec<&'a LedgerAccount>,
    callers: Vec<Who>,
    seen: HashSet<&'a LedgerAccount>,
}

impl<'a> Mentioned<'a> {
    fn add(&mut self, change: &'a Change) {
        let needs = change.needs();
        if let Change::Allow { account, environment, .. } = change
            && !self.callers.contains(&(*account, *environment))
        {
            self.callers.push((*account, *environment));
        }
        self.references.extend(needs.reference_keys);
        let step = needs.step.as_ref().filter(|step| step.from_version.is_some());
        self.purchases.extend(step.map(|step| step.key));
        let entries = needs.journal.map_or(&[][..], |journal| journal.entries());
        for account in entries.iter().flat_map(|e| [e.debit(), e.credit()]) {
            if self.seen.insert(account) {
                self.accounts.push(account);
            }
        }
    }
}

/// Whether to ask before writing. A blind Tx asks nothing: it builds on what the last commit left
/// and on what its changes say of themselves, and the database refuses it if any of that is wrong.
#[derive(Default)]
struct Backoff {
    /// Txs to come that are not blind.
    reading: u32,
    /// How many were the last time.
    last: u32,
}

impl Backoff {
    /// Whether the next Tx may be blind, as far as luck goes.
    fn next_may_be_blind(&mut self) -> bool {
        let may = self.reading == 0;
        self.reading = self.reading.saturating_sub(1);
        may
    }

    fn blind_failed(&mut self) {
        self.last = (self.last * 2 + 1).min(SEEING_MAX);
        self.reading = self.last;
    }

    const fn blind_went_well(&mut self) {
        self.last = 0;
    }
}

/// A batch whose commit was sent, and is not heard of.
struct UnderWay {
    changes: Vec<Change>,
    answers: Vec<Answer>,
    verdicts: Vec<CommitAnswer>,
    /// Where the books stood before it.
    before: LedgerMark,
}

/// The writing thread's own things.
struct BatchWriter {
    sql: Box<dyn WriteSql>,
    ledger: LedgerCache,
    /// Months whose rows have where to lie, and the next month's too.
    partitions: HashSet<Month>,
    calls: Calls,
    sight: Backoff,
    /// The oldest first.
    under_way: VecDeque<UnderWay>,
    waiting: Arc<Waiting>,
    fail: watch::Sender<Option<Fault>>,
}

impl BatchWriter {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut was_busy = true;
        while self.fail.borrow().is_none() {
            if self.is_heard_first() {
                self.land(requests);
                continue;
            }
            let is_idle = self.under_way.is_empty();
            let first = match requests.recv_timeout(if is_idle { IDLE_AFTER } else { AT_ONCE }) {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => {
                    if was_busy && is_idle {
                        self.sql.on_idle();
                        was_busy = false;
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.land_all(requests);
                    self.sql.on_idle();
                    return;
                }
            };
            was_busy = true;
            let is_asking = !self.sql.can_be_optimistic() || !self.sight.next_may_be_blind();
            if is_asking {
                // What comes meanwhile goes along.
                self.land_all(requests);
                self.sql.await_lock();
            }
            let (mut changes, mut answers) = (Vec::with_capacity(64), Vec::with_capacity(64));
            for request in std::iter::once(first).chain(requests.try_iter()).take(BATCH_MAX) {
                self.waiting.count.fetch_sub(1, Ordering::SeqCst);
                if request.taken.is_mine() {
                    changes.push(request.change);
                    answers.push(request.answer);
                }
            }
            if changes.is_empty() {
                self.roll_back();
                continue;
            }
            let left = match is_asking {
                true => Some((changes, answers)),
                false => self.launch(changes, answers),
            };
            if let Some((changes, answers)) = left {
                self.land_all(requests);
                let settled = self.settle_batch(&changes);
                self.answer(answers, settled, requests);
            }
        }
        tracing::error!(
            "the disk failed: the writer stops, so that nothing is acknowledged that is not there"
        );
    }

    /// Whether the oldest commit that is under way is heard of before anything else is sent. Another
    /// goes out behind it, but only one, and only if it is worth a commit: the longer it gathers, the
    /// more share its flush.
    fn is_heard_first(&mut self) -> bool {
        let Some(oldest) = self.under_way.front() else { return false };
        let enough = match self.under_way.len() {
            1 => oldest.changes.len().div_ceil(SHARE_OF_THE_LAST),
            _ => usize::MAX,
        };
        self.waiting.enough.store(enough, Ordering::SeqCst);
        let waiting = self.waiting.clone();
        self.sql.await_commit(&|| waiting.count.load(Ordering::SeqCst) >= enough)
    }

    /// Sends a batch whose Tx can be blind, and does not wait for its commit. Gives it back if it cannot
    /// be sent like that.
    fn launch(
        &mut self,
        changes: Vec<Change>,
        answers: Vec<Answer>,
    ) -> Option<(Vec<Change>, Vec<Answer>)> {
        if !changes.iter().all(Change::says_what_it_builds_on) {
            return Some((changes, answers));
        }
        let Some(view) = self.recall(&changes) else { return Some((changes, answers)) };
        let before = self.ledger.mark();
        let sent = self.sql.begin(true).and_then(|()| self.send(&changes, Some(view)));
        match sent {
            Ok(verdicts) => {
                self.under_way.push_back(UnderWay { changes, answers, verdicts, before });
                None
            }
            Err(fault) => {
                tracing::debug!(%fault, "what was remembered does not do; it is asked");
                self.undo(before, true);
                if fault.may_be_one_changes() {
                    self.sight.blind_failed();
                }
                self.roll_back();
                Some((changes, answers))
            }
        }
    }

    /// Undoes what is open, or stops for good.
    fn roll_back(&mut self) {
        if let Err(fault) = self.sql.roll_back() {
            self.fail.send_replace(Some(fault));
        }
    }

    fn land_all(&mut self, requests: &Receiver<Request>) {
        while !self.under_way.is_empty() {
            self.land(requests);
        }
    }

    /// Takes the answer to the oldest commit. If it failed, whatever was sent after it fails too, and
    /// all of it is tried again with questions, in its order.
    fn land(&mut self, requests: &Receiver<Request>) {
        let Some(landing) = self.under_way.pop_front() else { return };
        let Err(fault) = self.sql.commit_result() else {
            self.sight.blind_went_well();
            let verdicts = landing.verdicts.into_iter().map(Ok).collect();
            return self.answer(landing.answers, verdicts, requests);
        };
        tracing::debug!(%fault, "what was remembered does not hold; it is asked");
        let before = landing.before;
        let mut failed = vec![(landing.changes, landing.answers, fault)];
        while let Some(next) = self.under_way.pop_front() {
            match self.sql.commit_result() {
                // Its answer said so after all: the one before it is there too, as its look-up tells.
                Ok(()) => {
                    let verdicts = next.verdicts.into_iter().map(Ok).collect();
                    self.answer(next.answers, verdicts, requests);
                }
                Err(fault) => failed.push((next.changes, next.answers, fault)),
            }
        }
        self.undo(before, true);
        self.sight.blind_failed();
        for (changes, answers, fault) in failed {
            let may_be_tried = fault.may_be_one_changes() || matches!(fault, Fault::Unavailable(_));
            let settled = match may_be_tried {
                true => self.settle_batch(&changes),
                false => changes.iter().map(|_| Err(fault.clone())).collect(),
            };
            self.answer(answers, settled, requests);
        }
    }

    fn answer(
        &self,
        answers: Vec<Answer>,
        settled: Vec<Result<CommitAnswer, Fault>>,
        requests: &Receiver<Request>,
    ) {
        let mut is_fenced = false;
        for (answer, verdict) in answers.into_iter().zip(settled) {
            if let Err(fault @ Fault::Disk(_)) = &verdict {
                self.fail.send_replace(Some(fault.clone()));
            }
            is_fenced |= matches!(verdict, Err(Fault::Fenced));
            // The asker may have gone away; what is committed stays committed.
            let _ = answer.send(verdict);
        }
        if is_fenced {
            // Asked before this node was taken for dead: others may have decided otherwise since.
            for Request { answer, .. } in requests.try_iter() {
                self.waiting.count.fetch_sub(1, Ordering::SeqCst);
                let _ = answer.send(Err(Fault::Fenced));
            }
        }
    }

    /// One commit for all, or, if that fails, one for each half, so that in the end each bad change
    /// fails alone.
    fn settle_batch(&mut self, changes: &[Change]) -> Vec<Result<CommitAnswer, Fault>> {
        let fault = match self.try_batch(changes) {
            Ok(Ok(verdicts)) => return verdicts.into_iter().map(Ok).collect(),
            Ok(Err(fault)) => fault,
            // A Tx that does not even open (another program holds the lock, the server is away)
            // would not open for any of them: one wait for all, not one for each.
            Err(fault) => {
                tracing::error!(%fault, changes = changes.len(), "no Tx could be opened; nothing was stored");
                return changes.iter().map(|_| Err(fault.clone())).collect();
            }
        };
        if changes.len() == 1 || !fault.may_be_one_changes() {
            tracing::error!(%fault, changes = changes.len(), "a commit failed; none of its changes is acknowledged");
            return changes.iter().map(|_| Err(fault.clone())).collect();
        }
        tracing::warn!(%fault, changes = changes.len(), "a commit failed; its changes are tried in halves");
        let (first, second) = changes.split_at(changes.len() / 2);
        let mut answers = self.settle_batch(first);
        answers.extend(self.settle_batch(second));
        answers
    }

    /// Tries again what was lost with its connection before the commit. The outer error: no Tx could
    /// be opened.
    fn try_batch(&mut self, changes: &[Change]) -> Result<Result<Vec<CommitAnswer>, Fault>, Fault> {
        let mut tries = 0;
        loop {
            self.sql.begin(false)?;
            tries += 1;
            match self.commit(changes) {
                Err(Fault::Unavailable(why)) if tries < TRIES_MAX => {
                    tracing::warn!(why, "a Tx was lost before its commit; it is tried again");
                }
                done => return Ok(done),
            }
        }
    }

    /// Writes into the open Tx and commits it, or rolls it back.
    fn commit(&mut self, changes: &[Change]) -> Result<Vec<CommitAnswer>, Fault> {
        let before = self.ledger.mark();
        let written = self.send(changes, None).and_then(|verdicts| {
            self.sql.commit_result()?;
            Ok(verdicts)
        });
        if written.is_err() {
            self.undo(before, false);
            self.sql
                .roll_back()
                .map_err(|fault| Fault::Disk(format!("a roll-back failed: {fault}")))?;
        }
        written
    }

    /// Writes into the open Tx and sends its commit; from here on it is what is remembered. The view of
    /// a blind Tx is given.
    fn send(
        &mut self,
        changes: &[Change],
        recalled: Option<View>,
    ) -> Result<Vec<CommitAnswer>, Fault> {
        let (verdicts, view) = self.write_all(changes, recalled)?;
        self.sql.send_commit()?;
        if !self.sql.is_sole_writer() {
            self.ledger.leave(&view);
            self.calls.leave();
        }
        Ok(verdicts)
    }

    /// Forgets what a Tx that is not there had taught.
    fn undo(&mut self, before: LedgerMark, was_blind: bool) {
        self.ledger.back_to(before);
        self.calls.forget();
        if !was_blind {
            self.partitions.clear();
        }
    }

    fn write_all(
        &mut self,
        changes: &[Change],
        recalled: Option<View>,
    ) -> Result<(Vec<CommitAnswer>, View), Fault> {
        let is_blind = recalled.is_some();
        let mut view = match recalled {
            Some(view) => view,
            None => {
                let view = self.load(changes)?;
                self.ensure_partitions(changes)?;
                view
            }
        };
        let mut verdicts = Vec::with_capacity(changes.len());
        for change in changes {
            let admitted = match change.purchase() {
                Some(id) if self.ledger.is_closed(id) => Err(Denial::Closed),
                _ => admission::admit(&mut view, &change.needs()),
            };
            let verdict = match admitted {
                Ok(()) => Ok(self.write(change, &view)?),
                // Nothing is written for it, so nothing would refuse what it was judged by.
                Err(denial) if is_blind => {
                    return Err(Fault::corrupt(format!("denied without asking: {denial:?}")));
                }
                Err(denial) => Err(denial),
            };
            verdicts.push(verdict);
        }
        self.ledger.write_balances(self.sql.as_mut(), &view)?;
        self.calls.write(self.sql.as_mut())?;
        Ok((verdicts, view))
    }

    /// What the changes mention, as the last commit left it, and as they say themselves: references
    /// are free, a purchase stands at the version that its step is from. Each of it is refused by the
    /// database if it is not so. `None` if something is not known.
    fn recall(&mut self, changes: &[Change]) -> Option<View> {
        let (mut view, mut mentioned) = (View::default(), Mentioned::default());
        for change in changes {
            mentioned.add(change);
            let needs = change.needs();
            if let Some((step, from)) = needs.step.and_then(|step| Some((step, step.from_version?)))
            {
                view.purchases.entry(step.key).or_insert((step.to.0, from));
            }
        }
        let is_known = self.missing_rooms(changes).is_empty()
            && self.calls.recall(&mentioned.callers)
            && self.ledger.recall(&mut view, &mentioned.accounts);
        is_known.then_some(view)
    }

    /// Rows of a new month need room; the month after it gets its own then too, so that nothing has
    /// to be made when it begins.
    fn ensure_partitions(&mut self, changes: &[Change]) -> Result<(), Fault> {
        for month in self.missing_rooms(changes) {
            self.sql.ensure_partitions(month)?;
            self.sql.ensure_partitions(month.next())?;
            self.partitions.insert(month);
        }
        Ok(())
    }

    fn missing_rooms(&self, changes: &[Change]) -> HashSet<Month> {
        let made = changes.iter().filter_map(Change::purchase).map(Month::of_id);
        let moved = changes.iter().filter_map(Change::moves_at).map(Month::of);
        // Where the clock has stepped back, journals go on in the first month that is not closed.
        let open = self.ledger.closed().map(|closed| closed.month.next());
        let all = made.chain(moved).chain(open);
        all.filter(|month| !self.partitions.contains(month)).collect()
    }

    /// Loads everything that the changes mention, in one round of questions.
    fn load(&mut self, changes: &[Change]) -> Result<View, Fault> {
        let (mut view, mut mentioned) = (View::default(), Mentioned::default());
        changes.iter().for_each(|change| mentioned.add(change));
        let Mentioned { references, purchases, accounts, callers, .. } = &mentioned;
        self.calls.open();
        self.ledger.open(self.sql.is_sole_writer());
        let Balances { known, unknown, by_id, by_name } = self.ledger.ask_balances(accounts);
        let mut asks = [
            purchases::ask_taken(references),
            purchases::ask_standing(purchases),
            by_id,
            by_name,
            self.ledger.ask_chain(),
            self.ledger.ask_closed(),
            Calls::ask(callers),
        ];
        let is_archiving = changes.iter().any(|change| matches!(change, Change::Archive(_)));
        if accounts.is_empty() && !is_archiving {
            asks[4].values.clear();
        }
        let is_closed_asked = !asks[5].values.is_empty();
        let mut closed = None;
        let (ledger, calls) = (&mut self.ledger, &mut self.calls);
        self.sql.query_sets(&asks, &mut |SetIndex { query, set }, row| {
            match query {
                0 => {
                    let taken = purchases::taken(row, references[set])?;
                    view.used.insert(references[set].clone(), taken);
                }
                1 => drop(view.purchases.insert(purchases[set], purchases::standing(row)?)),
                2 => ledger.take_balance(&mut view, known[set], row)?,
                3 => ledger.take_balance(&mut view, unknown[set], row)?,
                4 => ledger.take_chain(row)?,
                5 => closed = Some(archive::closed(row)?),
                _ => calls.take_row(callers[set], row)?,
            }
            Ok(())
        })?;
        if is_closed_asked {
            ledger.take_closed(closed);
        }
        if !self.sql.committed_last()? {
            self.ledger.forget_balances();
            self.calls.forget();
        }
        self.ledger.open_missing(self.sql.as_mut(), &mut view, accounts)?;
        Ok(view)
    }

    /// Writes one admitted change; balances are written once for the whole batch.
    fn write(&mut self, change: &Change, view: &View) -> Result<Done, Fault> {
        let run = self.sql.node_run();
        let sql = self.sql.as_mut();
        match change {
            Change::Open { reference_keys, digest, opening } => {
                self.open(reference_keys, digest.as_ref(), opening, view)
            }
            Change::Step(step) => self.step(step, view),
            Change::PostJournal(posting) => self.post(posting, view),
            Change::Keep { key, proof, case, at } => {
                purchases::keep(sql, key, proof, *at)?;
                slips::keep_of(sql, key, proof, *at)?;
                if let Some(case) = case {
                    outbox::open_case(sql, key, case, *at)?;
                }
                Ok(Done::Written)
            }
            Change::CloseCase { key, why, proof, at } => {
                purchases::keep(sql, key, proof, *at)?;
                outbox::close_case(sql, key, *why, *at).map(|()| Done::Written)
            }
            Change::LeaseJobs { now, lease, limit } => {
                outbox::claim(sql, run, (*now, *lease), *limit).map(Done::Leased)
            }
            Change::PutOff { job, until } => written(outbox::put_off(sql, job, *until)),
            Change::KeepSlip { key, upstream, slip, at } => {
                written(slips::keep(sql, key, (upstream, slip), *at))
            }
            Change::TakeOver { dead, is_start, now } => {
                let idle = if *is_start { run } else { 0 };
                outbox::take_over(sql, dead, idle, *now)?;
                written(webhooks::take_over(sql, idle, *now))
            }
            Change::Allow { account, environment, limit, want, back, now_s } => {
                let want = CallQuota { limit: *limit, calls: *want, back: *back, now_s: *now_s };
                Ok(Done::Allowed(self.calls.allow((*account, *environment), &want)))
            }
            Change::Remember { reference, status, body } => {
                written(purchases::remember(sql, reference, *status, body))
            }
            Change::Push(change) => push(sql, change),
            Change::Webhook(change) => self.webhook(change),
            Change::Endpoint(change) => written(endpoints::write(sql, change)),
            Change::Set(settings) => written(self.set_all(settings)),
            Change::People(change) => people::write(sql, change).map(Done::People),
            Change::Halt(change) => written(halts::write(sql, change)),
            Change::Archive(change) => self.archive(change),
        }
    }

    fn open(
        &mut self,
        reference_keys: &[ReferenceKey],
        digest: Option<&[u8; 32]>,
        opening: &Move,
        view: &View,
    ) -> Result<Done, Fault> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        let (key, at) = (&opening.after.key, opening.after.opened_at);
        for reference in reference_keys {
            purchases::claim(sql, reference, Some(key.id), digest, at)?;
        }
        let available_after = available(view, opening).unwrap_or(0);
        purchases::insert(sql, &opening.after, available_after)?;
        outbox::owe(sql, run, key, opening.job)?;
        self.write_move(opening)?;
        Ok(Done::Opened { available_after })
    }

    fn step(&mut self, step: &Move, view: &View) -> Result<Done, Fault> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        purchases::step(sql, &step.after, step.from_version)?;
        outbox::owe_next(sql, run, &step.after, step.job)?;
        if let Some(left) = available(view, step) {
            purchases::leave(sql, &step.after.key, left)?;
        }
        if step.from == domain::State::WithStaff {
            outbox::close_case(sql, &step.after.key, CaseKind::Doubt, step.after.updated_at)?;
        }
        self.write_move(step)?;
        Ok(Done::Written)
    }

    fn archive(&mut self, change: &ArchiveChange) -> Result<Done, Fault> {
        let sql = self.sql.as_mut();
        match change {
            ArchiveChange::Close(closing) => {
                let standing = Standing { closed: self.ledger.closed(), end: self.ledger.end() };
                let done = archive::close(sql, closing, &standing)?;
                if done == ArchiveDone::Written {
                    // From here on, for the rest of the batch too.
                    self.ledger.take_closed(Some(closing.as_closed()));
                }
                Ok(Done::Archive(done))
            }
            ArchiveChange::File { filed, name, at } => {
                archive::file(sql, filed, name, *at).map(Done::Archive)
            }
            ArchiveChange::Prune { rows } => archive::prune(sql, *rows).map(Done::Archive),
            ArchiveChange::Hear(word) => written(archive::keep_word(sql, word)),
            ArchiveChange::CloseWords { purchase, by, evidence, at } => {
                let was_open = archive::close_words(sql, *purchase, (by, evidence), *at)?;
                Ok(Done::Archive(match was_open {
                    true => ArchiveDone::Written,
                    false => ArchiveDone::NotYet("nothing was said about it".to_owned()),
                }))
            }
        }
    }

    fn post(&mut self, posting: &Posting, view: &View) -> Result<Done, Fault> {
        let reference = &posting.reference;
        purchases::claim(self.sql.as_mut(), reference, None, None, posting.at)?;
        // The hash covers the note as it is stored, and not every database stores a NUL.
        let note = posting.note.replace('\0', "\u{fffd}");
        let head = Head {
            account: reference.account,
            environment: reference.environment,
            purchase: None,
            note: Some(&note),
            at: posting.at,
            is_listed: false,
        };
        self.ledger.append(self.sql.as_mut(), &posting.journal, &head)?;
        let mut mentioned = posting.journal.entries().iter().flat_map(|e| [e.debit(), e.credit()]);
        let wallet = mentioned
            .find(|account| account.purpose.is_wallet())
            .and_then(|account| view.balances.get(account));
        Ok(Done::Posted { available_after: wallet.map_or(0, |balance| balance.amount) })
    }

    /// What every move of a purchase writes: attempt, journal, evidence, case.
    fn write_move(&mut self, step: &Move) -> Result<(), Fault> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        let (key, at): (_, Timestamp) = (&step.after.key, step.after.updated_at);
        if let Some(attempt) = &step.attempt {
            purchases::attempt(sql, key, attempt, at)?;
        }
        if let Some(journal) = &step.journal {
            let head = Head {
                account: key.account,
                environment: key.environment,
                purchase: Some(key.id),
                note: None,
                at,
                is_listed: step.after.api_key.is_none(),
            };
            self.ledger.append(sql, journal, &head)?;
        }
        if let Some(proof) = &step.evidence {
            purchases::keep(sql, key, proof, at)?;
        }
        if let (Some(slip), Some(upstream)) = (&step.slip, &step.after.upstream) {
            slips::keep(sql, key, (upstream, slip), at)?;
        }
        if let Some(case) = &step.case {
            outbox::open_case(sql, key, case, at)?;
        }
        step.webhooks.iter().try_for_each(|owed| webhooks::owe(sql, run, key, owed))
    }

    fn webhook(&mut self, change: &WebhookChange) -> Result<Done, Fault> {
        let (run, sql) = (self.sql.node_run(), self.sql.as_mut());
        match change {
            WebhookChange::Lease { now, lease, limit } => {
                webhooks::claim(sql, run, (*now, *lease), *limit).map(Done::Webhooks)
            }
            WebhookChange::End(ended) => written(webhooks::end(sql, ended)),
            WebhookChange::Owe(key, owed) => written(webhooks::owe(sql, run, key, owed)),
            WebhookChange::Replay { which, at } => {
                webhooks::replay(sql, which, *at).map(Done::Counted)
            }
            WebhookChange::Prune { before, before_id, limit } => {
                webhooks::prune(sql, *before, *before_id, *limit).map(Done::Counted)
            }
        }
    }

    fn set_all(&mut self, settings: &[Setting]) -> Result<(), Fault> {
        settings.iter().try_for_each(|setting| self.set(setting))?;
        let mut topics: Vec<_> = settings.iter().filter_map(Setting::topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.into_iter().try_for_each(|topic| catalog::spread(self.sql.as_mut(), topic))
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Fault> {
        let sql = self.sql.as_mut();
        match setting {
            Setting::Account(account) => accounts::set_account(sql, account),
            Setting::User(user) => accounts::set_user(sql, user),
            Setting::Wallet(account, environment, currency) => {
                accounts::open_wallet(sql, *account, *environment, *currency)
            }
            Setting::Key(key, created_at) => accounts::set_key(sql, key, *created_at),
            Setting::Endpoint(endpoint) => endpoints::set(sql, endpoint),
            Setting::MasterKey(mark) => accounts::mark_master_key(sql, mark),
            Setting::Country(country) => catalog::set_country(sql, country),
            Setting::Operator(operator) => catalog::set_operator(sql, operator),
            Setting::Category(category) => catalog::set_category(sql, category),
            Setting::Product(product) => catalog::set_product(sql, product),
            Setting::Price(price) => catalog::set_price(sql, price),
            Setting::Route(route) => catalog::set_route(sql, route),
        }
    }
}

/// What a purchase's account can spend right after this change was admitted; `None` unless it
/// holds money.
fn available(view: &View, step: &Move) -> Option<i64> {
    step.journal.as_ref().filter(|journal| journal.reason() == Reason::Hold)?;
    let purchase = &step.after;
    let wallet = LedgerAccount {
        owner: purchase.key.account,
        environment: purchase.key.environment,
        currency: purchase.amount.currency(),
        purpose: Purpose::Available,
    };
    view.balances.get(&wallet).map(|balance| balance.amount)
}

/// What is answered when a row was written.
fn written(result: Result<(), Fault>) -> Result<Done, Fault> {
    result.map(|()| Done::Written)
}

fn push(sql: &mut dyn Sql, change: &PushChange) -> Result<Done, Fault> {
    match change {
        PushChange::Lease { now, lease, limit } => {
            pushes::claim(sql, *now, *lease, *limit).map(Done::Pushes)
        }
        PushChange::End(due) => written(pushes::end(sql, due)),
        PushChange::PutOff { push, until } => written(pushes::put_off(sql, push, *until)),
        PushChange::Again { key, at } => written(pushes::again(sql, key, *at)),
    }
}
