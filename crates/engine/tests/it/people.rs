//! The logins of consumers: sign-up, log-in, tokens, passwords, locks; what a thief of the database
//! gets of them.

use crate::world::*;
use domain::Refusal;
use domain::account::{AccountId, Environment, Role};
use domain::ids::SessionId;
use domain::mail::{Mail, Mailer};
use domain::money::Currency;
use domain::upstream::BoxFuture;
use engine::{Caller, Engine, LogInForm, NewAccount, PushParts, SignUpForm};
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

/// Keeps what is sent.
#[derive(Default)]
pub struct Letterbox {
    mails: Mutex<Vec<Mail>>,
    is_stuck: AtomicBool,
}

impl Mailer for Letterbox {
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

impl Letterbox {
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

async fn house() -> (World, Arc<Letterbox>) {
    house_with(None).await
}

async fn house_with(push: Option<PushParts>) -> (World, Arc<Letterbox>) {
    let letters = Arc::new(Letterbox::default());
    let services = Services { mailer: Some(letters.clone()), push, ..Services::default() };
    (world_with(Arc::default(), services).await, letters)
}

/// A house with Anna in it, who has signed up at address 1.
pub async fn with_anna() -> (World, Arc<Letterbox>) {
    with_anna_and(None).await
}

/// The same, with a push service.
pub async fn with_anna_and(push: Option<PushParts>) -> (World, Arc<Letterbox>) {
    let (world, letters) = house_with(push).await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    let code = letters.code(1).await;
    let confirmed =
        world.engine.confirm_sign_up(ANNA, &code, PASSWORD, &[Currency::BDT], at(1)).await;
    assert_eq!(confirmed, Ok(()));
    (world, letters)
}

async fn sign_up(engine: &Engine, email: &str, from: IpAddr) -> Result<(), Refusal> {
    let form =
        SignUpForm { email, mobile: "0771234567", password: PASSWORD, name: "Anna Moyo", from };
    engine.sign_up(form).await
}

fn ask<'a>(email: &'a str, password: &'a str, push_token: &'a str, from: IpAddr) -> LogInForm<'a> {
    LogInForm { email, password, push_token, environment: Environment::Live, from }
}

async fn log_in(engine: &Engine, password: &str, from: IpAddr) -> Result<String, Refusal> {
    engine.log_in(ask(ANNA, password, "", from)).await.map(|token| token.text)
}

async fn enter(engine: &Engine, token: &str) -> Result<Caller, Refusal> {
    engine.authenticate_token(Some(token)).await.caller
}

#[tokio::test]
async fn from_sign_up_to_log_out() {
    let (world, letters) = house().await;
    let engine = &world.engine;
    sign_up(engine, " Anna@Example.ORG ", at(1)).await.unwrap();
    let code = letters.code(1).await;
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, Err(Refusal::LogInFailed), "not yet");
    let currencies = ["USD", "ZWG"].map(|code| Currency::from_code(code).unwrap());
    let typed = code.to_lowercase().replace('-', " ");
    engine.confirm_sign_up("ANNA@example.org", &typed, PASSWORD, &currencies, at(1)).await.unwrap();
    let again = engine.confirm_sign_up(ANNA, &code, PASSWORD, &currencies, at(1)).await;
    assert_eq!(again, Err(Refusal::CodeInvalid));
    let user = engine.users().unwrap().pop().unwrap();
    assert_eq!((user.email.as_str(), user.mobile.as_deref()), (ANNA, Some("0771234567")));
    let account = engine.account(user.account).unwrap().unwrap();
    assert_eq!((account.role, account.name.as_str()), (Role::Customer, "Anna Moyo"));
    let wallets = engine.wallets(user.account).unwrap();
    assert_eq!(wallets.len(), 4, "two currencies, two environments");

    for environment in Environment::ALL {
        let request = LogInForm { environment, ..ask("ANNA@Example.org ", PASSWORD, PUSH, at(1)) };
        let token = engine.log_in(request).await.unwrap();
        assert_eq!(token.expires_in_s, 3600);
        assert_eq!(format!("{token:?}"), "AccessToken { expires_in_s: 3600, .. }");
        let access = engine.authenticate_token(Some(&token.text)).await;
        let caller = access.caller.unwrap();
        assert_eq!((caller.account, caller.environment), (user.account, environment));
        assert_eq!((caller.key, caller.plan), (None, None));
        let quota = access.quota.unwrap();
        assert_eq!((quota.limit, quota.remaining), (120, 119));
        let devices = engine.devices_of(user.account).unwrap();
        assert_eq!((devices.len(), devices[0].push_token.as_str()), (1, PUSH));
        engine.log_out(&caller).await.unwrap();
        assert_eq!(enter(engine, &token.text).await, Err(Refusal::TokenInvalid));
        assert_eq!(engine.devices_of(user.account).unwrap().len(), 0, "it is told nothing more");
    }
    world.assert_sound().await;
}

