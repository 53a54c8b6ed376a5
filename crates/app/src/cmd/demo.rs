//! `saldo demo`: makes what is missing, prints how to use it, serves.
//!
//! Everything it sells is simulated, in its live environment too. The sandbox pair is the same
//! everywhere, so that a line of documentation works as it stands; all else is random.

use crate::catalog;
use crate::config::{Config, Flags};
use crate::credentials::{Credentials, Customer, KeyPair, Merchant, Staff};
use crate::house::{self, refused};
use crate::output::Output;
use crate::secrets::{MasterKey, write_private};
use crate::server::Server;
use crate::{cmd, log};
use anyhow::{Context as _, anyhow};
use domain::account::{AccountId, Plan, Role, Subscription};
use domain::ids::KeyId;
use domain::journal::Reason;
use domain::{Currency, Environment, Money};
use engine::{Engine, NewAccount, Pair, Paper};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The demo's sandbox pair: known to everybody, good for play money only.
const OPEN_KEY: &str = "ok_test_SaldoDemoSaldoDemoSaldoD";
const SECRET_KEY: &str = "sk_test_SaldoDemoSaldoDemoSaldoDemoSaldoDemoSaldoD2vwVsO";
/// The demo's subscriptions last ten years.
const FOR_LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const MADE_FILE: &str = "demo-credentials.json";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Listen here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Write keys and passwords to this file, once the server listens.
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Put the demo merchant on the Enterprise plan with this many calls a minute.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// What the merchant starts with in each environment.
    #[arg(long, value_name = "AMOUNT", default_value = "7000.00")]
    balance: String,
    /// Make this many more merchants, for measuring.
    #[arg(long, value_name = "N", hide = true, requires = "bench_keys_file")]
    bench_accounts: Option<u32>,
    /// Where their keys go.
    #[arg(long, value_name = "FILE", hide = true)]
    bench_keys_file: Option<PathBuf>,
}

pub(crate) fn run(flags: &Flags, args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, args.listen)?;
    log::start(&config)?;
    cmd::serve::runtime()?.block_on(async {
        let engine = house::open(&config.data_dir)?;
        house::furnish(&engine).await?;
        engine.set_catalog(catalog::demo_routes()?).await.map_err(refused)?;
        let balance = Money::parse(&args.balance, Currency::BDT)
            .map_err(|_| anyhow!("--balance is a number such as 7000.00"))?;
        let mut credentials = furnish(&engine, &config.data_dir, balance).await?;
        if let Some(per_minute) = args.requests_per_minute {
            let merchant = AccountId(credentials.merchant.account);
            let plan = Subscription {
                plan: Plan::Enterprise { per_minute },
                until: engine.now().after(FOR_LONG),
            };
            engine
                .change_account(merchant, |account| account.subscription = Some(plan))
                .await
                .map_err(refused)?;
        }
        if let (Some(count), Some(file)) = (args.bench_accounts, &args.bench_keys_file) {
            make_bench_accounts(&engine, count, balance, file).await?;
        }
        let server = Server::bind(engine.clone(), &config)?;
        drop(engine);
        server.base_url().clone_into(&mut credentials.base_url);
        if let Some(file) = &args.credentials_file {
            write_private(file, serde_json::to_string_pretty(&credentials)?.as_bytes())?;
        }
        greet(&credentials);
        server.run(&config).await
    })
}

/// Makes merchant, customer and staff, or finds what an earlier start made.
async fn furnish(engine: &Engine, data_dir: &Path, balance: Money) -> anyhow::Result<Credentials> {
    let made = data_dir.join(MADE_FILE);
    if made.exists() {
        let text = std::fs::read_to_string(&made)
            .with_context(|| format!("{} cannot be read", made.display()))?;
        return serde_json::from_str(&text)
            .with_context(|| format!("{} is not what the demo wrote", made.display()));
    }
    let credentials = Credentials {
        base_url: String::new(),
        merchant: merchant(engine, data_dir, balance).await?,
        customer: customer(engine).await?,
        staff: staff(engine).await?,
    };
    write_private(&made, serde_json::to_string_pretty(&credentials)?.as_bytes())?;
    Ok(credentials)
}

async fn merchant(engine: &Engine, data_dir: &Path, balance: Money) -> anyhow::Result<Merchant> {
    let subscription =
        Some(Subscription { plan: Plan::Business, until: engine.now().after(FOR_LONG) });
    let new = NewAccount {
        role: Role::Merchant,
        name: "Demo Telecom",
        subscription,
        currencies: &[Currency::BDT],
    };
    let account = engine.open_account(new).await.map_err(refused)?;
    for environment in Environment::ALL {
        start_with(engine, account, environment, balance).await?;
    }
    let master = MasterKey::of(data_dir)?;
    let pair = |(id, pair): (KeyId, Pair)| KeyPair {
        open_key: pair.open,
        secret_key: pair.secret,
        webhook_secret: master.webhook_secret(id),
    };
    let known = Pair { open: OPEN_KEY.to_owned(), secret: SECRET_KEY.to_owned() };
    let sandbox = engine.adopt_key(account, Environment::Sandbox, known).await.map_err(refused)?;
    let live = engine.make_key(account, Environment::Live).await.map_err(refused)?;
    let email = "merchant@demo.example".to_owned();
    let password = login(engine, account, &email, "owner").await?;
    Ok(Merchant { account: account.0, email, password, sandbox: pair(sandbox), live: pair(live) })
}

