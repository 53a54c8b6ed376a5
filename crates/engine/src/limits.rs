//! Everything has a limit, with its reason.
//!
//! Not here: how calls are counted (`rate`).

use std::time::Duration;

/// A client waits at most this long for an answer: longer than an upstream may take, shorter than a
/// proxy's timeout (RELIABILITY 1.4, rule 9).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// A purchase that the store has not begun with by then is refused, and nothing is stored: the next
/// try may meet a shorter queue (RELIABILITY 3.2, step 2).
pub const BEGUN_WITHIN: Duration = Duration::from_secs(5);
/// A call waits at most this long for its count over all nodes; together with [`ANSWER_WITHIN`]
/// shorter than the edge's timeout.
pub const CALLS_WITHIN: Duration = Duration::from_secs(3);
/// A client that accepts a quote waits at most this long (CONTRACT B-24).
pub const ACCEPTANCE_WITHIN: Duration = Duration::from_secs(20);
/// An upstream that takes longer to look up a bill reference is skipped.
pub const LOOK_UP_WITHIN: Duration = Duration::from_secs(8);
/// Pushes in flight.
pub const PUSHES_AT_ONCE: usize = 16;
/// A push service answers within this; shorter than the lease.
pub const PUSH_WITHIN: Duration = Duration::from_secs(15);
/// A push that is older than this is given up: it is no news any more.
pub const PUSH_VALID_FOR: Duration = Duration::from_secs(24 * 3600);
/// When changes of other nodes could not be read, they are read again after this.
pub const CHANGES_READ_EVERY: Duration = Duration::from_secs(1);
/// Webhooks in flight: each holds a connection.
pub const WEBHOOKS_AT_ONCE: usize = 256;
/// Webhooks in flight to one host: a receiver that takes 100 ms then gets some hundreds a second.
pub const WEBHOOKS_AT_ONCE_TO_HOST: usize = 32;
/// Webhooks a minute to a host that is not trusted, for all accounts together (RELIABILITY O5).
pub const WEBHOOKS_A_MINUTE_UNTRUSTED: usize = 60;
/// A host that has accepted so many webhooks is trusted: it is a receiver, not a victim.
pub const ACCEPTED_UNTIL_TRUSTED: u32 = 20;
/// A host that failed so often in a row gets one webhook at a time until it accepts one.
pub const FAILURES_UNTIL_ALONE: u32 = 8;
/// Hosts whose empty queue is kept.
pub const HOSTS_KNOWN: usize = 20_000;
/// Purchases whose webhooks wait in memory: some seconds of work. The others wait in the store.
pub const WEBHOOKS_WAITING: usize = 16_384;
/// Purchases whose webhooks wait in memory for one host.
pub const WEBHOOKS_WAITING_FOR_HOST: usize = 8_192;
/// Purchases whose webhooks wait to be put into a host's queue.
pub const WEBHOOKS_ARRIVING: usize = 4_096;
/// Webhooks leased at once.
pub const WEBHOOKS_LEASED_MAX: u32 = 512;
/// The lease of a webhook: time for the wait in its queue and for one try.
pub const WEBHOOK_LEASE: Duration = Duration::from_secs(45);
/// A receiver answers within this (the webhook sender's own timeout is a little less); shorter than
/// the lease.
pub const WEBHOOK_WITHIN: Duration = Duration::from_secs(18);
/// A webhook that finds its queue full is due again after this.
pub const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The same, when its host only fails.
pub const FULL_AND_FAILING_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// Endpoints that another node changed are noticed within this.
pub const ENDPOINTS_CACHED: Duration = Duration::from_secs(1);
/// Failing addresses whose health is kept in memory.
pub const FAILING_KNOWN: usize = 50_000;
/// The health of an address is stored once it has failed for this long.
pub const FAILING_STORED_AFTER: Duration = Duration::from_secs(60);
/// A webhook whose address led to a place that is not public so often is an alarm.
pub const BLOCKED_UNTIL_ALARM: u32 = 10;
/// A purchase with so much evidence takes none from callbacks: nobody reads more, and callbacks
/// that differ each time must not fill the disk.
pub const EVIDENCE_UNTIL_CALLBACKS_ARE_DROPPED: usize = 50;
/// How long the log of webhooks is kept.
pub const WEBHOOKS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Webhooks pruned in one commit: a few milliseconds of the writer.
pub const WEBHOOKS_PRUNED: u32 = 200;
/// Between two searches for webhooks to prune.
pub const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);
/// Journals that are added to a list of accounts together, at least: so many that neighbours share
/// pages, and few enough for a list to read what it lacks in a few milliseconds.
pub const LISTED_AT_ONCE: u32 = 8_000;
/// The same while so many sales are made that these would be there soon: four times as many share
/// each page.
pub const LISTED_WHILE_BUSY: u32 = 32_000;
/// Journals in a second that make a house busy.
pub const LISTED_SOON: u32 = 2_000;
/// Rows of a list that are added in one commit: so few that a buyer does not notice it.
pub const LISTED_IN_A_COMMIT: u32 = 500;
/// Between two looks whether a list of accounts lacks so many.
pub const LISTS_FILLED_EVERY: Duration = Duration::from_secs(1);
/// The lease of a job and of a push; after it another worker may take it.
pub const LEASE: Duration = Duration::from_secs(60);
/// Between two enquiries about one attempt, at least.
pub const ASK_AGAIN_MIN: Duration = Duration::from_millis(100);
/// Enquiries under way at an upstream whose last call was answered: three quarters of the jobs, so
/// that others have theirs if it hangs from now on.
pub const ENQUIRIES_AT_ONCE: usize = 48;
/// The same at one whose last call was not answered.
pub const ENQUIRIES_AT_ONCE_IN_DOUBT: usize = 16;
/// A call that takes so long without an answer hangs.
pub const HUNG_AFTER: Duration = Duration::from_secs(5);
/// An upstream at which so many calls hung one after the other is asked one thing at a time.
pub const HUNG_CALLS: u32 = 5;
/// An upstream that left so many calls unanswered one after the other is silent: as many rarely get
/// lost by chance.
pub const SILENT_CALLS: u32 = 5;
/// An order whose enquiry found no place at an upstream that hangs waits so long. Together with the
/// call that had the place and [`UNANSWERED_WAIT_MAX`] less than a minute: what was lost is to be
/// known then, once the upstream answers again.
pub const HANGING_WAIT: Duration = Duration::from_secs(15);
/// The same at any other upstream, where places are soon free.
pub const FULL_WAIT: Duration = Duration::from_secs(2);
/// Between two enquiries of which the first got no answer, at most.
pub const UNANSWERED_WAIT_MAX: Duration = Duration::from_secs(20);
/// For so long since an order last changed, an enquiry without an answer is soon followed by
/// another one. After that it is the order, not the network, and it is asked about by the schedule.
pub const UNANSWERED_FOR: Duration = Duration::from_secs(30 * 60);
/// Jobs that run at once: bounds what a crash leaves half done.
pub const JOBS_AT_ONCE: usize = 64;
/// How long a worker waits when nothing is due: the delay that a job can have.
pub const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How long a worker waits while something is due but all its slots are taken.
pub const SLEEP_MIN: Duration = Duration::from_millis(5);
/// How often a step that lost its race is decided again: more is no race but an error.
pub const RACES_MAX: u32 = 8;
/// Status updates that may wait, both in the queue and for a store that is away; further ones are
/// dropped, and the log says so.
pub const UPDATES_WAITING: usize = 10_000;
/// What could not be stored is tried again after this time, then after twice as long, …
pub const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// … at most: the store may be back at any time.
pub const UPDATES_TRIED_AGAIN_MAX: Duration = Duration::from_secs(30);
/// So many updates that cannot be stored, one after another, are the store's fault.
pub const UPDATES_FAILED_IN_A_ROW: u32 = 3;
/// Callbacks that may wait for their upstream's answer; further ones are taken up at a start.
pub const CALLBACKS_UNANSWERED: usize = 10_000;
/// Such callbacks that are asked about at once.
pub const CALLBACKS_ASKED_AT_ONCE: usize = 8;
/// Rounds ([`TRIED_AGAIN_AFTER`]) between two enquiries about one of them, at most: five minutes.
pub const CALLBACK_ROUNDS_MAX: u32 = 300;
/// How often one of them is asked about: for about a day.
pub const CALLBACK_TRIES_MAX: u32 = 300;
/// Callbacks that are taken up at a start: the latest ones of this time, …
pub const CALLBACKS_TAKEN_UP_OF: Duration = Duration::from_secs(24 * 3600);
/// … at most so many: some upstreams call about every order, …
pub const CALLBACKS_TAKEN_UP: u32 = 1_000;
/// … about purchases of so many days before that.
pub const CALLBACKS_TAKEN_UP_DAYS: i64 = 60;
/// Exchanges with upstreams that may wait to be kept; further ones are dropped.
pub const EXCHANGES_WAITING: usize = 1_000;
/// Exchanges kept in one commit: a few milliseconds of the writer.
pub const EXCHANGES_AT_ONCE: usize = 32;
/// How long exchanges are kept.
pub const EXCHANGES_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Exchanges deleted in one commit.
pub const EXCHANGES_PRUNED: u32 = 200;
/// While halted: how long a job waits that would send, or call off, something.
pub const HALTED_JOB_WAITS: Duration = Duration::from_secs(60);
/// While halted: when a buyer should try again. Staff have to look first.
pub const HALTED_RETRY_AFTER_S: u64 = 300;
/// While halted: how soon a node notices that the halt was ended at another node.
pub const HALT_READ_EVERY: Duration = Duration::from_secs(1);
/// While halted: between two warnings.
pub const HALT_WARNED_EVERY: Duration = Duration::from_secs(3600);
/// How often the clock is looked at, and other nodes' moves of time are read.
pub const CLOCK_READ_EVERY: Duration = Duration::from_secs(1);
/// How often the time is noted: after a restart with a wrong clock, time goes on from there. An
/// idle writer tidies up between two notes.
pub const CLOCK_NOTED_EVERY: Duration = Duration::from_secs(25);
/// At a stop the time is noted if that takes no longer.
pub const CLOCK_NOTED_WITHIN: Duration = Duration::from_secs(1);
/// What cannot be undone goes by a clock that has jumped only after this.
pub const CLOCK_PROVEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// While the clock is far off: when a buyer should try again.
pub const CLOCK_RETRY_AFTER_S: u64 = 60;
/// Between two looks for commission that is due.
pub const COMMISSION_EVERY: Duration = Duration::from_secs(5 * 60);
/// Between two quick audits.
pub const AUDIT_EVERY: Duration = Duration::from_secs(10 * 60);
/// Archived purchases, or journals, removed from the live tables in one commit: a few milliseconds
/// of work, so that purchases made meanwhile hardly wait.
pub const ARCHIVE_ROWS: u32 = 100;
/// Tries to drop archived months on a server while somebody reads them.
pub const DROP_TRIES: u32 = 30;
/// Between two of [`DROP_TRIES`].
pub const DROP_EVERY: Duration = Duration::from_secs(1);
/// A verified key is trusted this long before it is read again: revoking works within it.
pub const KEY_CACHED: Duration = Duration::from_secs(1);
/// A verified key is trusted this long while the store knows that no key and no account changed.
pub const KEY_KEPT: Duration = Duration::from_secs(60);
/// Verified keys in memory.
pub const KEYS_CACHED: usize = 20_000;
/// The same sale again within this is a possible duplicate (CONTRACT A-42).
pub const SAME_SALE_WITHIN: Duration = Duration::from_secs(120);
/// Recent sales in memory, some 150 bytes each: two minutes of some hundreds a second.
pub const SALES_KEPT: usize = 100_000;
/// How often the latest sales of other nodes are read.
pub const SALES_READ_EVERY: Duration = Duration::from_secs(1);
/// How long a sale waits for that reading, which takes some milliseconds.
pub const SALES_AWAITED: Duration = Duration::from_millis(200);
/// Purchases that are read then, and once after a start.
pub const SALES_READ: u32 = 500;
/// Offers that were shown are kept this long.
pub const OFFERS_SHOWN: Duration = Duration::from_secs(15 * 60);
/// Numbers whose offers are kept.
pub const OFFERS_CACHED: usize = 20_000;
/// Failed authentications a minute from one IPv4 address or IPv6 /64; further ones are answered 429
/// (RELIABILITY K7).
pub const FAILURES_A_MINUTE: u32 = 20;
/// Searches a minute from one address, without a login (RELIABILITY Q13).
pub const SEARCHES_A_MINUTE: u32 = 30;
/// Quotes a minute of an account without a plan: each is free, and a row for ever.
pub const QUOTES_A_MINUTE: u32 = 20;
/// Callers whose calls are counted: more accounts than one node serves, 260 bytes each.
pub const CALLERS_COUNTED: usize = 200_000;
/// Addresses whose failures are counted; those of a flood from more are answered and not counted.
pub const FAILERS_COUNTED: usize = 10_000;