/// Known or not, the answer is the same; what differs is in the mail.
#[tokio::test]
async fn a_sign_up_tells_nothing_of_who_is_known() {
    let (world, letters) = with_anna().await;
    assert_eq!(sign_up(&world.engine, ANNA, at(2)).await, Ok(()));
    until(|| letters.count() == 2).await;
    let mail = letters.mails.lock().unwrap()[1].clone();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (ANNA, "You have an account already"));
    assert!(!mail.text.contains("code"), "{}", mail.text);
    // What was typed there is good for nothing.
    let guess = world.engine.confirm_sign_up(ANNA, "0000000000", PASSWORD, &[], at(2)).await;
    assert_eq!(guess, Err(Refusal::CodeInvalid));
    assert_eq!(world.engine.users().unwrap().len(), 1);
    assert!(log_in(&world.engine, PASSWORD, at(2)).await.is_ok());
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_sent() {
    let (world, letters) = house().await;
    let form = SignUpForm { email: "x", mobile: "1", password: "short", name: "", from: at(1) };
    let Err(Refusal::Invalid(complaints)) = world.engine.sign_up(form).await else { panic!() };
    let fields: Vec<_> = complaints.iter().map(|c| c.field).collect();
    assert_eq!(fields, ["email", "mobile", "password"]);
    let long = "x".repeat(4097);
    let request = ask(ANNA, PASSWORD, &long, at(1));
    assert!(matches!(world.engine.log_in(request).await, Err(Refusal::Invalid(_))));
    assert_eq!(letters.count(), 0);
}

#[tokio::test]
async fn a_code_has_five_tries_and_half_an_hour() {
    let (world, letters) = house().await;
    let engine = &world.engine;
    let confirm =
        async |code: &str| engine.confirm_sign_up(ANNA, code, PASSWORD, &[], at(1)).await.is_ok();
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let first = letters.code(1).await;
    for _ in 0..5 {
        assert!(!confirm("AAAAA-AAAAA").await);
    }
    assert!(!confirm(&first).await, "tried too often");
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let second = letters.code(2).await;
    world.clock.advance(minutes(30));
    assert!(!confirm(&second).await, "too old");
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let third = letters.code(3).await;
    assert!(confirm(&third).await);
}

