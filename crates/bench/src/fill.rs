//! `saldo bench-fill`: stores many finished purchases, to measure what a long history costs.
//!
//! They go through the store's writer, so the ledger is sound. All merchants get the same number of
//! purchases, spread over the time until now. It works once on an installation, and is not for one
//! that sells: the deposits that pay for the purchases are invented.

use crate::Installation;
use crate::report::print_line;
use anyhow::{Context as _, Result, ensure};
use domain::account::HOUSE;
use domain::ids::KeyId;
use domain::purchase::settle;
use domain::{
    Account, AccountId, Clock, Currency, Day, Decision, Details, DuplicatePolicy, Environment,
    Event, Journal, Kind, Money, Month, Opening, PaymentKey, Plan, Proof, PurchaseDraft,
    PurchaseId, PurchaseKey, PurchaseNumber, Rail, Reason, ReferenceKey, ReferenceScope, Role,
    Sequence, ServiceType, Source, Subscription, Timestamp, UpstreamCode,
};
use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Commit, OpenPurchase, Posting, SetAll, Setting, Store, TakeNumbers, TakeStep};
use tokio::task::JoinSet;

/// Purchases in flight: several batches of the writer, so that it never waits.
const IN_FLIGHT_MAX: usize = 4_096;
/// How many purchases one merchant makes before the next one does. A batch then reads and changes
/// few pages, which fills faster. The rows of each account are the same either way.
const CONSECUTIVE_MAX: u64 = 1_000;
/// After how many purchases the progress is reported.
const PROGRESS_EVERY: u64 = 10_000;
const ENVIRONMENT: Environment = Environment::Sandbox;
const UPSTREAM: &str = "simulator-a";
/// The price of each purchase with its fee, in minor units.
const AMOUNT_MINOR: i64 = 1_000;
const FEE_MINOR: i64 = 50;

/// Store finished purchases in plenty, for `saldo bench --stored`.
#[derive(clap::Args, Debug)]
pub struct FillArgs {
    /// How many purchases.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    purchases: u64,
    /// Spread over this month and all after it, until now [default: the current month].
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<Month>,
}

/// `saldo bench-fill`: fills the installation as the arguments say, and prints how long it took.
pub fn run(args: &FillArgs, installation: &Installation, clock: &dyn Clock) -> Result<ExitCode> {
    let began = clock.monotonic();
    fill(installation, args.purchases, args.from, clock, |_| ())?;
    let took_ms = (clock.monotonic() - began).as_millis();
    print_line(&format!("{} purchases in {took_ms} ms", args.purchases));
    Ok(ExitCode::SUCCESS)
}

/// Fills an installation that no server uses, from the start of `from`, or of the current month,
/// until now. Its store is closed again on return. `progress` gets the number of purchases so far,
/// now and then. Fails on an installation that was filled before.
pub(crate) fn fill(
    installation: &Installation,
    purchases: u64,
    from: Option<Month>,
    clock: &dyn Clock,
    progress: impl FnMut(u64),
) -> Result<()> {
    let Installation { database_url, data_dir } = installation;
    let store = match database_url.as_str() {
        "" => Store::open(data_dir)?,
        url => Store::connect_node(url, data_dir)?,
    };
    let now = clock.now();
    let begin = from.unwrap_or(Month::of(now)).starts_at();
    ensure!(begin < now, "--from is not over yet");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(store_purchases(Arc::new(store), purchases, begin, now, progress))
}

async fn store_purchases(
    store: Arc<Store>,
    purchases: u64,
    begin: Timestamp,
    now: Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let buyers = buyers(&store, begin).await?;
    let count = u64::try_from(buyers.len())?;
    let consecutive = purchases.div_ceil(count).min(CONSECUTIVE_MAX);
    let each_max = purchases.div_ceil(consecutive * count) * consecutive;
    deposit(&store, &buyers, begin, each_max).await?;
    let mut ids = Ids::default();
    let step = now.since(begin) / u32::try_from(purchases.min(u64::from(u32::MAX)))?;
    let mut at = begin;
    let mut in_flight = JoinSet::new();
    for number in 1..=purchases {
        at = at.after(step);
        let id = ids.next(&store, at, purchases + 1 - number).await?;
        let buyer = usize::try_from((number - 1) / consecutive % count)?;
        let buyer = buyers.get(buyer).copied().context("nobody buys")?;
        in_flight.spawn(store_purchase(store.clone(), draft(buyer, id, at)));
        if in_flight.len() >= IN_FLIGHT_MAX
            && let Some(stored) = in_flight.join_next().await
        {
            stored??;
        }
        if number.is_multiple_of(PROGRESS_EVERY) {
            progress(number);
        }
    }
    in_flight.join_all().await.into_iter().collect()
}

