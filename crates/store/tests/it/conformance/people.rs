//! Logins: sessions, devices, known devices and one-time codes.

use crate::harness::world::*;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::{AccountId, Currency, Environment, Role, Timestamp};
use std::convert::Infallible;
use std::time::Duration;
use store::{
    Audience, Code, CodeDone, Commit, DeviceMark, EnteredCode, Fault, ForgetDevice, LogOut,
    LoginDone, NewDevice, NewSession, OfferCode, PendingSignUp, ResetPassword, Session, SetActive,
    SetAll, SetPassword, Setting, SignUp, Store, User,
};

const EMAIL: &str = "anna@example.org";
const HASH: &str = "$argon2id$first";
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

async fn people<C: Commit<Denied = Infallible>>(store: &Store, change: C) -> C::Done {
    store.commit(change).await.unwrap()
}

pub fn anna() -> User {
    User {
        id: UserId(50),
        account: AccountId(2),
        email: EMAIL.to_owned(),
        mobile: Some("0771234567".to_owned()),
        name: Some("Anna".to_owned()),
        role: "owner".to_owned(),
        password_hash: HASH.to_owned(),
        is_active: true,
        created_at: NOW,
        confirmed_at: Some(NOW),
        language: "en".to_owned(),
    }
}

fn session(id: i64, at: Timestamp) -> Session {
    Session {
        id: SessionId(id),
        user: UserId(50),
        account: AccountId(2),
        environment: Environment::Live,
        opened_at: at,
        ends_at: at.after(Duration::from_secs(3600)),
        revoked_at: None,
        audience: Audience::Api,
        proved_at: None,
    }
}

/// A log-in on a device with this mark.
pub fn entry(id: i64, mark: u8, at: Timestamp) -> NewSession {
    let device = NewDevice { id: DeviceId(id), mark: [mark; 32], sealed: vec![mark; 40] };
    let (verified, known_device) = (HASH.to_owned(), Some([mark; 32]));
    NewSession {
        session: session(id, at),
        verified,
        rehashed: None,
        device: Some(device),
        known_device,
        agent: None,
        address: None,
    }
}

fn code(digest: u8, pending: bool, at: Timestamp) -> OfferCode {
    let pending = pending.then(|| PendingSignUp {
        name: "Anna".to_owned(),
        mobile: None,
        password_hash: HASH.to_owned(),
    });
    let expires_at = at.after(HALF_AN_HOUR);
    let (email, digest) = (EMAIL.to_owned(), [digest; 32]);
    OfferCode(Code { email, digest, pending, made_at: at, expires_at })
}

fn typed(digest: u8, at: Timestamp) -> EnteredCode {
    EnteredCode { email: EMAIL.to_owned(), digest: [digest; 32], at }
}

fn sign_up(number: i64, digest: u8, at: Timestamp) -> SignUp {
    let (account, user) = (AccountId(100 + number), UserId(200 + number));
    let currencies = vec![Currency::BDT];
    SignUp { typed: typed(digest, at), account, user, currencies }
}

fn reset(digest: u8, hash: &str, at: Timestamp) -> ResetPassword {
    ResetPassword { typed: typed(digest, at), password_hash: hash.to_owned() }
}

fn is_in(store: &Store, id: i64) -> bool {
    store.session(SessionId(id)).unwrap().is_some_and(|h| h.session.revoked_at.is_none())
}

fn marks(store: &Store) -> Vec<u8> {
    store.devices_of(AccountId(2)).unwrap().iter().map(|device| device.sealed[0]).collect()
}

