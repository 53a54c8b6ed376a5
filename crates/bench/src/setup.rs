//! Everything that runs while `saldo bench` measures: the servers under test, the baseline
//! endpoint, PostgreSQL, the receiver of webhooks and the folder for their data.
//!
//! Not here: what is measured on it (`measure`). Invariant: whatever was started is stopped, and
//! its data removed, when the [`Setup`] is dropped.

use crate::cpu::Processes;
use crate::footprint::Commits;
use crate::load::{self, Client, Target};
use crate::postgres::Postgres;
use crate::receiver::Receiver;
use crate::report::{Conditions, Footprints};
use crate::servers::{self, Demo, KeyPair, ScratchDir, Server};
use crate::{Args, Host, StoreKind, print_progress};
use domain::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// Everything that runs. The order of the fields is that of dropping: the servers end before their
/// folder is removed.
pub(crate) struct Setup {
    pub(crate) host: Host,
    baseline: Server,
    pub(crate) baseline_target: Arc<Target>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) footprints: Vec<Footprints>,
    /// A demo without a server for each store.
    pub(crate) idle: Vec<(StoreKind, Demo)>,
    pub(crate) receiver: Receiver,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) scratch: Option<ScratchDir>,
}

/// A system under test: one store with a server on it, and the targets on that server.
pub(crate) struct Subject {
    /// Unknown for a server that was already running.
    pub(crate) store: Option<StoreKind>,
    server: Option<Server>,
    /// Many accounts in turn.
    pub(crate) spread: Option<Arc<Target>>,
    /// One account.
    pub(crate) hot: Arc<Target>,
    /// As `spread`, with webhooks.
    pub(crate) webhooks: Option<WebhookTargets>,
    /// The store of an idle demo, which is written to without a server.
    pub(crate) commits: Option<Commits>,
    /// The highest rate of the spread load so far; 0 until it was measured.
    pub(crate) spread_peak_per_second: u64,
}

impl Subject {
    /// Of an unknown store, and on a server that was already running.
    const fn new(spread: Option<Arc<Target>>, hot: Arc<Target>) -> Subject {
        let (store, server, webhooks, commits) = (None, None, None, None);
        Subject { store, server, spread, hot, webhooks, commits, spread_peak_per_second: 0 }
    }

    /// A figure's name, after the store's name if that is known.
    pub(crate) fn named(&self, what: &str) -> String {
        self.store.map_or_else(|| what.to_owned(), |store| format!("{} {what}", store.name()))
    }
}

/// Where the webhooks go: all to the measured receiver, or every other one to a second receiver.
pub(crate) struct WebhookTargets {
    pub(crate) alone: Arc<Target>,
    pub(crate) beside_another: Arc<Target>,
    pub(crate) beside_slow: Arc<Target>,
}

impl Setup {
    /// Starts what the arguments ask for.
    pub(crate) fn prepare(args: &Args, host: &Host) -> anyhow::Result<Setup> {
        let baseline = servers::start_baseline()?;
        let baseline_target =
            target(std::slice::from_ref(&baseline.address), &[KeyPair::placeholder()])?;
        let mut setup = Setup {
            host: host.clone(),
            baseline,
            baseline_target,
            subjects: Vec::new(),
            footprints: Vec::new(),
            idle: Vec::new(),
            receiver: Receiver::start(host.clock.clone())?,
            postgres: None,
            scratch: None,
        };
        if let Some(credentials_file) = &args.credentials_file {
            setup.subjects.push(running_subject(args, credentials_file)?);
            return Ok(setup);
        }
        let scratch = ScratchDir::new(&args.scratch_dir)?;
        let folder = scratch.path().to_owned();
        setup.scratch = Some(scratch);
        for store in &args.stores {
            if *store == StoreKind::Postgres {
                print_progress("starting PostgreSQL and filling pgbench's tables");
                let mut postgres = Postgres::start(&folder.join("postgres"))?;
                postgres.fill(args.pgbench_scale)?;
                setup.postgres = Some(postgres);
            }
            setup.add_subject(*store, &folder, args.wallets)?;
        }
        Ok(setup)
    }

