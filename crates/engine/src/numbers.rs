//! Numbers for what is made here: from blocks that this node took from the store's sequences.
//!
//! A block is as large as what was needed lately, so a house that sells little takes its numbers
//! one by one and in order, and one that sells much pays for one commit in thousands. Numbers of
//! purchases are taken before they run out, so a buyer seldom waits for them. Invariant: a number
//! is given out once; only one that nobody has seen is given back.

use crate::{Engine, limits};
use domain::ids::{DeviceId, EndpointId, SessionId, UserId};
use domain::{AccountId, Day, PurchaseId, PurchaseNumber, Sequence};
use parking_lot::Mutex;
use std::time::Duration;
use store::{Fault, TakeNumbers};
use tokio::sync::watch;

/// The numbers that this node has taken and not given out yet.
#[derive(Default)]
pub(crate) struct Numbers {
    blocks: [Mutex<Block>; Sequence::ALL.len()],
}

/// Numbers in a row that belong to one day.
#[derive(Clone, Copy, Debug)]
struct Range {
    next: i64,
    /// After the last one.
    end: i64,
    day: Day,
}

/// The numbers of one sequence.
#[derive(Default)]
struct Block {
    current: Option<Range>,
    /// Taken before the current ones have run out.
    ahead: Option<Range>,
    /// Given back, and free again; of the current day.
    free: Vec<i64>,
    /// How many were taken the last time, and when that began.
    size: u32,
    began_at: Duration,
    is_taking: bool,
    /// Callers that wait for a number.
    waiting: u32,
    /// Changes when numbers were taken, or could not be.
    taken: watch::Sender<Option<Fault>>,
}

impl Block {
    /// A number of today, or of a later day that has begun.
    fn give(&mut self, today: Day) -> Option<(i64, Day)> {
        if let Some(given) = self.give_current(today) {
            return Some(given);
        }
        let ahead = self.ahead.take()?;
        if self.current.is_some_and(|current| current.day != ahead.day) {
            self.free.clear();
        }
        self.current = Some(ahead);
        self.give_current(today)
    }

    fn give_current(&mut self, today: Day) -> Option<(i64, Day)> {
        let current = self.current.as_mut().filter(|current| current.day >= today)?;
        if let Some(number) = self.free.pop() {
            return Some((number, current.day));
        }
        let number = current.next;
        (number < current.end).then(|| {
            current.next += 1;
            (number, current.day)
        })
    }

    /// Whether more are to be taken now, so that nobody waits for them later.
    fn runs_low(&self) -> bool {
        let left = self.current.map_or(0, |current| current.end - current.next);
        self.ahead.is_none() && left * 2 <= i64::from(self.size)
    }

    /// How many to take next: more if the last ones were used up fast, fewer if they lasted; and
    /// enough for all who wait.
    fn next_size(&self, now: Duration) -> u32 {
        let lasted = now.saturating_sub(self.began_at);
        let size = if self.size > 0 && lasted < limits::NUMBERS_LAST_MIN {
            self.size.saturating_mul(2)
        } else if lasted > limits::NUMBERS_LAST_MAX {
            1
        } else {
            self.size.max(1)
        };
        size.max(self.waiting).min(limits::NUMBERS_AT_ONCE)
    }
}

impl Engine {
    pub(crate) async fn next_account(&self) -> Result<AccountId, Fault> {
        Ok(AccountId(self.next_number(Sequence::Account).await?.0))
    }

    pub(crate) async fn next_user(&self) -> Result<UserId, Fault> {
        Ok(UserId(self.next_number(Sequence::User).await?.0))
    }

    pub(crate) async fn next_session(&self) -> Result<SessionId, Fault> {
        Ok(SessionId(self.next_number(Sequence::Session).await?.0))
    }

    pub(crate) async fn next_device(&self) -> Result<DeviceId, Fault> {
        Ok(DeviceId(self.next_number(Sequence::Device).await?.0))
    }

    pub(crate) async fn next_endpoint(&self) -> Result<EndpointId, Fault> {
        Ok(EndpointId(self.next_number(Sequence::Endpoint).await?.0))
    }

    pub(crate) async fn next_purchase(&self) -> Result<PurchaseId, Fault> {
        let (number, day) = self.next_number(Sequence::Purchase).await?;
        Ok(PurchaseId::given_on(day, PurchaseNumber(number)))
    }

    /// Gives back the number of a purchase that was refused: nothing of it is stored, and nobody
    /// was told of it.
    pub(crate) fn give_back(&self, id: PurchaseId) {
        let mut block = self.block(Sequence::Purchase).lock();
        let number = id.number();
        if block.current.is_some_and(|now| PurchaseId::given_on(now.day, number) == id) {
            block.free.push(number.0);
        }
    }