/// Neither five wrong codes, nor forms of their own, nor mails that they ask for.
#[tokio::test]
async fn strangers_deny_nobody_a_code() {
    let (world, letters) = house().await;
    let engine = &world.engine;
    let confirm =
        async |code: &str, n| engine.confirm_sign_up(ANNA, code, PASSWORD, &[], at(n)).await;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let code = letters.code(1).await;
    for _ in 0..5 {
        assert_eq!(confirm("AAAAA-AAAAA", 66).await, Err(Refusal::CodeInvalid));
    }
    assert_eq!(confirm(&code, 66).await, Err(Refusal::CodeInvalid), "spent, over there");
    let form = SignUpForm { email: ANNA, mobile: "", password: NEW, name: "", from: at(66) };
    for n in 0..2 {
        engine.sign_up(form).await.unwrap();
        letters.code(2 + n).await;
    }
    assert_eq!(confirm(&code, 1).await, Ok(()));

    let reset = async |code: &str, n| engine.reset_password(ANNA, code, NEW, at(n)).await;
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = letters.code(4).await;
    // One more mail for this stranger, then none; there are ten an hour for all.
    for _ in 0..5 {
        engine.forgot_password(ANNA, at(66)).await.unwrap();
    }
    letters.code(5).await;
    for _ in 0..5 {
        assert_eq!(reset("AAAAA-AAAAA", 67).await, Err(Refusal::CodeInvalid));
    }
    assert_eq!(reset(&code, 1).await, Ok(()));
    until(|| letters.count() == 6).await;
    let mut wait = Ok(());
    for n in 70..80 {
        wait = sign_up(engine, ANNA, at(n)).await;
    }
    assert_eq!(wait, Err(Refusal::TooFast { retry_after_s: 3600 }));
    until(|| letters.count() == 6 + 5).await;
}

#[tokio::test]
async fn mails_are_counted_by_network_too() {
    let (world, letters) = house().await;
    for n in 0..10 {
        sign_up(&world.engine, &format!("u{n}@example.org"), at(1)).await.unwrap();
    }
    let wait = Err(Refusal::TooFast { retry_after_s: 3600 });
    assert_eq!(sign_up(&world.engine, "u10@example.org", at(1)).await, wait);
    // Who forgot is told nothing either way, and gets no mail.
    assert_eq!(world.engine.forgot_password("u1@example.org", at(1)).await, Ok(()));
    assert_eq!(sign_up(&world.engine, "u10@example.org", at(2)).await, Ok(()));
    until(|| letters.count() == 11).await;
}

/// A code that fifty send at once opens one account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_used_once() {
    let (world, letters) = house().await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    let code = letters.code(1).await;
    let accounts = world.engine.accounts().unwrap().len();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (engine, code) = (world.engine.clone(), code.clone());
        tasks.spawn(async move {
            engine.confirm_sign_up(ANNA, &code, PASSWORD, &[], at(n)).await.is_ok()
        });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    assert_eq!(world.engine.accounts().unwrap().len(), accounts + 1);
    // And a new password once, for as many as can be hashed at a time.
    world.engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = letters.code(2).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (engine, code) = (world.engine.clone(), code.clone());
        let new = format!("password of task {n}");
        tasks.spawn(async move { engine.reset_password(ANNA, &code, &new, at(n)).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let (world, letters) = with_anna().await;
    let engine = &world.engine;
    let one = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let two = log_in(engine, PASSWORD, at(2)).await.unwrap();
    let caller = enter(engine, &one).await.unwrap();
    let change =
        async |current: &str, new: &str| engine.change_password(&caller, current, new, at(1)).await;
    assert_eq!(change("wrong one", NEW).await, Err(Refusal::LogInFailed));
    assert!(matches!(change(PASSWORD, "password").await, Err(Refusal::Invalid(_))));
    assert!(enter(engine, &two).await.is_ok());
    assert_eq!(change(PASSWORD, NEW).await, Ok(()));
    for token in [&one, &two] {
        assert_eq!(enter(engine, token).await, Err(Refusal::TokenInvalid));
    }
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, Err(Refusal::LogInFailed));
    let three = log_in(engine, NEW, at(1)).await.unwrap();

    until(|| letters.count() == 2).await;
    engine.forgot_password("Anna@example.org", at(5)).await.unwrap();
    let code = letters.code(3).await;
    let weak = engine.reset_password(ANNA, &code, ANNA, at(5)).await;
    assert!(matches!(weak, Err(Refusal::Invalid(_))));
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", PASSWORD, at(5)).await;
    assert_eq!(wrong, Err(Refusal::CodeInvalid));
    engine.reset_password(ANNA, &code, PASSWORD, at(5)).await.unwrap();
    assert_eq!(enter(engine, &three).await, Err(Refusal::TokenInvalid));
    let again = engine.reset_password(ANNA, &code, NEW, at(5)).await;
    assert_eq!(again, Err(Refusal::CodeInvalid));
    let four = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let caller = enter(engine, &four).await.unwrap();
    engine.log_out_everywhere(&caller).await.unwrap();
    assert_eq!(enter(engine, &four).await, Err(Refusal::TokenInvalid));
    // One code is none for the other purpose, and nobody's address gets none.
    engine.forgot_password("nobody@example.org", at(6)).await.unwrap();
    let nobody = engine.reset_password("nobody@example.org", "AAAAAAAAAA", NEW, at(6)).await;
    assert_eq!(nobody, Err(Refusal::CodeInvalid));
    until(|| letters.count() == 4).await;
}

