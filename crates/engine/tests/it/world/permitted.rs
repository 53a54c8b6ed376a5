//! The engine as tests use it: each use case with the permit of the one who would ask for it.

use domain::ids::EndpointId;
use domain::refusal::*;
use domain::{
    Account, AccountId, AllowList, Catalog, Currency, Environment, Key, KeyId, Money, Permitted,
    PlanKind, PlanTerms, Purchase, PurchaseId, Reason, ReferenceScope, UpstreamCode, UserId,
};
use engine::{
    AccessToken, AccountSetup, BalanceAlert, Booking, Caller, CommissionPaid, Confirmation,
    DeliveryDetails, Endpoint, Engine, FloatView, KeyPair, LogInForm, NewAccount, NewEndpoint,
    NewUpstream, Permit, PlanBought, PlanChange, PlanOrder, PurchaseOutcome, PurchaseRequest,
    Quote, ReplayScope, SignUpForm, UpstreamChange,
};
use std::net::IpAddr;
use std::ops::Deref;
use std::time::Duration;
use store::{ArchiveFile, Closing};

type Staff<T> = Result<T, StaffRefused>;

/// What is written on a booking.
pub struct Note<'a> {
    pub reference: &'a str,
    pub note: &'a str,
}

#[derive(Clone)]
pub struct TestEngine(pub Engine);

impl Deref for TestEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.0
    }
}

impl TestEngine {
    fn machine<A: Permitted>(&self) -> Permit<A> {
        self.by("tests")
    }

    fn by<A: Permitted>(&self, by: &str) -> Permit<A> {
        self.permit_machine(by).unwrap()
    }

    fn anybody<A: Permitted>(&self) -> Permit<A> {
        self.permit_anybody().unwrap()
    }

    pub async fn purchase(&self, request: PurchaseRequest) -> Result<PurchaseOutcome, BuyRefused> {
        self.0.purchase(self.permit(&request.caller)?, request).await
    }

    pub async fn quote(&self, request: PurchaseRequest) -> Result<Quote, QuoteRefused> {
        self.0.quote(self.permit(&request.caller)?, request).await
    }

    pub async fn accept(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
        acceptance: &str,
    ) -> Result<Purchase, AcceptRefused> {
        self.0.accept(self.permit(caller)?, caller, scope, reference, acceptance).await
    }

    pub async fn authorise(
        &self,
        caller: &Caller,
        id: PurchaseId,
    ) -> Result<Purchase, AcceptRefused> {
        self.0.authorise(self.permit(caller)?, caller, id.number()).await
    }

