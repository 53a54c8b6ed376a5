//! Sign-up and its codes: what an address reveals, how often a code may be tried, how many mails
//! are sent.

use super::*;
use domain::Role;
use engine::NewAccount;

#[tokio::test]
async fn from_sign_up_to_log_out() {
    let (world, mailer) = world_with_mailer(None).await;
    let engine = &world.engine;
    sign_up(engine, " Anna@Example.ORG ", at(1)).await.unwrap();
    let code = mailer.code(1).await;
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, Err(LogInFailed.into()), "not yet");
    let currencies = ["USD", "ZWG"].map(|code| Currency::from_code(code).unwrap());
    let typed = code.to_lowercase().replace('-', " ");
    engine.confirm_sign_up("ANNA@example.org", &typed, PASSWORD, &currencies, at(1)).await.unwrap();
    let again = engine.confirm_sign_up(ANNA, &code, PASSWORD, &currencies, at(1)).await;
    assert_eq!(again, Err(CodeInvalid.into()));
    let user = engine.users().unwrap().pop().unwrap();
    assert_eq!((user.email.as_str(), user.mobile.as_deref()), (ANNA, Some("0771234567")));
    let account = engine.account(user.account).unwrap().unwrap();
    assert_eq!((account.role, account.name.as_str()), (Role::Customer, "Anna Moyo"));
    let wallets = engine.wallets(user.account).unwrap();
    assert_eq!(wallets.len(), 4, "two currencies, two environments");

    for environment in Environment::ALL {
        let request =
            LogInForm { environment, ..request("ANNA@Example.org ", PASSWORD, PUSH, at(1)) };
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
        assert_eq!(enter(engine, &token.text).await, Err(TokenInvalid.into()));
        assert_eq!(engine.devices_of(user.account).unwrap().len(), 0, "it gets no more pushes");
    }
    world.assert_sound().await;
}

/// Whether the address has an account or not, the answer is the same; only the mail differs.
#[tokio::test]
async fn a_sign_up_does_not_reveal_who_has_an_account() {
    let (world, mailer) = with_anna(None).await;
    assert_eq!(sign_up(&world.engine, ANNA, at(2)).await, Ok(()));
    until(|| mailer.count() == 2).await;
    let mail = mailer.mails.lock().unwrap()[1].clone();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (ANNA, "You have an account already"));
    assert!(!mail.text.contains("code"), "{}", mail.text);
    // That sign-up cannot be confirmed.
    let guess = world.engine.confirm_sign_up(ANNA, "0000000000", PASSWORD, &[], at(2)).await;
    assert_eq!(guess, Err(CodeInvalid.into()));
    assert_eq!(world.engine.users().unwrap().len(), 1);
    assert!(log_in(&world.engine, PASSWORD, at(2)).await.is_ok());
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_sent() {
    let (world, mailer) = world_with_mailer(None).await;
    let form = SignUpForm { email: "x", mobile: "1", password: "short", name: "", from: at(1) };
    let Err(SignUpRefused::Invalid(Invalid { errors })) = world.engine.sign_up(form).await else {
        panic!()
    };
    let fields: Vec<_> = errors.iter().map(|e| e.field).collect();
    assert_eq!(fields, ["email", "mobile", "password"]);
    let long = "x".repeat(4097);
    let request = request(ANNA, PASSWORD, &long, at(1));
    assert!(matches!(world.engine.log_in(request).await, Err(LogInRefused::Invalid(_))));
    assert_eq!(mailer.count(), 0);
}

#[tokio::test]
async fn a_code_has_five_tries_and_half_an_hour() {
    let (world, mailer) = world_with_mailer(None).await;
    let engine = &world.engine;
    let confirm =
        async |code: &str| engine.confirm_sign_up(ANNA, code, PASSWORD, &[], at(1)).await.is_ok();
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let first = mailer.code(1).await;
    for _ in 0..5 {
        assert!(!confirm("AAAAA-AAAAA").await);
    }
    assert!(!confirm(&first).await, "tried too often");
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let second = mailer.code(2).await;
    world.clock.advance(minutes(30));
    assert!(!confirm(&second).await, "too old");
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let third = mailer.code(3).await;
    assert!(confirm(&third).await);
}