#[tokio::test]
async fn only_customers_come_in_here() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    let mut founding = engine.account_setup();
    founding.user(AccountId(1), "Staff@example.org", "admin", PASSWORD).await.unwrap();
    founding.user(world.merchant, "shop@example.org", "owner", PASSWORD).await.unwrap();
    founding.commit().await.unwrap();
    for email in ["staff@example.org", "shop@example.org", "nobody@example.org", "", "\0"] {
        let refused = engine.log_in(ask(email, PASSWORD, "", at(3))).await;
        assert_eq!(refused, Err(Refusal::LogInFailed), "{email}");
    }
    // Switched off: told to whoever knows the password only.
    let token = log_in(engine, PASSWORD, at(4)).await.unwrap();
    let caller = enter(engine, &token).await.unwrap();
    engine.set_user_active(ANNA, false).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
    assert_eq!(log_in(engine, PASSWORD, at(4)).await, Err(Refusal::AccountInactive));
    assert_eq!(log_in(engine, "wrong one", at(4)).await, Err(Refusal::LogInFailed));
    engine.set_user_active(ANNA, true).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid), "ended is ended");
    let token = log_in(engine, PASSWORD, at(4)).await.unwrap();
    engine.change_account(caller.account, |a| a.is_active = false).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(Refusal::AccountInactive));
    assert_eq!(log_in(engine, PASSWORD, at(4)).await, Err(Refusal::AccountInactive));
    let nobody = engine.set_user_active("nobody@example.org", false).await;
    assert_eq!(nobody, Err(Refusal::LogInFailed));
    engine.change_account(caller.account, |a| a.is_active = true).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    engine.log_user_out(ANNA).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
    // A key pair has no session to end.
    let by_key = engine.log_out(&world.caller()).await;
    assert_eq!(by_key, Err(Refusal::TokenInvalid));
    let strange = Caller { session: Some(SessionId(1)), ..world.caller() };
    assert_eq!(engine.log_out_everywhere(&strange).await, Err(Refusal::TokenInvalid));
}

/// Ten wrong passwords from ten networks lock strangers out, of an address that is somebody's and
/// of one that is nobody's alike; on her phone Anna gets in.
#[tokio::test]
async fn nobody_locks_anna_out() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    let on_phone = |password, n| engine.log_in(ask(ANNA, password, PUSH, at(n)));
    assert!(on_phone(PASSWORD, 1).await.is_ok());
    world.clock.advance(minutes(1));
    let mut answers = Vec::new();
    for email in [ANNA, "nobody@example.org"] {
        let mut said = Vec::new();
        for n in 0..15 {
            let from = IpAddr::from([10, 0, n, u8::try_from(email.len()).unwrap()]);
            said.push(engine.log_in(ask(email, "a wrong guess", "", from)).await.unwrap_err());
            world.clock.advance(Duration::from_secs(1));
        }
        answers.push(said);
    }
    assert_eq!(answers[0], answers[1]);
    let locked = |s| Refusal::TooFast { retry_after_s: s };
    assert_eq!(answers[0][9..12], [Refusal::LogInFailed, locked(1799), locked(1798)]);
    // The right password too, without her phone; and on another's.
    assert!(matches!(log_in(engine, PASSWORD, at(50)).await, Err(Refusal::TooFast { .. })));
    let other = engine.log_in(ask(ANNA, PASSWORD, "another-phone", at(1))).await;
    assert!(matches!(other, Err(Refusal::TooFast { .. })));
    // Who shares her network guesses no more than others, and is told no more.
    for email in [ANNA, "nobody@example.org"] {
        let neighbour = engine.log_in(ask(email, "a wrong guess", "", at(1))).await;
        assert!(matches!(neighbour, Err(Refusal::TooFast { .. })), "{email}: {neighbour:?}");
    }
    // On her phone anywhere, the same minute in which strangers guess.
    assert!(on_phone(PASSWORD, 50).await.is_ok());
    // Who has her phone has ten guesses of their own.
    world.clock.advance(minutes(1));
    for _ in 0..10 {
        assert_eq!(on_phone("a wrong guess", 50).await, Err(Refusal::LogInFailed));
    }
    world.clock.advance(minutes(1));
    assert!(matches!(on_phone(PASSWORD, 50).await, Err(Refusal::TooFast { .. })));
    world.clock.advance(minutes(30));
    assert!(log_in(engine, PASSWORD, at(51)).await.is_ok());
}

