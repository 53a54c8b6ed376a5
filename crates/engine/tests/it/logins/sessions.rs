//! Sessions: who gets one, what ends it, how it is cached, what is stored of it.

use super::*;
use domain::ids::SessionId;

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let (world, mailer) = with_anna(None).await;
    let engine = &world.engine;
    let one = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let two = log_in(engine, PASSWORD, at(2)).await.unwrap();
    let caller = enter(engine, &one).await.unwrap();
    let change =
        async |current: &str, new: &str| engine.change_password(&caller, current, new, at(1)).await;
    assert_eq!(change("wrong one", NEW).await, Err(LogInFailed.into()));
    assert!(matches!(change(PASSWORD, "password").await, Err(PasswordRefused::Invalid(_))));
    assert!(enter(engine, &two).await.is_ok());
    assert_eq!(change(PASSWORD, NEW).await, Ok(()));
    for token in [&one, &two] {
        assert_eq!(enter(engine, token).await, Err(TokenInvalid.into()));
    }
    assert_eq!(log_in(engine, PASSWORD, at(1)).await, Err(LogInFailed.into()));
    let three = log_in(engine, NEW, at(1)).await.unwrap();

    until(|| mailer.count() == 2).await;
    engine.forgot_password("Anna@example.org", at(5)).await.unwrap();
    let code = mailer.code(3).await;
    let weak = engine.reset_password(ANNA, &code, ANNA, at(5)).await;
    assert!(matches!(weak, Err(ResetRefused::Invalid(_))));
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", PASSWORD, at(5)).await;
    assert_eq!(wrong, Err(CodeInvalid.into()));
    engine.reset_password(ANNA, &code, PASSWORD, at(5)).await.unwrap();
    assert_eq!(enter(engine, &three).await, Err(TokenInvalid.into()));
    let again = engine.reset_password(ANNA, &code, NEW, at(5)).await;
    assert_eq!(again, Err(CodeInvalid.into()));
    let four = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let caller = enter(engine, &four).await.unwrap();
    engine.log_out_everywhere(&caller).await.unwrap();
    assert_eq!(enter(engine, &four).await, Err(TokenInvalid.into()));
    // An address without a login gets no code.
    engine.forgot_password("nobody@example.org", at(6)).await.unwrap();
    let nobody = engine.reset_password("nobody@example.org", "AAAAAAAAAA", NEW, at(6)).await;
    assert_eq!(nobody, Err(CodeInvalid.into()));
    until(|| mailer.count() == 4).await;
}

#[tokio::test]
async fn only_customers_log_in_here() {
    let (world, _) = with_anna(None).await;
    let engine = &world.engine;
    let mut setup = engine.account_setup();
    setup.user(AccountId(1), "Staff@example.org", "admin", PASSWORD).await.unwrap();
    setup.user(world.merchant, "shop@example.org", "owner", PASSWORD).await.unwrap();
    setup.commit().await.unwrap();
    for email in ["staff@example.org", "shop@example.org", "nobody@example.org", "", "\0"] {
        let refused = engine.log_in(request(email, PASSWORD, "", at(3))).await;
        assert_eq!(refused, Err(LogInFailed.into()), "{email}");
    }
    // Only the right password reveals that a login is switched off.
    let token = log_in(engine, PASSWORD, at(4)).await.unwrap();
    let caller = enter(engine, &token).await.unwrap();
    engine.set_user_active(ANNA, false).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
    assert_eq!(log_in(engine, PASSWORD, at(4)).await, Err(AccountInactive.into()));
    assert_eq!(log_in(engine, "wrong one", at(4)).await, Err(LogInFailed.into()));
    engine.set_user_active(ANNA, true).await.unwrap();
    assert_eq!(
        enter(engine, &token).await,
        Err(TokenInvalid.into()),
        "an ended session stays ended"
    );
    let token = log_in(engine, PASSWORD, at(4)).await.unwrap();
    engine.change_account(caller.account, |a| a.is_active = false).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(AccountInactive.into()));
    assert_eq!(log_in(engine, PASSWORD, at(4)).await, Err(AccountInactive.into()));
    let nobody = engine.set_user_active("nobody@example.org", false).await;
    assert_eq!(nobody, Err(LogInFailed.into()));
    engine.change_account(caller.account, |a| a.is_active = true).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    engine.log_user_out(ANNA).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
    // A key pair has no session to end.
    let by_key = engine.permit::<domain::act::ManageOwnLogin>(&world.caller());
    assert!(by_key.is_err(), "{by_key:?}");
    let unknown = Caller { session: Some(SessionId(1)), ..world.caller() };
    assert_eq!(engine.log_out_everywhere(&unknown).await, Err(TokenInvalid.into()));
}

