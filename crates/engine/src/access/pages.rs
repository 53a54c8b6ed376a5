//! Calls of the API, and purchases, that come from our own pages: who is logged in there needs no
//! key.
//!
//! Invariant: such a call passes what a call with keys passes: account, rate, and it has the
//! account's plan as it is now.

use super::{AccessResult, Caller, RequestOwner};
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
        let owner = Some(RequestOwner::from(&caller));
        let counted = async {
            let account = self.account(caller.account)?.ok_or(KeysInvalid)?;
            if !account.is_active {
                return Err(AccountInactive.into());
            }
            let caller = Caller {
                plan: account.plan_at(self.now()),
                is_approved: account.approved_at.is_some(),
                duplicates: account.duplicates,
                ..caller
            };
            let per_minute = caller.plan.unwrap_or(Plan::Starter).per_minute();
            let counted = self.count_call(caller.rate_key(), per_minute).await?;
            let caller = counted.or_refuse().map(|_| caller).map_err(KeyPairRefused::from);
            Ok(AccessResult { caller, quota: Some(counted.quota), owner })
        };
        let refused = |refusal| AccessResult { owner, ..AccessResult::refused(refusal) };
        counted.await.unwrap_or_else(refused)
    }
}
