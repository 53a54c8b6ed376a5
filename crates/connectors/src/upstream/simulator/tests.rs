//! The simulator as its callers see it: the course of each sandbox number, restarts, repeated
//! orders, shared files.

use super::*;
use crate::manual_clock::ManualClock;
use domain::upstream::cleaned;
use domain::{
    Answer, AttemptRef, Currency, Details, Environment, Exchange, Kind, Money, Outcome,
    PurchaseNumber, ServiceType,
};
use expect_test::expect;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Clone)]
struct World {
    clock: Arc<ManualClock>,
    updates: Arc<Updates>,
}

#[derive(Default)]
struct Updates(Mutex<Vec<StatusUpdate>>);

impl Listener for Updates {
    fn on_exchange(&self, _exchange: Exchange) {}

    fn on_update(&self, update: StatusUpdate) {
        self.0.lock().push(update);
    }
}

impl World {
    fn new() -> World {
        World { clock: Arc::new(ManualClock::new()), updates: Arc::default() }
    }

    fn open(&self, truth_file: Option<&Path>) -> Simulator {
        Simulator::open(self.settings(truth_file)).unwrap()
    }

    fn settings(&self, truth_file: Option<&Path>) -> SimulatorSettings {
        SimulatorSettings {
            truth_file: truth_file.map(Path::to_owned),
            ..SimulatorSettings::new(self.clock.clone(), self.updates.clone())
        }
    }

    /// Advances the clock and the timer of the runtime, which is paused: this takes no real time.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        tokio::time::sleep(span).await;
    }

    /// Advances the clock only: as if the process had not run in this time.
    fn skip(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// The status updates since the last call.
    fn take_updates(&self) -> Vec<String> {
        let updates = std::mem::take(&mut *self.updates.0.lock());
        updates.into_iter().map(|u| format!("{} {}", u.attempt, code(u.outcome))).collect()
    }
}

fn code(outcome: impl Into<Outcome>) -> &'static str {
    outcome.into().code()
}

const SECOND: Duration = Duration::from_secs(1);

fn order(id: i64, recipient: &str) -> Order {
    Order {
        attempt: AttemptRef { purchase: PurchaseNumber(id), number: 1 },
        started_at: Timestamp(0),
        environment: Environment::Sandbox,
        operator: "GP".into(),
        product: None,
        kind: Kind::Recharge,
        recipient: recipient.into(),
        amount: Money::new(6_800, Currency::BDT),
        service_type: ServiceType::Prepaid,
        details: Details::new(),
        reference: "BILL-026401".into(),
        country: Some("BD".into()),
        international: None,
        upstream_reference: None,
        is_acknowledged: false,
    }
}

fn upstream(simulator: &Simulator, position: usize) -> Arc<dyn Upstream> {
    let code = ["simulator-a", "simulator-b"][position];
    simulator.upstream(UpstreamCode::new(code), position)
}

/// The course of an order to this number: the answer, the enquiries after 0, 2, 4 and 6 seconds,
/// and the status updates until then. A `+` means that the end customer is credited. Checks that
/// both environments have the same course.
async fn course(ends: &str, position: usize) -> String {
    let mut courses = Vec::new();
    for environment in Environment::ALL {
        let world = World::new();
        let simulator = world.open(None);
        let upstream = upstream(&simulator, position);
        let order = Order { environment, ..order(7, &format!("01712345{ends}")) };
        let shown = |outcome: Outcome| {
            let is_credited = simulator.truth().unwrap().credited.contains(&order.attempt);
            format!("{}{}", outcome.code(), if is_credited { "+" } else { "" })
        };
        let mut course =
            format!("{ends} {position} {:10} :", shown(upstream.submit(&order).await.into()));
        for seconds in [0, 2, 2, 2] {
            world.pass(SECOND * seconds).await;
            write!(course, " {:10}", shown(upstream.enquire(&order).await.into())).unwrap();
        }
        courses.push(format!("{course} : {}", world.take_updates().join(" ")));
    }
    assert_eq!(courses[0], courses[1]);
    courses[0].trim_end().to_owned()
}

