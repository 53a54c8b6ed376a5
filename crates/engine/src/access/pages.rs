//! Calls of the API that come from our own pages: who is logged in there needs no key.
//!
//! Invariant: such a call passes what a call with keys passes: account, rate.

use super::{AccessResult, Caller};
use crate::Engine;
use domain::Plan;
use domain::refusal::{AccountInactive, KeyPairRefused, KeysInvalid};

/// Put into the extensions of a request inside this process: who has logged in on the pages and
/// calls the API from there. No request from outside can have it.
#[derive(Clone, Copy, Debug)]
pub struct PageCaller(pub Caller);

impl Engine {
    /// Admits a call from the pages as one with keys of the same account and environment would be.
    pub async fn admit_from_pages(
        &self,
        PageCaller(caller): PageCaller,
    ) -> AccessResult<KeyPairRefused> {
        let counted = async {
            let account = self.account(caller.account)?.ok_or(KeysInvalid)?;
            if !account.is_active {
                return Err(AccountInactive.into());
            }
            let plan = account.subscription.filter(|s| s.until > self.now()).map(|s| s.plan);
            let caller = Caller { plan, ..caller };
            let per_minute = plan.unwrap_or(Plan::Starter).per_minute();
            let counted = self.count_call(caller.rate_key(), per_minute).await?;
            let caller = counted.or_refuse().map(|_| caller).map_err(KeyPairRefused::from);
            Ok(AccessResult { caller, quota: Some(counted.quota) })
        };
        counted.await.unwrap_or_else(AccessResult::refused)
    }
}
