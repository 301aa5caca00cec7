"""What the catalogue says of a metric, and the words that it may use: names and labels are public API.

Names end in their base unit (seconds, bytes) and in `_total` when they only grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


class Label(StrEnum):
    """Labels and what their values are. Each has few values; one that is not known becomes `other`."""

    APP = "app"  # a key of `apps` in the configuration
    CAP = "cap"  # a name in `caps` of the configuration
    CLASS = "class"  # a key of `classes` in the configuration
    DISPOSITION = "disposition"  # what an attempt came to that was not the last
    ENDPOINT = "endpoint"  # a key of `webhooks` in the configuration
    GROUP = "group"  # consumer group
    KEY = "key"  # id of a key in the keyring of tokens
    KIND = "kind"
    LANE = "lane"
    OPERATION = "operation"  # of a device change
    OUTCOME = "outcome"
    PARTITION = "partition"  # its number: as many as kafka.partitions
    PLATFORM = "platform"
    POLICY = "policy"  # of a quota
    REASON = "reason"  # the word of receipts and dead letters
    RESULT = "result"
    ROLE = "role"
    ROUTE = "route"  # of the HTTP API, as /openapi.json names it
    STATUS = "status"  # of HTTP
    TOPIC = "topic"
    VERSION = "version"


class MetricName(StrEnum):
    """A metric that is not here does not exist: mypy refuses any other name."""

    INFO = "pushcast_info"
    READY = "pushcast_ready"
    RECORDS_CONSUMED = "pushcast_records_consumed_total"
    LAG = "pushcast_lag_records"
    GROUP_LAG = "pushcast_group_lag_records"
    GROUP_MEMBERS = "pushcast_group_members"
    TRANSACTION_WAIT = "pushcast_transaction_wait_seconds"
    LOG_JUMPED = "pushcast_log_jumped_records_total"
    EARLIER_SCHEMAS = "pushcast_earlier_schema_records_total"
    OLDEST_UNFINISHED = "pushcast_oldest_unfinished_seconds"
    UNFINISHED_RECORDS = "pushcast_unfinished_records"
    UNFINISHED_BYTES = "pushcast_unfinished_bytes"
    UNFINISHED_TARGETS = "pushcast_unfinished_targets"
    PARTITIONS = "pushcast_assigned_partitions"
    PARTITIONS_EXPECTED = "pushcast_expected_partitions"
    PARTITIONS_PAUSED = "pushcast_paused_partitions"
    HEARTBEAT_AGE = "pushcast_heartbeat_age_seconds"
    OUTBOX_RECORDS = "pushcast_outbox_records"
    TABLE_ROWS = "pushcast_table_rows"
    DEAD_LETTERS = "pushcast_dead_letters_total"
    DEAD_LETTERS_LOST = "pushcast_dead_letters_lost_total"
    DECODER_ERRORS = "pushcast_decoder_errors_total"
    COPIES = "pushcast_copied_records_total"
    FORWARDED = "pushcast_records_forwarded_total"
    DEVICE_CHANGES = "pushcast_device_changes_total"
    DEVICES_OVERDUE = "pushcast_devices_overdue"
    SWEEPS = "pushcast_sweeps_total"
    SWEEPS_BRAKED = "pushcast_sweeps_braked"
    MIRRORED_TOPICS = "pushcast_mirrored_topics_total"
    EVICTIONS = "pushcast_token_evictions_total"
    TOKEN_CLAIMS = "pushcast_token_claims_total"  # noqa: S105 - a metric
    MARKERS_DROPPED = "pushcast_device_markers_dropped_total"
    TOKEN_MARKS_ENDED = "pushcast_token_marks_ended_total"  # noqa: S105 - a metric
    TOKENS_CONTESTED = "pushcast_tokens_contested_total"
    RESEALED = "pushcast_rows_sealed_anew_total"
    KEY_SEALS = "pushcast_key_seals"
    CLOCKS_AHEAD = "pushcast_device_clocks_ahead_total"
    DEVICES_REMOVED = "pushcast_devices_removed_total"
    SUSPENSIONS = "pushcast_suspensions_total"
    HOLDS_OVER = "pushcast_holds_over_total"
    VOID_ROWS = "pushcast_void_rows_total"
    REGISTER_CLAIMS = "pushcast_register_claims_total"
    TOKENS_KEPT = "pushcast_tokens_kept_total"
    ROWS_UNREADABLE = "pushcast_unreadable_rows_total"
    BATCHES = "pushcast_batches_total"
    TARGETS = "pushcast_planned_targets_total"
    BATCH_TARGETS = "pushcast_batch_targets"
    NOT_PLANNED = "pushcast_notifications_not_planned_total"
    BROADCASTS = "pushcast_broadcasts_total"
    WALK_LEGS = "pushcast_walk_legs_total"
    WALK_VOID = "pushcast_walk_void_records_total"
    OUTCOMES = "pushcast_outcomes_total"
    TRIES_AGAIN = "pushcast_tries_again_total"
    RETRIED = "pushcast_retried_targets_total"
    RETRIES_ENDED = "pushcast_retries_ended_total"
    PARKED_CARRIED = "pushcast_parked_carried_targets_total"
    SETTLED_BEFORE = "pushcast_settled_before_targets_total"
    SETTLE_VOID = "pushcast_settle_void_records_total"
    DROPPED = "pushcast_dropped_targets_total"
    PROVIDER_RECEIPTS = "pushcast_provider_receipts_total"
    RECEIPTS_ASKED = "pushcast_receipt_questions_total"
    SEND_VOID = "pushcast_void_batches_total"
    SKIPPED = "pushcast_skipped_targets_total"
    SENT_UNHEARD = "pushcast_sent_unheard_targets_total"
    EXPIRIES_CUT = "pushcast_expiries_cut_targets_total"
    PARKED = "pushcast_parked_targets_total"
    BREAKER_OPEN = "pushcast_breaker_open"
    BREAKERS_OPENED = "pushcast_breakers_opened_total"
    PAUSED = "pushcast_paused"
    CONTROL_IGNORED = "pushcast_control_records_ignored_total"
    CANCELS = "pushcast_cancels"
    HELD = "pushcast_held_notifications_total"
    ZONES_ASSUMED = "pushcast_zones_assumed_total"
    TIMERS_OPENED = "pushcast_timers_opened_total"
    TIMERS_CLOSED = "pushcast_timers_closed_total"
    TIMERS_VOID = "pushcast_timers_void_total"
    TIMER_LATE = "pushcast_timer_late_seconds"
    CLOCK_DISAGREEMENT = "pushcast_clock_disagreement_seconds"
    TIMERS_REZONED = "pushcast_timers_rezoned_total"
    TIMERS_DUE_MINUTE = "pushcast_timers_due_within_minute"
    TIMERS_DUE_HOUR = "pushcast_timers_due_within_hour"
    TIMERS_DUE_DAY = "pushcast_timers_due_within_day"
    TIMERS_PEAK = "pushcast_timers_due_in_fullest_minute"
    TIMERS_TO_EXPIRE = "pushcast_timers_to_expire"
    BADGES = "pushcast_badges_total"
    REMOVAL_PUSHES = "pushcast_removal_pushes_total"
    DIGESTS = "pushcast_digests_total"
    DIGESTS_ASKED = "pushcast_digests_asked_for_total"
    CAPS_REACHED = "pushcast_caps_reached_total"
    SLOTS_GIVEN_BACK = "pushcast_slots_given_back_total"
    SLOTS_UNCONFIRMED = "pushcast_slots_unconfirmed_total"
    CANCELS_FORGOTTEN = "pushcast_cancels_forgotten_total"
    CANCELS_IGNORED = "pushcast_cancels_ignored_total"
    TAKEOVERS = "pushcast_takeovers_total"
    TAIL_RECORDS = "pushcast_tail_records_total"
    TAIL_VOID = "pushcast_tail_void_records_total"
    TAIL_UNREADABLE = "pushcast_tail_unreadable_records_total"
    IN_FLIGHT = "pushcast_in_flight_deliveries"
    IN_FLIGHT_LIMIT = "pushcast_in_flight_deliveries_limit"
    PROVIDER_SECONDS = "pushcast_provider_request_seconds"
    PROVIDER_CONNECTIONS = "pushcast_provider_connections"
    PROVIDER_REQUESTS = "pushcast_provider_requests"
    PROVIDER_REQUESTS_WAITING = "pushcast_provider_waiting_requests"
    PROVIDER_REQUESTS_LIMIT = "pushcast_provider_requests_limit"
    PROVIDER_LATENCY = "pushcast_provider_latency_seconds"
    PROVIDER_LIMITED = "pushcast_provider_limited_pools"
    PROVIDER_CONNECTIONS_ENDED = "pushcast_provider_connections_ended_total"
    REPORT_UNREADABLE = "pushcast_report_unreadable_records"
    WEBHOOK_REQUESTS = "pushcast_webhook_requests_total"
    WEBHOOK_LAG = "pushcast_webhook_lag_records"
    WEBHOOK_AGE = "pushcast_webhook_oldest_event_seconds"
    WEBHOOK_DISABLED = "pushcast_webhook_disabled"
    WEBHOOK_LOST = "pushcast_webhook_lost_records_total"
    WEBHOOK_UNREADABLE = "pushcast_webhook_unreadable_records_total"
    GATEWAY_REQUESTS = "pushcast_gateway_requests_total"
    GATEWAY_REQUEST_SECONDS = "pushcast_gateway_request_seconds"
    GATEWAY_ACK_SECONDS = "pushcast_gateway_ack_seconds"
    GATEWAY_LIMITED = "pushcast_gateway_limited_total"
    GATEWAY_PEERS = "pushcast_gateway_peers"
    GATEWAY_UNSHARED = "pushcast_gateway_unshared_requests_total"
    GATEWAY_CONNECTIONS_REFUSED = "pushcast_gateway_connections_refused_total"
    GATEWAY_UNCONFIRMED = "pushcast_gateway_unconfirmed_records"
    GATEWAY_OLDEST_UNCONFIRMED = "pushcast_gateway_oldest_unconfirmed_seconds"
    GATEWAY_KEYS = "pushcast_gateway_keys"
    GATEWAY_KEYS_IGNORED = "pushcast_gateway_key_records_ignored_total"
    REPORT_PARTITIONS = "pushcast_report_partitions"
    REPORT_BEHIND = "pushcast_report_behind_records"
    REPORT_AS_OF = "pushcast_report_as_of_seconds"
    REPORT_ROWS = "pushcast_report_rows"
    REPORT_OVERDUE = "pushcast_report_overdue_deliveries"
    REPORT_EXPORTED = "pushcast_report_exported_timestamp_seconds"
    ENGAGEMENT_UNMATCHED = "pushcast_engagement_unmatched_total"
    CONFIG_RELOADED = "pushcast_config_last_reload_successful"
    CONFIG_READ_AT = "pushcast_config_reload_timestamp_seconds"
    CONFIG_RESTART_NEEDED = "pushcast_config_restart_needed_settings"
    CREDENTIAL_EXPIRES = "pushcast_credential_expires_timestamp_seconds"
    CANARY_SUCCESS = "pushcast_canary_last_success_timestamp_seconds"
    CANARY_SECONDS = "pushcast_canary_seconds"
    ACCEPTED_SECONDS = "pushcast_accepted_seconds"
    SLO_PLANNED = "pushcast_slo_planned_total"
    SLO_LATE = "pushcast_slo_late_total"
    SLO_UNPLANNED = "pushcast_slo_unplanned_late_records"
    LOOP_DELAY = "pushcast_loop_delay_seconds"
    LOG_LINES_SUPPRESSED = "pushcast_log_lines_suppressed_total"
    LABELS_REFUSED = "pushcast_label_values_refused_total"


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. `remedy` tells an operator when to worry and what to do."""

    name: MetricName
    kind: Kind
    unit: str
    labels: tuple[Label, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()
