"""Each entry of faults.md and the tests that hold it mended: a test that is renamed or deleted is missed here."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from unit.house.imports import ROOT

TESTS = ROOT.parent / "tests"
_CFG = "unit/config/test_refusals.py::"
_POISON = "unit/wire/test_poison.py::"
_PROSE = "unit/docs/test_plain_words.py::"
_AGAIN = "flow/test_reproductions.py::"
_PAYLOAD = "flow/test_payloads.py::"
_CLI = "unit/cli/test_command_line.py::"

#: Entry -> tests. Sections 1 and 2 by their codes, 3 as `3.n`, the people's reports as `Pn-m`, section 5 as `5.n`.
HELD: dict[str, tuple[str, ...]] = {
    "F1": (_AGAIN + "test_r1_what_a_producer_aborts_is_neither_pushed_nor_registered_nor_missed",),
    "F2 F3": (_AGAIN + "test_r2_targets_without_an_apns_key_hold_nobody_up_and_end_on_their_ladder",),
    "F4": (_AGAIN + "test_r3_an_alert_token_that_refuses_a_voip_push_gets_the_next_alert",),
    "F5": ("unit/wire/devices/test_row_fences.py::test_f5_a_fence_has_a_utf8_key_and_an_avro_value_of_its_own_schema",),
    "F6": ("flow/test_up.py::test_the_reader_of_docs_reading_reads_the_receipts_and_passes_the_fences_5_10",),
    "F7": ("unit/runtime/test_preflight.py::test_files_and_addresses_of_all_apps_are_named_at_once",),
    "F8": ("unit/send/test_build.py::test_a_ladder_shorter_than_the_waits_that_a_provider_asks_for_is_said",),
    "F9": ("unit/cli/test_send.py::test_a_device_change_that_would_be_a_dead_letter_is_refused",),
    "F10": (
        "unit/kafka/test_clients.py::test_every_client_of_the_product_is_made_in_one_place",
        "unit/kafka/test_clients.py::test_lines_of_a_client_go_to_our_log",
    ),
    "F11": ("laws/test_limit.py::test_no_answer_of_a_server_that_queues_is_late",),
    "O3": (_POISON + "test_half_a_surrogate_pair_or_no_utf8_is_named_by_its_field",),
    "C1": (_POISON + "test_a_badge_beyond_31_bits_is_named_with_its_limit",),
    "C2": (
        _POISON + "test_a_badge_in_avro_is_held_to_the_same_limit",
        _POISON + "test_a_number_beyond_64_bits_is_never_written_as_another_one",
    ),
    "C3": (
        _POISON + "test_deep_nesting_is_refused_with_field_and_limit",
        "unit/providers/test_unsendable.py::test_a_state_nested_deeper_than_the_encoder_goes_is_unrenderable",
    ),
    "C4": ("unit/stream/test_edge.py::test_a_letter_that_is_too_large_is_left_without_its_value",),
    "C5": (
        "unit/stream/test_edge.py::test_a_dead_letter_has_the_record_as_it_came_whatever_its_headers_are",
        "flow/test_poison.py::test_no_record_stops_a_stage_and_each_bad_one_is_a_dead_letter_with_field_and_limit",
    ),
    "C6": ("unit/providers/test_unsendable.py::test_a_push_type_of_a_newer_planner_is_unsupported",),
    "C7": (
        "unit/plan/test_match.py::test_a_row_that_is_broken_behind_registered_at_is_left_out_where_its_locale_is_asked_for",
    ),
    "C8": (
        "laws/test_breakers.py::test_what_somebody_small_can_cause_opens_nothing",
        "laws/test_breakers.py::test_a_breaker_that_only_one_user_has_work_for_ends_in_time_whatever_he_is_answered",
    ),
    "C9": ("laws/test_breakers.py::test_what_somebody_small_can_cause_opens_nothing",),
    "C10": ("laws/test_endings.py::test_no_receipt_is_there_without_its_companion_whenever_the_sender_is_killed",),
    "C11": (
        "flow/test_jumps.py::test_what_retention_took_from_a_lagging_group_is_counted_and_said_once",
        "flow/test_jumps.py::test_a_shorter_log_ends_the_process_and_is_taken_up_from_its_beginning",
    ),
    "C12": (
        "unit/wire/test_registry.py::test_a_schema_that_the_registry_does_not_know_is_asked_for_again_with_back_off",
    ),
    "C13": (
        "laws/test_handover.py::test_c13_what_an_owner_writes_counts_whatever_its_predecessors_clock_said",
        "unit/handover/test_runner.py::test_what_the_new_owner_writes_counts_though_its_predecessors_clock_ran_an_hour_ahead",
    ),
    "C14": ("unit/plan/test_agent.py::test_a_record_in_a_wrong_partition_is_forwarded_as_it_came",),
    "C15": ("unit/providers/apns/test_verdicts.py::test_reasons_read_as_they_are_meant",),
    "C16": ("unit/send/test_budget.py::test_a_key_that_nobody_registered_takes_no_share_away_once_it_holds_nothing",),
    "C17": ("unit/house/test_stages.py::test_what_a_stage_puts_off_runs_guarded",),
    "C18": (
        _CFG + "test_no_url_shows_its_password",
        "unit/transport/test_folders.py::test_a_folder_is_its_owners_alone_even_one_that_was_there",
        "unit/runtime/test_preflight.py::test_a_secret_file_that_everybody_may_read_is_a_warning",
    ),
    "3.1": (
        "unit/send/test_proof.py::test_with_any_output_forbidden_nothing_leaves_and_the_next_process_is_told",
        "faults/test_faults.py::test_senders_that_may_not_write_their_outcomes_send_no_more_than_was_in_flight",
    ),
    "3.2": (_POISON + "test_a_badge_beyond_31_bits_is_named_with_its_limit",),
    "3.3": (
        "flow/test_poison.py::test_no_record_stops_a_stage_and_each_bad_one_is_a_dead_letter_with_field_and_limit",
    ),
    "3.4": (
        "unit/transport/test_records.py::test_a_name_in_latin_1_is_read_with_a_replacement_and_its_place_is_logged",
    ),
    "3.5": (_AGAIN + "test_r1_what_a_producer_aborts_is_neither_pushed_nor_registered_nor_missed",),
    "3.6": (
        "unit/runtime/test_presence.py::test_the_younger_of_two_ends_with_exit_code_2_and_names_host_and_pid_of_the_older",
    ),
    "3.7": ("flow/test_jumps.py::test_a_member_of_another_kind_is_named_and_waited_for",),
    "3.8": ("flow/test_table.py::test_a_copy_of_another_log_is_dropped_with_one_line_and_rebuilt",),
    "3.8b": ("flow/test_table.py::test_a_copy_that_is_broken_or_stale_is_rebuilt",),
    "3.9": (
        "unit/wire/test_registry.py::test_a_schema_that_the_registry_does_not_know_is_asked_for_again_with_back_off",
    ),
    "3.10": (
        "flow/test_grown_topics.py::test_row_10_after_a_topic_has_grown_its_first_partitions_go_on_beside_their_rows",
    ),
    "3.11": (
        "unit/transport/test_watch.py::test_a_topic_that_was_made_again_is_told_by_its_id",
        "unit/audit/test_reckoning.py::test_accounts_of_a_topic_that_was_made_anew_are_not_mixed_with_those_of_its_predecessor",
        "faults/test_faults.py::test_topics_that_are_made_anew_are_taken_up_and_nothing_behind_is_lost",
    ),
    "3.13": (
        "flow/test_read_committed.py::test_records_of_an_aborted_transaction_are_not_handled_and_those_of_a_committed_one_once",
    ),
    "3.14": (
        "flow/test_poison.py::test_no_record_stops_a_stage_and_each_bad_one_is_a_dead_letter_with_field_and_limit",
    ),
    "3.15": ("unit/runtime/test_limits.py::test_a_low_soft_limit_is_raised_to_what_the_tables_may_need",),
    "3.24": (
        _CFG + "test_a_refusal_says_what_would_be_right",
        "unit/transport/test_folders.py::test_row_24_a_folder_that_cannot_be_made_is_refused_with_setting_and_reason",
        "unit/config/test_servers.py::test_row_24_what_one_client_takes_all_take_in_the_same_form",
        _CFG + "test_row_24_odd_files_are_read_or_refused_with_their_place",
    ),
    "P1-1": ("unit/cli/test_send.py::test_waiting_succeeds_only_when_every_delivery_was_accepted",),
    "P1-2": (
        "unit/kafka/test_topics_facts.py::test_another_number_is_refused_in_one_sentence_that_says_what_to_set",
        "unit/cli/test_session.py::test_what_goes_by_user_is_refused_on_a_cluster_with_other_partitions",
    ),
    "P1-3": (
        "unit/transport/test_folders.py::test_a_second_process_is_refused_with_the_pid_of_the_first_and_a_killed_one_leaves_nothing",
    ),
    "P1-4": ("flow/test_table.py::test_a_copy_that_is_broken_or_stale_is_rebuilt",),
    "P1-5": (
        "unit/transport/test_probes.py::test_a_group_without_a_heartbeat_for_longer_than_its_session_is_not_ready",
    ),
    "P1-6": ("unit/kafka/test_clients.py::test_lines_of_a_client_go_to_our_log",),
    "P1-7": ("unit/cli/test_nouns.py::test_what_a_kafka_client_raises_is_a_sentence_and_exit_code_1",),
    "P2-8": ("flow/test_up.py::test_the_commands_that_the_readme_shows_beside_it_work_when_pasted_as_a_block",),
    "P2-9": ("flow/test_up.py::test_the_python_producer_of_the_readme_reaches_the_first_user",),
    "P2-10": ("flow/test_why.py::test_a_notification_is_followed_through_the_topics",),
    "P2-11": ("unit/cli/test_send.py::test_a_notification_that_would_be_a_dead_letter_is_refused_with_its_field",),
    "P2-12": ("unit/kafka/test_reach.py::test_a_refusal_names_address_reason_and_the_command_that_helps",),
    "P2-13": (_CFG + "test_every_fault_of_a_file_is_named_at_once", _CFG + "test_durations_are_seconds_or_have_a_unit"),
    "P2-14": ("unit/config/test_reference.py::test_the_page_is_the_one_of_this_tree",),
    "P2-15": ("unit/runtime/test_group_watch.py::test_a_group_without_members_has_the_lag_of_all_that_is_still_there",),
    "P2-16": (
        "unit/report/test_slo.py::test_how_long_accepted_deliveries_took_is_counted_by_lane_also_of_those_that_were_late",
    ),
    "P2-17": (
        "unit/demo/test_load.py::test_the_urgent_ones_are_a_trickle_of_a_tenth_that_does_not_grow_with_a_large_flood",
    ),
    "P2-18": ("unit/kafka/test_offsets.py::test_ends_of_all_partitions_of_a_topic_are_one_request",),
    "P2-19": (
        "unit/deploy/test_helm.py::test_o6_what_it_renders_is_valid_for_kubernetes",
        "unit/deploy/test_systemd.py::test_systemd_takes_the_unit",
        "unit/observe/dashboards/test_alerts.py::test_an_alerts_runbook_is_a_heading_of_the_operations_page",
    ),
    "P2-20": (
        "unit/runtime/test_senders.py::test_a_group_without_members_is_named_once_with_its_topic_and_what_waits",
    ),
    "P3-21": ("flow/test_up.py::test_receipts_are_written_for_programs_that_read_no_avro",),
    "P3-22": (
        "unit/runtime/test_supervisor.py::test_it_says_once_that_all_are_ready_and_again_after_one_was_started_again",
    ),
    "P3-23": ("unit/demo/test_run.py::test_what_is_waited_for_is_said_with_its_number",),
    "P3-24": ("unit/cli/test_dlq.py::test_letters_that_were_redriven_and_those_that_came_back_are_marked",),
    "P3-25": ("flow/test_embedded_kafka.py::test_a_port_in_use_is_an_error_when_asked_for_and_passed_by_when_not",),
    "P3-26": ("flow/test_up.py::test_down_stops_everything_and_with_data_nothing_is_left",),
    "P3-27": (
        _CLI + "test_the_version_is_told_without_a_command",
        _CLI + "test_h_is_help_everywhere",
        _CLI + "test_a_shell_can_complete_it",
        _CLI + "test_a_configuration_is_named_before_the_command",
        _CLI + "test_help_says_what_people_asked",
        "unit/cli/test_pause.py::test_half_an_answer_is_a_usage_error",
        "unit/cli/test_send.py::test_options_that_a_file_would_override_are_refused",
        "unit/bench/test_devices.py::test_a_benchmark_offers_only_options_that_mean_something_to_it",
    ),
    "P3-28": ("unit/test_topology_data.py::test_the_generated_graph_is_fresh",),
    "P3-29 P3-30 P3-32 P3-33": (_PROSE + "test_a_page_says_what_people_looked_for",),
    "P3-31": ("unit/observe/test_zeros.py::test_each_is_a_counter_at_zero_with_the_labels_of_the_catalogue",),
    "P4": (_PROSE + "test_a_sentence_that_nobody_understood_stands_on_no_page",),
    "5.2": (_AGAIN + "test_5_2_one_users_old_tokens_are_cleaned_up_and_hold_nobody_else_up",),
    "5.3": (_AGAIN + "test_5_3_a_404_without_a_word_for_one_token_holds_no_other_up_and_ends",),
    "5.4": (_PAYLOAD + "test_two_rings_with_one_text_are_two_on_the_screen_5_4",),
    "5.6": (_PAYLOAD + "test_a_push_service_that_answers_204_has_taken_the_push_5_6",),
    "5.7": (_PAYLOAD + "test_a_device_gets_the_text_of_the_nearest_locale_5_7",),
    "5.8": (_PAYLOAD + "test_empty_texts_with_data_are_a_background_push_5_8",),
    "5.9": (_PAYLOAD + "test_data_alone_wakes_an_app_behind_expo_5_9",),
    "5.10": ("flow/test_up.py::test_the_reader_of_docs_reading_reads_the_receipts_and_passes_the_fences_5_10",),
    "5.11": (_PAYLOAD + "test_an_alert_leaves_the_pushkit_token_alone_and_a_call_rings_it_5_11",),
    "5.12 5.13 5.14 5.15 5.17": (
        _PAYLOAD + "test_every_field_arrives_on_every_platform_as_the_golden_files_say_5_12_5_13_5_14_5_15_5_17",
    ),
    "5.16": (_PAYLOAD + "test_a_badge_or_a_sound_alone_is_an_alert_on_apple_devices_5_16",),
    "5.18": (_PAYLOAD + "test_now_or_never_is_handed_over_once_with_no_time_to_live_5_18",),
}
#: Every entry of the list. 3 and 5 leave numbers out, and P4 is one table.
ENTRIES = {
    *(f"F{n}" for n in range(1, 12)),
    "O3",
    *(f"C{n}" for n in range(1, 19)),
    *(f"3.{n}" for n in (*range(1, 9), "8b", 9, 10, 11, 13, 14, 15, 24)),
    *(f"P1-{n}" for n in range(1, 8)),
    *(f"P2-{n}" for n in range(8, 21)),
    *(f"P3-{n}" for n in range(21, 34)),
    "P4",
    *(f"5.{n}" for n in (2, 3, 4, *range(6, 19))),
}


def test_no_entry_is_left_out_and_none_is_made_up() -> None:
    assert {code for entry in HELD for code in entry.split()} == ENTRIES


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the tests in a file, relative to `tests/`."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("entry", HELD)
def test_every_fault_is_held_by_a_test_that_is_there(entry: str) -> None:
    for held in HELD[entry]:
        file, _, name = held.partition("::")
        assert name in names_in(file), held
