//! The store of one installation: opening it, changing it through the writer, its connections.
//!
//! What can be read from it is in `queries.rs`. A file is read within microseconds, so a reading
//! caller simply waits; a server's answer takes a round trip, so there the runtime's other tasks
//! are moved to another thread meanwhile.

use crate::backend::postgres::{CatalogChanges, Membership, Postgres, Server};
use crate::backend::sqlite::Folder;
use crate::backend::{self, Sql, WriteConnection};
use crate::commit::Commit;
use crate::fault::{Fault, OpenError, Result};
use crate::writer::Writer;
use parking_lot::{Mutex, MutexGuard};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;

/// Connections that read a file: as many queries at once as two cores can answer, and one to spare.
const READERS_OF_A_FILE: usize = 4;
/// Connections that read from a server: during one round trip others can ask too.
const READERS_OF_A_SERVER: usize = 8;

pub(crate) type Reader = Box<dyn Sql + Send>;

/// The store of one installation. Dropping it stops the writer once everything queued is written.
pub struct Store {
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    readers: Vec<Mutex<Reader>>,
    next_reader: AtomicUsize,
    /// This process among the nodes of a database. It leaves once the writer has ended.
    membership: Option<Membership>,
    /// A connection for [`Store::ping`] alone, which other queries do not delay.
    pinger: Option<Mutex<Reader>>,
    // Last: the lock on the folder goes when everything above is closed.
    location: Location,
    /// The lock on a node's data folder: no other process uses what the node keeps there.
    _node_folder: Option<Folder>,
}

/// Where the data lies.
pub(crate) enum Location {
    Folder(Folder),
    Server(Arc<Server>),
}

impl Store {
    /// Opens the data folder, making it if need be; refuses one that another process holds.
    pub fn open(folder: &Path) -> Result<Store, OpenError> {
        let held = Folder::lock(folder)?;
        let sql = held.writer()?;
        let reader = |_| held.reader().map(|lite| Box::new(lite) as Reader);
        let readers = (0..READERS_OF_A_FILE).map(reader).collect::<Result<Vec<_>, _>>()?;
        Store::start(sql, readers, Location::Folder(held)).map_err(|error| {
            OpenError::Unusable(folder.to_owned(), format!("no thread for the writer: {error}"))
        })
    }

    /// Opens a PostgreSQL database as one more node, bringing its schema up to date. Blocks this
    /// thread meanwhile. `url` as libpq has it, with several hosts where there are several:
    /// `postgres://user:password@host1,host2/database?sslmode=verify-full`.
    pub fn connect(url: &str) -> Result<Store, OpenError> {
        Store::join(url, None)
    }

