//! `saldo demo`: creates what is missing, prints how to use it, and serves.
//!
//! Everything it sells is simulated, in the live environment too. The sandbox key pair and the
//! customer are the same in every demo, so that the commands in the documentation work; all other
//! secrets are random.

use crate::catalog;
use crate::clock::MachineClock;
use crate::config::{Config, Flags};
use crate::credentials::{
    Credentials, CustomerCredentials, KeyCredentials, MerchantCredentials, StaffCredentials,
};
use crate::files::{cannot, write_private};
use crate::output::Output;
use crate::server::{Pages, Server};
use crate::wiring::{self, Serving, machine, refused};
use crate::{cmd, log};
use anyhow::{Context as _, Result, anyhow};
use bench::Installation;
use domain::account::HOUSE;
use domain::ids::KeyId;
use domain::refusal::StaffRefused;
use domain::{
    Account, AccountId, AmountError, Currency, Environment, Money, Plan, PlanKind, Reason, Role,
    Route, Subscription, Timestamp,
};
use engine::{Booking, Engine, KeyPair, NewAccount, Payment};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The sandbox key pair of every demo: public, and valid for play money only.
const OPEN_KEY: &str = "ok_test_SaldoDemoSaldoDemoSaldoD";
const SECRET_KEY: &str = "sk_test_SaldoDemoSaldoDemoSaldoDemoSaldoDemoSaldoD2vwVsO";
/// Who sets the demo up, in the record of acts.
const DEMO: &str = "demo";
/// The customer of every demo: public, and valid for play money only.
const CUSTOMER: &str = "customer@demo.example";
const CUSTOMER_PASSWORD: &str = "saldo-demo-customer";
/// How long the subscriptions of the demo last.
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Payments of one account that are looked through for those of an older version's demo.
const PAYMENTS_MAX: u32 = 1_000;
/// The product id of ZETDC's prepaid electricity in USD (catalog/zimbabwe.toml).
const METER_PRODUCT: i64 = 21;
/// The file of the demo's secrets. A data folder that has it belongs to a demo.
pub(crate) const CREDENTIALS_FILE: &str = "demo-credentials.json";

#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// Listen here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The clock is right, however far it is from what is stored: sell by it.
    #[arg(long)]
    accept_clock: bool,
    /// Write keys and passwords to this file, once the server listens.
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Let webhooks go to this machine.
    #[arg(long)]
    webhooks_to_loopback: bool,
    /// Let connectors call this machine, by plain http too: for development.
    #[arg(long)]
    connectors_to_loopback: bool,
    /// Put the demo's merchant and customer on the Enterprise plan with this many calls a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
    /// What the merchant starts with in each environment.
    #[arg(long, value_name = "AMOUNT", default_value = "7000.00")]
    balance: String,
    /// Begin without the three merchants that have a history.
    #[arg(long)]
    without_history: bool,
    /// Make this many more merchants, for measuring.
    #[arg(long, value_name = "N", hide = true, requires = "bench_keys_file")]
    bench_accounts: Option<u32>,
    /// Where their keys go.
    #[arg(long, value_name = "FILE", hide = true)]
    bench_keys_file: Option<PathBuf>,
}

