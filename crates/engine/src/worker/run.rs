//! One job: what a purchase owes, done once more.

use crate::settle::{OutcomeSource, StepResult};
use crate::{Engine, limits};
use domain::Purchase;
use domain::purchase::lifecycle::State;
use domain::purchase::settle::ask_again_after;
use domain::upstream::Outcome;
use store::{Change, DueJob, Fault};

impl Engine {
    /// Does what the purchase owes, unless it has moved on since the job was claimed: then it owes
    /// another job, which is due in its own time. Asking at once could ask about a submit that is
    /// still on its way.
    pub(crate) async fn run(&self, job: DueJob) -> Result<(), Fault> {
        let purchase = self.read_anew(&job.key)?;
        if purchase.version != job.version {
            return Ok(());
        }
        if self.is_halted() && matches!(purchase.state, State::Awaiting | State::Held) {
            return self.wait_for_resume(job).await;
        }
        let mut is_early = false;
        let taken = match purchase.state {
            State::Quoted | State::Awaiting => self.expire(purchase).await?,
            State::Held => return self.send(purchase).await,
            State::Sent | State::InDoubt | State::WithStaff => {
                let asked = self.ask(purchase).await?;
                is_early = asked.is_early;
                asked.taken
            }
            // Its job went with its last step: somebody else was faster.
            State::Delivered | State::Failed | State::Rejected | State::Refunded => return Ok(()),
        };
        match taken {
            // The step has put the next job in place.
            StepResult::Moved(purchase) if purchase.state == State::Held => {
                self.send(purchase).await
            }
            StepResult::Moved(_) => Ok(()),
            StepResult::Stayed(purchase)
            | StepResult::Never(purchase)
            | StepResult::Denied(purchase, _) => self.put_off(job, &purchase, is_early).await,
        }
    }

    /// Looks again later; whoever ends the halt makes what is to be sent due at once.
    async fn wait_for_resume(&self, job: DueJob) -> Result<(), Fault> {
        let until = self.now().after(limits::HALTED_JOB_WAITS);
        // Nothing in it can be denied: it needs nothing.
        self.inner.store.write(Change::PutOff { job, until }).await.map(|_| ())
    }

    async fn send(&self, purchase: Purchase) -> Result<(), Fault> {
        if let Some(sent) = self.record_attempt(purchase).await?
            && sent.state == State::Sent
        {
            self.drive(sent).await;
        }
        Ok(())
    }

    /// Asks about the latest attempt, unless its submit is still out: then it is too early.
    async fn ask(&self, purchase: Purchase) -> Result<Asked, Fault> {
        if purchase.latest_attempt().is_some_and(|attempt| self.inner.in_flight.is_out(attempt)) {
            return Ok(Asked { taken: StepResult::Stayed(purchase), is_early: true });
        }
        let is_early = self.grace_left(&purchase).is_some_and(|left| !left.is_zero());
        let outcome = self.enquire(&purchase).await;
        let attempt = purchase.attempts;
        let taken = self.hear(purchase, attempt, &outcome, OutcomeSource::Enquiry).await?;
        Ok(Asked { taken, is_early: is_early && outcome == Outcome::NotFound })
    }

    async fn put_off(&self, job: DueJob, purchase: &Purchase, is_early: bool) -> Result<(), Fault> {
        let tries = if purchase.state == State::WithStaff { u32::MAX } else { job.tries + 1 };
        // Once its grace is over, "never received" is an answer: ask then, whatever the schedule. It may
        // have ended since the upstream was asked.
        let wait = match self.grace_left(purchase) {
            Some(left) if is_early => ask_again_after(tries).min(left.max(limits::ASK_AGAIN_MIN)),
            Some(_) | None => ask_again_after(tries),
        };
        let until = self.now().after(wait);
        // Nothing in it can be denied: it needs nothing.
        let _ = self.inner.store.write(Change::PutOff { job, until }).await?;
        Ok(())
    }
}

/// What an enquiry led to.
struct Asked {
    taken: StepResult,
    /// It was asked before the upstream's "never received" counts.
    is_early: bool,
}
