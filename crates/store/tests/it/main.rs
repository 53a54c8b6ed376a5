//! The store's conformance suite (what every backend must do), and what is each backend's own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is test code"
)]

mod archive;
mod backup;
mod conformance;
mod disk_full;
mod fail_over;
mod file;
mod growth;
mod model;
mod nodes;
mod opening;
#[expect(dead_code, reason = "the app's tests use the rest")]
mod pair;
mod people;
#[expect(dead_code, reason = "the engine's and the app's tests use the rest")]
mod postgres;
mod refusals;
mod server;
mod tampering;
mod webhooks;
mod world;

/// Each conformance test on each backend: a second backend adds a line here and a factory to
/// `world`.
macro_rules! on_every_backend {
    ($($file:ident :: $name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$file::$name(crate::world::sqlite().await).await;
                }
            )+
        }
        mod postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$file::$name(crate::world::postgresql().await).await;
                }
            )+
        }
    };
}

on_every_backend![
    conformance::many_writers_are_each_answered_and_the_books_add_up,
    conformance::a_bad_change_does_not_sink_its_batch,
    conformance::a_reference_has_one_winner,
    conformance::exactly_what_is_affordable_is_opened,
    conformance::a_version_is_left_once,
    conformance::a_payment_is_booked_once,
    conformance::a_payment_needs_a_wallet_and_stays_in_range,
    conformance::a_job_has_one_taker_until_its_lease_ends,
    conformance::whoever_lost_a_job_cannot_put_it_off,
    conformance::a_start_makes_enquiries_due,
    conformance::a_halt_lasts_until_it_is_ended,
    conformance::a_first_answer_is_kept_for_ever,
    conformance::a_second_doubt_opens_its_case_again,
    conformance::everything_is_there_after_a_restart,
    conformance::environments_and_accounts_do_not_meet,
    conformance::a_batch_sees_its_own_changes,
    conformance::an_audit_beside_the_writer_sees_whole_commits,
    conformance::the_catalog_is_read_back,
    conformance::a_nul_in_a_text_stops_nothing,
    conformance::a_slip_is_kept_with_its_word,
    conformance::keys_and_accounts_are_read_back,
    conformance::a_hold_at_acceptance_tells_what_is_left,
    archive::an_archived_month_is_in_its_file_and_nowhere_else,
    archive::a_word_about_an_archived_purchase_waits_for_staff,
    archive::a_closed_month_changes_no_more,
    archive::a_month_is_closed_once_nothing_of_it_is_open,
    archive::what_a_clock_far_behind_writes_is_of_the_open_month,
    people::a_confirmed_sign_up_is_an_account,
    people::a_code_is_of_its_purpose_and_is_tried_fifty_times,
    people::the_newest_three_codes_count_until_one_is_used,
    people::codes_are_bounded_and_the_oldest_go,
    people::sessions_go_when_they_have_ended,
    people::a_code_has_one_winner,
    people::a_session_opens_on_the_password_that_was_verified,
    people::a_log_out_ends_one_or_all,
    people::a_device_is_one_logins_and_old_ones_go,
    people::places_are_known_for_ninety_days,
    people::an_address_is_one_logins,
    webhooks::what_a_step_owes_is_told_once_and_in_order,
    webhooks::a_later_event_waits_for_the_one_before,
    webhooks::what_waits_is_let_go_at_once,
    webhooks::three_refusals_hold_up_nothing,
    webhooks::whoever_lost_a_webhook_cannot_end_it,
    webhooks::a_start_wakes_what_was_in_hand,
    webhooks::a_replay_tells_again_and_keeps_the_log,
    webhooks::the_log_goes_after_its_time,
    webhooks::endpoints_and_troubles_are_read_back,
    webhooks::a_step_that_loses_its_race_owes_nothing,
];
