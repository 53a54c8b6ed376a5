//! One job: what an open purchase requires next.
//!
//! Invariant: a job runs only for the version of the purchase that it was leased for.

use crate::settle::{OutcomeSource, StepResult};
use crate::{Engine, limits};
use domain::purchase::settle;
use domain::retry::{ENQUIRIES, RetrySchedule};
use domain::{EnquiryOutcome, Purchase, State};
use std::time::Duration;
use store::{DueJob, Fault, Jobs, PutOff};

impl Engine {
    /// Does what the purchase requires, unless it has taken a step since the job was leased: then
    /// it has another job, which is due at its own time. Asking at once could ask about a submit
    /// that is still in flight.
    pub(crate) async fn run(&self, job: DueJob) -> Result<(), Fault> {
        let purchase = self.read_again(&job.key)?;
        if purchase.version != job.version {
            return Ok(());
        }
        if self.is_halted() && matches!(purchase.state, State::Awaiting | State::Held) {
            let until = self.now().after(limits::HALTED_JOB_WAITS);
            return self.commit(&self.work(), PutOff::<Jobs> { due: job, until }).await;
        }
        let Asked { result, is_early } = match purchase.state {
            State::Quoted | State::Awaiting => {
                let left = self.left_to_wait(&purchase);
                if !left.is_zero() {
                    let until = self.now().after(left);
                    return self.commit(&self.work(), PutOff::<Jobs> { due: job, until }).await;
                }
                Asked { result: self.expire(purchase).await?, is_early: false }
            }
            State::Held => return self.send(purchase).await,
            State::Sent | State::InDoubt | State::WithStaff => self.ask(purchase).await?,
            // Its last step has removed the job.
            State::Delivered | State::Failed | State::Rejected | State::Refunded => return Ok(()),
        };
        match result {
            // The step has written the next job.
            StepResult::Stepped(purchase) if purchase.state == State::Held => {
                self.send(purchase).await
            }
            StepResult::Stepped(_) => Ok(()),
            StepResult::Unchanged(purchase)
            | StepResult::Impossible(purchase)
            | StepResult::Denied(purchase, _)
            | StepResult::Closed(purchase) => self.put_off(job, &purchase, is_early).await,
        }
    }

    /// How long a purchase still waits in its state, by the time that passed. That its job is due
    /// says little: the clock may have jumped.
    fn left_to_wait(&self, purchase: &Purchase) -> Duration {
        let since = purchase.updated_at;
        let wait = settle::due(purchase.state, since).1.since(since);
        wait.saturating_sub(self.elapsed_since(since))
    }

    async fn send(&self, purchase: Purchase) -> Result<(), Fault> {
        if let Some(sent) = self.record_attempt(purchase).await?
            && sent.state == State::Sent
        {
            self.drive(sent).await;
        }
        Ok(())
    }

    /// Asks about the latest attempt, unless its submit is still in flight: then it is too early.
    async fn ask(&self, purchase: Purchase) -> Result<Asked, Fault> {
        if purchase.latest_attempt().is_some_and(|attempt| self.inner.in_flight.is_open(attempt)) {
            return Ok(Asked { result: StepResult::Unchanged(purchase), is_early: true });
        }
        let attempt = purchase.attempts;
        let outcome = self.enquire_about(&purchase, attempt).await;
        let is_early = outcome == EnquiryOutcome::NotFound;
        let source = OutcomeSource::Enquiry;
        let result = self.apply_outcome(purchase, attempt, &outcome.into(), source).await?;
        Ok(Asked { result, is_early })
    }

    async fn put_off(&self, job: DueJob, purchase: &Purchase, is_early: bool) -> Result<(), Fault> {
        let tries = if purchase.state == State::WithStaff { u32::MAX } else { job.tries + 1 };
        let schedule = self.enquiries_of(purchase);
        let counts_in = match is_early && purchase.state != State::WithStaff {
            true => self.not_found_counts_in(purchase)?,
            false => None,
        };
        // When "never received" can count, ask, whatever the schedule says.
        let wait = schedule.wait(tries);
        let wait = counts_in.map_or(wait, |left| wait.min(left.max(limits::ASK_AGAIN_MIN)));
        let until = self.now().after(wait);
        self.commit(&self.work(), PutOff::<Jobs> { due: job, until }).await
    }
}

impl Engine {
    /// When the upstream of the latest attempt is asked about it.
    fn enquiries_of(&self, purchase: &Purchase) -> RetrySchedule {
        let environment = purchase.key.environment;
        let upstream = purchase.upstream.as_ref();
        let upstream = upstream.and_then(|code| self.upstream_to_ask(environment, code));
        upstream.map_or(ENQUIRIES, |upstream| upstream.capabilities().enquiries)
    }
}

/// The result of an enquiry.
struct Asked {
    result: StepResult,
    /// The upstream answered "never received", which may count later.
    is_early: bool,
}
