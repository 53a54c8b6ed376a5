//! The store's conformance suite (what every backend must do), and what is SQLite's own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is test code"
)]

mod conformance;
mod disk_full;
mod model;
mod opening;
mod refusals;
mod tampering;
mod world;

/// Each conformance test on each backend: a second backend adds a line here and a factory to
/// `world`.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::conformance::$name(crate::world::sqlite().await).await;
                }
            )+
        }
    };
}

on_every_backend![
    many_writers_are_each_answered_and_the_books_add_up,
    a_bad_change_does_not_sink_its_batch,
    a_reference_has_one_winner,
    exactly_what_is_affordable_is_opened,
    a_version_is_left_once,
    a_payment_is_booked_once,
    a_payment_needs_a_wallet_and_stays_in_range,
    a_job_has_one_taker_until_its_lease_ends,
    whoever_lost_a_job_cannot_put_it_off,
    a_start_makes_enquiries_due,
    a_first_answer_is_kept_for_ever,
    a_second_doubt_opens_its_case_again,
    everything_is_there_after_a_restart,
    environments_and_accounts_do_not_meet,
    a_batch_sees_its_own_changes,
    an_audit_beside_the_writer_sees_whole_commits,
    the_catalog_is_read_back,
    a_slip_is_kept_with_its_word,
    keys_and_accounts_are_read_back,
    a_hold_at_acceptance_tells_what_is_left,
];
