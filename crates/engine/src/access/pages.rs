//! Calls of the API, and purchases, that come from our own pages: who is logged in there needs no
//! key.
//!
//! Invariant: such a call passes what a call with keys passes: account, rate, and it has the
//! account's plan as it is now.

use super::{AccessResult, Caller};
use crate::Engine;
use crate::refusals::ensure;
use domain::Plan;
use domain::refusal::{AccountInactive, BuyerRefused, KeyPairRefused, KeysInvalid};

/// Put into the extensions of a request inside this process: who has logged in on the pages and
/// calls the API from there. No request from outside can have it.
#[derive(Clone, Copy, Debug)]
pub struct PageCaller(pub Caller);

impl Engine {
    /// Admits a call from the pages as one with keys of the same account and environment would be.
    pub async fn admit_from_pages(&self, from_page: PageCaller) -> AccessResult<KeyPairRefused> {
        self.access_from_pages(from_page, |_| Ok(())).await
    }

    /// As [`Engine::admit_from_pages`], of whoever wants to buy.
    pub async fn admit_buyer_from_pages(
        &self,
        from_page: PageCaller,
    ) -> AccessResult<BuyerRefused> {
        self.access_from_pages(from_page, |caller| Ok(caller.may_buy()?)).await
    }

    async fn access_from_pages<R: From<KeyPairRefused>>(
        &self,
        PageCaller(mut caller): PageCaller,
        may: fn(&Caller) -> Result<(), R>,
    ) -> AccessResult<R> {
        let admitted = self.with_account(&mut caller).map_err(R::from);
        let admitted = admitted.and_then(|()| may(&caller));
        let per_minute = caller.plan.map(Plan::per_minute);
        let per_minute = per_minute.unwrap_or_else(|| self.calls_without_plan());
        self.counted(caller, per_minute, admitted).await
    }

    /// Gives the caller what its account has now. Refuses one that is switched off.
    fn with_account(&self, caller: &mut Caller) -> Result<(), KeyPairRefused> {
        let account = self.account(caller.account)?.ok_or(KeysInvalid)?;
        caller.plan = account.plan_at(self.now());
        caller.is_approved = account.approved_at.is_some();
        caller.duplicates = account.duplicates;
        Ok(ensure(account.is_active, AccountInactive)?)
    }
}
