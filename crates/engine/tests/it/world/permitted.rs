//! The engine as tests use it: each use case with the permit of the one who would ask for it.

use domain::ids::EndpointId;
use domain::{
    Account, AccountId, AllowList, Catalog, Currency, Environment, Key, KeyId, Money, Permitted,
    Purchase, PurchaseId, Reason, ReferenceScope, Refusal,
};
use engine::{
    AccessToken, AccountSetup, Booking, Caller, Confirmation, DeliveryDetails, Endpoint, Engine,
    KeyPair, LogInForm, NewAccount, NewEndpoint, Permit, PurchaseOutcome, PurchaseRequest, Quote,
    ReplayScope, SignUpForm,
};
use std::net::IpAddr;
use std::ops::Deref;
use std::time::Duration;
use store::{ArchiveFile, Closing};

type Refused<T> = Result<T, Refusal>;

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

    pub async fn purchase(&self, request: PurchaseRequest) -> Refused<PurchaseOutcome> {
        self.0.purchase(self.permit(&request.caller)?, request).await
    }

    pub async fn quote(&self, request: PurchaseRequest) -> Refused<Quote> {
        self.0.quote(self.permit(&request.caller)?, request).await
    }

    pub async fn accept(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
        acceptance: &str,
    ) -> Refused<Purchase> {
        self.0.accept(self.permit(caller)?, caller, scope, reference, acceptance).await
    }

    pub async fn authorise(&self, caller: &Caller, id: PurchaseId) -> Refused<Purchase> {
        self.0.authorise(self.permit(caller)?, caller, id).await
    }

    pub async fn delivery_again(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Refused<(Purchase, DeliveryDetails)> {
        self.0.delivery_again(self.permit(caller)?, caller, scope, reference).await
    }

    pub async fn approve(&self, id: PurchaseId, by: &str) -> Refused<Purchase> {
        self.0.approve(self.by(by), id).await
    }

    pub async fn reject(&self, id: PurchaseId, by: &str, reason: &str) -> Refused<Purchase> {
        self.0.reject(self.by(by), id, reason).await
    }

    pub async fn settle_by_staff(
        &self,
        id: PurchaseId,
        is_delivered: bool,
        by: &str,
        evidence: &str,
    ) -> Refused<Purchase> {
        self.0.settle_by_staff(self.by(by), id, is_delivered, evidence).await
    }

    pub async fn refund(&self, id: PurchaseId, by: &str, reason: &str) -> Refused<Purchase> {
        self.0.refund(self.by(by), id, reason).await
    }

    pub async fn close_case(&self, id: PurchaseId, by: &str, evidence: &str) -> Refused<()> {
        self.0.close_case(self.by(by), id, evidence).await
    }

    pub async fn resume(&self, by: &str, evidence: &str) -> Refused<()> {
        self.0.resume(self.by(by), evidence).await
    }

    pub async fn fund(
        &self,
        reason: Reason,
        account: AccountId,
        environment: Environment,
        amount: Money,
        booking: Note<'_>,
    ) -> Refused<Money> {
        let Note { reference, note } = booking;
        let booking = Booking { reason, account, environment, amount, reference, note };
        self.0.fund(self.machine(), booking).await
    }

    pub async fn open_house(&self, name: &str) -> Refused<()> {
        self.0.open_house(self.machine(), name).await
    }

    pub async fn open_account(&self, new: NewAccount<'_>) -> Refused<AccountId> {
        self.0.open_account(self.machine(), new).await
    }

    pub fn account_setup(&self) -> AccountSetup {
        self.0.account_setup(self.machine())
    }

    pub async fn change_account(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account),
    ) -> Refused<Account> {
        self.0.change_account(self.machine(), id, change).await
    }

    pub async fn make_key(
        &self,
        account: AccountId,
        environment: Environment,
    ) -> Refused<(KeyId, KeyPair)> {
        self.0.make_key(self.machine(), account, environment).await
    }

    pub async fn adopt_key(
        &self,
        account: AccountId,
        environment: Environment,
        pair: KeyPair,
    ) -> Refused<(KeyId, KeyPair)> {
        self.0.adopt_key(self.machine(), account, environment, pair).await
    }

    pub async fn allow_addresses(&self, open_key: &str, list: AllowList) -> Refused<Key> {
        self.0.allow_addresses(self.machine(), open_key, list).await
    }

    pub async fn revoke_key(&self, open_key: &str) -> Refused<Key> {
        self.0.revoke_key(self.machine(), open_key).await
    }

    pub async fn set_catalog(&self, catalog: Catalog) -> Refused<()> {
        self.0.set_catalog(self.machine(), catalog).await
    }

    pub async fn add_endpoint(&self, new: NewEndpoint<'_>) -> Refused<(EndpointId, String)> {
        self.0.add_endpoint(self.machine(), new).await
    }

    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Refused<Endpoint> {
        self.0.change_endpoint(self.machine(), id, change).await
    }

    pub async fn rotate_secret(&self, id: EndpointId, keep: Duration) -> Refused<String> {
        self.0.rotate_secret(self.machine(), id, keep).await
    }

    pub async fn switch_on(&self, id: EndpointId) -> Refused<()> {
        self.0.switch_on(self.machine(), id).await
    }

    pub async fn replay_webhooks(&self, which: ReplayScope) -> Refused<usize> {
        self.0.replay_webhooks(self.machine(), which).await
    }

    pub async fn send_test(&self, id: EndpointId) -> Refused<String> {
        self.0.send_test(self.machine(), id).await
    }

    pub async fn close_month(&self, closing: &Closing) -> Refused<()> {
        self.0.close_month(self.machine(), closing).await
    }

    pub async fn file_month(&self, filed: ArchiveFile, name: String) -> Refused<()> {
        self.0.file_month(self.machine(), filed, name).await
    }

    pub async fn remove_archived(&self) -> Refused<()> {
        self.0.remove_archived(self.machine()).await
    }

    pub async fn set_user_active(&self, email: &str, is_active: bool) -> Refused<()> {
        self.0.set_user_active(self.machine(), email, is_active).await
    }

    pub async fn log_user_out(&self, email: &str) -> Refused<()> {
        self.0.log_user_out(self.machine(), email).await
    }

    pub async fn sign_up(&self, form: SignUpForm<'_>) -> Refused<()> {
        self.0.sign_up(self.anybody(), form).await
    }

    pub async fn confirm_sign_up(
        &self,
        email: &str,
        code: &str,
        password: &str,
        currencies: &[Currency],
        from: IpAddr,
    ) -> Refused<()> {
        let confirmation = Confirmation { email, code, password, currencies, from };
        self.0.confirm_sign_up(self.anybody(), confirmation).await
    }

    pub async fn log_in(&self, form: LogInForm<'_>) -> Refused<AccessToken> {
        self.0.log_in(self.anybody(), form).await
    }

    pub async fn forgot_password(&self, email: &str, from: IpAddr) -> Refused<()> {
        self.0.forgot_password(self.anybody(), email, from).await
    }

    pub async fn reset_password(
        &self,
        email: &str,
        code: &str,
        new: &str,
        from: IpAddr,
    ) -> Refused<()> {
        self.0.reset_password(self.anybody(), email, code, new, from).await
    }

    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Refused<()> {
        self.0.change_password(self.permit(caller)?, caller, current, new, from).await
    }

    pub async fn log_out(&self, caller: &Caller) -> Refused<()> {
        self.0.log_out(self.permit(caller)?, caller).await
    }

    pub async fn log_out_everywhere(&self, caller: &Caller) -> Refused<()> {
        self.0.log_out_everywhere(self.permit(caller)?, caller).await
    }
}