pub async fn a_confirmed_sign_up_is_an_account(world: World) {
    let store = &world.store;
    assert_eq!(people(store, sign_up(0, 1, NOW)).await, CodeDone::CodeWrong, "no code at all");
    people(store, code(1, true, NOW)).await;
    assert_eq!(people(store, sign_up(1, 2, NOW)).await, CodeDone::CodeWrong);
    assert_eq!(people(store, sign_up(2, 1, later(60))).await, CodeDone::Written);
    let holder = store.user_of(EMAIL).unwrap().unwrap();
    assert_eq!(holder, store.user(UserId(202)).unwrap().unwrap());
    assert_eq!((holder.user.id, holder.account.id), (UserId(202), AccountId(102)));
    assert_eq!((holder.account.role, holder.account.name.as_str()), (Role::Customer, "Anna"));
    assert_eq!((holder.user.password_hash.as_str(), holder.user.created_at), (HASH, later(60)));
    assert_eq!(store.wallets(AccountId(102)).unwrap().len(), 2);
    assert_eq!(people(store, sign_up(3, 1, later(61))).await, CodeDone::CodeWrong, "used");
    // A code for an address that has a login by now opens no account.
    people(store, code(3, true, later(62))).await;
    assert_eq!(people(store, sign_up(4, 3, later(63))).await, CodeDone::EmailMoved);
    assert_eq!(store.account(AccountId(104)).unwrap(), None);
    world.assert_sound();
}

pub async fn a_code_is_of_its_purpose_and_is_tried_fifty_times(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    // A code is valid for its own purpose only.
    people(store, code(1, true, NOW)).await;
    people(store, code(2, false, NOW)).await;
    assert_eq!(people(store, reset(1, "$x", NOW)).await, CodeDone::CodeWrong);
    for _ in 0..49 {
        assert_eq!(people(store, reset(9, "$x", NOW)).await, CodeDone::CodeWrong);
    }
    assert_eq!(people(store, reset(2, "$x", NOW)).await, CodeDone::CodeWrong, "fifty tries");
    people(store, code(3, false, NOW)).await;
    let at_its_end = NOW.after(HALF_AN_HOUR);
    assert_eq!(people(store, reset(3, "$x", at_its_end)).await, CodeDone::CodeWrong, "too old");
    people(store, code(4, false, at_its_end)).await;
    assert_eq!(people(store, reset(4, "$x", at_its_end)).await, CodeDone::Written);
    assert_eq!(store.user_of(EMAIL).unwrap().unwrap().user.password_hash, "$x");
}

pub async fn the_newest_three_codes_count_until_one_is_used(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    // A code whose tries are used up does not affect later codes.
    people(store, code(1, false, NOW)).await;
    for _ in 0..50 {
        assert_eq!(people(store, reset(9, "$x", NOW)).await, CodeDone::CodeWrong);
    }
    for n in 2..=5 {
        people(store, code(n, false, later(n.into()))).await;
    }
    for n in [1, 2] {
        let gone = people(store, reset(n, "$x", later(9))).await;
        assert_eq!(gone, CodeDone::CodeWrong, "{n} is not among the newest three");
    }
    assert_eq!(people(store, reset(3, "$x", later(9))).await, CodeDone::Written);
    for n in [3, 4, 5] {
        assert_eq!(people(store, reset(n, "$y", later(9))).await, CodeDone::CodeWrong, "{n}");
    }
    assert_eq!(world.count("codes"), 3);
}

pub async fn codes_are_bounded_and_the_oldest_go(world: World) {
    let store = &world.store;
    people(store, code(1, true, NOW)).await;
    people(store, code(2, false, later(1))).await;
    let from = later(2).0;
    world.execute(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
         INSERT INTO codes (purpose, email, digest, made_at, expires_at, tries)
         SELECT 'reset', n || '@example.org', d.digest, {from} + n, {from} + 3600000000, 0
         FROM n, (SELECT digest FROM codes LIMIT 1) d"
    ));
    assert_eq!(world.count("codes"), 100_001);
    people(store, code(3, true, later(60))).await;
    assert_eq!(world.count("codes"), 100_000);
    assert_eq!(people(store, sign_up(1, 1, later(61))).await, CodeDone::CodeWrong);
    assert_eq!(people(store, sign_up(3, 3, later(61))).await, CodeDone::Written);
}

