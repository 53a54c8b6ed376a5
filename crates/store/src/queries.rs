//! Everything that can be read from a [`Store`], one method a query.
//!
//! A query on an account's rows names the account. Those for staff, and for what upstreams report,
//! do not; they say so. All of them block for the time of a query.

use crate::accounts::{KeyHolder, User};
use crate::acts::ActRecord;
use crate::archive::{
    Archive, ArchiveFile, ArchivesAudit, ClosedMonth, Closing, LAST_CLOSED, LateOutcome,
};
use crate::backend::postgres::Postgres;
use crate::backend::{self, Sql, values};
use crate::clock::{ClockRecord, ServerTime};
use crate::fault::Result;
use crate::halts::Halt;
use crate::ledger::{Page, StatementLine, Wallet};
use crate::people::{Device, DeviceMark, SessionHolder, UserHolder};
use crate::purchases::{Evidence, OpenCase, OutboxEvent, StoredReference, jobs, slips};
use crate::queue::{self, Queue};
use crate::store::{Location, Store};
use crate::verify::AuditReport;
use crate::webhooks::{
    DeliveryAttempt, Destination, Endpoint, EndpointHealth, LogPage, LoggedWebhook, endpoints,
};
use crate::{
    accounts, acts, archive, catalog, clock, halts, ledger, people, purchases, verify, webhooks,
};
use domain::ids::{SessionId, UserId};
use domain::{
    Account, AccountId, Attempt, Catalog, Currency, Environment, Key, Money, Month, Purchase,
    PurchaseId, PurchaseKey, ReferenceKey, ReferenceScope, Slip, State, Timestamp, UpstreamCode,
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

    /// A purchase by its id alone: for staff and for upstreams' updates, which name no account.
    pub fn any_purchase(&self, id: PurchaseId) -> Result<Option<Purchase>> {
        self.read(|sql| purchases::by_id(sql, id))
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

    /// What changed a wallet's available money, latest first; `None` without such a wallet.
    pub fn statement(
        &self,
        account: AccountId,
        environment: Environment,
        currency: Currency,
        page: Page,
    ) -> Result<Option<Vec<StatementLine>>> {
        self.read(|sql| ledger::statement(sql, account, environment, currency, page))
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

    /// The highest id ever given: new ones go on from there.
    pub fn highest_id(&self) -> Result<i64> {
        self.read(|sql| {
            let archived = last_closed(sql)?.map_or(0, |closed| closed.ids_below);
            Ok(purchases::highest_id(sql)?.max(accounts::highest_id(sql)?).max(archived))
        })
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
