"""When somebody must be told, as rules for Prometheus. docs/operations.md says what to do then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pushcast.config.settings import Slo
from pushcast.model.key_wear import ALARM_SEALS
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.dashboards.burning import LEAST_PLANNED, burning, thresholds

Severity = Literal["page", "ticket"]
#: What a reader is sent to; each alert is a heading of it.
RUNBOOK: Final = "docs/operations.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `metric` is the one whose remedy the annotation repeats."""

    name: str
    expression: str
    for_: str  # as Prometheus writes durations
    severity: Severity
    summary: str
    metric: Name


_FAST, _HOUR, _SIX_HOURS, _DAYS = (round(each, 6) for each in thresholds(Slo().target))
_CANARY: Final = f"max by (app, platform) ({Name.CANARY_SUCCESS})"
_INVALID: Final = f'sum by (app, platform) (rate({Name.OUTCOMES}{{outcome="invalid"}}[15m]))'
_ALL: Final = f"sum by (app, platform) (rate({Name.OUTCOMES}[15m]))"
_ERRORS: Final = f'sum(rate({Name.GATEWAY_REQUESTS}{{status=~"5.."}}[5m])) / sum(rate({Name.GATEWAY_REQUESTS}[5m]))'

ALERTS: Final[tuple[Alert, ...]] = (
    Alert(
        "PushLate",
        f'max by (group) ({Name.OLDEST_UNFINISHED}{{topic=~"push.notification.urgent.*"}}) > 30',
        "1m",
        "page",
        "An urgent notification has waited for {{ $value }} s in {{ $labels.group }}.",
        Name.OLDEST_UNFINISHED,
    ),
    Alert(
        "GroupDown",
        f"max by (group) ({Name.GROUP_MEMBERS}) == 0 and on (group) sum by (group) ({Name.GROUP_LAG}) > 0",
        "2m",
        "page",
        "{{ $labels.group }} has no member, and records wait for it.",
        Name.GROUP_MEMBERS,
    ),
    Alert(
        "LagUnknown",
        f"absent({Name.GROUP_LAG})",
        "5m",
        "ticket",
        "No settler tells the lag of the groups: either none runs or Kafka does not answer it.",
        Name.GROUP_LAG,
    ),
    Alert(
        "PartitionsMissing",
        f'sum by (group, topic) ({Name.PARTITIONS}{{topic!~"push.broadcast.*"}})'
        f" < scalar(max({Name.PARTITIONS_EXPECTED}))",
        "2m",
        "page",
        "{{ $labels.group }} owns {{ $value }} partitions of {{ $labels.topic }}: a process is missing.",
        Name.PARTITIONS,
    ),
    Alert(
        "NotReady",
        f"min by (group, instance) ({Name.READY}) == 0",
        "5m",
        "page",
        "{{ $labels.group }} at {{ $labels.instance }} is not ready.",
        Name.READY,
    ),
    Alert(
        "HeartbeatOld",
        # 0.8 of the shortest session timeout that the settings allow by default.
        f"max by (group, instance) ({Name.HEARTBEAT_AGE}) > 8",
        "30s",
        "page",
        "Kafka has not called {{ $labels.group }} at {{ $labels.instance }} alive for {{ $value }} s.",
        Name.HEARTBEAT_AGE,
    ),
    Alert(
        "OutboxStuck",
        f"max by (instance) ({Name.OUTBOX_RECORDS}) > 5000",
        "1m",
        "page",
        "{{ $value }} records of {{ $labels.instance }} wait for Kafka's acknowledgement.",
        Name.OUTBOX_RECORDS,
    ),
    Alert(
        "BreakerOpen",
        f"max by (app, platform) ({Name.BREAKER_OPEN}) == 1",
        "2m",
        "page",
        "Nothing goes to {{ $labels.platform }} for {{ $labels.app }}: its breaker is open.",
        Name.BREAKER_OPEN,
    ),
    Alert(
        "PausedLong",
        f"max by (app, platform, lane) ({Name.PAUSED}) == 1",
        "4h",
        "ticket",
        "{{ $labels.app }} on {{ $labels.platform }} has been paused for 4 hours.",
        Name.PAUSED,
    ),
    Alert(
        "DeadLetters",
        f"sum by (role, lane, reason) (increase({Name.DEAD_LETTERS}[10m])) > 0",
        "0m",
        "ticket",
        "{{ $labels.role }} wrote dead letters with the reason {{ $labels.reason }}.",
        Name.DEAD_LETTERS,
    ),
    Alert(
        "DeadLettersLost",
        f"sum by (role, lane, reason) (increase({Name.DEAD_LETTERS_LOST}[10m])) > 0",
        "0m",
        "page",
        "Kafka takes not even the dead letters of {{ $labels.role }}.",
        Name.DEAD_LETTERS_LOST,
    ),
    Alert(
        "RestartLoop",
        "changes(process_start_time_seconds[10m]) > 2",
        "2m",
        "page",
        "{{ $labels.instance }} ends and starts again and again; exit code 65 is the flood guard.",
        Name.INFO,
    ),
    Alert(
        "LogJumped",
        f"sum by (group, topic) (increase({Name.LOG_JUMPED}[10m])) > 0",
        "0m",
        "page",
        "Retention deleted records of {{ $labels.topic }} before {{ $labels.group }} had handled them.",
        Name.LOG_JUMPED,
    ),
    Alert(
        "InvalidShare",
        f"{_INVALID} / {_ALL} > 0.2",
        "15m",
        "ticket",
        "{{ $value | humanizePercentage }} of the tokens of {{ $labels.app }} on {{ $labels.platform }} are dead.",
        Name.OUTCOMES,
    ),
    Alert(
        "GatewayErrors",
        f"{_ERRORS} > 0.05",
        "2m",
        "page",
        "The gateway answers {{ $value | humanizePercentage }} of its requests with 5xx.",
        Name.GATEWAY_REQUESTS,
    ),
    Alert(
        "WebhookDisabled",
        f"max by (endpoint) ({Name.WEBHOOK_DISABLED}) == 1",
        "1m",
        "ticket",
        "Nothing is posted to the webhook {{ $labels.endpoint }} until an operator says so.",
        Name.WEBHOOK_DISABLED,
    ),
    Alert(
        "ConfigNotReloaded",
        f"min by (instance) ({Name.CONFIG_RELOADED}) == 0",
        "1m",
        "ticket",
        "{{ $labels.instance }} refused the changed configuration and works by the one before.",
        Name.CONFIG_RELOADED,
    ),
    Alert(
        "CertificateEnds",
        f"min by (app, platform) ({Name.CREDENTIAL_EXPIRES}) - time() < 14 * 86400",
        "1h",
        "ticket",
        "The certificate of {{ $labels.app }} for {{ $labels.platform }} ends in {{ $value | humanizeDuration }}.",
        Name.CREDENTIAL_EXPIRES,
    ),
    Alert(
        "KeyUnknown",
        f'sum by (app, platform) (increase({Name.PARKED}{{reason="key_unknown"}}[10m])) > 0',
        "1m",
        "page",
        "Deliveries of {{ $labels.app }} on {{ $labels.platform }} wait: a sender has not the key of their tokens.",
        Name.PARKED,
    ),
    Alert(
        "SealBroken",
        f'sum by (app, platform) (increase({Name.OUTCOMES}{{reason="seal_broken"}}[10m])) > 0',
        "0m",
        "ticket",
        "Sealed tokens of {{ $labels.app }} on {{ $labels.platform }} do not open: somebody has altered or moved them.",
        Name.OUTCOMES,
    ),
    Alert(
        "KeyWorn",
        f"max by (key) ({Name.KEY_SEALS}) >= {ALARM_SEALS}",
        "1m",
        "ticket",
        "The key {{ $labels.key }} has sealed {{ $value }} times: let another one seal before it is 2^32.",
        Name.KEY_SEALS,
    ),
    Alert(
        "TimersToExpire",
        f"sum by (kind) ({Name.TIMERS_TO_EXPIRE}) > 0",
        "2m",
        "ticket",
        "About {{ $value }} notifications that wait expire before they may leave: a {{ $labels.kind }} is too slow.",
        Name.TIMERS_TO_EXPIRE,
    ),
    Alert(
        "CancelsForgotten",
        f"sum(increase({Name.CANCELS_FORGOTTEN}[10m])) > 0",
        "0m",
        "ticket",
        "{{ $value }} cancels were forgotten because a partition has too many: what they named may leave.",
        Name.CANCELS_FORGOTTEN,
    ),
    Alert(
        "ClocksDisagree",
        f"max({Name.CLOCK_DISAGREEMENT}) > 2",
        "1m",
        "ticket",
        "Clocks of keepers and brokers are {{ $value }} seconds apart.",
        Name.CLOCK_DISAGREEMENT,
    ),
    Alert(
        "SloBurnFast",
        f"{burning((_FAST, '10m', '2m'), (_HOUR, '1h', '5m'))}"
        f" or max by (lane) ({Name.SLO_UNPLANNED}) > {LEAST_PLANNED}",
        "0m",
        "page",
        "Notifications of {{ $labels.app }} {{ $labels.class }}{{ $labels.lane }} are not accepted in time.",
        Name.SLO_LATE,
    ),
    Alert(
        "SloBurnSlow",
        burning((_SIX_HOURS, "6h", "30m"), (_DAYS, "3d", "6h")),
        "0m",
        "ticket",
        "{{ $value | humanizePercentage }} of the notifications of {{ $labels.app }} {{ $labels.class }} are accepted "
        "late, or never.",
        Name.SLO_LATE,
    ),
    Alert(
        "ReportsOverdue",
        f"sum by (class) ({Name.REPORT_OVERDUE}) > 0",
        "1h",  # Expo is asked up to an hour after sending what became of a push
        "ticket",
        "{{ $value }} deliveries of class {{ $labels.class }} (broadcasts have none) should have ended when their "
        "notifications expired, and have no receipt.",
        Name.REPORT_OVERDUE,
    ),
    Alert(
        "DaysNotExported",
        f"max({Name.REPORT_EXPORTED}) < time() - 172800",
        "30m",
        "ticket",
        "No day of receipts was exported for two days.",
        Name.REPORT_EXPORTED,
    ),
    Alert(
        "CanaryMissing",
        f"{_CANARY} < time() - 7200"
        f" or (max by (app, platform) (last_over_time({Name.CANARY_SUCCESS}[1d])) unless {_CANARY})",
        "5m",
        "page",
        "No push has reached the canary of {{ $labels.app }} on {{ $labels.platform }} for two hours.",
        Name.CANARY_SUCCESS,
    ),
)
