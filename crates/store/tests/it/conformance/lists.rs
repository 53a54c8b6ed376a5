//! Lists of an account's purchases: each filter finds what it names, page by page.

use crate::harness::world::*;
use domain::ids::{EndpointId, first_at};
use domain::{
    AccountId, Currency, Environment, Event, KeyId, Kind, PendingWebhook, Purchase, PurchaseId,
    PurchaseKey, Reason, Sequence, State, Timestamp,
};
use std::ops::Range;
use std::sync::Arc;
use store::{
    AccountList, Balance, BeginReplay, ContinueReplay, DeliveryFilter, EnqueueWebhook,
    KeepRequests, LoggedRequest, Page, PruneRequests, PurchaseFilter, RecentPurchase, ReplayFilter,
    RequestFilter, StatementLine, StatementOf, Store, TakeNumbers, TakeStep,
};

/// Purchases of two accounts, of several operators, kinds, recipients and states.
async fn fill(store: &Store) -> Vec<Purchase> {
    for account in [2, 3] {
        deposit(store, account, 200 * TOTAL, "in").await;
    }
    let take = TakeNumbers { of: Sequence::Purchase, count: 60, at: NOW };
    store.commit(take).await.unwrap();
    buy(store, 0..60).await
}

/// These of 60 purchases; gives those of account 2, latest first.
async fn buy(store: &Store, numbers: Range<i64>) -> Vec<Purchase> {
    let mut of_account = Vec::new();
    for n in numbers {
        let account = if n % 7 == 6 { 3 } else { 2 };
        let opened_at = Timestamp(NOW.0 + n * 60_000_000);
        let mut opens = purchase(account, first_at(opened_at) + n + 1, State::Sent);
        opens.reference = format!("R{n}");
        opens.operator = ["GP", "RB", "BL"][usize::try_from(n % 3).unwrap()].to_owned();
        opens.kind = if n % 5 == 0 { Kind::Offer } else { Kind::Recharge };
        opens.recipient = format!("0171234500{}", n % 4);
        (opens.opened_at, opens.updated_at) = (opened_at, opened_at);
        let events: &[Event] = match n % 6 {
            0 => &[Event::Refuse],
            1 => &[],
            2 => &[Event::Doubt],
            3 => &[Event::Deliver, Event::Reverse],
            _ => &[Event::Deliver],
        };
        let opened = live(store, opens, events).await;
        if account == 2 {
            of_account.insert(0, opened);
        }
    }
    of_account
}

/// Whatever of the lists is filled, and also where purchases lie in both parts.
pub async fn each_filter_finds_what_it_names(world: World) {
    let store = &world.store;
    for account in [2, 3] {
        deposit(store, account, 200 * TOTAL, "in").await;
    }
    let take = TakeNumbers { of: Sequence::Purchase, count: 60, at: NOW };
    store.commit(take).await.unwrap();
    // In PostgreSQL a list is an index, and never lacks anything.
    let filled = if world.is_on_postgresql() { &[][..] } else { &AccountList::ALL };
    let mut all: Vec<Purchase> = Vec::new();
    for numbers in [0..25, 25..60] {
        let more = buy(store, numbers).await;
        all.splice(0..0, more);
        let lines = statement_of(store);
        assert_eq!(lines.iter().filter(|line| line.reason == Reason::Hold).count(), all.len());
        each_filter_finds(&world, &all);
        for list in filled.iter().copied() {
            assert!(store.list_parts(list, 1_000, 9).unwrap().is_empty(), "{list:?}");
            // The first part only: the end is where it was.
            let mut parts = store.list_parts(list, 1, 9).unwrap();
            let last = parts.pop().unwrap();
            assert!(store.commit(parts.remove(0)).await.unwrap(), "{list:?}");
            each_filter_finds(&world, &all);
            assert_eq!(statement_of(store), lines);
            assert!(list_next(store, list).await);
            each_filter_finds(&world, &all);
            assert_eq!(statement_of(store), lines);
            // What was listed meanwhile is not listed again.
            assert!(!store.commit(last).await.unwrap(), "{list:?}");
            assert!(!list_next(store, list).await);
        }
        each_filter_finds(&world, &all);
        assert_eq!(statement_of(store), lines);
    }
    let page = Page { before: None, limit: 4 };
    let (account, sandbox) = (AccountId(2), Environment::Sandbox);
    let filter = PurchaseFilter::default();
    let other = world.store.list_purchases(account, sandbox, &filter, page).unwrap();
    assert_eq!(other, []);
    world.assert_sound();
}