pub(crate) fn run(flags: &Flags, args: DemoArgs) -> Result<ExitCode> {
    let mut config = Config::load(flags, args.listen)?;
    config.webhooks_to_loopback |= args.webhooks_to_loopback;
    config.connectors_to_loopback |= args.connectors_to_loopback;
    log::start(&config)?;
    cmd::serve::runtime()?.block_on(async {
        if !args.without_history && !config.data_dir.join(CREDENTIALS_FILE).exists() {
            let (database_url, data_dir) = (config.database_url.0.clone(), config.data_dir.clone());
            let installation = Installation { database_url, data_dir };
            bench::history::write_once(&installation, &MachineClock::new()).await?;
        }
        let serving = Serving { is_clock_accepted: args.accept_clock, is_demo: true };
        let engine = wiring::open_to_serve(&config, &serving)?;
        let balance = Money::parse(&args.balance, Currency::BDT).map_err(no_balance)?;
        let mut credentials = load_or_create_credentials(&engine, &config.data_dir)?;
        wiring::seed_catalog(&engine).await?;
        // Once: a route that was set since then stays.
        // What waits for staff in every new installation leads to no upstream.
        let is_routed =
            |route: &Route| route.environment == Environment::Live && !route.upstreams.is_empty();
        if !engine.catalog().routes.iter().any(is_routed) {
            let routes = catalog::demo_routes()?;
            engine.set_catalog(machine(&engine, DEMO)?, routes).await.map_err(refused)?;
        }
        seed_accounts(&engine, &mut credentials, balance).await?;
        if let Some(per_minute) = args.requests_per_minute {
            let plan = subscription(&engine, Plan::new(PlanKind::Enterprise, per_minute));
            for id in [credentials.merchant.account, credentials.customer.account] {
                let subscribe = |account: &mut Account| account.subscription = plan;
                let permit = machine(&engine, DEMO)?;
                engine.change_account(permit, AccountId(id), subscribe).await.map_err(refused)?;
            }
        }
        if let (Some(count), Some(file)) = (args.bench_accounts, &args.bench_keys_file) {
            let keys = make_bench_accounts(&engine, count, balance).await?;
            write_private(file, serde_json::to_string(&keys)?.as_bytes())?;
        }
        add_webhook_secrets(&engine, &mut credentials)?;
        let server = Server::bind(engine.clone(), &config)?;
        drop(engine);
        server.base_url().clone_into(&mut credentials.base_url);
        // The first one had no ids yet; now it is complete, wherever it is read.
        write_credentials(&config.data_dir.join(CREDENTIALS_FILE), &credentials)?;
        if let Some(file) = &args.credentials_file {
            write_credentials(file, &credentials)?;
        }
        greet(&credentials);
        server.run(&config, Pages::Demo).await
    })
}

/// The credentials of an earlier start, or new ones. New ones are on disk before accounts are
/// created with them, so that the next start completes an interrupted one. Refuses the folder of an
/// installation that is no demo.
fn load_or_create_credentials(engine: &Engine, data_dir: &Path) -> Result<Credentials> {
    let file = data_dir.join(CREDENTIALS_FILE);
    if file.exists() {
        let text = std::fs::read_to_string(&file).with_context(cannot(&file, "be read"))?;
        return serde_json::from_str(&text)
            .with_context(|| format!("{} is not what the demo wrote", file.display()));
    }
    anyhow::ensure!(
        bench::history::is_history(&engine.accounts()?),
        "{} is an installation of its own, where a demo would sell what is only simulated; \
         give the demo another folder with --data-dir",
        data_dir.display()
    );
    let credentials = fresh_credentials(engine)?;
    write_credentials(&file, &credentials)?;
    Ok(credentials)
}

fn write_credentials(file: &Path, credentials: &Credentials) -> Result<()> {
    write_private(file, serde_json::to_string_pretty(credentials)?.as_bytes())
}

/// What is wrong with `--balance`.
fn no_balance(error: AmountError) -> anyhow::Error {
    let wrong = match error {
        AmountError::TooLarge => "is too large: at most 999999999.99",
        AmountError::Zero => "is not above zero",
        AmountError::Decimals => "has more decimals than the currency",
        AmountError::Form => "is no plain number with at most two decimals",
    };
    anyhow!("--balance {wrong}; give one such as 7000.00")
}

fn fresh_credentials(engine: &Engine) -> Result<Credentials> {
    let password = || engine.random_text(16).map_err(refused);
    let pair = |open_key, secret_key| KeyCredentials { open_key, secret_key, ..Default::default() };
    let live = engine.fresh_pair(Environment::Live).map_err(refused)?;
    let staff = |role: &str| {
        let (email, role) = (format!("{role}@demo.example"), role.to_owned());
        anyhow::Ok(StaffCredentials { email, password: password()?, role })
    };
    let staff = ["operator", "approver", "owner"].into_iter().map(staff);
    Ok(Credentials {
        base_url: String::new(),
        merchant: MerchantCredentials {
            account: 0,
            email: "merchant@demo.example".to_owned(),
            password: password()?,
            sandbox: pair(OPEN_KEY.to_owned(), SECRET_KEY.to_owned()),
            live: pair(live.open, live.secret),
        },
        customer: CustomerCredentials {
            account: 0,
            username: CUSTOMER.to_owned(),
            password: CUSTOMER_PASSWORD.to_owned(),
        },
        staff: staff.collect::<Result<_>>()?,
    })
}

