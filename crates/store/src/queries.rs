//! Everything that can be read from a [`Store`], one method a query.
//!
//! A query on an account's rows names the account. Those for staff, and for what upstreams report,
//! do not; they say so. All of them block for the time of a query.

use crate::accounts::{KeyHolder, KeyUse, User};
use crate::acts::ActRecord;
use crate::archive::{
    Archive, ArchiveFile, ArchivesAudit, ClosedMonth, Closing, LAST_CLOSED, LateOutcome,
};
use crate::backend::postgres::Postgres;
use crate::backend::{self, Sql, values};
use crate::clock::{ClockRecord, ServerTime};
use crate::fault::Result;
use crate::halts::Halt;
use crate::ledger::{
    AccountList, BalanceAlert, CommissionRule, CrossedBalance, DueCommission, FillList, Page,
    Payment, StatementLine, StatementOf, Wallet,
};
use crate::people::{
    Device, DeviceMark, ListedSession, MailCode, SecondFactor, SessionHolder, UserHolder,
};
use crate::purchases::{
    CallbackOnRecord, EndedAttempt, Evidence, OpenCase, OutboxEvent, PurchaseFilter,
    PurchaseOwners, RecentPurchase, StoredReference, jobs, slips,
};
use crate::queue::{self, Queue};
use crate::requests::{ErrorGroup, LoggedRequest, RequestFilter};
use crate::settings::floats::{LedgerFloat, PaidToUpstream, ReportedBalance};
use crate::settings::plans::DueRenewal;
use crate::settings::upstreams::StoredUpstream;
use crate::store::{Location, Store};
use crate::verify::AuditReport;
use crate::webhooks::replay::{self, WebhookReplay};
use crate::webhooks::{
    DeliveryAttempt, DeliveryFilter, Destination, Endpoint, EndpointHealth, LogPage, LoggedWebhook,
    endpoints,
};
use crate::{
    accounts, acts, archive, catalog, clock, floats, halts, ledger, numbers, people, plan_terms,
    purchases, requests, upstreams, verify, webhooks,
};
use domain::ids::{KeyId, SessionId, UserId};
use domain::{
    Account, AccountId, Attempt, Catalog, Currency, Environment, Exchange, Key, Money, Month,
    PaymentKey, PaymentOwner, PlanTerms, Purchase, PurchaseId, PurchaseKey, PurchaseNumber,
    ReferenceKey, ReferenceScope, Slip, State, Timestamp, UpstreamCode,
};
use std::path::{Path, PathBuf};

impl Store {
    /// The tag of the master key that seals this data; `None` until one is kept.
    pub fn master_key(&self) -> Result<Option<[u8; 32]>> {
        self.read(accounts::master_key)
    }

    /// Everything that prices and routes a purchase.
    pub fn catalog(&self) -> Result<Catalog> {
        self.read(catalog::whole)
    }

    /// How often the catalog, or an upstream, was changed: for
    /// [`ReviseCatalog`](crate::ReviseCatalog).
    pub fn catalog_revision(&self) -> Result<i64> {
        self.read(catalog::revision)
    }

    /// How many refusals of an upstream staff have confirmed since its settings were changed.
    pub fn confirmed_refusals(&self, code: &UpstreamCode) -> Result<u32> {
        self.read(|sql| upstreams::confirmed_refusals(sql, code))
    }

    /// Every upstream that staff have set up, removed ones too, by code.
    pub fn upstreams(&self) -> Result<Vec<StoredUpstream>> {
        self.read(upstreams::every)
    }

    /// How many open purchases have their latest attempt at this upstream.
    pub fn open_attempts_at(&self, code: &UpstreamCode) -> Result<u32> {
        self.read(|sql| upstreams::open_attempts(sql, code))
    }

    /// What upstreams last said about our balances there.
    pub fn reported_balances(&self) -> Result<Vec<ReportedBalance>> {
        self.read(floats::reported)
    }