    pub async fn delivery_again(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Result<(Purchase, DeliveryDetails), ResendRefused> {
        self.0.delivery_again(self.permit(caller)?, caller, scope, reference).await
    }

    pub async fn approve(&self, id: PurchaseId, by: &str) -> Staff<Purchase> {
        self.0.approve(self.by(by), id.number()).await
    }

    pub async fn reject(&self, id: PurchaseId, by: &str, reason: &str) -> Staff<Purchase> {
        self.0.reject(self.by(by), id.number(), reason).await
    }

    pub async fn settle_by_staff(
        &self,
        id: PurchaseId,
        is_delivered: bool,
        by: &str,
        evidence: &str,
    ) -> Staff<Purchase> {
        self.0.settle_by_staff(self.by(by), id.number(), is_delivered, evidence).await
    }

    pub async fn refund(&self, id: PurchaseId, by: &str, reason: &str) -> Staff<Purchase> {
        self.0.refund(self.by(by), id.number(), reason).await
    }

    pub async fn close_case(&self, id: PurchaseId, by: &str, evidence: &str) -> Staff<()> {
        self.0.close_case(self.by(by), id.number(), evidence).await
    }

    pub async fn resume(&self, by: &str, evidence: &str) -> Staff<()> {
        self.0.resume(self.by(by), evidence).await
    }

    pub async fn fund(
        &self,
        reason: Reason,
        account: AccountId,
        environment: Environment,
        amount: Money,
        booking: Note<'_>,
    ) -> Staff<Money> {
        let Note { reference, note } = booking;
        let rail = "manual";
        let booking = Booking { reason, account, environment, amount, rail, reference, note };
        self.0.fund(self.machine(), booking).await
    }

    pub async fn add_upstream(&self, new: NewUpstream) -> Staff<bool> {
        self.0.add_upstream(self.machine(), new).await
    }

    pub async fn change_upstream(&self, code: &str, change: UpstreamChange) -> Staff<bool> {
        self.0.change_upstream(self.machine(), &UpstreamCode::new(code), change).await
    }

    pub async fn pause_upstream(&self, code: &str) -> Staff<()> {
        self.pause_upstream_for(code, "it is slow").await
    }

    pub async fn pause_upstream_for(&self, code: &str, reason: &str) -> Staff<()> {
        self.0.pause_upstream(self.machine(), &UpstreamCode::new(code), reason).await
    }

    pub async fn resume_upstream(&self, code: &str) -> Staff<()> {
        self.0.resume_upstream(self.machine(), &UpstreamCode::new(code)).await
    }

    pub async fn resume_upstream_as(&self, code: &str, by: &str) -> Staff<()> {
        self.0.resume_upstream(self.by(by), &UpstreamCode::new(code)).await
    }

    pub async fn remove_upstream(&self, code: &str) -> Staff<()> {
        self.0.remove_upstream(self.machine(), &UpstreamCode::new(code)).await
    }

    pub async fn reverse_funding(&self, code: &str, reference: &str) -> Staff<FloatView> {
        self.0.reverse_funding(self.machine(), &UpstreamCode::new(code), reference).await
    }

    pub async fn fund_upstream(&self, code: &str, amount: Money, ref_: &str) -> Staff<FloatView> {
        self.0.fund_upstream(self.machine(), &UpstreamCode::new(code), amount, ref_).await
    }

    pub async fn pay_commission(
        &self,
        account: AccountId,
        environment: Environment,
        currency: Currency,
    ) -> Staff<CommissionPaid> {
        self.0.pay_commission(self.machine(), account, environment, currency).await
    }

    pub async fn set_commission_rule(&self, account: AccountId, least: Money) -> Staff<()> {
        self.0.set_commission_rule(self.machine(), account, least).await
    }

    pub async fn set_balance_alert(&self, alert: BalanceAlert) -> Staff<()> {
        self.0.set_balance_alert(self.machine(), alert).await
    }

    pub async fn set_plan_terms(&self, kind: PlanKind, change: PlanChange) -> Staff<PlanTerms> {
        self.0.set_plan_terms(self.machine(), kind, change).await
    }

    pub async fn set_plan_renewal(
        &self,
        account: AccountId,
        currency: Option<Currency>,
    ) -> Staff<()> {
        self.0.set_plan_renewal(self.machine(), account, currency).await
    }

    pub async fn buy_plan(&self, account: AccountId, order: PlanOrder<'_>) -> Staff<PlanBought> {
        self.0.buy_plan(self.machine(), account, order).await
    }

    pub async fn make_user(
        &self,
        account: AccountId,
        email: &str,
        role: &str,
    ) -> Staff<(UserId, String)> {
        self.0.make_user(self.machine(), account, email, role).await
    }

    pub async fn set_user_role(&self, email: &str, role: &str) -> Staff<()> {
        self.0.set_user_role(self.machine(), email, role).await
    }

    pub async fn give_password(&self, email: &str) -> Staff<String> {
        self.0.give_password(self.machine(), email).await
    }

    pub async fn open_house(&self, name: &str) -> Result<(), StoreRefused> {
        self.0.open_house(self.machine(), name).await
    }

    pub async fn open_account(&self, new: NewAccount<'_>) -> Staff<AccountId> {
        self.0.open_account(self.machine(), new).await
    }

    pub fn account_setup(&self) -> AccountSetup {
        self.0.account_setup(self.machine())
    }

    pub async fn change_account(
        &self,
        id: AccountId,
        change: impl Fn(&mut Account),
    ) -> Staff<Account> {
        self.0.change_account(self.machine(), id, change).await
    }

    pub async fn make_key(
        &self,
        account: AccountId,
        environment: Environment,
    ) -> Staff<(KeyId, KeyPair)> {
        self.0.make_key(self.machine(), account, environment).await
    }

    pub async fn adopt_key(
        &self,
        account: AccountId,
        environment: Environment,
        pair: KeyPair,
    ) -> Staff<(KeyId, KeyPair)> {
        self.0.adopt_key(self.machine(), account, environment, pair).await
    }

    pub async fn allow_addresses(&self, open_key: &str, list: AllowList) -> Staff<Key> {
        self.0.allow_addresses(self.machine(), open_key, list).await
    }

    pub async fn revoke_key(&self, open_key: &str) -> Staff<Key> {
        self.0.revoke_key(self.machine(), open_key).await
    }

    pub async fn set_catalog(&self, catalog: Catalog) -> Result<(), StoreRefused> {
        self.0.set_catalog(self.machine(), catalog).await
    }

    pub async fn add_endpoint(&self, new: NewEndpoint<'_>) -> Staff<(EndpointId, String)> {
        self.0.add_endpoint(self.machine(), new).await
    }

    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Staff<Endpoint> {
        self.0.change_endpoint(self.machine(), id, change).await
    }

    pub async fn rotate_secret(&self, id: EndpointId, keep: Duration) -> Staff<String> {
        self.0.rotate_secret(self.machine(), id, keep).await
    }

    pub async fn switch_on(&self, id: EndpointId) -> Staff<()> {
        self.0.switch_on(self.machine(), id).await
    }

    pub async fn replay_webhooks(&self, which: ReplayScope) -> Result<usize, StoreRefused> {
        self.0.replay_webhooks(self.machine(), which).await
    }

    pub async fn send_test(&self, id: EndpointId) -> Staff<String> {
        self.0.send_test(self.machine(), id).await
    }

    pub async fn close_month(&self, closing: &Closing) -> Staff<()> {
        self.0.close_month(self.machine(), closing).await
    }

    pub async fn file_month(&self, filed: ArchiveFile, name: String) -> Staff<()> {
        self.0.file_month(self.machine(), filed, name).await
    }

    pub async fn remove_archived(&self) -> Result<(), StoreRefused> {
        self.0.remove_archived(self.machine()).await
    }

    pub async fn set_user_active(&self, email: &str, is_active: bool) -> Staff<()> {
        self.0.set_user_active(self.machine(), email, is_active).await
    }

    pub async fn log_user_out(&self, email: &str) -> Staff<()> {
        self.0.log_user_out(self.machine(), email).await
    }

    pub async fn sign_up(&self, form: SignUpForm<'_>) -> Result<(), SignUpRefused> {
        self.0.sign_up(self.anybody(), form).await
    }

    pub async fn confirm_sign_up(
        &self,
        email: &str,
        code: &str,
        password: &str,
        currencies: &[Currency],
        from: IpAddr,
    ) -> Result<(), ConfirmRefused> {
        let confirmation = Confirmation { email, code, password, currencies, from };
        self.0.confirm_sign_up(self.anybody(), confirmation).await
    }

    pub async fn log_in(&self, form: LogInForm<'_>) -> Result<AccessToken, LogInRefused> {
        self.0.log_in(self.anybody(), form).await
    }

    pub async fn forgot_password(&self, email: &str, from: IpAddr) -> Result<(), StoreRefused> {
        self.0.forgot_password(self.anybody(), email, from).await
    }

    pub async fn reset_password(
        &self,
        email: &str,
        code: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), ResetRefused> {
        self.0.reset_password(self.anybody(), email, code, new, from).await
    }

    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), PasswordRefused> {
        self.0.change_password(self.permit(caller).unwrap(), caller, current, new, from).await
    }

    pub async fn log_out(&self, caller: &Caller) -> Result<(), SessionRefused> {
        self.0.log_out(self.permit(caller).unwrap(), caller).await
    }

    pub async fn log_out_everywhere(&self, caller: &Caller) -> Result<(), SessionRefused> {
        self.0.log_out_everywhere(self.permit(caller).unwrap(), caller).await
    }
}
