//! Numbers for what is made here: from blocks that this node took from the store's sequences.
//!
//! A block is as large as what was needed lately, so a house that sells little takes its numbers
//! one by one and in order, and one that sells much pays for one commit in thousands. Invariant: a
//! number is given out once; only one that nobody has seen is given back.

use crate::{Engine, limits};
use domain::ids::{DeviceId, EndpointId, SessionId, UserId};
use domain::{AccountId, Day, PurchaseId, PurchaseNumber, Sequence};
use std::time::Duration;
use store::{Fault, TakeNumbers};
use tokio::sync::Mutex;

/// The numbers that this node has taken and not given out yet.
#[derive(Default)]
pub(crate) struct Numbers {
    blocks: [Mutex<Block>; Sequence::ALL.len()],
}

/// The numbers of one sequence.
#[derive(Default)]
struct Block {
    /// The day that its numbers belong to; `None` before the first block.
    day: Option<Day>,
    next: i64,
    /// After the last one.
    end: i64,
    /// Given back, and free again.
    free: Vec<i64>,
    /// How many were taken the last time, and when.
    size: u32,
    taken_at: Duration,
}

impl Block {
    fn give(&mut self, today: Day) -> Option<(i64, Day)> {
        let day = self.day.filter(|day| *day >= today)?;
        if let Some(number) = self.free.pop() {
            return Some((number, day));
        }
        let number = self.next;
        (number < self.end).then(|| {
            self.next += 1;
            (number, day)
        })
    }

    /// How many to take next: more if the last ones were used up fast, fewer if they lasted.
    fn next_size(&self, now: Duration) -> u32 {
        let lasted = now.saturating_sub(self.taken_at);
        if self.size > 0 && lasted < limits::NUMBERS_LAST_MIN {
            return self.size.saturating_mul(2).min(limits::NUMBERS_AT_ONCE);
        }
        if lasted > limits::NUMBERS_LAST_MAX { 1 } else { self.size.max(1) }
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
    pub(crate) async fn give_back(&self, id: PurchaseId) {
        let mut block = self.inner.numbers.blocks[Sequence::Purchase as usize].lock().await;
        let number = id.number();
        if block.day.is_some_and(|day| PurchaseId::given_on(day, number) == id) {
            block.free.push(number.0);
        }
    }

    /// The id of a number, whether there is such a purchase or not; `None` for what can be no
    /// number.
    pub(crate) fn purchase_id(&self, number: PurchaseNumber) -> Result<Option<PurchaseId>, Fault> {
        self.inner.store.purchase_id(number)
    }

    async fn next_number(&self, of: Sequence) -> Result<(i64, Day), Fault> {
        let mut block = self.inner.numbers.blocks[of as usize].lock().await;
        let at = self.now();
        if let Some(given) = block.give(Day::of(at)) {
            return Ok(given);
        }
        let now = self.monotonic();
        let count = block.next_size(now);
        let take = TakeNumbers { of, count, at };
        let Ok(taken) = self.write(&self.work(), take, Some(limits::BEGUN_WITHIN)).await?;
        let first = taken.first;
        *block = Block {
            day: Some(taken.day),
            next: first + 1,
            end: first + i64::from(count),
            free: Vec::new(),
            size: count,
            taken_at: now,
        };
        Ok((first, taken.day))
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
        block.size = limits::NUMBERS_AT_ONCE;
        assert_eq!(block.next_size(Duration::ZERO), limits::NUMBERS_AT_ONCE);
    }

    #[test]
    fn a_block_is_given_out_once_and_not_after_its_day() {
        let day = Day(20_780);
        let mut block = Block { day: Some(day), next: 5, end: 7, ..Block::default() };
        assert_eq!([block.give(day), block.give(day)], [Some((5, day)), Some((6, day))]);
        assert_eq!(block.give(day), None);
        block.free.push(6);
        assert_eq!(block.give(Day(20_781)), None);
        assert_eq!(block.give(day), Some((6, day)));
    }
}