    /// Our own count of every float.
    pub fn ledger_floats(&self) -> Result<Vec<LedgerFloat>> {
        self.read(floats::ledger)
    }

    /// What was booked as paid to an upstream by the payment of this reference.
    pub fn paid_to_upstream(
        &self,
        environment: Environment,
        reference: &str,
    ) -> Result<Option<PaidToUpstream>> {
        self.read(|sql| floats::paid(sql, environment, reference))
    }

    /// The floats that were ever paid into.
    pub fn funded_floats(&self) -> Result<Vec<(UpstreamCode, Currency)>> {
        self.read(floats::funded)
    }

    /// What was spent at an upstream, by hour since 1970, oldest first, in minor units.
    pub fn hours_spent(&self, code: &UpstreamCode, currency: Currency) -> Result<Vec<(i64, i64)>> {
        self.read(|sql| floats::hours(sql, code, currency))
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>> {
        self.read(|sql| accounts::by_id(sql, id))
    }

    /// Every account, oldest first.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.read(accounts::every)
    }

    /// The pair of an open key, revoked or not, with its account.
    pub fn key_holder(&self, open_key: &str) -> Result<Option<KeyHolder>> {
        self.read(|sql| accounts::key_holder(sql, open_key))
    }

    /// The key pairs of an account, oldest first.
    pub fn keys_of(&self, account: AccountId) -> Result<Vec<Key>> {
        self.read(|sql| accounts::keys_of(sql, account))
    }

    /// The last uses of an account's key pairs.
    pub fn key_uses(&self, account: AccountId) -> Result<Vec<(KeyId, KeyUse)>> {
        self.read(|sql| accounts::key_uses(sql, account))
    }

    /// The login of an address (as it is stored: trimmed, in small letters), with its account.
    pub fn user_of(&self, email: &str) -> Result<Option<UserHolder>> {
        self.read(|sql| people::by_email(sql, email))
    }

    /// A login with its account.
    pub fn user(&self, id: UserId) -> Result<Option<UserHolder>> {
        self.read(|sql| people::by_id(sql, id))
    }

    /// Every login, oldest first.
    pub fn users(&self) -> Result<Vec<User>> {
        self.read(people::every)
    }

    /// The logins of an account, oldest first.
    pub fn users_of(&self, account: AccountId) -> Result<Vec<User>> {
        self.read(|sql| people::of_account(sql, account))
    }

    /// The second factor of a login, whether it counts yet or not.
    pub fn factor_of(&self, user: UserId) -> Result<Option<SecondFactor>> {
        self.read(|sql| people::factor_of(sql, user))
    }

    /// How many recovery codes of a login are not used yet.
    pub fn recovery_left(&self, user: UserId) -> Result<i64> {
        self.read(|sql| people::recovery_left(sql, user))
    }

    /// The codes by which people may still join an account.
    pub fn invitations(&self, account: AccountId, now: Timestamp) -> Result<Vec<MailCode>> {
        self.read(|sql| people::invitations(sql, account, now))
    }

    /// The open sessions of a login, newest first.
    pub fn open_sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<ListedSession>> {
        self.read(|sql| people::open_sessions(sql, user, now))
    }

    /// The sealed secrets of an account's sandbox keys, by key.
    pub fn key_secrets(&self, account: AccountId) -> Result<Vec<(KeyId, Vec<u8>)>> {
        self.read(|sql| accounts::key_secrets(sql, account))
    }

    /// A session, ended or not, with its login's state and its account.
    pub fn session(&self, id: SessionId) -> Result<Option<SessionHolder>> {
        self.read(|sql| people::session(sql, id))
    }

    /// Whether this is a known device of the address's login; `false` if the address has no login.
    pub fn known_device(&self, email: &str, mark: &DeviceMark, now: Timestamp) -> Result<bool> {
        self.read(|sql| people::known_device(sql, email, mark, now))
    }

