//! One job: what an open purchase requires next.
//!
//! Invariant: a job runs only for the version of the purchase that it was leased for.

use crate::settle::{OutcomeSource, StepResult};
use crate::{Engine, limits};
use domain::purchase::settle;
use domain::retry::{ENQUIRIES, RetrySchedule};
use domain::{Answer, EnquiryOutcome, Purchase, State};
use std::time::Duration;
use store::{DueJob, Fault, Jobs, PutOff, WaitForTurn};

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
        let Asked { result, next } = match purchase.state {
            State::Quoted | State::Awaiting => {
                let left = self.left_to_wait(&purchase);
                if !left.is_zero() {
                    let until = self.now().after(left);
                    return self.commit(&self.work(), PutOff::<Jobs> { due: job, until }).await;
                }
                Asked { result: self.expire(purchase).await?, next: NextLook::BySchedule }
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
            | StepResult::Closed(purchase) => self.put_off(job, &purchase, next).await,
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
            self.drive(&sent).await;
        }
        Ok(())
    }

    /// Asks about the latest attempt, unless its submit is still in flight, or as many enquiries as
    /// may be are under way at its upstream: then it is too early.
    async fn ask(&self, purchase: Purchase) -> Result<Asked, Fault> {
        if purchase.latest_attempt().is_some_and(|attempt| self.inner.in_flight.is_open(attempt)) {
            let result = StepResult::Unchanged(purchase);
            return Ok(Asked { result, next: NextLook::WhenItCounts });
        }
        let attempt = purchase.attempts;
        let asking = purchase.upstream.as_ref().and_then(|code| self.asking_at(code));
        let question = match &asking {
            None => None,
            Some(asking) => match asking.begin(self.monotonic()) {
                Some(question) => Some(question),
                None => {
                    let result = StepResult::Unchanged(purchase);
                    let is_hanging = asking.is_hanging();
                    return Ok(Asked { result, next: NextLook::NotAsked { is_hanging } });
                }
            },
        };
        let outcome = self.enquire_about(&purchase, attempt).await;
        let is_unknown = matches!(outcome, EnquiryOutcome::Answered(Answer::Unknown { .. }));
        if let Some(question) = question {
            question.ended(!is_unknown, self.monotonic());
        }
        // What is built in is simulated: it is asked by its schedule alone.
        let is_silent = asking.as_ref().map(|asking| asking.is_silent());
        let next = match (&outcome, is_silent) {
            (EnquiryOutcome::NotFound, _) => NextLook::WhenItCounts,
            (_, Some(true)) if is_unknown => NextLook::Silence,
            (_, Some(false)) if is_unknown => NextLook::Unanswered,
            (EnquiryOutcome::Answered(_) | EnquiryOutcome::Reversed { .. }, _) => {
                NextLook::BySchedule
            }
        };
        let source = OutcomeSource::Enquiry;
        let result = self.apply_outcome(&purchase, attempt, &outcome.into(), source).await?;
        Ok(Asked { result, next })
    }

    async fn put_off(&self, due: DueJob, purchase: &Purchase, next: NextLook) -> Result<(), Fault> {
        let schedule = self.enquiries_of(purchase);
        let is_with_staff = purchase.state == State::WithStaff;
        let tries = if is_with_staff { u32::MAX } else { due.tries + 1 };
        let wait = schedule.wait(tries);
        let soon = wait.min(schedule.scaled(limits::UNANSWERED_WAIT_MAX));
        let wait_for_turn = |wait| WaitForTurn { due, until: self.now().after(wait) };
        let wait = match next {
            NextLook::NotAsked { is_hanging } => {
                let wait = if is_hanging { limits::HANGING_WAIT } else { limits::FULL_WAIT };
                let turn = wait_for_turn(schedule.scaled(wait).max(limits::ASK_AGAIN_MIN));
                return self.commit(&self.work(), turn).await;
            }
            _ if is_with_staff => wait,
            // What was lost is found soon after the upstream answers again. It says nothing about
            // this order, so it is no try.
            NextLook::Silence => return self.commit(&self.work(), wait_for_turn(soon)).await,
            // When "never received" can count, ask, whatever the schedule says.
            NextLook::WhenItCounts => match self.not_found_counts_in(purchase)? {
                Some(left) => wait.min(left.max(limits::ASK_AGAIN_MIN)),
                None => wait,
            },
            NextLook::Unanswered
                if self.elapsed_since(purchase.updated_at)
                    < schedule.scaled(limits::UNANSWERED_FOR) =>
            {
                soon
            }
            NextLook::Unanswered | NextLook::BySchedule => wait,
        };
        let until = self.now().after(wait);
        self.commit(&self.work(), PutOff::<Jobs> { due, until }).await
    }

    /// When the upstream of the latest attempt is asked about it.
    pub(crate) fn enquiries_of(&self, purchase: &Purchase) -> RetrySchedule {
        let environment = purchase.key.environment;
        let upstream = purchase.upstream.as_ref();
        let upstream = upstream.and_then(|code| self.upstream_to_ask(environment, code));
        upstream.map_or(ENQUIRIES, |upstream| upstream.capabilities().enquiries)
    }
}

/// The result of an enquiry.
struct Asked {
    result: StepResult,
    next: NextLook,
}

/// When an enquiry that decided nothing is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextLook {
    /// The upstream answered, and is not done.
    BySchedule,
    /// The upstream answered "never received", which may count later; or the submit is in flight.
    WhenItCounts,
    /// This enquiry got no answer that can be read.
    Unanswered,
    /// No call to this upstream gets one.
    Silence,
    /// As many enquiries as may be were under way.
    NotAsked { is_hanging: bool },
}
