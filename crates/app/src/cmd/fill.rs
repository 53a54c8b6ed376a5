//! `saldo bench-fill`: finished purchases in plenty, for measuring what a long history costs.
//!
//! They go through the writer like any others, so the books are sound. All merchants buy as many,
//! spread over the months before now, once an installation; not for one that sells: the deposits that
//! pay for them are nobody's.

use crate::clock::MachineClock;
use crate::config::{Config, Flags};
use crate::log;
use crate::output::Output;
use anyhow::{Context as _, ensure};
use domain::account::{Account, AccountId, HOUSE, Plan, Role, Subscription};
use domain::catalog::kind::{Kind, ServiceType};
use domain::ids::{IdMaker, KeyId};
use domain::ledger::journal::{Journal, Reason};
use domain::purchase::lifecycle::{Event, State};
use domain::purchase::settle::{self, Decided, Proof, Source};
use domain::purchase::{Details, Purchase, PurchaseKey, ReferenceKey, ReferenceScope};
use domain::upstream::UpstreamCode;
use domain::{Clock as _, Currency, Environment, Money, Month, PurchaseId, Timestamp};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Posting, Setting, Store};
use tokio::task::JoinSet;

/// Purchases that are under way at once: several batches of the writer, so that it never waits.
const AT_ONCE: usize = 4_096;
/// How many one merchant buys before the next one does: what a batch looks up and adds to then lies on few
/// pages, which fills faster; new purchases find the same rows of each account either way.
const IN_A_ROW: u64 = 1_000;
/// How often it is said how many there are.
const TOLD_EVERY: u64 = 10_000;
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
    let clock = MachineClock::new();
    let books = (config.database_url.0.as_str(), config.data_dir.as_path());
    fill(books, args.purchases, args.from, |_| ())?;
    let mut output = Output::default();
    output.line(format!("{} purchases in {} ms", args.purchases, clock.monotonic().as_millis()));
    output.print();
    Ok(ExitCode::SUCCESS)
}

/// Fills the books at this database address, or in this folder if it is empty, while no server holds
/// the folder; closed again when this returns. `progress` is told how many there are, now and then.
/// Refuses books that have been filled before.
pub(super) fn fill(
    (database_url, data_dir): (&str, &Path),
    purchases: u64,
    from: Option<Month>,
    progress: impl FnMut(u64),
) -> anyhow::Result<()> {
    let store = match database_url {
        "" => Store::open(data_dir)?,
        url => Store::connect_node(url, data_dir)?,
    };
    let now = MachineClock::new().now();
    let begin = from.unwrap_or(Month::of(now)).starts_at();
    ensure!(begin < now, "--from is not over yet");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(sell_all(Arc::new(store), purchases, begin, now, progress))
}

async fn sell_all(
    store: Arc<Store>,
    purchases: u64,
    begin: Timestamp,
    now: Timestamp,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<()> {
    let buyers = buyers(&store, begin).await?;
    let count = u64::try_from(buyers.len())?;
    let in_a_row = purchases.div_ceil(count).min(IN_A_ROW);
    pay_in(&store, &buyers, begin, purchases.div_ceil(in_a_row * count) * in_a_row).await?;
    // From the past, below those of the server: another node's, so none is given twice.
    let ids = IdMaker::new(0);
    let step = now.since(begin) / u32::try_from(purchases.min(u64::from(u32::MAX)))?;
    let mut at = begin;
    let mut selling = JoinSet::new();
    for (sold, buyer) in (1..=purchases).map(|n| (n, (n - 1) / in_a_row % count)) {
        at = at.after(step);
        let id = PurchaseId(ids.next(NODE, at, 0));
        let buyer = buyers.get(usize::try_from(buyer)?).copied().context("nobody buys")?;
        selling.spawn(sell(store.clone(), purchase(buyer, id, at)));
        if selling.len() >= AT_ONCE
            && let Some(ended) = selling.join_next().await
        {
            ended??;
        }
        if sold.is_multiple_of(TOLD_EVERY) {
            progress(sold);
        }
    }
    while let Some(ended) = selling.join_next().await {
        ended??;
    }
    Ok(())
}

/// A merchant, and the key that it asks with.
type Buyer = (AccountId, KeyId);

/// Who buys: all merchants, or one that is made, with the house.
async fn buyers(store: &Store, at: Timestamp) -> anyhow::Result<Vec<Buyer>> {
    let mut found = Vec::new();
    for merchant in store.accounts()?.into_iter().filter(|a| a.role == Role::Merchant) {
        let keys = store.keys_of(merchant.id)?;
        let key = keys.into_iter().find(|key| key.environment == ENVIRONMENT);
        found.push((merchant.id, key.map_or(KeyId(1), |key| key.id)));
    }
    if found.is_empty() {
        found.push((found_history(store, at).await?, KeyId(1)));
    }
    Ok(found)
}

async fn found_history(store: &Store, at: Timestamp) -> anyhow::Result<AccountId> {
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

/// Money for so many purchases of each buyer, under a reference of its own.
async fn pay_in(
    store: &Arc<Store>,
    buyers: &[Buyer],
    at: Timestamp,
    purchases: u64,
) -> anyhow::Result<()> {
    let total = i64::try_from(purchases)?.checked_mul(1_050).context("too many purchases")?;
    let amount = Money::new(total, Currency::BDT);
    let mut paying = JoinSet::new();
    for (account, _) in buyers.iter().copied() {
        let journal = Journal::funding(Reason::Deposit, account, ENVIRONMENT, amount)
            .context("this cannot be paid in")?;
        let reference = reference(account, ReferenceScope::Staff, "FILL".to_owned());
        let posting = Posting { journal, reference, note: "bench-fill".to_owned(), at };
        let store = store.clone();
        paying.spawn(async move { write(&store, Change::PostJournal(Box::new(posting))).await });
    }
    while let Some(paid) = paying.join_next().await {
        paid??;
    }
    Ok(())
}

fn reference(account: AccountId, scope: ReferenceScope, text: String) -> ReferenceKey {
    ReferenceKey { account, environment: ENVIRONMENT, scope, text }
}

fn purchase((account, key): Buyer, id: PurchaseId, at: Timestamp) -> Purchase {
    // Of the form of those of `saldo bench`, in no order: where they are looked up, the new ones fall
    // among the old ones, as any caller's do.
    let scattered = id.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let taka = |minor| Money::new(minor, Currency::BDT);
    Purchase {
        key: PurchaseKey { account, environment: ENVIRONMENT, id },
        scope: ReferenceScope::Irecharge,
        reference: format!("B{scattered:016x}-{id}"),
        api_key: Some(key),
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
    let reference_keys = vec![reference(account, purchase.scope, purchase.reference.clone())];
    let opening = Box::new(settle::open(purchase.clone(), at));
    write(&store, Change::Open { reference_keys, digest: None, opening }).await?;
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