    /// The devices of an account that receive pushes.
    pub fn devices_of(&self, account: AccountId) -> Result<Vec<Device>> {
        self.read(|sql| people::devices_of(sql, account))
    }

    /// The wallets of an account.
    pub fn wallets(&self, account: AccountId) -> Result<Vec<Wallet>> {
        self.read(|sql| ledger::wallets(sql, account))
    }

    /// What an account can spend; `None` without such a wallet.
    pub fn available(
        &self,
        account: AccountId,
        environment: Environment,
        currency: Currency,
    ) -> Result<Option<Money>> {
        self.read(|sql| ledger::available(sql, account, environment, currency))
    }

    /// What used a reference up; `None` while it is free.
    pub fn stored_reference(&self, reference: &ReferenceKey) -> Result<Option<StoredReference>> {
        self.read(|sql| purchases::stored_reference(sql, reference))
    }

    /// The first response to a request with this idempotency key, if it was kept: status and body.
    pub fn kept_response(&self, reference: &ReferenceKey) -> Result<Option<(u16, String)>> {
        self.read(|sql| purchases::kept_response(sql, reference))
    }

    /// A purchase of an account.
    pub fn purchase(&self, key: &PurchaseKey) -> Result<Option<Purchase>> {
        self.read(|sql| purchases::by_key(sql, key))
    }

    /// The id of a purchase's number, though there may be none; `None` for what can be no number.
    pub fn purchase_id(&self, number: PurchaseNumber) -> Result<Option<PurchaseId>> {
        self.read(|sql| numbers::id_of(sql, number))
    }

    /// A purchase by its id alone: for staff and for upstreams' updates, which name no account.
    pub fn any_purchase(&self, id: PurchaseId) -> Result<Option<Purchase>> {
        self.read(|sql| purchases::by_id(sql, id))
    }

    /// For staff: the purchases that pass a filter, latest first.
    pub fn find_purchases(
        &self,
        of: PurchaseOwners<'_>,
        filter: &PurchaseFilter,
        page: Page,
    ) -> Result<Vec<Purchase>> {
        self.read(|sql| purchases::find(sql, of, filter, page))
    }

    /// For staff: the latest purchases of all accounts, at most `limit`; of one state, or of all.
    pub fn latest_purchases(&self, state: Option<State>, limit: u32) -> Result<Vec<Purchase>> {
        self.read(|sql| purchases::latest(sql, state, limit))
    }

    /// The purchases that an account's logins made in one dialect, latest first; of these states,
    /// or of all.
    pub fn purchases_of(
        &self,
        account: AccountId,
        environment: Environment,
        scope: ReferenceScope,
        states: &[State],
        page: Page,
    ) -> Result<Vec<Purchase>> {
        self.read(|sql| purchases::by_logins(sql, account, environment, scope, states, page))
    }

    /// The purchases of an account that pass a filter, latest first.
    pub fn list_purchases(
        &self,
        account: AccountId,
        environment: Environment,
        filter: &PurchaseFilter,
        page: Page,
    ) -> Result<Vec<Purchase>> {
        self.read(|sql| purchases::list(sql, account, environment, filter, page))
    }

