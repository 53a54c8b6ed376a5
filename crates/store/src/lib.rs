//! The only SQL: one writer that owns every commit, readers beside it, the audit.
//!
//! Not here: prices, upstreams, HTTP, and any rule (those are `domain`'s). Invariants: nothing is
//! acknowledged before it is durable; no network call happens while a Tx is open, because nothing
//! here can make one.

mod accounts;
mod archive;
mod backend;
mod backup;
mod calls;
mod catalog;
mod change;
mod endpoints;
mod fault;
#[cfg(test)]
mod growth;
mod halts;
mod ledger;
mod outbox;
mod people;
mod purchases;
mod pushes;
mod read;
mod slips;
mod statement;
mod verify;
mod webhooks;
mod writer;

pub use accounts::KeyHolder;
pub use archive::{
    Archive, ArchiveChange, ArchiveDone, ArchivesAudit, Closing, Filed, LateWord, MonthAudit,
    audit_month,
};
pub use backup::{Ending, HeldFolder, audit_file};
pub use calls::Allowed;
pub use change::{Change, DeadRun, Done, DueJob, Posting, Setting, User};
pub use endpoints::{Destination, Endpoint, EndpointChange, EndpointHealth};
pub use fault::{Fault, OpenError};
pub use halts::{Halt, HaltChange};
pub use ledger::Wallet;
pub use outbox::OutboxEvent;
pub use people::{
    Code, Device, DeviceMark, Entry, NewDevice, Pending, PeopleChange, PeopleDone, Session,
    SessionHolder, SignUp, Typed, UserHolder,
};
pub use purchases::{Evidence, OpenCase, StoredReference};
pub use pushes::{DuePush, PushChange};
pub use statement::{Page, StatementLine};
pub use verify::Report;
pub use webhooks::{
    DueWebhook, End, Ended, LogPage, LoggedWebhook, Replayed, Tried, WebhookChange,
};

pub use backend::postgres::CatalogChanges;

use backend::postgres::{Membership, Postgres, Server};
use backend::sqlite::Folder;
use backend::{Sql, WriteSql};
use domain::account::{Account, AccountId, Environment, Key};
use domain::catalog::Catalog;
use domain::clock::Timestamp;
use domain::ids::{SessionId, UserId};
use domain::ledger::admission::Denial;
use domain::money::{Currency, Money};
use domain::purchase::lifecycle::State;
use domain::purchase::slip::Slip;
use domain::purchase::{Attempt, Purchase, PurchaseKey, ReferenceKey, ReferenceScope};
use domain::upstream::UpstreamCode;
use domain::{Month, PurchaseId};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use writer::Writer;

/// Reading connections: as many answers at once as two cores can give, and one to spare.
const READERS: usize = 4;
/// Reading connections to a server: an answer is a round trip, in which others can ask too.
const READERS_OF_A_SERVER: usize = 8;

type Reader = Box<dyn Sql + Send>;

/// The store of one installation. Dropping it stops the writer once everything queued is written.
pub struct Store {
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    readers: Vec<Mutex<Reader>>,
    next_reader: AtomicUsize,
    /// This process among the nodes of a database: left once the writer has ended.
    membership: Option<Membership>,
    /// A server's health is asked on a connection of its own, which others' questions do not hold up.
    pulse: Option<Mutex<Reader>>,
    // Last: the lock on the folder goes when everything above is closed.
    place: Place,
    /// The data folder of a node, which keeps other processes off what it keeps there.
    _beside: Option<Folder>,
}

/// Where the data lies.
enum Place {
    Folder(Folder),
    Server(Arc<Server>),
}