    /// Starts a server on one store, and prepares an idle demo on the same store.
    fn add_subject(&mut self, store: StoreKind, folder: &Path, wallets: u32) -> anyhow::Result<()> {
        print_progress(&format!("starting a server on {} with {wallets} accounts", store.name()));
        let demo = |name: &str, wallets| {
            let on_postgres = self.postgres.as_ref().filter(|_| store == StoreKind::Postgres);
            let url = on_postgres.map(|postgres| postgres.database(name)).transpose()?;
            anyhow::Ok(Demo::new(folder.join(format!("{}-{name}", store.name())), url, wallets))
        };
        let busy = demo("busy", wallets)?;
        let server = busy.start()?;
        let addresses = std::slice::from_ref(&server.address);
        let spread = target(addresses, &busy.keys()?)?;
        let hot = target(addresses, &[busy.merchant_keys()?])?;
        load::prepare_reads(&spread)?;
        let idle = demo("idle", 0)?;
        // The first start creates the data; the measured starts then find it.
        drop(idle.start()?);
        self.idle.push((store, idle));
        self.footprints.push(Footprints { store: store.name().to_owned(), starts: Vec::new() });
        let with_webhooks = |second: Option<&String>| {
            let urls = std::iter::once(&self.receiver.url).chain(second).cloned().collect();
            Arc::new(Target { webhook_urls: urls, ..(*spread).clone() })
        };
        let webhooks = Some(WebhookTargets {
            alone: with_webhooks(None),
            beside_another: with_webhooks(Some(&self.receiver.second_url)),
            beside_slow: with_webhooks(Some(&self.receiver.slow_url)),
        });
        let (store, server) = (Some(store), Some(server));
        self.subjects.push(Subject { store, server, webhooks, ..Subject::new(Some(spread), hot) });
        Ok(())
    }

    /// Stops the servers under test. PostgreSQL and the baseline endpoint keep running.
    pub(crate) fn stop_servers(&mut self) {
        self.subjects.clear();
        self.idle.clear();
    }

    /// The processes that work for this subject; those of the baseline endpoint if there is none.
    pub(crate) fn processes(&self, subject: Option<usize>) -> Processes {
        let Some(subject) = subject.map(|index| &self.subjects[index]) else {
            return Processes { servers: vec![self.baseline.id()], database: None };
        };
        let is_on_postgres = subject.store == Some(StoreKind::Postgres);
        let database = self.postgres.as_ref().filter(|_| is_on_postgres).map(Postgres::id);
        Processes { servers: subject.server.iter().map(Server::id).collect(), database }
    }

    /// Where and how this run measures.
    pub(crate) fn conditions(&self, args: &Args) -> Conditions {
        let spread = self.subjects.iter().filter_map(|subject| subject.spread.as_ref());
        Conditions {
            at: date(self.host.clock.now()),
            machine: machine(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            client_threads: args.client_threads,
            seconds: args.seconds,
            rounds: args.rounds,
            wallets: spread.map(|target| target.clients.len()).max().unwrap_or(1),
            stores: self.stores(),
            headline: args.headline(),
        }
    }

    /// The stores, with their versions and filesystem.
    fn stores(&self) -> String {
        let Some(scratch) = &self.scratch else { return "that of the running server".to_owned() };
        let filesystem = scratch.filesystem();
        let stores: Vec<String> = (self.subjects.iter().filter_map(|subject| subject.store))
            .map(|store| match (store, &self.postgres) {
                (StoreKind::Postgres, Some(postgres)) => postgres.version().to_owned(),
                (store, _) => store.name().to_owned(),
            })
            .map(|store| format!("{store} on {filesystem}"))
            .collect();
        stores.join(", ")
    }
}

/// The day in UTC, as in RFC 3339.
fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).map_or(String::new(), |at| at.to_string());
    at.chars().take("2026-11-22".len()).collect()
}

/// The model of the processor, and the version of the kernel.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let name = processors.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    format!("{name}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// The server, or the nodes, that were already running.
fn running_subject(args: &Args, credentials_file: &Path) -> anyhow::Result<Subject> {
    let addresses: Vec<String> =
        args.url.iter().map(|url| servers::address_of(url)).collect::<anyhow::Result<_>>()?;
    let keys = args.keys_file.as_deref().map(servers::keys).transpose()?;
    let spread = keys.map(|keys| target(&addresses, &keys)).transpose()?;
    let hot = target(&addresses, &[servers::merchant_keys(credentials_file)?])?;
    Ok(Subject::new(spread, hot))
}

/// A target at these addresses with one client for each key pair, and without webhooks.
pub(crate) fn target(addresses: &[String], keys: &[KeyPair]) -> anyhow::Result<Arc<Target>> {
    anyhow::ensure!(!keys.is_empty(), "no keys to ask with");
    let clients = keys.iter().map(Client::new).collect::<anyhow::Result<Vec<Client>>>()?;
    Ok(Arc::new(Target { addresses: addresses.to_vec(), clients, webhook_urls: Vec::new() }))
}