async fn customer(engine: &Engine) -> anyhow::Result<Customer> {
    let currencies = ["USD", "ZWG"]
        .map(|code| Currency::from_code(code).ok_or_else(|| anyhow!("no currency {code}")));
    let currencies = currencies.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let new = NewAccount {
        role: Role::Customer,
        name: "Demo Customer",
        subscription: None,
        currencies: &currencies,
    };
    let account = engine.open_account(new).await.map_err(refused)?;
    for currency in currencies {
        start_with(engine, account, Environment::Live, Money::new(50_000, currency)).await?;
    }
    let username = "customer@demo.example".to_owned();
    let password = login(engine, account, &username, "owner").await?;
    Ok(Customer { username, password })
}

async fn staff(engine: &Engine) -> anyhow::Result<Vec<Staff>> {
    let mut staff = Vec::new();
    for role in ["operator", "approver", "admin"] {
        let email = format!("{role}@demo.example");
        let password = login(engine, domain::account::HOUSE, &email, role).await?;
        staff.push(Staff { email, password, role: role.to_owned() });
    }
    Ok(staff)
}

async fn login(
    engine: &Engine,
    account: AccountId,
    email: &str,
    role: &str,
) -> anyhow::Result<String> {
    let password = engine.random_text(16).map_err(refused)?;
    engine.make_user(account, email, role, &password).await.map_err(refused)?;
    Ok(password)
}

async fn start_with(
    engine: &Engine,
    account: AccountId,
    environment: Environment,
    amount: Money,
) -> anyhow::Result<()> {
    let reference = format!("DEMO-START-{}", amount.currency().code());
    let paper = Paper { reference: &reference, by: "demo", note: "play money to start with" };
    engine.fund(Reason::Deposit, (account, environment), amount, paper).await.map_err(refused)?;
    Ok(())
}

#[derive(Serialize)]
struct BenchKey {
    open_key: String,
    secret_key: String,
}

/// Merchants for measuring: each with a sandbox pair and the same balance. Made many at a time, so
/// that they share commits.
async fn make_bench_accounts(
    engine: &Engine,
    count: u32,
    balance: Money,
    file: &Path,
) -> anyhow::Result<()> {
    let mut making = tokio::task::JoinSet::new();
    for number in 1..=count {
        let engine = engine.clone();
        making.spawn(async move { make_bench_account(&engine, number, balance).await });
    }
    let made = making.join_all().await;
    let keys = made.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    write_private(file, serde_json::to_string(&keys)?.as_bytes())
}

async fn make_bench_account(
    engine: &Engine,
    number: u32,
    balance: Money,
) -> anyhow::Result<BenchKey> {
    let plan = Plan::Enterprise { per_minute: u32::MAX };
    let subscription = Some(Subscription { plan, until: engine.now().after(FOR_LONG) });
    let name = format!("Bench {number}");
    let new = NewAccount {
        role: Role::Merchant,
        name: &name,
        subscription,
        currencies: &[Currency::BDT],
    };
    let account = engine.open_account(new).await.map_err(refused)?;
    start_with(engine, account, Environment::Sandbox, balance).await?;
    let (_, pair) = engine.make_key(account, Environment::Sandbox).await.map_err(refused)?;
    Ok(BenchKey { open_key: pair.open, secret_key: pair.secret })
}

fn greet(credentials: &Credentials) {
    let url = &credentials.base_url;
    let keys = &credentials.merchant.sandbox;
    let mut output = Output::default();
    output.say(format!(
        "
Saldo is serving {url}. Everything in this demo is simulated, the live environment too.

  Reference  {url}/docs
  Merchant   {}, sandbox keys below, live keys in {MADE_FILE} of the data folder

Buy a recharge:

  curl {url}/api/billing/service-requests/recharge/normal \\
    -H 'X-Open-Key: {}' \\
    -H 'X-Authorization: {}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"operator\": \"gp\", \"number\": \"01712345101\", \"amount\": 10, \"reference\": \"FIRST-1\"}}'

The last three digits of the number choose what happens: 101 delivers, 102 is refused, 106 loses the answer.
Stop with Ctrl-C; everything is kept.
",
        credentials.merchant.email, keys.open_key, keys.secret_key
    ));
    output.print();
}