    /// As [`Store::connect`], with the node's data folder, which no other process may hold. What
    /// the last process of this folder left unfinished can then be taken over at once.
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
        let location = Location::Server(server.clone());
        let mut store = Store::start(sql, readers, location).map_err(|error| {
            OpenError::Server(
                server.name().to_owned(),
                format!("no thread for the writer: {error}"),
            )
        })?;
        store.membership = Some(membership);
        store._node_folder = held;
        store.pinger = Some(Mutex::new(Box::new(Postgres::health(&server))));
        Ok(store)
    }

    fn start(
        sql: impl WriteConnection,
        readers: Vec<Reader>,
        location: Location,
    ) -> std::io::Result<Store> {
        let (writer, thread) = Writer::start(sql)?;
        Ok(Store {
            writer: Some(writer),
            thread: Some(thread),
            readers: readers.into_iter().map(Mutex::new).collect(),
            next_reader: AtomicUsize::new(0),
            membership: None,
            pinger: None,
            location,
            _node_folder: None,
        })
    }

    /// This node's number among those that work with the same database, 0 to 31. It changes if the
    /// node was declared dead and joined anew.
    pub fn node(&self) -> u8 {
        self.membership.as_ref().map_or(0, |membership| membership.member().number())
    }

    /// Whether no other node can have declared this one dead. Only then may it send something
    /// upstream.
    pub fn holds_lease(&self) -> bool {
        self.membership.as_ref().is_none_or(|membership| membership.member().holds_lease())
    }

    /// Whether other nodes may work with the same data.
    pub fn is_shared(&self) -> bool {
        self.membership.is_some()
    }

    /// How often keys or accounts have changed, on whichever node: what was read at the same number
    /// is still valid. `None` where the number is not known at the moment, or not counted.
    pub fn keys_revision(&self) -> Option<i64> {
        self.membership.as_ref()?.member().keys_revision()
    }

    /// What other nodes have changed, as soon as it is known here; `None` without other nodes.
    pub fn catalog_changes(&self) -> Option<watch::Receiver<CatalogChanges>> {
        self.membership.as_ref().map(Membership::changes)
    }

    /// Commits a change: waits until it is durable, or refused.
    pub async fn write<C: Commit>(&self, commit: C) -> Result<Result<C::Done, C::Denied>> {
        self.writer()?.write(commit).await
    }

    /// As [`Store::write`], for a change that nothing can refuse.
    pub async fn commit<C: Commit<Denied = Infallible>>(&self, commit: C) -> Result<C::Done> {
        let Ok(done) = self.write(commit).await?;
        Ok(done)
    }

    /// As [`Store::write`], for callers with a time limit: a change that the writer has not begun
    /// with when `timeout` is over is withdrawn, and nothing of it is stored ([`Fault::Busy`]).
    /// Needs a runtime with timers.
    pub async fn write_within<C: Commit>(
        &self,
        commit: C,
        timeout: Duration,
    ) -> Result<Result<C::Done, C::Denied>> {
        self.writer()?.write_within(commit, timeout).await
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or(Fault::Closed)
    }

    /// Resolves when the disk has failed or the writer has panicked: the process should end and be
    /// started anew.
    pub async fn failed(&self) -> Fault {
        match &self.writer {
            Some(writer) => writer.failed().await,
            None => Fault::Closed,
        }
    }

    /// Whether the writer's thread runs. Once it has ended, by a panic too, nothing is written any
    /// more, and [`Store::failed`] resolves.
    pub fn writer_is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Whether the store answers in time, and could write the last time: a server that is silent is
    /// not waited for. [`Fault::Closed`] once the writer has ended; while nothing can be stored,
    /// the fault that keeps it from that.
    pub fn ping(&self) -> Result<()> {
        if !self.writer_is_alive() {
            return Err(Fault::Closed);
        }
        if let Some(fault) = self.writer.as_ref().and_then(Writer::last_fault) {
            return Err(fault);
        }
        if let Location::Server(server) = &self.location
            && !server.is_durable()
        {
            let why = "the server does not keep what it acknowledges";
            return Err(Fault::Unavailable(why.to_owned()));
        }
        let query =
            |sql: &mut dyn Sql| backend::first(sql, "SELECT 1", &[], |row| row.int(0)).map(|_| ());
        let Some(pinger) = &self.pinger else { return self.read(query) };
        self.block(|| {
            let mut pinger = pinger.lock();
            retry_once(|| query(pinger.as_mut()))
        })
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    /// A connection of its own, for what takes long.
    pub(crate) fn dedicated_reader(&self) -> Result<Reader> {
        match &self.location {
            Location::Folder(folder) => Ok(Box::new(folder.auditor().map_err(Fault::database)?)),
            Location::Server(server) => Ok(Box::new(Postgres::auditor(server))),
        }
    }

    pub(crate) fn read<T>(&self, read: impl Fn(&mut dyn Sql) -> Result<T>) -> Result<T> {
        self.block(|| retry_once(|| read(self.reader().as_mut())))
    }

    /// Waits for a server without delaying the runtime's other tasks, if there is a runtime. For a
    /// file moving the tasks would take longer than the query.
    pub(crate) fn block<T>(&self, wait: impl FnOnce() -> T) -> T {
        let runtime = match self.location {
            Location::Folder(_) => None,
            Location::Server(_) => Handle::try_current().ok(),
        };
        match runtime.map(|runtime| runtime.runtime_flavor()) {
            Some(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// A free reader, or the next one in turn as soon as it is free.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.readers.iter().find_map(Mutex::try_lock).unwrap_or_else(|| {
            let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
            self.readers[turn].lock()
        })
    }
}

/// A connection that broke while it was idle is only noticed by its next query.
fn retry_once<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::unrefused;

    /// A change whose writing panics.
    struct Panic;

    unrefused!(Panic, (), |_change, _tx| panic!("the writer's thread ends here"));

    #[tokio::test]
    async fn a_writer_that_panics_fails_the_store_and_its_ping() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.writer_is_alive() && store.ping().is_ok());
        assert!(matches!(store.write(Panic).await, Err(Fault::Closed)));
        assert!(matches!(store.failed().await, Fault::Closed));
        // The thread ends a moment after it has let go of its queue.
        while store.writer_is_alive() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(store.ping(), Err(Fault::Closed)));
        assert!(matches!(store.write(Panic).await, Err(Fault::Closed)));
    }
}
