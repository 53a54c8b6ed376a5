//! `saldo bench-fill`: finished purchases in plenty, for measuring what a long history costs.
//!
//! They go through the writer like any others, so the books are sound. Spread over the months before
//! now, once an installation; not for one that sells: the deposit that pays for them is nobody's.

use crate::clock::MachineClock;
use crate::config::{Config, Flags};
use crate::log;
use crate::output::Output;
use anyhow::{Context as _, ensure};
use domain::account::{Account, AccountId, HOUSE, Plan, Role, Subscription};
use domain::catalog::{Kind, ServiceType};
use domain::ids::IdMaker;
use domain::journal::{Journal, Reason};
use domain::lifecycle::{Event, State};
use domain::purchase::{Details, Purchase, PurchaseKey, ReferenceKey, Space};
use domain::settle::{self, Decided, Proof, Source};
use domain::upstream::UpstreamCode;
use domain::{Clock as _, Currency, Environment, Money, Month, PurchaseId, Timestamp};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Posting, Setting, Store};
use tokio::task::JoinSet;

/// Purchases that are under way at once: several batches of the writer, so that it never waits.
const AT_ONCE: u64 = 4_096;
/// The node that ids name: one that no server is.
const NODE: u8 = 31;
const ENVIRONMENT: Environment = Environment::Sandbox;
const UPSTREAM: &str = "simulator-a";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many purchases.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    purchases: u64,
    /// Spread over this month and all after it, until now [default: the current month].
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<Month>,
}

pub(crate) fn run(flags: &Flags, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    log::start(&config)?;
    let store = match config.database_url.0.as_str() {
        "" => Store::open(&config.data_dir)?,
        url => Store::connect_node(url, &config.data_dir)?,
    };
    let clock = MachineClock::new();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let filled = runtime.block_on(fill(Arc::new(store), args, clock.now()));
    let mut output = Output::default();
    output.line(format!("{} purchases in {} ms", filled?, clock.monotonic().as_millis()));
    output.print();
    Ok(ExitCode::SUCCESS)
}

/// Fills; answers how many purchases there are more than before.
async fn fill(store: Arc<Store>, args: &Args, now: Timestamp) -> anyhow::Result<u64> {
    let begin = args.from.unwrap_or(Month::of(now)).starts_at();
    ensure!(begin < now, "--from is not over yet");
    let account = buyer(&store, begin).await?;
    // From the past, below those of the server: another node's, so none is given twice.
    let ids = IdMaker::new(0);
    let step = now.since(begin) / u32::try_from(args.purchases.min(u64::from(u32::MAX)))?;
    pay_in(&store, account, begin, args.purchases).await?;
    let mut at = begin;
    let mut left = args.purchases;
    while left > 0 {
        let mut selling = JoinSet::new();
        for _ in 0..left.min(AT_ONCE) {
            at = at.after(step);
            let id = PurchaseId(ids.next(NODE, at, 0));
            selling.spawn(sell(store.clone(), purchase(account, id, at)));
        }
        left -= u64::try_from(selling.len())?;
        while let Some(sold) = selling.join_next().await {
            sold??;
        }
    }
    Ok(args.purchases)
}

/// Who buys: the first merchant, or one that is made, with the house.
async fn buyer(store: &Store, at: Timestamp) -> anyhow::Result<AccountId> {
    if let Some(found) = store.accounts()?.into_iter().find(|a| a.role == Role::Merchant) {
        return Ok(found.id);
    }
    let subscription =
        Subscription { plan: Plan::Business, until: at.after(Duration::from_secs(1 << 30)) };
    let account = |id, role, name: &str, subscription| Account {
        id,
        role,
        name: name.to_owned(),
        is_active: true,
        subscription,
        opened_at: at,
    };
    let id = AccountId(2);
    let house = account(HOUSE, Role::House, "House", None);
    let merchant = account(id, Role::Merchant, "History", Some(subscription));
    let mut settings = vec![Setting::Account(house), Setting::Account(merchant)];
    settings.extend(Environment::ALL.map(|e| Setting::Wallet(id, e, Currency::BDT)));
    write(store, Change::Set(settings)).await?;
    Ok(id)
}

/// Money for all of them, under a reference of its own.
async fn pay_in(
    store: &Store,
    account: AccountId,
    at: Timestamp,
    purchases: u64,
) -> anyhow::Result<()> {
    let total = i64::try_from(purchases)?.checked_mul(1_050).context("too many purchases")?;
    let amount = Money::new(total, Currency::BDT);
    let journal = Journal::funding(Reason::Deposit, account, ENVIRONMENT, amount)
        .context("this cannot be paid in")?;
    let reference = reference(account, Space::Desk, "FILL".to_owned());
    let posting = Posting { journal, reference, note: "bench-fill".to_owned(), at };
    write(store, Change::Post(Box::new(posting))).await
}

fn reference(account: AccountId, space: Space, text: String) -> ReferenceKey {
    ReferenceKey { account, environment: ENVIRONMENT, space, text }
}

fn purchase(account: AccountId, id: PurchaseId, at: Timestamp) -> Purchase {
    let taka = |minor| Money::new(minor, Currency::BDT);
    Purchase {
        key: PurchaseKey { account, environment: ENVIRONMENT, id },
        space: Space::Irecharge,
        reference: format!("FILL-{id}"),
        api_key: Some(domain::ids::KeyId(1)),
        kind: Kind::Recharge,
        operator: "GP".to_owned(),
        product: None,
        recipient: "01712345101".to_owned(),
        service_type: ServiceType::Prepaid,
        amount: taka(1_000),
        fee: taka(50),
        commission: taka(150),
        available_after: taka(0),
        details: Details::new(),
        webhook_url: None,
        state: State::Sent,
        version: 1,
        attempts: 1,
        upstream: Some(UpstreamCode::new(UPSTREAM)),
        text: None,
        decider: None,
        opened_at: at,
        updated_at: at,
        delivered_at: None,
    }
}

/// Opens a purchase and delivers it.
async fn sell(store: Arc<Store>, purchase: Purchase) -> anyhow::Result<()> {
    let (at, account) = (purchase.opened_at, purchase.key.account);
    let claims = vec![reference(account, purchase.space, purchase.reference.clone())];
    let opening = Box::new(settle::open(purchase.clone(), at));
    write(&store, Change::Open { claims, digest: None, opening }).await?;
    let source = Source::Upstream { attempt: 1, upstream: UpstreamCode::new(UPSTREAM) };
    let proof = Proof::new(source, "delivered").saying("Recharge of 10 Tk was successful.");
    match settle::decide(&purchase, Event::Deliver, proof, at) {
        Decided::Move(step) => write(&store, Change::Step(step)).await,
        Decided::Stay | Decided::Clash(_) | Decided::Never => {
            anyhow::bail!("a sent purchase cannot be delivered")
        }
    }
}

async fn write(store: &Store, change: Change) -> anyhow::Result<()> {
    let written = store.write(change).await?;
    ensure!(written.is_ok(), "the store refuses: {written:?}");
    Ok(())
}
