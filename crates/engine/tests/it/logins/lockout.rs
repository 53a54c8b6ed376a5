//! Guessed passwords: what is locked, for how long, and who still logs in.

use super::*;
use domain::Role;
use engine::NewAccount;

/// Ten wrong passwords from ten networks lock an address for unknown devices, whether it has a
/// login or not; Anna still logs in on her phone.
#[tokio::test]
async fn nobody_locks_anna_out() {
    let (world, _) = with_anna(None).await;
    let engine = &world.engine;
    let on_phone = |password, n| engine.log_in(request(ANNA, password, PUSH, at(n)));
    assert!(on_phone(PASSWORD, 1).await.is_ok());
    world.clock.advance(minutes(1));
    let mut answers = Vec::new();
    for email in [ANNA, "nobody@example.org"] {
        let mut refusals = Vec::new();
        for n in 0..15 {
            let from = IpAddr::from([10, 0, n, u8::try_from(email.len()).unwrap()]);
            refusals
                .push(engine.log_in(request(email, "a wrong guess", "", from)).await.unwrap_err());
            world.clock.advance(Duration::from_secs(1));
        }
        answers.push(refusals);
    }
    assert_eq!(answers[0], answers[1]);
    let locked = |s| LogInRefused::from(TooFast { retry_after_s: s });
    assert_eq!(answers[0][9..12], [LogInFailed.into(), locked(1799), locked(1798)]);
    // The right password is locked too, without her phone and on another one.
    assert!(matches!(log_in(engine, PASSWORD, at(50)).await, Err(LogInRefused::TooFast(_))));
    let other = engine.log_in(request(ANNA, PASSWORD, "another-phone", at(1))).await;
    assert!(matches!(other, Err(LogInRefused::TooFast(_))));
    // Her own network is locked as others are, and the answer reveals no more.
    for email in [ANNA, "nobody@example.org"] {
        let neighbour = engine.log_in(request(email, "a wrong guess", "", at(1))).await;
        assert!(matches!(neighbour, Err(LogInRefused::TooFast(_))), "{email}: {neighbour:?}");
    }
    // Her phone is not locked, from any network, in the same minute.
    assert!(on_phone(PASSWORD, 50).await.is_ok());
    // Her phone has ten guesses of its own.
    world.clock.advance(minutes(1));
    for _ in 0..10 {
        assert_eq!(on_phone("a wrong guess", 50).await, Err(LogInFailed.into()));
    }
    world.clock.advance(minutes(1));
    assert!(matches!(on_phone(PASSWORD, 50).await, Err(LogInRefused::TooFast(_))));
    world.clock.advance(minutes(30));
    assert!(log_in(engine, PASSWORD, at(51)).await.is_ok());
}

/// Ten wrong passwords from Anna's network lock her address and that network. A reset by mail
/// unlocks both, and only for her.
#[tokio::test]
async fn a_reset_unlocks() {
    let (world, mailer) = with_anna(None).await;
    let engine = &world.engine;
    for _ in 0..10 {
        assert_eq!(log_in(engine, "a wrong guess", at(1)).await, Err(LogInFailed.into()));
    }
    world.clock.advance(minutes(2));
    let locked = Err(TooFast { retry_after_s: 28 * 60 }.into());
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, locked);
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let code = mailer.code(2).await;
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", NEW, at(1)).await;
    assert_eq!(wrong, Err(CodeInvalid.into()));
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, locked, "a wrong code unlocks nothing");
    engine.reset_password(ANNA, &code, NEW, at(1)).await.unwrap();
    assert!(log_in(engine, NEW, at(1)).await.is_ok());
    assert!(log_in(engine, NEW, at(2)).await.is_ok());
}

/// A valid password must not be a way to keep all cores hashing.
#[tokio::test]
async fn valid_passwords_are_limited_too() {
    let (world, _) = with_anna(None).await;
    let engine = &world.engine;
    for n in 0..10 {
        assert!(log_in(engine, PASSWORD, at(n)).await.is_ok(), "{n}");
    }
    let wait = LogInRefused::from(TooFast { retry_after_s: 60 });
    assert_eq!(log_in(engine, PASSWORD, at(10)).await, Err(wait.clone()));
    let mut setup = engine.account_setup();
    for n in 0..4 {
        let new =
            NewAccount { role: Role::Customer, name: "N", subscription: None, currencies: &[] };
        let account = setup.account(&new).await.unwrap();
        setup.user(account, &format!("u{n}@example.org"), "owner", PASSWORD).await.unwrap();
    }
    setup.commit().await.unwrap();
    world.clock.advance(minutes(1));
    assert!(log_in(engine, PASSWORD, at(10)).await.is_ok());
    for n in 0..30 {
        let email = format!("u{}@example.org", n % 3);
        assert!(engine.log_in(request(&email, PASSWORD, "", at(99))).await.is_ok(), "{n}");
    }
    let other = engine.log_in(request("u3@example.org", PASSWORD, "", at(99))).await;
    assert_eq!(other, Err(wait));
    assert!(engine.log_in(request("u3@example.org", PASSWORD, "", at(98))).await.is_ok());
}

/// Of many guesses at one login at most ten are checked. Two hashes run at once and twenty wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_is_not_checked() {
    let (world, _) = with_anna(None).await;
    assert!(world.engine.log_in(request(ANNA, PASSWORD, PUSH, at(1))).await.is_ok());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500_u16 {
        let engine = world.engine.clone();
        let from = IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        tasks.spawn(async move { log_in(&engine, "a wrong guess", from).await.unwrap_err() });
    }
    let answers = tasks.join_all().await;
    let checked = answers.iter().filter(|r| **r == LogInFailed.into()).count();
    assert!((1..=10).contains(&checked), "{checked} of 500 were checked");
    assert!(
        answers
            .iter()
            .all(|r| matches!(r, LogInRefused::LogInFailed(_) | LogInRefused::TooFast(_)))
    );
    let on_phone = world.engine.log_in(request(ANNA, PASSWORD, PUSH, at(1))).await;
    assert!(on_phone.is_ok(), "{on_phone:?}");
    // Guesses at many logins: what does not fit into the queue is refused at once.
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200_u8 {
        let engine = world.engine.clone();
        let email = format!("u{n}@example.org");
        tasks.spawn(async move {
            engine.log_in(request(&email, "a wrong guess", "", IpAddr::from([10, 9, n, 1]))).await
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.contains(&Err(TooFast { retry_after_s: 2 }.into())), "{answers:?}");
    assert!(answers.contains(&Err(LogInFailed.into())));
}