    /// The id of a number, whether there is such a purchase or not; `None` for what can be no
    /// number.
    pub(crate) fn purchase_id(&self, number: PurchaseNumber) -> Result<Option<PurchaseId>, Fault> {
        self.inner.store.purchase_id(number)
    }

    fn block(&self, of: Sequence) -> &Mutex<Block> {
        &self.inner.numbers.blocks[of as usize]
    }

    /// Waits for a number no longer than a change may wait for its commit to begin.
    async fn next_number(&self, of: Sequence) -> Result<(i64, Day), Fault> {
        let waiting = Waiting::of(self.block(of));
        let given = async {
            loop {
                let mut taken = match self.give_or_take(of) {
                    Ok(given) => return Ok(given),
                    Err(taken) => taken,
                };
                let _ = taken.changed().await;
                if let Some(fault) = taken.borrow().clone() {
                    return Err(fault);
                }
            }
        };
        let given = tokio::time::timeout(limits::BEGUN_WITHIN, given).await;
        drop(waiting);
        given.unwrap_or(Err(Fault::Busy))
    }

    /// Gives a number, and begins to take more if there are few; else tells when more were taken.
    fn give_or_take(&self, of: Sequence) -> Result<(i64, Day), watch::Receiver<Option<Fault>>> {
        let mut block = self.block(of).lock();
        let given = block.give(Day::of(self.now()));
        let is_ahead = of == Sequence::Purchase && block.runs_low();
        let taken = block.taken.subscribe();
        if !block.is_taking && (given.is_none() || is_ahead) {
            block.is_taking = true;
            block.size = block.next_size(self.monotonic());
            block.began_at = self.monotonic();
            let take = TakeNumbers { of, count: block.size, at: self.now() };
            let engine = self.clone();
            self.inner.tasks.spawn(async move { engine.take_numbers(take).await });
        }
        given.ok_or(taken)
    }

    async fn take_numbers(&self, take: TakeNumbers) {
        let written = self.write(&self.work(), take, Some(limits::BEGUN_WITHIN)).await;
        let mut block = self.block(take.of).lock();
        block.is_taking = false;
        let fault = written.map(|Ok(taken)| {
            let end = taken.first + i64::from(take.count);
            block.ahead = Some(Range { next: taken.first, end, day: taken.day });
        });
        block.taken.send_replace(fault.err());
    }
}

/// Counts a caller among those who wait for a number, until it is dropped.
struct Waiting<'a>(&'a Mutex<Block>);

impl<'a> Waiting<'a> {
    fn of(block: &'a Mutex<Block>) -> Waiting<'a> {
        block.lock().waiting += 1;
        Waiting(block)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_while_they_are_used_up_fast_and_shrink_when_they_last() {
        let mut block = Block::default();
        assert_eq!(block.next_size(Duration::from_secs(9)), 1);
        block.size = 64;
        assert_eq!(block.next_size(Duration::from_millis(10)), 128);
        assert_eq!(block.next_size(limits::NUMBERS_LAST_MIN), 64);
        assert_eq!(block.next_size(Duration::from_secs(60)), 1);
        block.waiting = 40;
        assert_eq!(block.next_size(Duration::from_secs(60)), 40);
        block.size = limits::NUMBERS_AT_ONCE;
        assert_eq!(block.next_size(Duration::ZERO), limits::NUMBERS_AT_ONCE);
    }

    #[test]
    fn a_block_is_given_out_once_and_not_after_its_day() {
        let day = Day(20_780);
        let range = |next, end, day| Some(Range { next, end, day });
        let mut block = Block { current: range(5, 7, day), size: 2, ..Block::default() };
        assert!(!block.runs_low());
        assert_eq!(block.give(day), Some((5, day)));
        assert!(block.runs_low());
        assert_eq!(block.give(day), Some((6, day)));
        assert_eq!(block.give(day), None);
        block.free.push(6);
        assert_eq!(block.give(Day(20_781)), None);
        assert_eq!(block.give(day), Some((6, day)));
        // What was taken ahead comes next, and what was given back on an earlier day is lost.
        block.free.push(6);
        block.ahead = range(9, 10, Day(20_781));
        assert!(!block.runs_low());
        assert_eq!(block.give(Day(20_781)), Some((9, Day(20_781))));
        assert_eq!(block.give(Day(20_781)), None);
    }

    #[test]
    fn numbers_of_yesterday_that_were_taken_ahead_are_not_given() {
        let day = Day(20_780);
        let mut block = Block { ahead: Some(Range { next: 1, end: 9, day }), ..Block::default() };
        assert_eq!(block.give(Day(20_781)), None);
        assert_eq!(block.give(day), Some((1, day)));
    }
}
