//! The conformance suite: what every backend must do.
//!
//! Each test of the list runs once on each backend, in a world of its own. A new backend is a
//! module of `on_every_backend!` and a constructor in `harness/world.rs`.

pub mod archive;
mod batches;
mod catalog;
pub mod jobs;
mod lists;
mod model;
mod numbers;
mod people;
mod plans;
mod purchases;
pub mod pushes;
mod tampering;
mod upgrades;
mod webhooks;

macro_rules! on_every_backend {
    ($($file:ident :: $name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$file::$name(crate::harness::world::sqlite().await).await;
                }
            )+
        }
        mod postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$file::$name(crate::harness::world::postgresql().await).await;
                }
            )+
        }
    };
}

on_every_backend![
    batches::many_clients_are_each_answered_and_the_ledger_balances,
    batches::a_bad_change_does_not_sink_its_batch,
    batches::everything_is_there_after_a_restart,
    batches::a_batch_sees_its_own_changes,
    batches::an_audit_beside_the_writer_sees_whole_commits,
    lists::each_filter_finds_what_it_names,
    lists::a_quote_is_listed_once,
    lists::each_list_has_its_index,
    lists::a_log_of_requests_is_bounded_and_its_filters_find_what_they_name,
    lists::a_replay_sends_each_webhook_of_its_filter_once,
    plans::terms_of_plans_are_read_back,
    plans::months_are_added_to_what_is_there,
    plans::a_crossing_is_noted_once,
    plans::a_payment_is_reported_in_its_commit,
    purchases::a_reference_has_one_winner,
    purchases::exactly_what_is_affordable_is_opened,
    purchases::a_version_is_left_once,
    purchases::a_payment_is_booked_once,
    purchases::a_payment_is_one_accounts_in_the_whole_house,
    purchases::a_payment_needs_a_wallet_and_stays_in_range,
    purchases::a_first_answer_is_kept_for_ever,
    purchases::a_second_doubt_opens_its_case_again,
    purchases::environments_and_accounts_do_not_meet,
    purchases::a_nul_in_a_text_stops_nothing,
    purchases::exchanges_are_kept_for_staff,
    purchases::what_has_ended_is_asked_about_again_by_one_node,
    purchases::a_slip_is_stored_with_its_evidence,
    purchases::a_hold_at_acceptance_stores_the_remaining_balance,
    jobs::a_job_has_one_holder_until_its_lease_ends,
    jobs::a_job_whose_lease_was_lost_cannot_be_put_off,
    jobs::a_start_makes_queries_due,
    jobs::a_halt_lasts_until_it_is_ended,
    catalog::a_revision_is_of_the_catalog_that_was_read,
    catalog::the_catalog_is_read_back,
    catalog::keys_and_accounts_are_read_back,
    archive::what_was_archived_meanwhile_is_not_listed,
    archive::an_archived_month_is_in_its_file_and_nowhere_else,
    archive::an_update_about_an_archived_purchase_waits_for_staff,
    archive::a_closed_month_changes_no_more,
    archive::a_month_is_closed_once_nothing_of_it_is_open,
    archive::what_a_clock_far_behind_writes_is_of_the_open_month,
    archive::months_with_ids_of_before_are_archived_too,
    numbers::a_number_is_given_once,
    numbers::a_number_tells_its_purchase,
    people::a_confirmed_sign_up_is_an_account,
    people::a_code_is_of_its_purpose_and_is_tried_fifty_times,
    people::the_newest_three_codes_count_until_one_is_used,
    people::codes_are_bounded_and_the_oldest_go,
    people::sessions_go_when_they_have_ended,
    people::a_code_has_one_winner,
    people::a_session_opens_on_the_password_that_was_verified,
    people::a_log_out_ends_one_or_all,
    people::a_device_is_one_logins_and_old_ones_go,
    people::a_device_is_known_for_ninety_days,
    people::an_address_is_one_logins,
    pushes::a_run_that_died_loses_its_push_before_the_lease_ends,
    pushes::a_push_that_was_put_off_keeps_its_time,
    webhooks::webhooks_of_a_step_are_sent_once_and_in_order,
    webhooks::a_later_event_waits_for_the_one_before,
    webhooks::a_waiting_webhook_is_due_once_the_one_before_is_accepted,
    webhooks::after_three_refusals_later_events_do_not_wait,
    webhooks::a_webhook_whose_lease_was_lost_cannot_be_ended,
    webhooks::a_start_makes_leased_webhooks_due,
    webhooks::a_replay_sends_again_and_keeps_the_log,
    webhooks::the_log_is_pruned_after_its_time,
    webhooks::endpoints_and_their_health_are_read_back,
    webhooks::a_step_that_loses_its_race_sends_nothing,
];