/// A quote has no journal, and is listed nevertheless.
pub async fn a_quote_is_listed_once(world: World) {
    deposit(&world.store, 2, 5 * TOTAL, "in").await;
    let id = first_at(NOW) + 1;
    let quoted = live(&world.store, purchase(2, id, State::Quoted), &[]).await;
    let page = Page { before: None, limit: 9 };
    let (account, live) = (AccountId(2), Environment::Live);
    let filter = PurchaseFilter { operator: Some(quoted.operator.clone()), ..Default::default() };
    let listed = || world.store.list_purchases(account, live, &filter, page).unwrap();
    assert_eq!(listed(), std::slice::from_ref(&quoted));
    let accepted = step(&quoted, Event::Authorise).unwrap();
    world.store.write(TakeStep(accepted)).await.unwrap().unwrap();
    assert_eq!(listed().len(), 1);
    let list = AccountList::Purchases;
    while list_next(&world.store, list).await {}
    assert_eq!(listed().len(), 1);
}

/// Lists what is not listed; `false` if everything is.
async fn list_next(store: &Store, list: AccountList) -> bool {
    let parts = store.list_parts(list, 1, 9).unwrap();
    let is_done = !parts.is_empty();
    for part in parts {
        assert!(store.commit(part).await.unwrap(), "{list:?}");
    }
    is_done
}

/// The whole statement of account 2, in small pages.
fn statement_of(store: &Store) -> Vec<StatementLine> {
    let (account, environment) = (AccountId(2), Environment::Live);
    let (currency, balance) = (Currency::BDT, Balance::Available);
    let of = StatementOf { account, environment, currency, balance };
    let mut lines: Vec<StatementLine> = Vec::new();
    loop {
        let before = lines.last().map(|last| last.journal.0);
        let found = store.statement(of, Page { before, limit: 7 }).unwrap().unwrap();
        if found.is_empty() {
            return lines;
        }
        lines.extend(found);
    }
}

