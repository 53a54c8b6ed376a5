//! Logins of consumers: sign-up, lockout, sessions. Here is what these tests share.

mod lockout;
mod made;
mod sessions;
mod sign_up;

use crate::world::*;
use domain::{AccountId, BoxFuture, Currency, Environment, Mail, Mailer};
use engine::{Caller, LogInForm, PushParts, SignUpForm};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const ANNA: &str = "anna@example.org";
pub const PASSWORD: &str = "correct horse battery";
const NEW: &str = "another fine password";
const PUSH: &str = "push-token-of-annas-phone-0123456789";

fn at(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Records the mails; while it is stuck, none goes out.
#[derive(Default)]
pub struct TestMailer {
    mails: Mutex<Vec<Mail>>,
    is_stuck: AtomicBool,
}

impl Mailer for TestMailer {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            while self.is_stuck.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.mails.lock().unwrap().push(mail.clone());
            Ok(())
        })
    }
}

impl TestMailer {
    fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// The code in the last of `count` mails.
    async fn code(&self, count: usize) -> String {
        until(|| self.count() >= count).await;
        let mails = self.mails.lock().unwrap();
        assert_eq!(mails.len(), count, "{mails:?}");
        let text = &mails[count - 1].text;
        let line = text.lines().find_map(|line| line.strip_prefix("Your code: "));
        line.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }
}

async fn world_with_mailer(push: Option<PushParts>) -> (World, Arc<TestMailer>) {
    let mailer = Arc::new(TestMailer::default());
    let services = Services { mailer: Some(mailer.clone()), push, ..Services::default() };
    (world_with(Arc::default(), services).await, mailer)
}

/// A world in which Anna has signed up from address 1; with this push service, if any.
pub async fn with_anna(push: Option<PushParts>) -> (World, Arc<TestMailer>) {
    let (world, mailer) = world_with_mailer(push).await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    let code = mailer.code(1).await;
    let confirmed =
        world.engine.confirm_sign_up(ANNA, &code, PASSWORD, &[Currency::BDT], at(1)).await;
    assert_eq!(confirmed, Ok(()));
    (world, mailer)
}

async fn sign_up(engine: &TestEngine, email: &str, from: IpAddr) -> Result<(), SignUpRefused> {
    let form =
        SignUpForm { email, mobile: "0771234567", password: PASSWORD, name: "Anna Moyo", from };
    engine.sign_up(form).await
}

/// A request to log in; an empty push token for none.
fn request<'a>(
    email: &'a str,
    password: &'a str,
    push_token: &'a str,
    from: IpAddr,
) -> LogInForm<'a> {
    LogInForm { email, password, push_token, environment: Environment::Live, from }
}

async fn log_in(engine: &TestEngine, password: &str, from: IpAddr) -> Result<String, LogInRefused> {
    engine.log_in(request(ANNA, password, "", from)).await.map(|token| token.text)
}

async fn enter(engine: &TestEngine, token: &str) -> Result<Caller, TokenRefused> {
    engine.authenticate_token(Some(token)).await.caller
}
