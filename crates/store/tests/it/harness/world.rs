//! A store with the house and merchants, and builders of purchases, their steps and payments.

pub use super::at_once::*;
use super::file;
use super::postgres::Database;
use domain::account::HOUSE;
use domain::purchase::settle;
use domain::{
    AccountId, Currency, Decision, Environment, Event, Journal, Move, PaymentKey, Proof, Purchase,
    Rail, Reason, ReferenceKey, ReferenceScope, Role, Source, State, UpstreamCode,
};
pub use fixtures::{COMMISSION, NOW, TOTAL, account, bdt, purchase_key as key};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{OpenPurchase, Posting, SetAll, Setting, Store, TakeStep, Wallet};

pub struct World {
    pub store: Store,
    storage: Storage,
}

/// What keeps a world's data until it is dropped.
pub enum Storage {
    Folder(tempfile::TempDir),
    Database(Database),
}

/// A store in a folder of its own, with the house and merchants 2 and 3.
pub async fn sqlite() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    open_accounts(&store, 2).await;
    World { store, storage: Storage::Folder(folder) }
}

/// The same in a database of its own.
pub async fn postgresql() -> World {
    let database = Database::new();
    let store = Store::connect(&database.url()).unwrap();
    open_accounts(&store, 2).await;
    World { store, storage: Storage::Database(database) }
}

impl World {
    pub fn path(&self) -> &Path {
        match &self.storage {
            Storage::Folder(folder) => folder.path(),
            Storage::Database(_) => panic!("a database has no folder"),
        }
    }

    pub fn database(&self) -> PathBuf {
        self.path().join("saldo.db")
    }

    /// Closes the store in an orderly way and opens it again.
    pub fn reopened(self) -> World {
        let World { store, storage } = self;
        drop(store);
        let store = match &storage {
            Storage::Folder(folder) => Store::open(folder.path()).unwrap(),
            Storage::Database(database) => Store::connect(&database.url()).unwrap(),
        };
        World { store, storage }
    }

    /// Closes the store; its data stay as long as the result.
    pub fn closed(self) -> Storage {
        drop(self.store);
        self.storage
    }

    /// The number of rows of a table, read without the store.
    pub fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        let counted = match &self.storage {
            Storage::Folder(_) => file::run(&self.database(), &count).unwrap(),
            Storage::Database(database) => database.sql(&count),
        };
        counted[0].parse().unwrap()
    }

    /// Runs a statement without the store.
    pub fn execute(&self, statement: &str) {
        match &self.storage {
            Storage::Folder(_) => drop(file::run(&self.database(), statement).unwrap()),
            Storage::Database(database) => drop(database.sql(statement)),
        }
    }

    pub fn is_on_postgresql(&self) -> bool {
        matches!(self.storage, Storage::Database(_))
    }

    /// The plan of a statement, whatever its parameters are. PostgreSQL would read an empty table
    /// whole: it does so here only where no index helps.
    pub fn plan_of(&self, statement: &str) -> String {
        let database = match &self.storage {
            Storage::Folder(_) => return plan_in_sqlite(&self.database(), statement),
            Storage::Database(database) => database,
        };
        let count = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
        let nulls = vec!["NULL"; count].join(", ");
        let plan = database.sql(&format!(
            "SET plan_cache_mode = force_generic_plan; SET enable_partition_pruning = off;
             SET enable_seqscan = off;
             PREPARE asked AS {statement};
             EXPLAIN EXECUTE asked ({nulls})"
        ));
        plan.join("\n")
    }

    /// The report of the audit; the test fails if it names anything.
    pub fn assert_sound(&self) -> store::AuditReport {
        assert_sound(&self.store)
    }
}

impl Storage {
    pub fn path(&self) -> &Path {
        match self {
            Storage::Folder(folder) => folder.path(),
            Storage::Database(_) => panic!("a database has no folder"),
        }
    }

    pub fn database(&self) -> &Database {
        match self {
            Storage::Folder(_) => panic!("a folder has no server"),
            Storage::Database(database) => database,
        }
    }
}

/// What SQLite's plan of a statement says.
fn plan_in_sqlite(file: &Path, statement: &str) -> String {
    let sql = rusqlite::Connection::open(file).unwrap();
    let mut explained = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let mut rows = explained.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>(3).unwrap());
    }
    lines.join("\n")
}

pub fn assert_sound(store: &Store) -> store::AuditReport {
    let report = store.audit().unwrap();
    assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
    assert!(report.sums.values().all(|sum| *sum == 0), "{:?}", report.sums);
    assert_eq!(store.quick_audit().unwrap(), Vec::<String>::new());
    report
}

/// Opens the house and merchants from account 2 on, with a wallet in each environment.
pub async fn open_accounts(store: &Store, merchants: i64) {
    set(store, Setting::Account(account(HOUSE, Role::House))).await;
    for id in 2..2 + merchants {
        set(store, Setting::Account(account(AccountId(id), Role::Merchant))).await;
        for environment in Environment::ALL {
            set(store, Setting::Wallet(AccountId(id), environment, Currency::BDT)).await;
        }
    }
}

pub async fn set(store: &Store, setting: Setting) {
    store.commit(SetAll(vec![setting])).await.unwrap();
}