#[tokio::test]
async fn a_session_ends_here_at_once_and_on_other_nodes_within_a_second() {
    let (world, _) = with_anna(None).await;
    let engine = &world.engine;
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    // As another node does it: without this engine.
    world.database.sql("UPDATE sessions SET revoked_at = 1");
    assert!(enter(engine, &token).await.is_ok(), "it is cached for a second");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
    // A session whose row is gone, and one that has expired.
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    world.database.sql("DELETE FROM sessions");
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3599));
    assert!(enter(engine, &token).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
}

/// What ends no session invalidates no cached one: otherwise anyone could keep the store busy.
#[tokio::test]
async fn sessions_stay_cached_until_one_ends() {
    let (world, mailer) = with_anna(None).await;
    let engine = &world.engine;
    sign_up(engine, "ben@example.org", at(2)).await.unwrap();
    let code = mailer.code(2).await;
    engine.confirm_sign_up("ben@example.org", &code, PASSWORD, &[], at(2)).await.unwrap();
    let ben = engine.log_in(request("ben@example.org", PASSWORD, "", at(2))).await.unwrap().text;
    let token = log_in(engine, PASSWORD, at(1)).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    // Another node revokes Anna's session: that shows only once it is read anew.
    world.database.sql(&format!(
        "UPDATE sessions SET revoked_at = 1
         WHERE user_id = (SELECT id FROM users WHERE email = '{ANNA}')"
    ));
    engine.forgot_password("nobody@example.org", at(3)).await.unwrap();
    let wrong = engine.reset_password(ANNA, "AAAAAAAAAA", NEW, at(3)).await;
    assert_eq!(wrong, Err(CodeInvalid.into()));
    assert!(engine.log_in(request("ben@example.org", PASSWORD, "", at(2))).await.is_ok());
    engine.log_out(&enter(engine, &ben).await.unwrap()).await.unwrap();
    assert!(enter(engine, &token).await.is_ok());
    engine.log_user_out(ANNA).await.unwrap();
    assert_eq!(enter(engine, &token).await, Err(TokenInvalid.into()));
}

#[tokio::test]
async fn the_rate_is_counted_by_account() {
    let (world, _) = with_anna(None).await;
    let engine = &world.engine;
    let one = log_in(engine, PASSWORD, at(1)).await.unwrap();
    let two = log_in(engine, PASSWORD, at(2)).await.unwrap();
    for n in 0..120 {
        assert!(enter(engine, [&one, &two][n % 2]).await.is_ok());
    }
    let refused = enter(engine, &two).await;
    assert_eq!(refused, Err(TooFast { retry_after_s: 60 }.into()));
    // Wrong tokens always have the same answer.
    for _ in 0..100 {
        assert_eq!(enter(engine, "x").await, Err(TokenInvalid.into()));
    }
    let none = engine.authenticate_token(None).await.caller;
    assert_eq!(none, Err(TokenInvalid.into()));
}

/// The keys of tokens change every 30 days; a session survives the change.
#[tokio::test]
async fn sessions_survive_a_change_of_keys() {
    let (world, _) = with_anna(None).await;
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
    assert_eq!(kids.len(), 4, "one key a period");
}

/// The database's files contain no password, token or code.
#[tokio::test]
async fn no_secret_is_on_the_disk() {
    let (world, mailer) = world_with_mailer(None).await;
    let engine = &world.engine;
    sign_up(engine, ANNA, at(1)).await.unwrap();
    let first = mailer.code(1).await;
    engine.confirm_sign_up(ANNA, &first, PASSWORD, &[], at(1)).await.unwrap();
    let token = engine.log_in(request(ANNA, PASSWORD, PUSH, at(1))).await.unwrap().text;
    engine.forgot_password(ANNA, at(1)).await.unwrap();
    let second = mailer.code(2).await;
    engine.reset_password(ANNA, &second, NEW, at(1)).await.unwrap();
    engine.log_in(request(ANNA, NEW, PUSH, at(1))).await.unwrap();
    sign_up(engine, "ben@example.org", at(1)).await.unwrap();
    let third = mailer.code(4).await;
    let compact = |code: &str| code.replace('-', "");
    let tag = token.rsplit('.').next().unwrap().to_owned();
    let secrets = [PASSWORD, NEW, PUSH, &token, &tag, &first, &second, &third].map(str::to_owned);
    let secrets = secrets.into_iter().chain([&first, &second, &third].map(|code| compact(code)));
    let secrets: Vec<String> = secrets.collect();
    let bytes = world.database.bytes();
    let is_there = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(is_there(ANNA) && is_there("$argon2id$"), "these are not the files");
    for secret in secrets {
        assert!(!is_there(&secret), "{secret}");
    }
}