/// Creates merchant, customer and staff in one commit, if they are missing; then books their money.
async fn seed_accounts(
    engine: &Engine,
    credentials: &mut Credentials,
    balance: Money,
) -> Result<()> {
    let currencies = ["USD", "ZWG"]
        .map(|code| Currency::from_code(code).ok_or_else(|| anyhow!("no currency {code}")));
    let currencies = currencies.into_iter().collect::<Result<Vec<_>>>()?;
    if engine.holder_of(OPEN_KEY).map_err(refused)?.is_none() {
        create_accounts(engine, credentials, &currencies).await?;
    }
    let holder_of = |open_key: &str| {
        engine.holder_of(open_key).map_err(refused)?.context("the demo's keys are gone")
    };
    let sandbox = holder_of(&credentials.merchant.sandbox.open_key)?;
    credentials.merchant.account = sandbox.account.0;
    credentials.merchant.sandbox.key = sandbox.id.0;
    credentials.merchant.live.key = holder_of(&credentials.merchant.live.open_key)?.id.0;
    for environment in Environment::ALL {
        deposit_once(engine, sandbox.account, environment, balance).await?;
    }
    let customer = engine.accounts()?.into_iter().find(|a| a.role == Role::Customer);
    let customer = customer.context("the demo's customer is gone")?;
    credentials.customer.account = customer.id.0;
    for environment in Environment::ALL {
        for currency in &currencies {
            let amount = Money::new(50_000, *currency);
            deposit_once(engine, customer.id, environment, amount).await?;
        }
    }
    Ok(())
}

fn subscription(engine: &Engine, plan: Plan) -> Option<Subscription> {
    let since = engine.now();
    Some(Subscription { plan, until: since.after(TEN_YEARS), since })
}

fn new_merchant(name: &str, subscription: Option<Subscription>) -> NewAccount<'_> {
    NewAccount { role: Role::Merchant, name, subscription, currencies: &[Currency::BDT] }
}

async fn create_accounts(
    engine: &Engine,
    credentials: &Credentials,
    currencies: &[Currency],
) -> Result<()> {
    let business = new_merchant("Demo Telecom", subscription(engine, Plan::BUSINESS));
    let person =
        NewAccount { role: Role::Customer, name: "Demo Customer", subscription: None, currencies };
    let Credentials { merchant, customer, staff, base_url: _ } = credentials;
    let mut setup = engine.account_setup(machine(engine, DEMO)?);
    let account = setup.account(&business).await.map_err(refused)?;
    for (environment, keys) in
        [(Environment::Sandbox, &merchant.sandbox), (Environment::Live, &merchant.live)]
    {
        let pair = KeyPair { open: keys.open_key.clone(), secret: keys.secret_key.clone() };
        setup.key(account, environment, &pair).await.map_err(refused)?;
    }
    setup.user(account, &merchant.email, "owner", &merchant.password).await.map_err(refused)?;
    let account = setup.account(&person).await.map_err(refused)?;
    setup.user(account, &customer.username, "owner", &customer.password).await.map_err(refused)?;
    for StaffCredentials { email, password, role } in staff {
        setup.user(HOUSE, email, role, password).await.map_err(refused)?;
    }
    setup.commit().await.map_err(refused)
}

/// Books the play money to start with, unless an earlier start did.
async fn deposit_once(
    engine: &Engine,
    account: AccountId,
    environment: Environment,
    amount: Money,
) -> Result<()> {
    // Installations from before references were unique in the house have it without the account.
    let former = format!("DEMO-START-{}", amount.currency().code());
    let payments = engine.payments_of(account, Timestamp(i64::MAX), PAYMENTS_MAX);
    let is_former = |payment: &Payment| {
        payment.environment == environment && payment.reference.split(' ').next() == Some(&former)
    };
    if payments.map_err(refused)?.iter().any(is_former) {
        return Ok(());
    }
    let reference = format!("{former}-{account}");
    let booking = Booking {
        reason: Reason::Deposit,
        account,
        environment,
        amount,
        rail: "manual",
        reference: &reference,
        note: "play money to start with",
    };
    let permit = machine(engine, DEMO)?;
    match engine.fund(permit, booking).await {
        Ok(_) | Err(StaffRefused::PaymentKnown(_)) => Ok(()),
        Err(refusal) => Err(refused(refusal)),
    }
}