/// Ten times wrong at home locks her address and her network: her mailbox is the way back, and
/// opens nothing to whoever guesses beside her.
#[tokio::test]
async fn a_reset_lifts_the_lock() {
    let (world, letters) = with_anna().await;
    let engine = &world.engine;
    for _ in 0..10 {
        assert_eq!(log_in(engine, "a wrong guess", at(1)).await, Err(Refusal::LogInFailed));
    }
    world.clock.advance(minutes(2));
    let locked = Err(Refusal::TooFast { retry_after_s: 28 * 60 });
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, locked);
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = letters.code(2).await;
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", NEW, at(1)).await;
    assert_eq!(wrong, Err(Refusal::CodeInvalid));
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, locked, "a wrong code lifts nothing");
    engine.reset_password(ANNA, &code, NEW, at(1)).await.unwrap();
    assert!(log_in(engine, NEW, at(1)).await.is_ok());
    assert!(log_in(engine, NEW, at(2)).await.is_ok());
}

/// Whoever has a password cannot keep both cores hashing with it.
#[tokio::test]
async fn right_passwords_are_counted_too() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    for n in 0..10 {
        assert!(log_in(engine, PASSWORD, at(n)).await.is_ok(), "{n}");
    }
    let wait = Refusal::TooFast { retry_after_s: 60 };
    assert_eq!(log_in(engine, PASSWORD, at(10)).await, Err(wait.clone()));
    let mut founding = engine.account_setup();
    for n in 0..4 {
        let new =
            NewAccount { role: Role::Customer, name: "N", subscription: None, currencies: &[] };
        let account = founding.account(&new).unwrap();
        founding.user(account, &format!("u{n}@example.org"), "owner", PASSWORD).await.unwrap();
    }
    founding.commit().await.unwrap();
    world.clock.advance(minutes(1));
    assert!(log_in(engine, PASSWORD, at(10)).await.is_ok());
    for n in 0..30 {
        let email = format!("u{}@example.org", n % 3);
        assert!(engine.log_in(ask(&email, PASSWORD, "", at(99))).await.is_ok(), "{n}");
    }
    let other = engine.log_in(ask("u3@example.org", PASSWORD, "", at(99))).await;
    assert_eq!(other, Err(wait));
    assert!(engine.log_in(ask("u3@example.org", PASSWORD, "", at(98))).await.is_ok());
}