    /// The latest purchases of an account, opened at this time or later, in a few columns; latest
    /// first.
    pub fn recent_purchases(
        &self,
        account: AccountId,
        environment: Environment,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<RecentPurchase>> {
        self.read(|sql| purchases::recent(sql, account, environment, since, limit))
    }

    /// The number of the last journal that is in the database; 0 before the first.
    pub fn last_journal(&self) -> Result<i64> {
        self.read(ledger::lists::last_journal)
    }

    /// What a list of accounts lacks, in parts of so many rows; none for fewer journals.
    pub fn list_parts(&self, list: AccountList, at_least: u32, rows: u32) -> Result<Vec<FillList>> {
        self.read(|sql| ledger::lists::parts(sql, list, at_least, rows))
    }

    /// What changed a wallet's balance, latest first; `None` without such a wallet.
    pub fn statement(&self, of: StatementOf, page: Page) -> Result<Option<Vec<StatementLine>>> {
        self.read(|sql| ledger::statement(sql, of, page))
    }

    /// The rules by which an account's commission is paid out, a currency each.
    pub fn commission_rules(&self, account: AccountId) -> Result<Vec<CommissionRule>> {
        self.read(|sql| ledger::commission_rules(sql, account))
    }

    /// The commission that is due by the rules and was not paid out on this day (`2026-11-30`), of
    /// all accounts.
    pub fn due_commission(&self, day: &str) -> Result<Vec<DueCommission>> {
        self.read(|sql| ledger::due_commission(sql, day))
    }

    /// The payments into and out of an account's wallets before a moment, latest first.
    pub fn payments_of(
        &self,
        account: AccountId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Payment>> {
        self.read(|sql| ledger::payments_of(sql, account, before, limit))
    }

    /// The alerts of an account's wallets.
    pub fn balance_alerts(&self, account: AccountId) -> Result<Vec<BalanceAlert>> {
        self.read(|sql| ledger::balance_alerts(sql, account))
    }

    /// The balances of all accounts that have crossed their alert, at most `limit`.
    pub fn crossed_balances(&self, limit: u32) -> Result<Vec<CrossedBalance>> {
        self.read(|sql| ledger::crossed_balances(sql, limit))
    }

    /// Whose payment a key is; `None` if it is not booked.
    pub fn payment_owner(&self, key: &PaymentKey) -> Result<Option<PaymentOwner>> {
        self.read(|sql| ledger::owner_of(sql, key))
    }

    /// The wallet from which an account's plan is renewed by itself; `None`: it is not.
    pub fn plan_renewal(&self, account: AccountId) -> Result<Option<Currency>> {
        self.read(|sql| plan_terms::renewal(sql, account))
    }

    /// The plans of all accounts that are renewed by themselves and end between two moments.
    pub fn due_renewals(&self, from: Timestamp, to: Timestamp) -> Result<Vec<DueRenewal>> {
        self.read(|sql| plan_terms::due_renewals(sql, from, to))
    }

    /// On which terms each plan is sold, in the order of [`PlanKind::ALL`](domain::PlanKind).
    pub fn plan_terms(&self) -> Result<Vec<PlanTerms>> {
        self.read(|sql| plan_terms::terms(sql))
    }

    /// What an upstream gave with a purchase for the end customer to keep.
    pub fn slip(&self, key: &PurchaseKey, upstream: &UpstreamCode) -> Result<Option<Slip>> {
        self.read(|sql| slips::of(sql, key, upstream))
    }

    /// The attempts of a purchase, first to last.
    pub fn attempts(&self, key: &PurchaseKey) -> Result<Vec<Attempt>> {
        self.read(|sql| purchases::attempts(sql, key))
    }

    /// The events of a purchase in the outbox, first to last.
    pub fn events(&self, key: &PurchaseKey) -> Result<Vec<OutboxEvent>> {
        self.read(|sql| jobs::events(sql, key))
    }

    /// The evidence of a purchase, first to last.
    pub fn evidence(&self, key: &PurchaseKey) -> Result<Vec<Evidence>> {
        self.read(|sql| purchases::evidence(sql, key))
    }

    /// For staff: what was sent to upstreams about a purchase and what came back, first to last.
    pub fn exchanges(&self, id: PurchaseId) -> Result<Vec<Exchange>> {
        self.read(|sql| purchases::exchanges(sql, id))
    }

    /// How far the orders of an upstream were asked about again so many days after; none: it was
    /// never begun.
    pub fn recheck_mark(&self, code: &UpstreamCode, days: u32) -> Result<Option<PurchaseId>> {
        self.read(|sql| purchases::recheck_mark(sql, code, days))
    }

    /// The attempts at an upstream that have an outcome, of purchases between two ids (the second
    /// one is not among them), first to last.
    pub fn ended_attempts(
        &self,
        code: &UpstreamCode,
        after: PurchaseId,
        before: PurchaseId,
        limit: u32,
    ) -> Result<Vec<EndedAttempt>> {
        self.read(|sql| purchases::ended_attempts(sql, code, after, before, limit))
    }

    /// The latest callbacks, since a time, that came when their purchase was closed, and have not
    /// changed its state since; of purchases from `first` on.
    pub fn callbacks_after_the_end(
        &self,
        first: PurchaseId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<CallbackOnRecord>> {
        self.read(|sql| purchases::callbacks_after_the_end(sql, first, since, limit))
    }

    /// The replays of an account's webhooks in an environment, latest first.
    pub fn replays(
        &self,
        account: AccountId,
        environment: Environment,
        limit: u32,
    ) -> Result<Vec<WebhookReplay>> {
        self.read(|sql| replay::of(sql, account, environment, limit))
    }

    /// The replays of webhooks that go on, of every account.
    pub fn open_replays(&self) -> Result<Vec<WebhookReplay>> {
        self.read(replay::open)
    }

    /// The requests of an account in an environment that pass a filter, latest first.
    pub fn requests(
        &self,
        account: AccountId,
        environment: Environment,
        filter: &RequestFilter,
    ) -> Result<Vec<LoggedRequest>> {
        self.read(|sql| requests::list(sql, account, environment, filter))
    }

    /// One request of an account in an environment.
    pub fn request(
        &self,
        account: AccountId,
        environment: Environment,
        id: i64,
    ) -> Result<Option<LoggedRequest>> {
        self.read(|sql| requests::one(sql, account, environment, id))
    }

    /// The errors of an account's requests since a moment, by path and code.
    pub fn request_errors(
        &self,
        account: AccountId,
        environment: Environment,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<ErrorGroup>> {
        self.read(|sql| requests::errors(sql, account, environment, since, limit))
    }

    /// The cases that wait for staff, oldest first.
    pub fn open_cases(&self) -> Result<Vec<OpenCase>> {
        self.read(purchases::open_cases)
    }

    /// What is stored about the installation's time.
    pub fn clock_record(&self) -> Result<ClockRecord> {
        self.read(clock::record)
    }

    /// The database server's clock; `None` where the database is a file.
    pub fn server_time(&self) -> Result<Option<ServerTime>> {
        match self.location() {
            Location::Folder(_) => Ok(None),
            Location::Server(_) => self.read(clock::server_time).map(Some),
        }
    }

    /// The halt in force; `None` while purchases are sent upstream.
    pub fn halt(&self) -> Result<Option<Halt>> {
        self.read(halts::current)
    }

    /// The last journal and its hash, archived or not; `None` before the first.
    pub fn ledger_end(&self) -> Result<Option<(i64, [u8; 32])>> {
        self.read(ledger::end)
    }

    /// Whether this journal is in the ledger, or may be in an archive.
    pub fn has_journal(&self, seq: i64, hash: &[u8; 32]) -> Result<bool> {
        self.read(|sql| ledger::has(sql, seq, hash))
    }

    /// The latest acts of people and of the command line, latest first; of one object, or of all.
    pub fn acts(&self, object: Option<&str>, limit: u32) -> Result<Vec<ActRecord>> {
        self.read(|sql| acts::latest(sql, object, limit))
    }

    /// When the next row of a queue is due; `None` if none is.
    pub fn next_due<Q: Queue>(&self) -> Result<Option<Timestamp>> {
        self.read(queue::next_due::<Q>)
    }

    /// The webhooks of an account, latest first.
    pub fn webhook_log(&self, page: LogPage) -> Result<Vec<LoggedWebhook>> {
        self.read(|sql| webhooks::log(sql, page))
    }

    /// The webhooks of an account in an environment that pass a filter, latest first.
    pub fn deliveries(
        &self,
        account: AccountId,
        environment: Environment,
        filter: &DeliveryFilter,
    ) -> Result<Vec<LoggedWebhook>> {
        self.read(|sql| webhooks::deliveries(sql, account, environment, filter))
    }

    /// The webhooks about a purchase, in the order of its events.
    pub fn webhooks_of(&self, purchase: PurchaseId) -> Result<Vec<LoggedWebhook>> {
        self.read(|sql| webhooks::of(sql, purchase))
    }

    /// The failed attempts of a webhook, and all attempts before a replay, oldest first.
    pub fn webhook_attempts(&self, webhook: &LoggedWebhook) -> Result<Vec<DeliveryAttempt>> {
        self.read(|sql| webhooks::attempts(sql, webhook))
    }

    /// Grows with every change of an endpoint or of an address's health.
    pub fn endpoints_version(&self) -> Result<i64> {
        self.read(endpoints::version)
    }

    /// Every endpoint, removed ones too, oldest first.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.read(endpoints::every)
    }

    /// Every address that fails or is switched off.
    pub fn endpoint_health(&self) -> Result<Vec<(Destination, EndpointHealth)>> {
        self.read(endpoints::health)
    }

    /// Every host that may be sent many webhooks at once.
    pub fn trusted_hosts(&self) -> Result<Vec<String>> {
        self.read(endpoints::hosts)
    }

    /// The month that is next to be archived, if it is before `before`. Blocks, though not for
    /// long: call it off the request path.
    pub fn next_to_archive(&self, before: Month, now: Timestamp) -> Result<Option<Closing>> {
        self.read(|sql| archive::next(sql, before, now))
    }

    /// Writes a closed month into a new file: flushed, and read-only from then on. The writer goes
    /// on meanwhile. Ends with [`crate::Fault::Closed`] once the file is not wanted any more.
    /// Blocks: call it off the request path.
    pub fn write_archive(
        &self,
        closing: &Closing,
        file: &Path,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<ArchiveFile> {
        self.block(|| archive::write(self.dedicated_reader()?.as_mut(), closing, file, is_wanted))
    }

    /// Removes the rows of archived months where the writer does not: a server drops their
    /// partitions. Fails while they are being read.
    pub fn drop_archived(&self) -> Result<()> {
        let Location::Server(server) = self.location() else { return Ok(()) };
        self.block(|| Postgres::drop_archived(server))
    }

    /// Every month that was archived, the first first.
    pub fn archives(&self) -> Result<Vec<Archive>> {
        self.read(archive::every)
    }

    /// Whether a purchase is of a month that is closed.
    pub fn is_closed(&self, id: PurchaseId) -> Result<bool> {
        Ok(self.read(last_closed)?.is_some_and(|closed| id.0 < closed.ids_below))
    }

    /// What upstreams reported about archived purchases, and staff have not looked into yet.
    pub fn late_outcomes(&self) -> Result<Vec<LateOutcome>> {
        self.read(archive::open_late_outcomes)
    }

    /// Audits archive files, and whether they and this ledger fit together.
    pub fn audit_archives(&self, files: &[PathBuf]) -> Result<ArchivesAudit> {
        self.block(|| archive::audit_files(self.dedicated_reader()?.as_mut(), files))
    }

    /// The whole audit. Its time grows with the number of journals: call it off the request path.
    pub fn audit(&self) -> Result<AuditReport> {
        self.block(|| verify::audit(self.dedicated_reader()?.as_mut()))
    }

    /// A quick check of sums and holds. Answers what is wrong; empty: nothing.
    pub fn quick_audit(&self) -> Result<Vec<String>> {
        self.read(verify::quick)
    }
}

fn last_closed(sql: &mut dyn Sql) -> Result<Option<ClosedMonth>> {
    backend::first(sql, LAST_CLOSED, &values![0_i64], archive::closed)
}