/// Two nodes of one database have a file each: whichever is asked, an order has the course of its
/// number.
#[tokio::test(start_paused = true)]
async fn an_order_that_another_node_sent_is_known() {
    for n in 101..=112 {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let node = |name: &str| {
            let file = folder.path().join(name);
            let settings = world.settings(Some(&file));
            Simulator::open(SimulatorSettings { knows_other_nodes: true, ..settings }).unwrap()
        };
        let (one, other) = (node("one"), node("other"));
        world.pass(SECOND).await;
        let sent = Order { started_at: world.clock.now(), ..order(7, &format!("01712345{n}")) };
        upstream(&one, 0).submit(&sent).await;
        for seconds in [0, 2, 2, 2] {
            world.pass(SECOND * seconds).await;
            let [here, there] = [&one, &other].map(|simulator| upstream(simulator, 0));
            let here = code(here.enquire(&sent).await);
            assert_eq!(code(there.enquire(&sent).await), here, "{n} after {seconds} s more");
        }
        // An attempt that this simulator may have forgotten is not made up.
        let old = Order { started_at: Timestamp(0), ..order(8, "01712345101") };
        world.skip(RETENTION);
        assert_eq!(code(upstream(&other, 0).enquire(&old).await), "not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn each_sandbox_number_has_its_course() {
    let mut courses = String::new();
    for n in 101..=112 {
        writeln!(courses, "{}", course(&n.to_string(), 0).await).unwrap();
    }
    writeln!(courses, "{}", course("110", 1).await).unwrap();
    expect![[r#"
        101 0 delivered+ : delivered+ delivered+ delivered+ delivered+ :
        102 0 refused    : refused    refused    refused    refused    :
        103 0 accepted   : accepted   accepted   delivered+ delivered+ : S7-1 delivered
        104 0 accepted   : accepted   accepted   refused    refused    : S7-1 refused
        105 0 delivered+ : delivered+ delivered+ delivered+ delivered+ :
        106 0 unknown+   : delivered+ delivered+ delivered+ delivered+ :
        107 0 unknown    : not_found  not_found  not_found  not_found  :
        108 0 delivered+ : delivered+ delivered+ delivered+ reversed   : S7-1 reversed
        109 0 unknown+   : delivered+ delivered+ delivered+ delivered+ :
        110 0 not_sent   : not_found  not_found  not_found  not_found  :
        111 0 unknown+   : unaskable+ unaskable+ unaskable+ unaskable+ :
        112 0 refused    : refused    refused    refused    delivered+ : S7-1 delivered
        110 1 delivered+ : delivered+ delivered+ delivered+ delivered+ :
    "#]]
    .assert_eq(&courses);
}

#[tokio::test]
async fn refusals_are_definite() {
    let world = World::new();
    let simulator = world.open(None);
    for (id, number) in [(1, "01712345102"), (2, "01712345112")] {
        let outcome = upstream(&simulator, 0).submit(&order(id, number)).await;
        assert!(
            matches!(
                outcome,
                SubmitOutcome::Answered(Answer::Refused { try_elsewhere: false, .. })
            ),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn texts_contain_our_float_until_they_are_cleaned() {
    let world = World::new();
    let simulator = world.open(None);
    let upstream = upstream(&simulator, 0);
    let text = |outcome: Outcome| outcome.text().unwrap().to_owned();
    let recharge = text(upstream.submit(&order(7, "01614031175")).await.into());
    let cash = Order { kind: Kind::Banking, ..order(8, "01614031101") };
    let dollars = Order { amount: Money::new(1_050, Currency::USD), ..order(9, "0771234101") };
    let lines = [
        cleaned(&recharge),
        recharge.clone(),
        text(upstream.submit(&cash).await.into()),
        text(upstream.submit(&dollars).await.into()),
    ];
    expect![[r#"
        Recharge of 68 Tk to 1614031175 was successful.
          Transaction number is R260423.2309.b1ef5b0a9485.
        Recharge of 68 Tk to 1614031175 was successful.
          Transaction number is R260423.2309.b1ef5b0a9485.
          Your new balance is 29740.63 TAKA.
        Transfer of 68 Tk to 1614031101 was successful.
          Transaction number is R260423.2309.930c5f2611fc.
          Your new balance is 74553.43 TAKA.
        Recharge of 10.5 USD to 771234101 was successful.
          Transaction number is R260423.2309.215bbf28de00.
          Your new balance is 48058.33 USD.
    "#]]
    .assert_eq(&lines.map(|line| line.replace(". ", ".\n  ") + "\n").concat());
    // An enquiry returns the same transaction number as the answer.
    let again = upstream.enquire(&order(7, "01614031175")).await;
    assert_eq!(text(again.into()), recharge);
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    for ends in ["101", "102", "104", "106", "107", "108", "109", "111", "112", "110", "345"] {
        let world = World::new();
        let order = order(ends.parse().unwrap(), &format!("01712345{ends}"));
        let before = world.open(Some(&path));
        upstream(&before, 0).submit(&order).await;
        let state = upstream(&before, 0).enquire(&order).await;
        let truth = before.truth().unwrap();
        drop(before);
        let after = world.open(Some(&path));
        assert_eq!(upstream(&after, 0).enquire(&order).await, state, "{ends}");
        assert_eq!(after.truth().unwrap(), truth, "{ends}");
        assert_eq!(Truth::of(&read_truth(&path).unwrap()), truth, "{ends}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_updates_are_sent_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    let world = World::new();
    let before = world.open(Some(&path));
    for (id, ends) in [(3, "103"), (4, "104"), (8, "108"), (12, "112"), (1, "101")] {
        upstream(&before, 0).submit(&order(id, &format!("01712345{ends}"))).await;
    }
    drop(before);

    // Two are due now, two later.
    world.skip(SECOND * 4);
    let after = world.open(Some(&path));
    world.pass(SECOND / 2).await;
    let mut updates = world.take_updates();
    updates.sort();
    assert_eq!(updates, ["S3-1 delivered", "S4-1 refused"]);
    world.pass(SECOND).await;
    let mut updates = world.take_updates();
    updates.sort();
    assert_eq!(updates, ["S12-1 delivered", "S8-1 reversed"]);
    let credited: Vec<String> =
        after.truth().unwrap().credited.iter().map(AttemptRef::to_string).collect();
    assert_eq!(credited, ["S1-1", "S3-1", "S12-1"]);
    drop(after);

    // All are sent again after a restart soon after, and none after a restart a day later.
    let again = world.open(Some(&path));
    world.pass(SECOND).await;
    assert_eq!(world.take_updates().len(), 4);
    drop(again);
    world.skip(SECOND * 86_400);
    let _later = world.open(Some(&path));
    world.pass(SECOND * 10).await;
    assert_eq!(world.take_updates(), [""; 0]);
}

#[tokio::test]
async fn an_incomplete_last_line_is_removed_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    let world = World::new();
    let orders = [order(1, "01712345101"), order(2, "01712345101"), order(3, "01712345101")];
    let before = world.open(Some(&path));
    upstream(&before, 0).submit(&orders[0]).await;
    let complete = std::fs::read(&path).unwrap();
    upstream(&before, 0).submit(&orders[1]).await;
    drop(before);
    let two = std::fs::read(&path).unwrap();
    for length in complete.len()..two.len() {
        std::fs::write(&path, &two[..length]).unwrap();
        assert_eq!(read_truth(&path).unwrap().len(), 1, "{length}");
        let after = world.open(Some(&path));
        assert_eq!(std::fs::read(&path).unwrap(), complete, "{length}");
        assert_eq!(code(upstream(&after, 0).enquire(&orders[0]).await), "delivered");
        assert_eq!(upstream(&after, 0).enquire(&orders[1]).await, EnquiryOutcome::NotFound);
        assert_eq!(code(upstream(&after, 0).submit(&orders[2]).await), "delivered");
        assert_eq!(read_truth(&path).unwrap().len(), 2, "{length}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_truth_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    std::fs::write(&path, "Dear diary\n").unwrap();
    let settings = World::new().settings(Some(&path));
    let error = Simulator::open(settings).err().unwrap();
    assert!(error.to_string().contains("truth.jsonl"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear diary\n");
    assert!(Simulator::open(World::new().settings(Some(&dir.path().join("no/such/dir")))).is_err());
}

#[test]
fn opening_needs_a_runtime() {
    assert!(Simulator::open(World::new().settings(None)).is_err());
}

#[tokio::test]
async fn old_orders_without_a_pending_change_are_dropped_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    let world = World::new();
    let first = world.open(Some(&path));
    upstream(&first, 0).submit(&order(1, "01712345101")).await;
    // Its late change is pending: kept, however old.
    upstream(&first, 0).submit(&order(8, "01712345108")).await;
    world.skip(RETENTION - SECOND);
    upstream(&first, 0).submit(&order(2, "01712345101")).await;
    world.skip(SECOND * 2);

    let second = world.open(Some(&path));
    let kept = || -> Vec<String> {
        read_truth(&path).unwrap().iter().map(|r| r.attempt.to_string()).collect()
    };
    assert_eq!(kept(), ["S8-1", "S2-1"]);
    assert_eq!(
        upstream(&second, 0).enquire(&order(1, "01712345101")).await,
        EnquiryOutcome::NotFound
    );
    // The first simulator is still open, like another process: it switches to the new file.
    upstream(&first, 0).submit(&order(3, "01712345101")).await;
    assert_eq!(kept(), ["S8-1", "S2-1", "S3-1"]);
    assert_eq!(code(upstream(&second, 0).enquire(&order(3, "01712345101")).await), "delivered");
}

#[tokio::test]
async fn simulators_that_share_a_file_are_one_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    let world = World::new();
    let (a, b) = (world.open(Some(&path)), world.open(Some(&path)));
    let order = order(6, "01712345106");
    assert_eq!(code(upstream(&a, 0).submit(&order).await), "unknown");
    assert_eq!(code(upstream(&b, 0).enquire(&order).await), "delivered");
    assert_eq!(code(upstream(&b, 1).submit(&order).await), "delivered");
    assert_eq!(a.truth().unwrap().repeats, 1);
    assert_eq!(a.truth().unwrap(), b.truth().unwrap());
    let records = read_truth(&path).unwrap();
    assert_eq!((records.len(), records[0].repeats), (1, 1));
    assert_eq!(records[0].upstream, UpstreamCode::new("simulator-a"));
}

#[tokio::test]
async fn an_order_that_was_reversed_is_not_answered_at_a_repeated_submit() {
    let world = World::new();
    let simulator = world.open(None);
    let upstream = upstream(&simulator, 0);
    let order = order(8, "01712345108");
    assert_eq!(code(upstream.submit(&order).await), "delivered");
    world.skip(SECOND * 10);
    assert_eq!(code(upstream.submit(&order).await), "unknown");
    assert_eq!(code(upstream.enquire(&order).await), "reversed");
}

#[tokio::test]
async fn a_purchase_credited_by_two_attempts_is_found() {
    let world = World::new();
    let simulator = world.open(None);
    let first = order(7, "01712345106");
    let second = Order { attempt: AttemptRef { number: 2, ..first.attempt }, ..first.clone() };
    upstream(&simulator, 0).submit(&first).await;
    upstream(&simulator, 0).submit(&order(8, "01712345106")).await;
    assert_eq!(simulator.truth().unwrap().credited_twice(), []);
    upstream(&simulator, 1).submit(&second).await;
    assert_eq!(simulator.truth().unwrap().credited_twice(), [PurchaseNumber(7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_sixty_four_concurrent_orders_is_credited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth.jsonl");
    let world = World::new();
    let simulators = [world.open(Some(&path)), world.open(Some(&path))];
    let mut tasks = Vec::new();
    for task in 0..64 {
        let upstream = upstream(&simulators[task % 2], task / 2 % 2);
        tasks.push(tokio::spawn(async move {
            for id in 0..20 {
                let outcome = upstream.submit(&order(id, "01712345101")).await;
                assert_eq!(code(outcome), "delivered");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let truth = Truth::of(&read_truth(&path).unwrap());
    assert_eq!((truth.credited.len(), truth.repeats), (20, 63 * 20));
    assert_eq!(simulators[0].truth().unwrap(), truth);
    assert_eq!(simulators[1].truth().unwrap(), truth);
}

#[tokio::test]
async fn a_full_disk_is_an_unknown_outcome_and_records_nothing() {
    let world = World::new();
    let full = Path::new("/dev/full");
    let simulator = world.open(Some(full));
    let order = order(1, "01712345101");
    assert_eq!(code(upstream(&simulator, 0).submit(&order).await), "unknown");
    assert_eq!(upstream(&simulator, 0).enquire(&order).await, EnquiryOutcome::NotFound);
    assert_eq!(simulator.truth().unwrap(), Truth::default());
}

#[test]
fn four_of_five_ordinary_sandbox_orders_succeed() {
    let mut delivered = 0;
    for n in 0..10_000 {
        let order = Order { reference: format!("ORDER-{n}"), ..order(n, "01712345678") };
        let script = Script::of(SEED, &order, 0);
        // The attempt, the position and the purchase do not matter.
        let retry = Order { attempt: AttemptRef { number: 2, ..order.attempt }, ..order.clone() };
        assert_eq!(Script::of(SEED, &retry, 1), script);
        let live = Order { environment: Environment::Live, ..order.clone() };
        assert_eq!(Script::of(SEED, &live, 0), Script::Deliver);
        delivered += i32::from(script == Script::Deliver);
    }
    assert!((7_880..=8_120).contains(&delivered), "{delivered}");
}

#[test]
fn the_samples_of_the_seed_document_succeed() {
    for reference in [
        "BILL-026401",
        "BILL-20260204-0001",
        "BILL-20260204-0002",
        "BILL-20260204-0003",
        "BILL-20260204-00012",
    ] {
        let order = Order { reference: reference.into(), ..order(1, "01712345678") };
        assert_eq!(Script::of(SEED, &order, 0), Script::Deliver, "{reference}");
    }
}
