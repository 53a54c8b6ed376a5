//! Lists of an account's purchases: each filter finds what it names, page by page.

use crate::harness::world::*;
use domain::ids::first_at;
use domain::{AccountId, Environment, Event, Kind, Purchase, Sequence, State, Timestamp};
use store::{Page, PurchaseFilter, Store, TakeNumbers};

/// Purchases of two accounts, of several operators, kinds, recipients and states.
async fn fill(store: &Store) -> Vec<Purchase> {
    let mut of_account = Vec::new();
    for account in [2, 3] {
        deposit(store, account, 200 * TOTAL, "in").await;
    }
    let take = TakeNumbers { of: Sequence::Purchase, count: 60, at: NOW };
    store.commit(take).await.unwrap();
    for n in 0..60_i64 {
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

pub async fn each_filter_finds_what_it_names(world: World) {
    let all = fill(&world.store).await;
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
    let (account, sandbox) = (AccountId(2), Environment::Sandbox);
    let page = Page { before: None, limit: 4 };
    let other = world.store.list_purchases(account, sandbox, &any(), page).unwrap();
    assert_eq!(other, []);
    world.assert_sound();
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
    ANALYZE";

/// What a list over years of rows costs: the page, not the years.
pub async fn each_list_has_its_index(world: World) {
    fill(&world.store).await;
    if world.is_on_postgresql() {
        world.execute(MANY);
    }
    for plan in store::list_plans() {
        let says = world.plan_of(plan.text);
        let wants = if world.is_on_postgresql() { plan.in_postgresql } else { plan.in_sqlite };
        assert!(says.contains(wants), "{}\nwants {wants}\n{says}", plan.text);
        assert!(!says.contains("SCAN ") && !says.contains("Seq Scan"), "{}\n{says}", plan.text);
    }
}