/// The part of a minute's limit that a node takes ahead at most: one fortieth. Two nodes together
/// then let at most a twentieth too many calls through, or too few.
pub const CALLS_AHEAD_PART: u32 = 40;
/// Calls that were taken ahead are given back after this.
pub const CALLS_AHEAD_KEPT: Duration = Duration::from_secs(10);
/// A caller without calls is refused this long without asking the store again; meanwhile another
/// node may give some back.
pub const NO_CALLS_KEPT: Duration = Duration::from_secs(1);

/// Calls a minute of a customer, per account and environment: as many as the middle plan has.
pub const CUSTOMER_CALLS_A_MINUTE: u32 = 120;
/// The life of an access token and its session (the seed's hour).
pub const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// A session of the pages ends when it was not used for so long (ASVS V7.3.1).
pub const PERSON_IDLE: Duration = Duration::from_secs(15 * 60);
/// The life of a session of the pages, however much it is used (ASVS V7.3.2).
pub const PERSON_LIFE: Duration = Duration::from_secs(12 * 3600);
/// A cookie is renewed when it is older: so idle time is known to the minute, at few headers.
pub const COOKIE_RENEWED: Duration = Duration::from_secs(60);
/// What asks for a second factor again is allowed for so long after it (RELIABILITY K13).
pub const PROOF_LIFE: Duration = Duration::from_secs(5 * 60);
/// From the password to the second factor.
pub const STEP_LIFE: Duration = Duration::from_secs(5 * 60);
/// From a mail to its code, where it is no secret of a login: to confirm an address, to join.
pub const MAIL_CODE_LIFE: Duration = Duration::from_secs(3 * 24 * 3600);
/// The subscription that comes with a sign-up: a year, to try at leisure.
pub const FIRST_PLAN: Duration = Duration::from_secs(365 * 24 * 3600);
/// Play money of a new sandbox, in minor units: as much as the demo's merchant starts with.
pub const PLAY_MONEY_MINOR: i64 = 700_000;
/// Recovery codes of a second factor (RELIABILITY K13).
pub const RECOVERY_CODES: usize = 10;
/// Bytes of a second factor's secret: as many as SHA-1 makes (RFC 4226, 4).
pub const FACTOR_BYTES: usize = 20;
/// People who may be invited to an account at once.
pub const INVITATIONS_MAX: usize = 20;
/// A browser's name of itself, as a list of sessions shows it.
pub const AGENT_CHARS: usize = 200;
/// A session is trusted this long before it is read again: what another node ends, ends within it
/// (RELIABILITY K10).
pub const SESSION_CACHED: Duration = Duration::from_secs(1);
/// Sessions in memory.
pub const SESSIONS_CACHED: usize = 20_000;
/// The longest push token: twenty times what they are today (CONTRACT B-16).
pub const PUSH_TOKEN_BYTES: usize = 4096;
/// Password hashes at once: the ledger keeps its share of two cores.
pub const HASHES_AT_ONCE: usize = 2;
/// Requests that wait for a hash: a second's work. Further ones are answered 429.
pub const HASHES_WAITING: usize = 20;
/// Hashes for known devices and sessions, running or waiting, beside those of everybody else: a
/// flood of strangers leaves them half a second's work.
pub const HASHES_OF_KNOWN: usize = 12;
/// When to try again after that.
pub const HASHES_FULL_RETRY_S: u64 = 2;
/// Log-ins a minute of one mail address that are hashed, right ones too, and as many on each known
/// device of its login: more than a person needs, less than a hundredth of what two cores can hash.
pub const LOG_INS_A_MINUTE: u32 = 10;
/// The same from one IPv4 address or IPv6 /64, whatever the login: a shop full of people.
pub const LOG_INS_A_MINUTE_FROM: u32 = 30;
/// Mail and network addresses whose log-ins are counted: more than ten times what can be hashed in
/// their minute. A flood from more is not counted here; the queue of hashes bounds it.
pub const LOG_INS_COUNTED: usize = 50_000;
/// Wrong passwords of one mail address, and from one network address, in [`GUESSES_WINDOW`]; then
/// [`GUESSES_LOCK`] (PCI DSS 4, 8.3.4; RELIABILITY K7).
pub const GUESSES_MAX: usize = 10;
/// How long a wrong password counts.
pub const GUESSES_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long passwords may then be tried on a known device only.
pub const GUESSES_LOCK: Duration = Duration::from_secs(30 * 60);
/// Keys whose guesses are counted; a further one may not guess passwords. Each guess costs a hash,
/// so more than this cannot fail within the window.
pub const GUESSERS_COUNTED: usize = 150_000;
/// When to try again if that many are counted all the same.
pub const GUESSERS_FULL_WAIT: Duration = Duration::from_secs(60);
/// How long a one-time code is valid.
pub const CODE_LIFE: Duration = Duration::from_secs(30 * 60);
/// Wrong codes for one mail address from one site; then its codes are no longer valid there.
pub const CODE_TRIES_MAX: usize = 5;
/// Mails that one site may request to one address.
pub const MAILS_AN_HOUR_TO_FROM: usize = 3;
/// Mails that may be requested to one address: three sites' worth, so that a stranger who requests
/// some leaves others, and no mailbox is flooded.
pub const MAILS_AN_HOUR_TO: usize = 10;
/// Mails that may be requested from one IPv4 address or IPv6 /64.
pub const MAILS_AN_HOUR_FROM: usize = 10;
/// Mails that may be requested from one IPv6 /48, which one subscriber may hold: five /64s' worth.
pub const MAILS_AN_HOUR_FROM_SITE: usize = 50;
/// How long a requested mail counts.
pub const MAILS_COUNTED_FOR: Duration = Duration::from_secs(3600);
/// Keys by which requested mails are counted; a flood of more makes us forget some.
pub const MAIL_KEYS_COUNTED: usize = 50_000;
/// Mails that wait to be sent; further ones are dropped, and must be requested again.
pub const MAILS_WAITING: usize = 100;
/// Mails that are sent at once: a mail server takes few connections from one place.
pub const MAILS_AT_ONCE: usize = 4;
/// A mail that the mail server has not accepted by then is given up.
pub const MAIL_WITHIN: Duration = Duration::from_secs(60);