/// A flood of guesses at once: ten are checked, and a line of twenty-two is never passed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_is_not_checked() {
    let (world, _) = with_anna().await;
    assert!(world.engine.log_in(ask(ANNA, PASSWORD, PUSH, at(1))).await.is_ok());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500_u16 {
        let engine = world.engine.clone();
        let from = IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        tasks.spawn(async move { log_in(&engine, "a wrong guess", from).await.unwrap_err() });
    }
    let said = tasks.join_all().await;
    let checked = said.iter().filter(|r| **r == Refusal::LogInFailed).count();
    assert!((1..=10).contains(&checked), "{checked} of 500 were checked");
    assert!(said.iter().all(|r| matches!(r, Refusal::LogInFailed | Refusal::TooFast { .. })));
    let on_phone = world.engine.log_in(ask(ANNA, PASSWORD, PUSH, at(1))).await;
    assert!(on_phone.is_ok(), "{on_phone:?}");
    // Guesses at many logins: what does not fit into the line is refused at once.
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200_u8 {
        let engine = world.engine.clone();
        let email = format!("u{n}@example.org");
        tasks.spawn(async move {
            engine.log_in(ask(&email, "a wrong guess", "", IpAddr::from([10, 9, n, 1]))).await
        });
    }
    let said = tasks.join_all().await;
    assert!(said.contains(&Err(Refusal::TooFast { retry_after_s: 2 })), "{said:?}");
    assert!(said.contains(&Err(Refusal::LogInFailed)));
}

/// Mails that do not go out pile up to a bound and hold no answer up.
#[tokio::test]
async fn mails_that_hang_are_bounded() {
    let (world, letters) = house().await;
    letters.is_stuck.store(true, Ordering::SeqCst);
    for n in 0..104_u8 {
        let email = format!("u{n}@example.org");
        assert_eq!(sign_up(&world.engine, &email, at(n)).await, Ok(()));
    }
    letters.is_stuck.store(false, Ordering::SeqCst);
    until(|| letters.count() == 100).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(letters.count(), 100);
}

#[tokio::test]
async fn a_session_ends_here_at_once_and_elsewhere_within_a_second() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    // As another node would: behind this engine's back.
    world.home.sql("UPDATE sessions SET revoked_at = 1");
    assert!(enter(engine, &token).await.is_ok(), "a second is the bargain");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
    // A session that is gone altogether, and one that has run its hour.
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    world.home.sql("DELETE FROM sessions");
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3599));
    assert!(enter(engine, &token).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
}

/// What ends nobody's session has nobody's read anew: a stranger cannot keep the store busy so.
#[tokio::test]
async fn sessions_stay_read_until_one_ends() {
    let (world, letters) = with_anna().await;
    let engine = &world.engine;
    sign_up(engine, "ben@example.org", at(2)).await.unwrap();
    let code = letters.code(2).await;
    engine.confirm_sign_up("ben@example.org", &code, PASSWORD, &[], at(2)).await.unwrap();
    let ben = engine.log_in(ask("ben@example.org", PASSWORD, "", at(2))).await.unwrap().text;
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    // Whether a session is read anew shows in this, which another node did.
    world.home.sql(&format!(
        "UPDATE sessions SET revoked_at = 1 WHERE user_id = (SELECT id FROM users WHERE email = '{ANNA}')"
    ));
    engine.forgot_password("nobody@example.org", at(3)).await.unwrap();
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", NEW, at(3)).await;
    assert_eq!(wrong, Err(Refusal::CodeInvalid));
    assert!(engine.log_in(ask("ben@example.org", PASSWORD, "", at(2))).await.is_ok());
    engine.log_out(&enter(engine, &ben).await.unwrap()).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    engine.log_user_out(ANNA).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(Refusal::TokenInvalid));
}

#[tokio::test]
async fn a_customers_rate_is_its_accounts() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    let one = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let two = log_in(engine, PASSWORD, at(2)).await.unwrap();
    for n in 0..120 {
        assert!(enter(engine, [&one, &two][n % 2]).await.is_ok());
    }
    let refused = enter(engine, &two).await;
    assert_eq!(refused, Err(Refusal::TooFast { retry_after_s: 60 }));
    // However many wrong tokens there are: one answer.
    for _ in 0..100 {
        assert_eq!(enter(engine, "x").await, Err(Refusal::TokenInvalid));
    }
    let none = engine.authenticate_token(None).await.caller;
    assert_eq!(none, Err(Refusal::TokenInvalid));
}