/// Neither wrong codes, nor sign-ups with her address, nor requested mails invalidate Anna's code.
#[tokio::test]
async fn other_clients_cannot_invalidate_a_code() {
    let (world, mailer) = world_with_mailer(None).await;
    let engine = &world.engine;
    let confirm =
        async |code: &str, n| engine.confirm_sign_up(ANNA, code, PASSWORD, &[], at(n)).await;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let code = mailer.code(1).await;
    for _ in 0..5 {
        assert_eq!(confirm("AAAAA-AAAAA", 66).await, Err(CodeInvalid.into()));
    }
    assert_eq!(confirm(&code, 66).await, Err(CodeInvalid.into()), "no tries left for that network");
    let form = SignUpForm { email: ANNA, mobile: "", password: NEW, name: "", from: at(66) };
    for n in 0..2 {
        engine.sign_up(form).await.unwrap();
        mailer.code(2 + n).await;
    }
    assert_eq!(confirm(&code, 1).await, Ok(()));

    let reset = async |code: &str, n| engine.reset_password(ANNA, code, NEW, at(n)).await;
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = mailer.code(4).await;
    // One more mail for this network, then none; an address gets ten an hour in all.
    for _ in 0..5 {
        engine.forgot_password(ANNA, at(66)).await.unwrap();
    }
    mailer.code(5).await;
    for _ in 0..5 {
        assert_eq!(reset("AAAAA-AAAAA", 67).await, Err(CodeInvalid.into()));
    }
    assert_eq!(reset(&code, 1).await, Ok(()));
    until(|| mailer.count() == 6).await;
    let mut wait = Ok(());
    for n in 70..80 {
        wait = sign_up(engine, ANNA, at(n)).await;
    }
    assert_eq!(wait, Err(TooFast { retry_after_s: 3600 }.into()));
    until(|| mailer.count() == 6 + 5).await;
}

#[tokio::test]
async fn mails_are_limited_by_network_too() {
    let (world, mailer) = world_with_mailer(None).await;
    for n in 0..10 {
        sign_up(&world.engine, &format!("u{n}@example.org"), at(1)).await.unwrap();
    }
    let wait = Err(TooFast { retry_after_s: 3600 }.into());
    assert_eq!(sign_up(&world.engine, "u10@example.org", at(1)).await, wait);
    // A forgotten password has the same answer either way; it gets no mail.
    assert_eq!(world.engine.forgot_password("u1@example.org", at(1)).await, Ok(()));
    assert_eq!(sign_up(&world.engine, "u10@example.org", at(2)).await, Ok(()));
    until(|| mailer.count() == 11).await;
}

/// A code that fifty clients send at once opens one account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_used_once() {
    let (world, mailer) = world_with_mailer(None).await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    let code = mailer.code(1).await;
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
    // And it sets one password; twenty are as many as may be hashed at a time.
    world.engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = mailer.code(2).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (engine, code) = (world.engine.clone(), code.clone());
        let new = format!("password of task {n}");
        tasks.spawn(async move { engine.reset_password(ANNA, &code, &new, at(n)).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

/// Mails that are not sent queue up to a limit and delay no answer.
#[tokio::test]
async fn mails_that_hang_are_bounded() {
    let (world, mailer) = world_with_mailer(None).await;
    mailer.is_stuck.store(true, Ordering::SeqCst);
    for n in 0..104_u8 {
        let email = format!("u{n}@example.org");
        assert_eq!(sign_up(&world.engine, &email, at(n)).await, Ok(()));
    }
    mailer.is_stuck.store(false, Ordering::SeqCst);
    until(|| mailer.count() == 100).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(mailer.count(), 100);
}

/// Staff make a login of an address between its sign-up and the confirmation: it has one login.
#[tokio::test]
async fn an_address_has_one_login() {
    let (world, mailer) = world_with_mailer(None).await;
    let engine = &world.engine;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let code = mailer.code(1).await;
    let new =
        NewAccount { role: Role::Customer, name: "Other", subscription: None, currencies: &[] };
    let mut setup = engine.account_setup();
    let account = setup.account(&new).await.unwrap();
    setup.user(account, "ANNA@example.org", "owner", NEW).await.unwrap();
    setup.commit().await.unwrap();
    let late = engine.confirm_sign_up(ANNA, &code, PASSWORD, &[], at(1)).await;
    assert_eq!(late, Err(CodeInvalid.into()));
    assert!(log_in(engine, NEW, at(1)).await.is_ok());
    let mut setup = engine.account_setup();
    setup.user(account, " Anna@EXAMPLE.org", "owner", NEW).await.unwrap();
    assert!(setup.commit().await.is_err(), "twice the same address");
}

/// Somebody else signs up with Anna's address after her, and she gets the newer code by mail. With
/// her own password that code is invalid.
#[tokio::test]
async fn nobody_confirms_another_persons_password() {
    let (world, mailer) = world_with_mailer(None).await;
    sign_up(&world.engine, ANNA, at(1)).await.unwrap();
    mailer.code(1).await;
    let password = "another person's password";
    let form = SignUpForm { email: ANNA, mobile: "", password, name: "", from: at(66) };
    world.engine.sign_up(form).await.unwrap();
    let newer = mailer.code(2).await;
    let confirmed = world.engine.confirm_sign_up(ANNA, &newer, PASSWORD, &[], at(1)).await;
    assert_eq!(confirmed, Err(CodeInvalid.into()));
    assert!(world.engine.users().unwrap().iter().all(|user| user.email != ANNA));
}