pub async fn sessions_go_when_they_have_ended(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    for n in 0..60_i64 {
        people(store, entry(300 + n, 1, later(n.unsigned_abs()))).await;
    }
    assert!((300..360).all(|id| is_in(store, id)), "however many there are");
    let end = LogOut { user: UserId(50), session: Some(SessionId(340)), at: NOW };
    people(store, end).await;
    // An hour after the thirtieth, thirty-one have expired and one was ended.
    people(store, entry(400, 1, later(3600 + 30))).await;
    assert!((331..360).all(|id| is_in(store, id) != (id == 340)));
    assert_eq!(world.count("sessions"), 28 + 1);
}

/// All requests meet in one batch.
pub async fn a_code_has_one_winner(world: World) {
    let store = &world.store;
    people(store, code(1, true, NOW)).await;
    let at_once = (0..50).map(|n| sign_up(n, 1, NOW)).collect();
    let answers = write_all(store, at_once).await;
    let won: Vec<usize> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| matches!(answer, Ok(Ok(CodeDone::Written))))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(won, [0]);
    people(store, code(2, false, NOW)).await;
    let at_once = (0..50).map(|n| reset(2, &format!("$hash {n}"), NOW)).collect();
    let answers = write_all(store, at_once).await;
    let won = answers.iter().filter(|answer| matches!(answer, Ok(Ok(CodeDone::Written)))).count();
    assert_eq!(won, 1);
    assert_eq!(store.user_of(EMAIL).unwrap().unwrap().user.password_hash, "$hash 0");
    world.assert_sound();
}

pub async fn a_session_opens_on_the_password_that_was_verified(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    assert_eq!(people(store, entry(301, 1, NOW)).await, LoginDone::Written);
    let holder = store.session(SessionId(301)).unwrap().unwrap();
    assert_eq!((holder.session, holder.login.is_active), (session(301, NOW), true));
    assert_eq!(holder.account.id, AccountId(2));
    // The log-in also stores the new hash of the password, if the old one was outdated.
    let rehashed = NewSession { rehashed: Some("$second".to_owned()), ..entry(302, 1, NOW) };
    assert_eq!(people(store, rehashed).await, LoginDone::Written);
    assert_eq!(people(store, entry(303, 1, NOW)).await, LoginDone::Moved);
    assert_eq!(store.session(SessionId(303)).unwrap(), None);
    let change = |was: &str, password_hash: &str| SetPassword {
        user: UserId(50),
        was: was.to_owned(),
        password_hash: password_hash.to_owned(),
        at: NOW,
    };
    assert_eq!(people(store, change(HASH, "$third")).await, LoginDone::Moved);
    assert!(is_in(store, 301) && is_in(store, 302), "nothing was changed");
    assert_eq!(people(store, change("$second", HASH)).await, LoginDone::Written);
    assert!(!is_in(store, 301) && !is_in(store, 302));
    // Switched off: no session opens, the password is not changed. The last owner is not.
    let active = |is_active| SetActive { user: UserId(50), is_active, at: NOW };
    assert_eq!(people(store, active(false)).await, LoginDone::Moved);
    let (id, email) = (UserId(52), "ben@example.org".to_owned());
    set(store, Setting::User(User { id, email, mobile: None, ..anna() })).await;
    people(store, entry(304, 1, NOW)).await;
    assert_eq!(people(store, active(false)).await, LoginDone::Written);
    assert!(!is_in(store, 304));
    assert_eq!(people(store, entry(305, 1, NOW)).await, LoginDone::Moved);
    assert_eq!(people(store, change(HASH, "$fourth")).await, LoginDone::Moved);
    assert_eq!(people(store, active(true)).await, LoginDone::Written);
    assert_eq!(people(store, entry(306, 1, NOW)).await, LoginDone::Written);
    let unknown = SetActive { user: UserId(999), is_active: false, at: NOW };
    assert_eq!(people(store, unknown).await, LoginDone::Moved);
}