/// Through the change of keys, every 30 days, whoever is in stays in.
#[tokio::test]
async fn keys_change_and_nobody_notices() {
    let (world, _) = with_anna().await;
    let engine = &world.engine;
    let mut kids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        // To half an hour before the next period begins.
        let period_s = 30 * 24 * 3600;
        let left_s = period_s - engine.now().0 / 1_000_000 % period_s;
        world.clock.advance(Duration::from_secs(u64::try_from(left_s - 1800).unwrap()));
        let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
        kids.insert(token.split('.').next().unwrap().to_owned());
        for minute in 0..59 {
            assert!(enter(engine, &token).await.is_ok(), "minute {minute}");
            world.clock.advance(minutes(1));
        }
        let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
        kids.insert(token.split('.').next().unwrap().to_owned());
    }
    assert_eq!(kids.len(), 4, "two of one period are one");
}

/// Two sign up an address at once, staff make a login of it meanwhile: it is one login's.
#[tokio::test]
async fn an_address_is_one_logins() {
    let (world, letters) = house().await;
    let engine = &world.engine;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let code = letters.code(1).await;
    let new =
        NewAccount { role: Role::Customer, name: "Other", subscription: None, currencies: &[] };
    let mut founding = engine.account_setup();
    let account = founding.account(&new).unwrap();
    founding.user(account, "ANNA@example.org", "owner", NEW).await.unwrap();
    founding.commit().await.unwrap();
    let late = engine.confirm_sign_up(ANNA, &code, PASSWORD, &[], at(1)).await;
    assert_eq!(late, Err(Refusal::CodeInvalid));
    assert!(log_in(engine, NEW, at(1)).await.is_ok());
    let mut founding = engine.account_setup();
    founding.user(account, " Anna@EXAMPLE.org", "owner", NEW).await.unwrap();
    assert!(founding.commit().await.is_err(), "twice the same address");
}

/// What a thief of the database finds.
#[tokio::test]
async fn no_secret_is_on_the_disk() {
    let (world, letters) = house().await;
    let engine = &world.engine;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let first = letters.code(1).await;
    engine.confirm_sign_up(ANNA, &first, PASSWORD, &[], at(1)).await.unwrap();
    let token = engine.log_in(ask(ANNA, PASSWORD, PUSH, at(1))).await.unwrap().text;
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let second = letters.code(2).await;
    engine.reset_password(ANNA, &second, NEW, at(1)).await.unwrap();
    engine.log_in(ask(ANNA, NEW, PUSH, at(1))).await.unwrap();
    sign_up(engine, "ben@example.org", at(1)).await.unwrap();
    let third = letters.code(4).await;
    let bare = |code: &str| code.replace('-', "");
    let tag = token.rsplit('.').next().unwrap().to_owned();
    let secrets = [PASSWORD, NEW, PUSH, &token, &tag, &first, &second, &third].map(str::to_owned);
    let secrets = secrets.into_iter().chain([&first, &second, &third].map(|code| bare(code)));
    let secrets: Vec<String> = secrets.collect();
    let bytes = world.home.bytes();
    let is_there = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(is_there(ANNA) && is_there("$argon2id$"), "looked in the wrong place");
    for secret in secrets {
        assert!(!is_there(&secret), "{secret}");
    }
}

/// A stranger who signs up with Anna's address after her has the newer code mailed to her: typed
/// beside her own password it opens nothing for him.
#[tokio::test]
async fn nobody_confirms_a_strangers_password() {
    let (world, letters) = house().await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    letters.code(1).await;
    let stranger = "a stranger's password";
    let form = SignUpForm { email: ANNA, mobile: "", password: stranger, name: "", from: at(66) };
    world.engine.sign_up(form).await.unwrap();
    let newer = letters.code(2).await;
    let typed = world.engine.confirm_sign_up(ANNA, &newer, PASSWORD, &[], at(1)).await;
    assert_eq!(typed, Err(Refusal::CodeInvalid));
    assert!(world.engine.users().unwrap().iter().all(|user| user.email != ANNA));
}