/// Numbers of the sequence, taken for a day at a time.
#[derive(Default)]
pub(crate) struct Ids {
    day: Option<Day>,
    next: i64,
    end: i64,
}

impl Ids {
    /// The id of a purchase at this time; `left` says how many will follow with it.
    pub(crate) async fn next(
        &mut self,
        store: &Store,
        at: Timestamp,
        left: u64,
    ) -> Result<PurchaseId> {
        if self.next == self.end || self.day.is_none_or(|day| day < Day::of(at)) {
            let count = u32::try_from(left.min(CONSECUTIVE_MAX))?;
            let taken = store.commit(TakeNumbers { of: Sequence::Purchase, count, at }).await?;
            let end = taken.first + i64::from(count);
            *self = Ids { day: Some(taken.day), next: taken.first, end };
        }
        let (day, number) = (self.day.unwrap_or(Day::of(at)), PurchaseNumber(self.next));
        self.next += 1;
        Ok(PurchaseId::given_on(day, number))
    }
}

/// A merchant, and the key pair that it buys with.
#[derive(Clone, Copy)]
struct Buyer {
    account: AccountId,
    key: KeyId,
}

/// All merchants. In an empty installation: a new one, with the house account.
async fn buyers(store: &Store, at: Timestamp) -> Result<Vec<Buyer>> {
    let mut buyers = Vec::new();
    for merchant in store.accounts()?.into_iter().filter(|a| a.role == Role::Merchant) {
        let keys = store.keys_of(merchant.id)?;
        let key = keys.into_iter().find(|key| key.environment == ENVIRONMENT);
        buyers.push(Buyer { account: merchant.id, key: key.map_or(KeyId(1), |key| key.id) });
    }
    if buyers.is_empty() {
        buyers.push(Buyer { account: open_merchant(store, at).await?, key: KeyId(1) });
    }
    Ok(buyers)
}

async fn open_merchant(store: &Store, at: Timestamp) -> Result<AccountId> {
    let subscription = Subscription {
        plan: Plan::BUSINESS,
        until: at.after(Duration::from_secs(1 << 30)),
        since: at,
    };
    let account = |id, role, name: &str, subscription| Account {
        id,
        role,
        name: name.to_owned(),
        is_active: true,
        subscription,
        approved_at: Some(at),
        duplicates: DuplicatePolicy::default(),
        opened_at: at,
    };
    let take = TakeNumbers { of: Sequence::Account, count: 1, at };
    let id = AccountId(store.commit(take).await?.first);
    let house = account(HOUSE, Role::House, "House", None);
    let merchant = account(id, Role::Merchant, "History", Some(subscription));
    let mut settings = vec![Setting::Account(house), Setting::Account(merchant)];
    settings.extend(Environment::ALL.map(|e| Setting::Wallet(id, e, Currency::BDT)));
    store.commit(SetAll(settings)).await?;
    Ok(id)
}

/// Deposits enough for each buyer to make `each` purchases. The reference is the same each time, so
/// that a second fill of the same installation is refused.
async fn deposit(store: &Arc<Store>, buyers: &[Buyer], at: Timestamp, each: u64) -> Result<()> {
    let total = i64::try_from(each)?.checked_mul(AMOUNT_MINOR + FEE_MINOR);
    let amount = Money::new(total.context("too many purchases")?, Currency::BDT);
    let mut in_flight = JoinSet::new();
    for Buyer { account, .. } in buyers.iter().copied() {
        let journal = Journal::funding(Reason::Deposit, account, ENVIRONMENT, amount)
            .context("this cannot be paid in")?;
        let rail = Rail::parse("manual").context("no such rail")?;
        let payment = PaymentKey::new(ENVIRONMENT, rail, &format!("FILL-{account}"));
        let payment = payment.context("this is no reference")?;
        let note = "bench-fill".to_owned();
        let posting = Posting { journal, account, payment, note, at };
        let store = store.clone();
        in_flight.spawn(async move { write(&store, posting).await });
    }
    in_flight.join_all().await.into_iter().collect()
}

