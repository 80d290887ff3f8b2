//! What every store must do, asked of each that there is: one function a behaviour, run over both backends. What only
//! one backend can show is in a file of its own.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../../../xtask/src/postgres.rs"]
#[expect(dead_code, reason = "whether it is installed is asked by the set-up alone")]
mod postgres;

#[path = "../../../loadtest/src/trial.rs"]
mod trial;

mod acquirers;
mod books;
mod charges;
mod commands;
mod concurrency;
mod debits;
mod debts;
mod endings;
mod facts;
mod feed;
mod histories;
mod journals;
mod journeys;
mod ledger;
mod model;
mod notices;
mod only_postgres;
mod places;
mod prepaid;
mod remedies;
mod replicas;
mod riders;
mod risk;
mod servers;
mod shuffled;
mod stations;
mod taps;
mod terms;
mod world;

use places::{Backend, Place};

/// Runs each case over each backend, as tests of their own.
macro_rules! every_store {
    ($($file:ident: $($case:ident),+;)+) => {
        mod sled_store { $(mod $file { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::over(crate::Backend::Sled, async |place| crate::$file::$case(place).await).await;
            }
        )+ })+ }
        mod postgres_store { $(mod $file { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::over(crate::Backend::Postgres, async |place| crate::$file::$case(place).await).await;
            }
        )+ })+ }
    };
}

async fn over(backend: Backend, case: impl AsyncFnOnce(&Place)) {
    let place = Place::new(backend).await;
    case(&place).await;
    place.remove().await;
}