pub async fn a_log_out_ends_one_or_all(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    for (id, mark) in [(301, 1), (302, 2), (303, 3)] {
        people(store, entry(id, mark, NOW)).await;
    }
    let end = |user, session: Option<i64>| LogOut {
        user: UserId(user),
        session: session.map(SessionId),
        at: NOW,
    };
    people(store, end(51, Some(302))).await;
    assert!(is_in(store, 302), "it is another login's session");
    people(store, end(50, Some(302))).await;
    assert_eq!([301, 302, 303].map(|id| is_in(store, id)), [true, false, true]);
    assert_eq!(marks(store), [1, 3], "no more pushes to its device");
    people(store, ForgetDevice(DeviceId(303))).await;
    assert_eq!(marks(store), [1]);
    people(store, end(50, None)).await;
    assert_eq!([301, 302, 303].map(|id| is_in(store, id)), [false; 3]);
    assert_eq!(marks(store), [0; 0]);
}

pub async fn a_device_is_one_logins_and_old_ones_go(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    let ben = User { id: UserId(51), account: AccountId(3), email: "ben@b.co".into(), ..anna() };
    set(store, Setting::User(ben)).await;
    for n in 1..=12_u8 {
        people(store, entry(300 + i64::from(n), n, later(n.into()))).await;
    }
    assert_eq!(marks(store), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    // The same device keeps its number and becomes the last one seen.
    people(store, entry(313, 3, later(13))).await;
    people(store, entry(314, 14, later(14))).await;
    assert_eq!(marks(store), [3, 5, 6, 7, 8, 9, 10, 11, 12, 14]);
    let device = store.devices_of(AccountId(2)).unwrap().remove(0);
    assert_eq!((device.id, device.mark), (DeviceId(303), [3; 32]));
    // A device belongs to the session that logged in on it last.
    let end = |id| LogOut { user: UserId(50), session: Some(SessionId(id)), at: NOW };
    people(store, end(303)).await;
    assert_eq!(marks(store)[0], 3);
    people(store, end(313)).await;
    assert_eq!(marks(store), [5, 6, 7, 8, 9, 10, 11, 12, 14]);
    // Ben logs in on Anna's phone, which is his device from now on.
    let mut on_annas = entry(315, 14, later(15));
    (on_annas.session.user, on_annas.session.account) = (UserId(51), AccountId(3));
    people(store, on_annas).await;
    assert_eq!(marks(store), [5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(store.devices_of(AccountId(3)).unwrap().len(), 1);
}

pub async fn a_device_is_known_for_ninety_days(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    let day = 24 * 3600;
    let known = |mark: DeviceMark, at| store.known_device(EMAIL, &mark, at).unwrap();
    for n in 1..=25_u8 {
        people(store, entry(300 + i64::from(n), n, later(n.into()))).await;
    }
    let still: Vec<u8> = (1..=25).filter(|n| known([*n; 32], later(60))).collect();
    assert_eq!(still, (6..=25).collect::<Vec<u8>>(), "the latest twenty");
    assert!(known([25; 32], later(25 + 90 * day)));
    assert!(!known([25; 32], later(26 + 90 * day)));
    assert!(!store.known_device("nobody@b.co", &[25; 32], later(60)).unwrap());
    // Expired marks are deleted.
    people(store, entry(400, 40, later(100 * day))).await;
    assert_eq!(world.count("places"), 1);
    people(store, code(1, false, NOW)).await;
    let other = Code {
        email: "ben@b.co".to_owned(),
        digest: [1; 32],
        pending: None,
        made_at: later(3 * day),
        expires_at: later(4 * day),
    };
    people(store, OfferCode(other)).await;
    assert_eq!(world.count("codes"), 1, "the old one is gone");
}

/// Also in other letters, with spaces, and set directly.
pub async fn an_address_is_one_logins(world: World) {
    let store = &world.store;
    set(store, Setting::User(anna())).await;
    for email in [EMAIL, "ANNA@example.org", " anna@Example.org "] {
        let second = User { id: UserId(51), email: email.to_owned(), ..anna() };
        let refused = store.commit(SetAll(vec![Setting::User(second)])).await;
        assert!(matches!(refused, Err(Fault::Database(_))), "{email:?}: {refused:?}");
    }
    assert_eq!(store.users().unwrap(), [anna()]);
    let world = world.reopened();
    assert_eq!(world.store.users().unwrap(), [anna()]);
}