fn reference(account: AccountId, scope: ReferenceScope, text: String) -> ReferenceKey {
    ReferenceKey { account, environment: ENVIRONMENT, scope, text }
}

/// The operators that sell, and how their numbers begin.
const OPERATORS: [(&str, &str); 5] =
    [("GP", "017"), ("RB", "018"), ("BL", "019"), ("AT", "016"), ("TT", "015")];
/// How many numbers buy from one operator.
const NUMBERS: u64 = 20_000;
/// One of so many fails.
const FAILS_EVERY: i64 = 50;

fn operator(number: u64) -> (&'static str, &'static str) {
    let nth = usize::try_from(number % 5).unwrap_or(0);
    OPERATORS.get(nth).copied().unwrap_or(("GP", "017"))
}

/// Who got the purchase with this number.
pub(crate) fn recipient(number: u64) -> String {
    let (_, prefix) = operator(number);
    format!("{prefix}{:08}", number / 5 % NUMBERS * 1_000 + 101)
}

fn draft(buyer: Buyer, id: PurchaseId, at: Timestamp) -> PurchaseDraft {
    // References as `saldo bench` makes them, in scattered order: in the index, new references then
    // fall among the old ones, as those of real callers do.
    let scattered = id.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = id.number().0.cast_unsigned();
    let taka = |minor| Money::new(minor, Currency::BDT);
    PurchaseDraft {
        key: PurchaseKey { account: buyer.account, environment: ENVIRONMENT, id },
        scope: ReferenceScope::Irecharge,
        reference: format!("B{scattered:016x}-{id}"),
        api_key: Some(buyer.key),
        kind: Kind::Recharge,
        operator: operator(number).0.to_owned(),
        product: None,
        recipient: recipient(number),
        service_type: ServiceType::Prepaid,
        amount: taka(AMOUNT_MINOR),
        fee: taka(FEE_MINOR),
        commission: taka(150),
        details: Details::new(),
        webhook_url: None,
        opened_at: at,
    }
}

/// Opens a purchase and delivers it, or lets it fail now and then, in two commits.
async fn store_purchase(store: Arc<Store>, draft: PurchaseDraft) -> Result<()> {
    let opening = Box::new(settle::open(draft, Opening::Sent(UpstreamCode::new(UPSTREAM))));
    let purchase = opening.after.clone();
    let (at, account) = (purchase.opened_at, purchase.key.account);
    let reference_keys = vec![reference(account, purchase.scope, purchase.reference.clone())];
    write(&store, OpenPurchase { reference_keys, digest: None, opening }).await?;
    let source = Source::Upstream { attempt: 1, upstream: UpstreamCode::new(UPSTREAM) };
    let (event, proof) = if purchase.key.id.number().0 % FAILS_EVERY == 0 {
        (Event::Refuse, Proof::new(source, "refused").with_text("Not a number of ours."))
    } else {
        let text = "Recharge of 10 Tk was successful.";
        (Event::Deliver, Proof::new(source, "delivered").with_text(text))
    };
    match settle::decide(&purchase, event, proof, at) {
        Decision::Move(step) => write(&store, TakeStep(step)).await,
        Decision::Stay | Decision::Clash(_) | Decision::Impossible => {
            anyhow::bail!("a sent purchase cannot be ended")
        }
    }
}

/// Commits a change that must not be refused.
pub(crate) async fn write<C: Commit<Denied: Debug>>(store: &Store, commit: C) -> Result<()> {
    let written = store.write(commit).await?;
    written.map(drop).map_err(|denied| anyhow::anyhow!("the store refuses: {denied:?}"))
}