every_store! {
    riders:
        a_rider_is_created_once_and_known_by_name_to_the_identity_store_alone,
        a_face_needs_a_consent_that_was_given_before,
        a_face_is_refused_if_another_came_since_it_was_compared,
        the_same_words_by_the_same_channel_are_one_consent,
        an_account_and_a_password_are_kept_and_replaced,
        riders_and_templates_are_told_page_by_page,
        an_erased_rider_is_forgotten_and_cannot_come_back,
        an_erasure_waits_for_every_station_and_is_then_final,
        receipts_are_told_page_by_page_with_the_templates_that_went,
        an_account_stays_while_something_is_owed_on_it,
        everything_is_there_after_a_restart;
    endings:
        a_withdrawn_face_is_forgotten_and_its_rider_may_enrol_again,
        a_face_is_unused_from_its_enrolment_or_last_tap_on,
        a_lease_is_granted_to_active_stations_alone,
        receipts_wait_for_a_decommissioned_station_until_its_lease_is_over,
        regulars_are_on_the_feed_by_their_station_and_go_with_the_face,
        an_entry_without_an_exit_ends_after_its_limit;
    feed:
        versions_rise_and_are_told_in_their_order,
        the_head_rises_only_by_what_can_be_read,
        a_cursor_beyond_the_log_and_one_before_its_beginning_are_told_apart,
        pages_of_a_snapshot_and_the_changes_since_add_up_to_the_present,
        old_spent_codes_are_not_told,
        issuer_keys_are_published_when_they_differ,
        the_deny_list_changes_once;
    facts:
        digests_follow_every_change,
        regulars_have_a_digest_that_follows_them,
        the_log_has_a_name_that_stays_and_can_be_begun_anew,
        what_the_operator_told_holds_until_it_is_withdrawn,
        an_act_at_a_gate_is_told_once_by_its_name,
        riders_are_imported_once,
        one_installation_counts_as_a_station;
    journals:
        a_journal_is_read_line_by_line_with_its_gaps,
        words_wishes_and_findings_are_kept;
    taps:
        an_authorisation_and_its_passage_are_one_tap_in_either_order,
        a_tap_has_the_mode_that_its_passage_met_in_either_order,
        only_a_seen_passage_makes_a_tap,
        an_unknown_passage_is_reported_until_it_is_known,
        the_same_identity_with_another_content_is_kept_apart,
        marks_tell_how_far_a_journal_is_without_a_gap,
        a_code_that_opened_two_gates_is_counted,
        the_latest_tap_says_who_is_inside,
        what_ended_an_entry_is_not_undone_by_an_older_tap,
        an_entry_that_ran_out_is_not_brought_back_by_an_older_tap,
        an_old_entry_moves_nobody_in,
        taps_to_pair_reach_back_and_tell_what_is_settled,
        only_riders_with_an_exit_or_an_old_tap_may_have_something_to_settle,
        who_had_settled_more_when_an_entry_came_late_may_have_something_to_settle,
        a_sequence_that_no_journal_reaches_harms_nothing,
        what_an_attendant_did_is_a_tap_and_a_line_of_the_audit_once;
    shuffled:
        any_order_and_repetition_amounts_to_the_same;
    journeys:
        settling_uses_taps_up_once,
        a_settlement_that_fails_leaves_nothing,
        a_held_price_is_never_waiting_for_a_charge,
        trips_are_told_the_latest_first,
        rides_since_a_moment_are_those_that_ended_then_or_later,
        giving_up_moves_the_rider_out_and_bills_the_broken_ride,
        of_two_settlements_that_rest_on_the_same_one_comes_too_late,
        a_ride_that_comes_late_supersedes_a_broken_one_whose_other_taps_are_open_again,
        what_may_be_billed_later_is_not_told_before;
    terms:
        terms_are_kept_once_with_what_was_bought_and_forgotten_with_the_account,
        who_is_to_be_priced_anew_stays_so_until_it_is_done_as_asked_last,
        what_was_priced_by_an_older_tariff_is_not_settled,
        waivers_are_added_once_and_changed,
        a_large_waiver_holds_once_another_person_has_approved_it_and_the_log_says_who,
        held_rides_and_rides_of_a_time_are_told_page_by_page;
    charges:
        opening_a_charge_again_is_the_same_charge,
        an_item_is_in_one_charge,
        a_charge_of_an_unknown_item_is_refused,
        steps_are_stored_and_impossible_ones_refused,
        due_charges_are_told_the_longest_waiting_first;
    acquirers:
        what_is_asked_is_stored_once_with_the_first_name_for_it,
        an_event_is_taken_once_until_it_is_forgotten;
    debits:
        a_days_file_holds_what_was_ordered_before_and_never_changes,
        an_answer_is_taken_wholly_in_its_order_and_once;
    debts:
        a_debt_denies_its_rider_until_the_last_one_is_paid,
        a_late_word_about_an_earlier_attempt_is_refused,
        a_credit_is_used_by_the_next_bill_and_once,
        instruments_are_added_ordered_and_removed,
        a_new_instrument_is_verified_when_its_rider_comes_in,
        a_wallet_holds_releases_and_gives_out_no_more_than_it_has;
    prepaid:
        an_entry_asks_for_a_hold_once_it_is_said_that_they_are_wanted,
        a_bill_goes_on_its_hold_once_and_uses_what_the_rider_has_to_his_credit;
    ledger:
        an_entry_is_posted_once_and_a_contradiction_refused,
        balances_are_the_sum_of_the_entries,
        the_trial_balance_of_any_moment_is_the_fold_of_what_was_made_by_then,
        the_audit_chain_holds_over_all_lines;
    notices:
        notices_are_numbered_and_delivered_one_after_the_other,
        a_trip_and_its_charge_are_told_in_their_transactions,
        one_that_fails_holds_that_riders_alone,
        an_erased_rider_is_told_nothing_more,
        commands_at_once_leave_no_gap;
    remedies:
        a_refund_goes_its_way_step_by_step,
        no_more_is_given_back_than_was_captured,
        another_person_decides_above_the_limit_and_the_log_says_who,
        what_needs_no_acquirer_is_done_at_once,
        a_dispute_is_opened_once_and_ends_once,
        a_lost_dispute_is_owed_again_and_what_pays_it_lets_its_rider_in,
        a_waived_debt_is_never_tried_again,
        the_reserve_is_funded_by_one_or_by_two_and_the_log_says_who,
        an_old_credit_goes_back_to_the_last_charges_as_far_as_they_go;
    risk:
        a_decision_is_written_once_a_tap_and_read_the_latest_first,
        taps_around_a_moment_are_told_by_time,
        a_capped_face_is_on_the_feed_and_in_snapshots_until_then,
        taps_wait_to_be_looked_at_until_somebody_has,
        attacks_are_counted_by_gate_of_a_station_and_forgotten_in_time;
    books:
        a_day_is_read_rider_by_rider_with_what_became_of_each_tap,
        many_riders_are_told_each_once,
        a_settlement_file_counts_wholly_and_once,
        a_refund_and_a_chargeback_are_known_by_their_entries,
        what_comes_after_the_close_is_late_and_the_days_before_are_not,
        a_day_is_closed_once_and_stays,
        nothing_is_added_to_a_day_while_it_is_closed,
        at_the_moment_of_a_close_every_item_is_of_the_day_or_late,
        refunds_through_an_acquirer_are_told_until_a_file_has_them;
    stations:
        a_station_is_known_from_its_first_subscription_on,
        the_overview_counts_what_is_there,
        a_lease_is_held_by_one_until_it_ends;
    concurrency:
        a_batch_delivered_by_many_at_once_counts_once,
        authorisations_and_passages_delivered_apart_at_once_all_meet,
        riders_who_pass_two_gates_at_once_end_up_where_their_latest_tap_says,
        one_of_many_settlements_and_one_of_many_charges_wins,
        no_money_is_spent_twice_from_a_wallet,
        a_reader_of_the_feed_sees_every_change_while_many_write;
}