impl Store {
    /// The folder that the data is in; `None` if it is on a server.
    fn folder(&self) -> Option<&Folder> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Server(_) => None,
        }
    }

    /// Opens the data folder, making it if need be; refuses one that another process holds.
    pub fn open(folder: &Path) -> Result<Store, OpenError> {
        let held = Folder::lock(folder)?;
        let sql = held.writer()?;
        let reader = |_| held.reader().map(|lite| Box::new(lite) as Reader);
        let readers = (0..READERS).map(reader).collect::<Result<Vec<_>, _>>()?;
        Store::start(sql, readers, Place::Folder(held)).map_err(|error| {
            OpenError::Unusable(folder.to_owned(), format!("no thread for the writer: {error}"))
        })
    }

    /// Opens a PostgreSQL database as one more node, bringing its schema up to date. Blocks this thread
    /// meanwhile. `url` as libpq has it, with several hosts where there are several:
    /// `postgres://user:password@host1,host2/database?sslmode=verify-full`.
    pub fn connect(url: &str) -> Result<Store, OpenError> {
        Store::join(url, None)
    }

    /// As [`Store::connect`], with the node's data folder, which no other process may hold: so what the
    /// last process of this folder left can be taken over at once.
    pub fn connect_node(url: &str, folder: &Path) -> Result<Store, OpenError> {
        Store::join(url, Some((folder, Folder::lock(folder)?)))
    }

    fn join(url: &str, folder: Option<(&Path, Folder)>) -> Result<Store, OpenError> {
        let server = Arc::new(Server::new(url)?);
        Postgres::prepare(&server)?;
        let (path, held) = folder.unzip();
        let membership = Membership::join(&server, path)?;
        let sql = Postgres::writer(&server, membership.member())?;
        let reader = |_| Box::new(Postgres::reader(&server)) as Reader;
        let readers = (0..READERS_OF_A_SERVER).map(reader).collect();
        let place = Place::Server(server.clone());
        let mut store = Store::start(sql, readers, place).map_err(|error| {
            OpenError::Server(
                server.name().to_owned(),
                format!("no thread for the writer: {error}"),
            )
        })?;
        store.membership = Some(membership);
        store._beside = held;
        store.pulse = Some(Mutex::new(Box::new(Postgres::health(&server))));
        Ok(store)
    }

    fn start(
        sql: impl WriteSql + 'static,
        readers: Vec<Reader>,
        place: Place,
    ) -> std::io::Result<Store> {
        let (writer, thread) = Writer::start(sql)?;
        let readers = readers.into_iter().map(Mutex::new).collect();
        let next_reader = AtomicUsize::new(0);
        let (writer, thread) = (Some(writer), Some(thread));
        let (membership, pulse, beside) = (None, None, None);
        Ok(Store {
            writer,
            thread,
            readers,
            next_reader,
            membership,
            pulse,
            place,
            _beside: beside,
        })
    }

    /// This node's number among those that work with the same database, 0 to 31: a part of every id it
    /// makes. It changes if the node was taken for dead and joined anew.
    pub fn node(&self) -> u8 {
        self.membership.as_ref().map_or(0, |membership| membership.member().number())
    }

    /// Whether nobody can have taken this node for dead: only then may it send something upstream.
    pub fn holds_lease(&self) -> bool {
        self.membership.as_ref().is_none_or(|membership| membership.member().holds_lease())
    }

    /// Whether other nodes may work with the same data.
    pub fn is_shared(&self) -> bool {
        self.membership.is_some()
    }

    /// How often keys or accounts have changed, whichever node changed them: what was read after the
    /// same number is still so. `None` where that is not known just now, or not counted.
    pub fn keys_revision(&self) -> Option<i64> {
        self.membership.as_ref()?.member().keys_revision()
    }

    /// What other nodes have changed, as soon as it is heard of; `None` where there are none.
    pub fn news(&self) -> Option<watch::Receiver<CatalogChanges>> {
        self.membership.as_ref().map(Membership::changes)
    }

    /// Asks for a change and waits until it is durable, or refused.
    pub async fn write(&self, change: Change) -> Result<Result<Done, Denial>, Fault> {
        match &self.writer {
            Some(writer) => writer.write(change).await,
            None => Err(Fault::Closed),
        }
    }

    /// As [`Store::write`], for whoever waits for an answer: a change that the writer has not begun with
    /// when `patience` is over is taken back, and nothing of it is stored ([`Fault::Busy`]). Needs a
    /// runtime that tells time.
    pub async fn write_soon(
        &self,
        change: Change,
        patience: Duration,
    ) -> Result<Result<Done, Denial>, Fault> {
        match &self.writer {
            Some(writer) => writer.write_soon(change, patience).await,
            None => Err(Fault::Closed),
        }
    }

    /// Resolves when the disk has failed: the process should end and be started anew.
    pub async fn failed(&self) -> Fault {
        match &self.writer {
            Some(writer) => writer.failed().await,
            None => Fault::Closed,
        }
    }

    /// Whether the store answers, and soon: a server that says nothing is not waited for.
    pub fn ping(&self) -> Result<(), Fault> {
        let look =
            |sql: &mut dyn Sql| backend::first(sql, "SELECT 1", &[], |row| row.int(0)).map(|_| ());
        let Some(pulse) = &self.pulse else { return self.read(look) };
        self.apart(|| {
            let mut pulse = pulse.lock().unwrap_or_else(PoisonError::into_inner);
            twice(|| look(pulse.as_mut()))
        })
    }

    /// The mark of the master key that seals this data; `None` until one is kept.
    pub fn master_key(&self) -> Result<Option<[u8; 32]>, Fault> {
        self.read(accounts::master_key)
    }

    /// Everything that prices and routes a purchase.
    pub fn catalog(&self) -> Result<Catalog, Fault> {
        self.read(catalog::whole)
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, Fault> {
        self.read(|sql| accounts::by_id(sql, id))
    }

    /// Every account, oldest first.
    pub fn accounts(&self) -> Result<Vec<Account>, Fault> {
        self.read(accounts::every)
    }

    /// The pair of an open key, revoked or not, with its account.
    pub fn key_holder(&self, open_key: &str) -> Result<Option<KeyHolder>, Fault> {
        self.read(|sql| accounts::key_holder(sql, open_key))
    }

    /// The key pairs of an account, oldest first.
    pub fn keys_of(&self, account: AccountId) -> Result<Vec<Key>, Fault> {
        self.read(|sql| accounts::keys_of(sql, account))
    }

    /// The login of an address (as it is stored: trimmed, in small letters), with its account.
    pub fn user_of(&self, email: &str) -> Result<Option<UserHolder>, Fault> {
        self.read(|sql| people::by_email(sql, email))
    }

    /// A login with its account.
    pub fn user(&self, id: UserId) -> Result<Option<UserHolder>, Fault> {
        self.read(|sql| people::by_id(sql, id))
    }

    /// Every login, oldest first.
    pub fn users(&self) -> Result<Vec<User>, Fault> {
        self.read(people::every)
    }

    /// A session, ended or not, with whom it belongs to.
    pub fn session(&self, id: SessionId) -> Result<Option<SessionHolder>, Fault> {
        self.read(|sql| people::session(sql, id))
    }

    /// Whether the login of an address is at home at this mark; not, if the address is nobody's.
    pub fn known_device(
        &self,
        email: &str,
        mark: &DeviceMark,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        self.read(|sql| people::known_device(sql, email, mark, now))
    }

    /// The devices of an account that want to be told things.
    pub fn devices_of(&self, account: AccountId) -> Result<Vec<Device>, Fault> {
        self.read(|sql| people::devices_of(sql, account))
    }

    /// The wallets of an account.
    pub fn wallets(&self, account: AccountId) -> Result<Vec<Wallet>, Fault> {
        self.read(|sql| ledger::wallets(sql, account))
    }

    /// What an account can spend; `None` without such a wallet.
    pub fn available(
        &self,
        account: AccountId,
        environment: Environment,
        currency: Currency,
    ) -> Result<Option<Money>, Fault> {
        self.read(|sql| ledger::available(sql, account, environment, currency))
    }

    /// What a reference stands for; `None` while it is free.
    pub fn stored_reference(
        &self,
        reference: &ReferenceKey,
    ) -> Result<Option<StoredReference>, Fault> {
        self.read(|sql| purchases::stored_reference(sql, reference))
    }

    /// The first answer to a request with this idempotency key, if it was kept.
    pub fn replay(&self, reference: &ReferenceKey) -> Result<Option<(u16, String)>, Fault> {
        self.read(|sql| purchases::replay(sql, reference))
    }

    /// A purchase of an account.
    pub fn purchase(&self, key: &PurchaseKey) -> Result<Option<Purchase>, Fault> {
        self.read(|sql| purchases::by_key(sql, key))
    }

    /// A purchase by its id alone: for staff, and for upstreams' words, who know no account.
    pub fn any_purchase(&self, id: PurchaseId) -> Result<Option<Purchase>, Fault> {
        self.read(|sql| purchases::by_id(sql, id))
    }

    /// The latest purchases of everybody, at most `limit`; of one state if it is given.
    pub fn latest_purchases(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Purchase>, Fault> {
        self.read(|sql| purchases::latest(sql, state, limit))
    }

    /// The purchases that an account's logins made by one face, latest first; of these states, or of
    /// all.
    pub fn purchases_of(
        &self,
        whose: (AccountId, Environment, ReferenceScope),
        states: &[State],
        page: Page,
    ) -> Result<Vec<Purchase>, Fault> {
        self.read(|sql| statement::purchases_of(sql, whose, states, page))
    }

    /// What changed a wallet's available money, latest first; `None` without such a wallet.
    pub fn statement(
        &self,
        account: AccountId,
        environment: Environment,
        currency: Currency,
        page: Page,
    ) -> Result<Option<Vec<StatementLine>>, Fault> {
        self.read(|sql| statement::statement(sql, (account, environment, currency), page))
    }

    /// What an upstream gave with a purchase for the end customer to keep.
    pub fn slip(&self, key: &PurchaseKey, upstream: &UpstreamCode) -> Result<Option<Slip>, Fault> {
        self.read(|sql| slips::of(sql, key, upstream))
    }

    /// The attempts of a purchase, first to last.
    pub fn attempts(&self, key: &PurchaseKey) -> Result<Vec<Attempt>, Fault> {
        self.read(|sql| purchases::attempts(sql, key))
    }

    /// The events of a purchase in the outbox, first to last.
    pub fn events(&self, key: &PurchaseKey) -> Result<Vec<OutboxEvent>, Fault> {
        self.read(|sql| outbox::events(sql, key))
    }

    /// The evidence of a purchase, first to last.
    pub fn evidence(&self, key: &PurchaseKey) -> Result<Vec<Evidence>, Fault> {
        self.read(|sql| purchases::evidence(sql, key))
    }

    /// The cases that wait for staff, oldest first.
    pub fn open_cases(&self) -> Result<Vec<OpenCase>, Fault> {
        self.read(purchases::open_cases)
    }

    /// Why nothing is sent upstream; `None` while everything is.
    pub fn halt(&self) -> Result<Option<Halt>, Fault> {
        self.read(halts::current)
    }

    /// The last journal and its hash; `None` before the first. Archived or not.
    pub fn books_end(&self) -> Result<Option<(i64, [u8; 32])>, Fault> {
        self.read(ledger::end)
    }

    /// Whether this journal is in the books, or may be in an archive.
    pub fn has_journal(&self, seq: i64, hash: &[u8; 32]) -> Result<bool, Fault> {
        self.read(|sql| ledger::has(sql, seq, hash))
    }

    /// When the next job is due; `None` while nothing is owed.
    pub fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        self.read(outbox::next_due)
    }

    /// When the next push is due; `None` while nothing is.
    pub fn next_push_due(&self) -> Result<Option<Timestamp>, Fault> {
        self.read(pushes::next_due)
    }

    /// When the next webhook is due; `None` while nothing is owed.
    pub fn next_webhook_due(&self) -> Result<Option<Timestamp>, Fault> {
        self.read(webhooks::next_due)
    }

    /// The webhooks of an account, latest first.
    pub fn webhook_log(&self, page: LogPage) -> Result<Vec<LoggedWebhook>, Fault> {
        self.read(|sql| webhooks::log(sql, page))
    }

    /// The webhooks about a purchase, in the order of its events.
    pub fn webhooks_of(&self, purchase: PurchaseId) -> Result<Vec<LoggedWebhook>, Fault> {
        self.read(|sql| webhooks::of(sql, purchase))
    }

    /// The tries of a webhook that were not taken, and those before a replay, oldest first.
    pub fn webhook_tries(&self, webhook: &LoggedWebhook) -> Result<Vec<Tried>, Fault> {
        self.read(|sql| webhooks::tries(sql, webhook))
    }

    /// Grows with every change of an endpoint or of an address's troubles.
    pub fn endpoints_version(&self) -> Result<i64, Fault> {
        self.read(endpoints::version)
    }

    /// Every endpoint, removed ones too, oldest first.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, Fault> {
        self.read(endpoints::every)
    }

    /// Every address that is in trouble.
    pub fn troubles(&self) -> Result<Vec<(Destination, EndpointHealth)>, Fault> {
        self.read(endpoints::troubles)
    }

    /// Every host that may be sent many webhooks at once.
    pub fn trusted_hosts(&self) -> Result<Vec<String>, Fault> {
        self.read(endpoints::hosts)
    }

    /// The highest id ever given: new ones go on from there.
    pub fn highest_id(&self) -> Result<i64, Fault> {
        self.read(|sql| {
            let closed =
                backend::first(sql, archive::LAST_CLOSED, &[0_i64.into()], archive::closed)?;
            let archived = closed.map_or(0, |closed| closed.ids_below);
            Ok(purchases::highest_id(sql)?.max(accounts::highest_id(sql)?).max(archived))
        })
    }

    /// The month that is next to be archived, if it is before `before`. Blocks, though not for long:
    /// call it off the request path.
    pub fn next_to_archive(&self, before: Month, now: Timestamp) -> Result<Option<Closing>, Fault> {
        self.read(|sql| archive::next(sql, before, now))
    }

    /// Writes a closed month into a new file: flushed, and read-only from then on. The writer goes on
    /// meanwhile. Ends with [`Fault::Closed`] once the file is not wanted any more. Blocks: call it off
    /// the request path.
    pub fn write_archive(
        &self,
        closing: &Closing,
        file: &Path,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Filed, Fault> {
        self.apart(|| archive::write(self.auditor()?.as_mut(), closing, file, is_wanted))
    }

    /// Takes the rows of archived months away where that is not the writer's matter: a server drops
    /// their partitions. Fails while somebody reads them.
    pub fn drop_archived(&self) -> Result<(), Fault> {
        let Place::Server(server) = &self.place else { return Ok(()) };
        self.apart(|| Postgres::drop_archived(server))
    }

    /// Every month that was archived, the first first.
    pub fn archives(&self) -> Result<Vec<Archive>, Fault> {
        self.read(archive::every)
    }

    /// Whether a purchase is of a month that is closed.
    pub fn is_closed(&self, id: PurchaseId) -> Result<bool, Fault> {
        let closed = self.read(|sql| {
            backend::first(sql, archive::LAST_CLOSED, &[0_i64.into()], archive::closed)
        })?;
        Ok(closed.is_some_and(|closed| id.0 < closed.ids_below))
    }

    /// What upstreams said about purchases that are archived, and staff have not looked into.
    pub fn late_words(&self) -> Result<Vec<LateWord>, Fault> {
        self.read(archive::open_words)
    }

    /// Audits archive files, and whether they and these books join.
    pub fn audit_archives(&self, files: &[PathBuf]) -> Result<ArchivesAudit, Fault> {
        self.apart(|| archive::audit_files(self.auditor()?.as_mut(), files))
    }

    /// The whole audit. Takes as long as there are journals: call it off the request path.
    pub fn audit(&self) -> Result<Report, Fault> {
        self.apart(|| verify::audit(self.auditor()?.as_mut()))
    }

    /// A quick look at sums and holds; says what is wrong, or nothing.
    pub fn quick_audit(&self) -> Result<Vec<String>, Fault> {
        self.read(verify::quick)
    }

    /// A connection of its own, for what takes long.
    fn auditor(&self) -> Result<Reader, Fault> {
        match &self.place {
            Place::Folder(folder) => match folder.reader() {
                Ok(lite) => Ok(Box::new(lite)),
                Err(error) => Err(Fault::Database(error.to_string())),
            },
            Place::Server(server) => Ok(Box::new(Postgres::auditor(server))),
        }
    }

    fn read<T>(&self, read: impl Fn(&mut dyn Sql) -> Result<T, Fault>) -> Result<T, Fault> {
        self.apart(|| twice(|| read(self.reader().as_mut())))
    }

    /// Waits for a server without keeping the runtime's other tasks waiting, where there are any. A
    /// file is read within microseconds: making room for others would take longer.
    fn apart<T>(&self, wait: impl FnOnce() -> T) -> T {
        let runtime = match self.place {
            Place::Folder(_) => None,
            Place::Server(_) => Handle::try_current().ok(),
        };
        match runtime.map(|runtime| runtime.runtime_flavor()) {
            Some(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// A free reader, or the first in turn that comes free.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        let free = self.readers.iter().find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| {
            let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
            self.readers[turn].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

/// A connection that broke while it was idle is known by its first failure.
fn twice<T>(mut read: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    match read() {
        Err(Fault::Unavailable(_)) => read(),
        answer => answer,
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer panicked");
        }
    }
}