fn each_filter_finds(world: &World, all: &[Purchase]) {
    let any = PurchaseFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let at = |minutes: i64| Some(Timestamp(NOW.0 + minutes * 60_000_000));
    let states = |states: &[State]| states.to_vec();
    let filters = [
        any(),
        PurchaseFilter { operator: text("RB"), ..any() },
        PurchaseFilter { operator: text("NONE"), ..any() },
        PurchaseFilter { kind: Some(Kind::Offer), ..any() },
        PurchaseFilter { operator: text("GP"), kind: Some(Kind::Offer), ..any() },
        PurchaseFilter { recipient: text("01712345001"), ..any() },
        PurchaseFilter { recipient: text("01712345001"), operator: text("BL"), ..any() },
        PurchaseFilter { reference: text("R10"), ..any() },
        PurchaseFilter { reference: text("R10"), operator: text("XX"), ..any() },
        PurchaseFilter { states: states(&[State::Delivered]), ..any() },
        PurchaseFilter { states: states(&[State::Failed]), kind: Some(Kind::Offer), ..any() },
        PurchaseFilter { states: states(&[State::Failed, State::Delivered]), ..any() },
        PurchaseFilter { states: states(&[State::Sent, State::InDoubt]), ..any() },
        PurchaseFilter { states: states(&[State::InDoubt]), recipient: text("0"), ..any() },
        PurchaseFilter { since: at(10), until: at(20), ..any() },
        PurchaseFilter { since: at(10), states: states(&[State::Failed]), ..any() },
    ];
    for filter in filters {
        let expected: Vec<_> = all.iter().filter(|p| filter.passes(p)).cloned().collect();
        let mut found: Vec<Purchase> = Vec::new();
        loop {
            let before = found.last().map(|last| last.key.id.0);
            let page = Page { before, limit: 4 };
            let (account, live) = (AccountId(2), Environment::Live);
            let rows = world.store.list_purchases(account, live, &filter, page).unwrap();
            let is_last = rows.len() < 4;
            found.extend(rows);
            if is_last {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
    // The latest ones in a few columns are the same ones.
    for (since, limit) in [(0, 7), (10, 7), (10, 1_000), (57, 7), (60, 7)] {
        let since = at(since).unwrap();
        let recent = |p: &Purchase| RecentPurchase {
            id: p.key.id,
            operator: p.operator.clone(),
            state: p.state,
            amount: p.amount,
            opened_at: p.opened_at,
            delivered_at: p.delivered_at,
        };
        let expected = all.iter().filter(|p| p.opened_at >= since).take(limit).map(recent);
        let expected: Vec<RecentPurchase> = expected.collect();
        let limit = u32::try_from(limit).unwrap();
        let (account, live) = (AccountId(2), Environment::Live);
        let found = world.store.recent_purchases(account, live, since, limit).unwrap();
        assert_eq!(found, expected, "{since:?} {limit}");
    }
}

/// As many rows as make an index worth its while, in the tables that lists read.
const MANY: &str = "
    SET session_replication_role = replica;
    INSERT INTO purchases SELECT r.* FROM purchases p, generate_series(1, 200) n,
        jsonb_populate_record(p, jsonb_build_object('id', p.id + 1000 * n,
            'recipient', 'r' || n, 'operator', 'O' || n % 7,
            'key_id', CASE WHEN n % 2 = 0 THEN p.key_id END)) r;
    INSERT INTO events SELECT r.* FROM events e, generate_series(1, 200) n,
        jsonb_populate_record(e,
            jsonb_build_object('purchase_id', e.purchase_id + 1000 * n)) r;
    INSERT INTO jobs SELECT r.* FROM jobs j, generate_series(1, 200) n,
        jsonb_populate_record(j,
            jsonb_build_object('purchase_id', j.purchase_id + 1000 * n)) r;
    INSERT INTO journals SELECT r.* FROM journals j, generate_series(1, 200) n,
        jsonb_populate_record(j,
            jsonb_build_object('seq', j.seq + 1000 * n, 'account_id', n % 50)) r;
    INSERT INTO acts (seq, at, done_by, act, object)
        SELECT n + 1000, n, 'Mina', 'key-make', 'key ' || n % 50 FROM generate_series(1, 9000) n;
    INSERT INTO payments SELECT r.* FROM payments p, generate_series(1, 4000) n,
        jsonb_populate_record(p, jsonb_build_object('reference', p.reference || n,
            'journal_seq', p.journal_seq + 1000 * n, 'account_id', n % 50)) r;
    INSERT INTO requests SELECT n % 50, 'live', n, NULL, '', 'GET', '/' || n % 9, '', 200, '', 5,
        '', '' FROM generate_series(1, 9000) n;
    ANALYZE";

/// What a list over years of rows costs: the page, not the years.
pub async fn each_list_has_its_index(world: World) {
    fill(&world.store).await;
    if world.is_on_postgresql() {
        world.execute(MANY);
    }
    for plan in store::statement_plans() {
        let says = world.plan_of(plan.text);
        let wants = if world.is_on_postgresql() { plan.in_postgresql } else { plan.in_sqlite };
        assert!(says.contains(wants), "{}\nwants {wants}\n{says}", plan.text);
        assert!(!says.contains("SCAN ") && !says.contains("Seq Scan"), "{}\n{says}", plan.text);
    }
}

fn logged(account: i64, id: i64) -> LoggedRequest {
    let is_error = id % 3 == 0;
    LoggedRequest {
        account: AccountId(account),
        environment: Environment::Sandbox,
        id,
        key: (id % 2 == 0).then_some(KeyId(7)),
        address: "192.0.2.1".to_owned(),
        method: "GET".to_owned(),
        path: format!("/api/billing/{}", id % 4),
        query: "a=1".to_owned(),
        status: if is_error { 422 } else { 200 },
        code: if is_error { "VALIDATION_ERROR" } else { "" }.to_owned(),
        took_us: 900,
        sent: String::new(),
        answered: "{}".to_owned(),
    }
}

pub async fn a_log_of_requests_is_bounded_and_its_filters_find_what_they_name(world: World) {
    let store = &world.store;
    let (account, environment) = (AccountId(2), Environment::Sandbox);
    let requests = (1..=40).map(|id| logged(2, id)).chain([logged(3, 5)]).collect();
    let keep = KeepRequests { requests, cut: vec![(account, environment)], rows_max: 24 };
    for _ in 0..2 {
        store.commit(keep.clone()).await.unwrap();
    }
    let all = RequestFilter { limit: 100, ..RequestFilter::default() };
    let found = |filter: &RequestFilter| -> Vec<i64> {
        let read = store.requests(account, environment, filter).unwrap();
        read.into_iter().map(|request| request.id).collect()
    };
    let kept: Vec<i64> = (17..=40).rev().collect();
    assert_eq!(found(&all), kept);
    assert_eq!(store.request(account, environment, 20).unwrap(), Some(logged(2, 20)));
    assert_eq!(store.request(account, Environment::Live, 20).unwrap(), None);
    assert_eq!(store.request(AccountId(3), environment, 20).unwrap(), None);
    // The other account's log was not cut, and has its own.
    assert_eq!(store.requests(AccountId(3), environment, &all).unwrap(), [logged(3, 5)]);
    let of =
        |fits: fn(i64) -> bool| kept.iter().copied().filter(|id| fits(*id)).collect::<Vec<_>>();
    let filter = |change: fn(&mut RequestFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        found(&filter)
    };
    assert_eq!(filter(|f| f.class = Some(4)), of(|id| id % 3 == 0));
    assert_eq!(filter(|f| f.class = Some(2)), of(|id| id % 3 != 0));
    assert_eq!(filter(|f| f.code = "VALIDATION_ERROR".into()), of(|id| id % 3 == 0));
    assert_eq!(filter(|f| f.path = "/api/billing/1".into()), of(|id| id % 4 == 1));
    assert_eq!(filter(|f| f.key = Some(KeyId(7))), of(|id| id % 2 == 0));
    assert_eq!(filter(|f| f.from = Some(Timestamp(30))), of(|id| id >= 30));
    assert_eq!(filter(|f| f.until = Some(Timestamp(30))), of(|id| id < 30));
    assert_eq!(filter(|f| (f.before, f.limit) = (Some(30), 2)), [29, 28]);
    let errors = store.request_errors(account, environment, Timestamp(20), 2).unwrap();
    let shown: Vec<_> = errors.iter().map(|e| (e.path.as_str(), e.count, e.last)).collect();
    assert_eq!(shown, [("/api/billing/3", 2, 39), ("/api/billing/0", 2, 36)]);
    let prune = PruneRequests { before: Timestamp(20), limit: 3 };
    let counts = [store.commit(prune).await.unwrap(), store.commit(prune).await.unwrap()];
    assert_eq!((counts, found(&all).len()), ([3, 1], 21));
}

pub async fn a_replay_sends_each_webhook_of_its_filter_once(world: World) {
    let store = &world.store;
    let (account, environment) = (AccountId(2), Environment::Sandbox);
    // Of two accounts, two endpoints and two events; several at the same moment.
    for n in 0..24_i64 {
        let key = PurchaseKey {
            account: AccountId(2 + n % 2),
            environment,
            id: PurchaseId(first_at(NOW) + n / 4),
        };
        let webhook = PendingWebhook {
            event: if n % 3 == 0 {
                "billing.recharge.success"
            } else {
                "billing.recharge.approved"
            }
            .into(),
            sequence: 1,
            endpoint: EndpointId(31 + n),
            url: "https://a.example".to_owned(),
            body: "{}".into(),
            at: Timestamp(NOW.0 + n / 6),
            due: None,
            is_leased: false,
        };
        store.commit(EnqueueWebhook(key, Arc::new(webhook))).await.unwrap();
    }
    let filter = ReplayFilter { state: "off".into(), ..ReplayFilter::default() };
    let begin = |filter: &ReplayFilter, at: i64| BeginReplay {
        account,
        environment,
        filter: filter.clone(),
        sent_max: 9,
        at: Timestamp(NOW.0 + at),
    };
    assert!(store.commit(begin(&filter, 10)).await.unwrap());
    // One at a time.
    assert!(!store.commit(begin(&filter, 11)).await.unwrap());
    let id = NOW.0 + 10;
    let step = ContinueReplay { account, environment, id, limit: 4, at: Timestamp(NOW.0 + 20) };
    let of_another = ContinueReplay { account: AccountId(3), ..step };
    assert!(!store.commit(of_another).await.unwrap());
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(store.commit(step).await.unwrap());
    }
    // Twelve fit; nine are sent at most.
    assert_eq!(more, [true, true, false]);
    let replays = store.replays(account, environment, 10).unwrap();
    assert_eq!((replays.len(), replays[0].sent, replays[0].ended_at), (1, 9, Some(step.at)));
    assert_eq!(store.open_replays().unwrap(), []);
    let in_state = |account, state: &str| {
        let filter =
            DeliveryFilter { state: state.into(), limit: 100, ..DeliveryFilter::default() };
        store.deliveries(account, environment, &filter).unwrap().len()
    };
    assert_eq!((in_state(account, "owed"), in_state(account, "off")), (9, 3));
    assert_eq!((in_state(AccountId(3), "owed"), in_state(AccountId(3), "off")), (0, 12));
    // Another begins once that has ended: of one event, of an endpoint, since a moment.
    let one = ReplayFilter {
        event: "billing.recharge.success".into(),
        endpoint: Some(EndpointId(31 + 18)),
        since: Some(Timestamp(NOW.0 + 3)),
        ..ReplayFilter::default()
    };
    assert!(store.commit(begin(&one, 12)).await.unwrap());
    let step = ContinueReplay { id: NOW.0 + 12, ..step };
    assert!(!store.commit(step).await.unwrap());
    assert_eq!(store.replays(account, environment, 10).unwrap()[0].sent, 1);
}
