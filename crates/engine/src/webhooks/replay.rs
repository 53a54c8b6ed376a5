//! Webhooks sent again in the background: all of an account's that pass a filter.
//!
//! Not here: one webhook sent again (`manage`). Invariants: only of the caller's account and
//! environment; bounded and counted; one at a time; a restart goes on where it was.

use crate::access::Changed;
use crate::refusals::not_possible;
use crate::worker::pause;
use crate::{Caller, Engine, Permit, limits};
use domain::act;
use domain::refusal::{StaffRefused, StoreRefused};
use serde_json::json;
use store::{BeginReplay, ContinueReplay, Fault, ReplayFilter, WebhookReplay};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Begins to send the caller's webhooks that pass a filter once more, at most
    /// [`limits::REPLAYED_MAX`], oldest first. Refuses (`NotPossible`) while another replay of the
    /// account and environment goes on.
    pub async fn begin_replay(
        &self,
        permit: Permit<act::ReplayWebhooks>,
        caller: &Caller,
        filter: ReplayFilter,
    ) -> Result<(), StaffRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let changed = Changed::made(
            format_args!("account {account}"),
            json!({
                "webhooks": "replayed", "environment": environment.code(), "state": filter.state,
                "event": filter.event, "endpoint": filter.endpoint.map(|endpoint| endpoint.0),
                "since": filter.since.map(|since| since.0),
            }),
        );
        let sent_max = limits::REPLAYED_MAX;
        let begin = BeginReplay { account, environment, filter, sent_max, at: self.now() };
        let begin = self.recorded(&permit, begin, [changed], |begun| *begun);
        match self.or_unavailable(self.commit(&permit, begin).await)? {
            true => {
                self.inner.webhooks.replays_due.notify_one();
                Ok(())
            }
            false => Err(not_possible("Another replay goes on. Wait until it has ended.").into()),
        }
    }

    /// The latest replay of the caller's account and environment, going on or ended.
    pub async fn last_replay(
        &self,
        caller: &Caller,
    ) -> Result<Option<WebhookReplay>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let read = self.read(move |store| store.replays(account, environment, 1)).await?;
        Ok(read.into_iter().next())
    }

    /// Goes on with every open replay, on whichever node, until the server stops.
    pub(crate) async fn continue_replays(self, stop: CancellationToken) {
        loop {
            if let Err(fault) = self.continue_open_replays(&stop).await {
                tracing::warn!(%fault, "webhooks could not be sent again");
            }
            tokio::select! {
                () = self.inner.webhooks.replays_due.notified() => {}
                () = tokio::time::sleep(limits::REPLAYS_READ_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn continue_open_replays(&self, stop: &CancellationToken) -> Result<(), Fault> {
        let mut open = self.blocking(|store| store.open_replays()).await?;
        // In turn, so that a long one delays no other account's.
        while !open.is_empty() && !stop.is_cancelled() {
            let mut going_on = Vec::new();
            for replay in open {
                let step = ContinueReplay {
                    account: replay.account,
                    environment: replay.environment,
                    id: replay.id,
                    limit: limits::REPLAYED_AT_ONCE,
                    at: self.now(),
                };
                if self.commit(&self.work(), step).await? {
                    going_on.push(replay);
                }
                self.inner.webhooks.due.notify_one();
            }
            open = going_on;
            let Some(()) = pause(stop, limits::REPLAY_PAUSE).await else { return Ok(()) };
        }
        Ok(())
    }
}