fn add_webhook_secrets(engine: &Engine, credentials: &mut Credentials) -> Result<()> {
    for pair in [&mut credentials.merchant.sandbox, &mut credentials.merchant.live] {
        pair.webhook_secret = engine.webhook_secret_of(KeyId(pair.key)).map_err(refused)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct BenchKey {
    open_key: String,
    secret_key: String,
}

/// How many accounts of a benchmark are made at the same time.
const BENCH_ACCOUNTS_AT_ONCE: usize = 64;

/// Creates merchants for measurements, each with a sandbox key pair and the same balance. They are
/// created many at a time, so that they share commits; their keys come in the order of their
/// numbers, so that every measurement spreads over them alike.
async fn make_bench_accounts(engine: &Engine, count: u32, balance: Money) -> Result<Vec<BenchKey>> {
    let (mut tasks, mut made) = (tokio::task::JoinSet::new(), Vec::new());
    for number in 1..=count {
        // All at once they wait for each other longer than a commit may wait.
        if tasks.len() == BENCH_ACCOUNTS_AT_ONCE
            && let Some(account) = tasks.join_next().await
        {
            made.push(account??);
        }
        let engine = engine.clone();
        tasks.spawn(async move { make_bench_account(&engine, number, balance).await });
    }
    while let Some(account) = tasks.join_next().await {
        made.push(account??);
    }
    made.sort_by_key(|(account, _)| *account);
    Ok(made.into_iter().map(|(_, key)| key).collect())
}

async fn make_bench_account(
    engine: &Engine,
    number: u32,
    balance: Money,
) -> Result<(AccountId, BenchKey)> {
    let subscription = subscription(engine, Plan::new(PlanKind::Enterprise, u32::MAX));
    let name = format!("Bench {number}");
    let new = new_merchant(&name, subscription);
    let account = engine.open_account(machine(engine, DEMO)?, new).await.map_err(refused)?;
    deposit_once(engine, account, Environment::Sandbox, balance).await?;
    let (_, pair) = engine
        .make_key(machine(engine, DEMO)?, account, Environment::Sandbox)
        .await
        .map_err(refused)?;
    Ok((account, BenchKey { open_key: pair.open, secret_key: pair.secret }))
}

fn greet(credentials: &Credentials) {
    let Credentials { base_url: url, merchant, customer, staff } = credentials;
    let one = |one: &StaffCredentials| format!("{}, password {}", one.email, one.password);
    let staff = staff.iter().map(one).collect::<Vec<_>>().join("\n             ");
    let mut output = Output::default();
    output.say_lines(format!(
        "
Saldo is serving {url}. Everything in this demo is simulated, the live environment too.

  Dashboard  {url}/dashboard/log-in, {}, password {}
  Staff      {url}/admin/log-in, {}
  Mails      {url}/demo/mails
  Reference  {url}/docs/reference
  Merchant   {}, sandbox keys below, live keys in {CREDENTIALS_FILE} of the data folder
  Customer   {}, password {}, with USD and ZWG

Buy a recharge as the merchant:

  curl {url}/api/billing/service-requests/recharge/normal \\
    -H 'X-Open-Key: {}' \\
    -H 'X-Authorization: {}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"operator\": \"gp\", \"number\": \"01712345101\", \"amount\": 10, \
\"reference\": \"FIRST-'$(date +%s)'\"}}'

Buy electricity as the customer: log in, ask for a price, accept it, and read the token:

  TOKEN=$(curl -s {url}/api/wallet/v1/authenticate/customers \\
    -H 'Content-Type: application/json' \\
    -d '{{\"username\": \"{}\", \"password\": \"{}\", \"fcmToken\": \"\"}}' | cut -d '\"' -f 4)
  ID=FIRST-$(date +%s)
  QUOTE=$(curl -s {url}/api/wallet/v1/v1/transactions/bill-payment/pre-auth \\
    -H \"Authorization: Bearer $TOKEN\" -H 'X-Channel-Id: WEB' \
-H 'Content-Type: application/json' \\
    -d '{{\"amount\": 10, \"productId\": {METER_PRODUCT}, \"requestId\": \"'$ID'\", \
\"billReference\": \"41234563101\",
         \"customerMobile\": \"0771234567\", \"additionalData\": {{}}}}' \
| grep -o 'preauth_[A-Za-z0-9_-]*')
  curl {url}/api/wallet/v1/v1/transactions/bill-payment/auth \\
    -H \"Authorization: Bearer $TOKEN\" -H 'X-Channel-Id: WEB' \
-H 'Content-Type: application/json' \\
    -d \"{{\\\"preAuthToken\\\": \\\"$QUOTE\\\", \\\"requestId\\\": \\\"$ID\\\"}}\"

The last three digits of the number or meter choose what happens: \
101 delivers, 102 is refused, 106 loses the answer.
Stop with Ctrl-C; everything is kept.
",
        merchant.email,
        merchant.password,
        staff,
        merchant.email,
        customer.username,
        customer.password,
        merchant.sandbox.open_key,
        merchant.sandbox.secret_key,
        customer.username,
        customer.password,
    ));
    output.print_from_server();
}