/// Calls of the last minute decide about a breaker.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(60);
/// Fewer calls than this say nothing about an upstream.
pub const BREAKER_CALLS_MIN: usize = 20;
/// Calls that are remembered for a breaker: some seconds of a busy upstream are as good as a
/// minute.
pub const CALLS_REMEMBERED: usize = 10_000;
/// An open breaker lets an order through after this, and after twice as long each time it fails.
pub const BREAKER_WAIT: Duration = Duration::from_secs(10);
/// But never after more than this: an upstream that is back must be found.
pub const BREAKER_WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// While another order probes an upstream: when a buyer should try again.
pub const BREAKER_RETRY_MIN: Duration = Duration::from_secs(2);
/// While all slots are taken: when a buyer should try again.
pub const SLOTS_RETRY: Duration = Duration::from_secs(1);
/// While every upstream is paused or its float is low: staff have to act first.
pub const PAUSED_RETRY: Duration = Duration::from_secs(60);
/// An order whose call never ended was lost with its task: much longer than a commit and a call.
pub const ORDER_LOST_AFTER: Duration = Duration::from_secs(120);
/// Between two looks for such orders.
pub const LOST_ORDERS_SOUGHT_EVERY: Duration = Duration::from_secs(10);
/// Staff wait at most this long for an upstream's balance.
pub const TRY_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at all floats.
pub const FLOATS_READ_EVERY: Duration = Duration::from_secs(2);
/// An upstream is asked for our balance so often: some block accounts that ask more (a panel: once
/// in ten minutes).
pub const BALANCE_ASKED_EVERY: Duration = Duration::from_secs(10 * 60);
/// Between two orders that have ended and are asked about again: half of the calls that a panel
/// takes in a minute, as a rule, are left for sales.
pub const RECHECK_EVERY: Duration = Duration::from_secs(2);
/// Such orders that a node takes at once; what it has not asked about when it stops is left out.
pub const RECHECKS_AT_ONCE: u32 = 20;
/// Between two looks for such orders, when there were none.
pub const RECHECKS_SOUGHT_EVERY: Duration = Duration::from_secs(10 * 60);
/// One without an answer is asked about again after these times: a refusal counts when it is said
/// twice.
pub const RECHECKED_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_secs(65), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60)];
/// Numbers of a sequence that a node takes at once at most: what is left of them is lost when it
/// stops.
pub const NUMBERS_AT_ONCE: u32 = 4_096;
/// Numbers that last shorter than this are taken in larger blocks, so that a busy node takes them
/// about once a second.
pub const NUMBERS_LAST_MIN: Duration = Duration::from_secs(1);
/// Numbers that last longer than this are taken one by one.
pub const NUMBERS_LAST_MAX: Duration = Duration::from_secs(30);
/// A day.
pub const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// Until when staff answer a report that a delivery was not received: operators need up to two
/// working days for an answer of their own.
pub const REPORT_ANSWERED_WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);
/// Requests of one account that its log keeps in a second; of more, a part.
pub const REQUESTS_A_SECOND_OF_ACCOUNT: u32 = 20;
/// Requests of all accounts that a node keeps in a second.
pub const REQUESTS_A_SECOND: u32 = 100;
/// Requests that wait to be kept in the log: some seconds of a busy node. Past that they are not
/// kept.
pub const REQUESTS_WAITING: usize = 2_000;
/// Requests of the log kept in one commit: a few milliseconds of the writer.
pub const REQUESTS_AT_ONCE: usize = 100;
/// How long requests are gathered for one commit: people look at them seconds later.
pub const REQUESTS_GATHERED: Duration = Duration::from_millis(200);
/// The longest body that is noted: a queue that is full then takes some 30 MB at most.
pub const REQUEST_BODY_BYTES: usize = 8 * 1024;
/// What is kept of a body: enough to find what was wrong with it.
pub const REQUEST_TEXT_BYTES: usize = 4 * 1024;
/// What is kept of a path and of a query.
pub const REQUEST_PATH_CHARS: usize = 500;
/// How long requests are kept: long enough to look into what happened before a weekend.
pub const REQUESTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Requests kept of an account and environment: a list of them reads no more than these.
pub const REQUESTS_OF_ACCOUNT: u32 = 5_000;
/// By so many a log may be longer before it is cut.
pub const REQUESTS_CUT_EVERY: u32 = 200;
/// Logs whose growth is counted; past that the counts begin anew.
pub const LOGS_COUNTED: usize = 10_000;
/// Requests deleted in one commit.
pub const REQUESTS_PRUNED: u32 = 200;
/// Kinds of errors that a page shows.
pub const ERROR_GROUPS: u32 = 10;
/// How long an old key pair works beside the one that takes its place at most.
pub const KEY_OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often the last uses of key pairs are written: people look at minutes.
pub const KEY_USES_WRITTEN_EVERY: Duration = Duration::from_secs(10);
/// Key pairs whose last use waits to be written; more are noted the next time.
pub const KEY_USES_WAITING: usize = 10_000;
/// Webhooks that one replay sends at most: an account that missed more replays the rest after it.
pub const REPLAYED_MAX: u32 = 10_000;
/// Webhooks sent again in one commit: a few milliseconds of the writer.
pub const REPLAYED_AT_ONCE: u32 = 100;
/// Between two commits of a replay, so that purchases are not delayed.
pub const REPLAY_PAUSE: Duration = Duration::from_millis(50);
/// How soon a node goes on with a replay that another node has left.
pub const REPLAYS_READ_EVERY: Duration = Duration::from_secs(30);
/// How long a form waits for a fresh password or code.
pub const FORM_KEPT: Duration = Duration::from_secs(5 * 60);
/// Months of a plan that are bought at once at most: ten years.
pub const PLAN_MONTHS: u32 = 120;
/// How long before its end a plan is renewed by itself: a day in which the wallet can be filled.
pub const PLAN_RENEWED_BEFORE: Duration = Duration::from_secs(24 * 3600);
/// How long after its end it still is; later nobody expects to be charged.
pub const PLAN_RENEWED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Between two looks for plans that are to be renewed.
pub const PLANS_RENEWED_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often an account that another node changes meanwhile is changed anew before it is refused.
pub const REVISIONS: u32 = 10;
/// Between two looks for balances that have crossed their alert: soon enough to pay in.
pub const BALANCES_WATCHED_EVERY: Duration = Duration::from_secs(5);
/// Crossings that are told at one look; the next one tells the rest.
pub const CROSSINGS_AT_ONCE: u32 = 100;