pub const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub fn reference(account: i64, scope: ReferenceScope, text: &str) -> ReferenceKey {
    ReferenceKey {
        account: AccountId(account),
        environment: Environment::Live,
        scope,
        text: text.to_owned(),
    }
}

/// Purchase `id` of `account` as it opens in `state`; its reference is `R<id>`.
pub fn purchase(account: i64, id: i64, state: State) -> Purchase {
    fixtures::purchase(key(account, id), state)
}

/// Opens `purchase` under its own reference.
pub fn open(purchase: Purchase) -> OpenPurchase {
    let reference_keys = vec![ReferenceKey {
        account: purchase.key.account,
        environment: purchase.key.environment,
        scope: purchase.scope,
        text: purchase.reference.clone(),
    }];
    OpenPurchase { reference_keys, digest: None, opening: Box::new(fixtures::opening(purchase)) }
}

pub fn upstream_says(purchase: &Purchase, event: &str) -> Proof {
    let upstream = purchase.upstream.clone().unwrap_or_else(|| UpstreamCode::new("sim"));
    let source = Source::Upstream { attempt: purchase.attempts, upstream };
    let proof = Proof::new(source, event).with_text(&format!("{event}, says the upstream"));
    Proof { upstream_reference: Some("U1".to_owned()), ..proof }
}

/// The code of an outcome that means this event.
pub fn outcome_of(event: Event) -> &'static str {
    match event {
        Event::Deliver | Event::DeliverLate => "delivered",
        Event::Refuse | Event::Reroute => "refused",
        Event::Doubt => "unknown",
        Event::Escalate => "unaskable",
        Event::Acknowledge => "accepted",
        Event::Reverse => "reversed",
        Event::Authorise
        | Event::RequestApproval
        | Event::Approve
        | Event::Reject
        | Event::Expire
        | Event::Submit
        | Event::Deny => panic!("no outcome means {event:?}"),
    }
}

pub fn staff_say(event: &str) -> Proof {
    Proof::new(Source::Staff("rahim".to_owned()), event).with_text("seen on the portal")
}

/// The step that `event` causes; `None` if the lifecycle has no step for it.
pub fn step(purchase: &Purchase, event: Event) -> Option<Box<Move>> {
    let proof = match event {
        Event::Submit => {
            let attempt = purchase.attempts + 1;
            let upstream = UpstreamCode::new(&format!("sim-{attempt}"));
            Proof { source: Source::Upstream { attempt, upstream }, ..staff_say("submit") }
        }
        Event::Deliver
        | Event::Refuse
        | Event::Reroute
        | Event::Doubt
        | Event::Escalate
        | Event::DeliverLate
        | Event::Acknowledge
        | Event::Reverse
            if purchase.attempts > 0 =>
        {
            upstream_says(purchase, outcome_of(event))
        }
        Event::Authorise | Event::RequestApproval => {
            Proof { source: Source::Owner, ..staff_say("authorise") }
        }
        Event::Expire => Proof { source: Source::Clock, ..staff_say("expire") },
        Event::Approve
        | Event::Reject
        | Event::Deny
        | Event::Deliver
        | Event::Refuse
        | Event::Reroute
        | Event::Doubt
        | Event::Escalate
        | Event::DeliverLate
        | Event::Acknowledge
        | Event::Reverse => staff_say("decide"),
    };
    match settle::decide(purchase, event, proof, NOW) {
        Decision::Move(step) => Some(step),
        Decision::Stay | Decision::Clash(_) | Decision::Impossible => None,
    }
}

/// The key of a payment of an account, which no other account's payment has.
pub fn payment(account: i64, text: &str) -> PaymentKey {
    payment_of("manual", &format!("{account}-{text}"))
}

pub fn payment_of(rail: &str, reference: &str) -> PaymentKey {
    PaymentKey::new(Environment::Live, Rail::parse(rail).unwrap(), reference).unwrap()
}

pub fn fund(reason: Reason, account: i64, minor: i64, text: &str) -> Posting {
    let journal =
        Journal::funding(reason, AccountId(account), Environment::Live, bdt(minor)).unwrap();
    Posting {
        journal,
        account: AccountId(account),
        payment: payment(account, text),
        note: format!("paper {text}"),
        at: NOW,
    }
}

pub async fn deposit(store: &Store, account: i64, minor: i64, text: &str) -> i64 {
    store.write(fund(Reason::Deposit, account, minor, text)).await.unwrap().unwrap()
}

/// Opens a purchase and makes the steps of `events`; returns the purchase after them.
pub async fn live(store: &Store, opens: Purchase, events: &[Event]) -> Purchase {
    let key = opens.key;
    store.write(open(opens)).await.unwrap().unwrap();
    for event in events {
        let now = store.purchase(&key).unwrap().unwrap();
        let next = step(&now, *event).unwrap_or_else(|| panic!("{:?} {event:?}", now.state));
        store.write(TakeStep(next)).await.unwrap().unwrap();
    }
    store.purchase(&key).unwrap().unwrap()
}

/// The live wallet of an account: available, held, commission.
pub fn wallet(store: &Store, account: i64) -> (i64, i64, i64) {
    let wallets = store.wallets(AccountId(account)).unwrap();
    let is_live = |w: &&Wallet| w.environment == Environment::Live;
    let wallet = wallets.iter().find(is_live).unwrap();
    (wallet.available.minor(), wallet.held.minor(), wallet.commission.minor())
}
