"""For each alert a course of its series that fires it: `promtool test rules deploy/prometheus/tests*.yml`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.dashboards.alert_case import AlertCase
from pushcast.observe.dashboards.keeper_cases import KEEPER_CASES
from pushcast.observe.dashboards.slo_cases import SLO_CASES

_AT: Final = 'group="pushcast-send-apns-urgent", instance="a"'


def _urgent(name: Name, more: str = "") -> str:
    return f'{name}{{group="pushcast-plan-urgent", topic="push.notification.urgent.v1"{more}}}'


CASES: Final[Sequence[AlertCase]] = (
    AlertCase(
        "PushLate",
        {_urgent(Name.OLDEST_UNFINISHED): "0 5 31 91 151 211"},
        "4m",
        {"group": "pushcast-plan-urgent"},
        "151",
        "2m",
    ),
    AlertCase(
        "GroupDown",
        {
            f'{Name.GROUP_MEMBERS}{{group="pushcast-settle"}}': "1 1 0x10",
            f'{Name.GROUP_LAG}{{group="pushcast-settle", topic="push.parked.v1"}}': "0 0 3x10",
        },
        "5m",
        {"group": "pushcast-settle"},
        quiet_at="1m",
    ),
    AlertCase(
        "LagUnknown", {f'{Name.GROUP_LAG}{{group="pushcast-settle", topic="push.parked.v1"}}': "0 0 stale"}, "8m"
    ),
    AlertCase(
        "PartitionsMissing",
        {
            _urgent(Name.PARTITIONS, ', instance="a"'): "4x10",
            _urgent(Name.PARTITIONS, ', instance="b"'): "4 4 stale",
            f'{Name.PARTITIONS_EXPECTED}{{instance="a"}}': "8x10",
        },
        "5m",
        {"group": "pushcast-plan-urgent", "topic": "push.notification.urgent.v1"},
        "4",
        "1m",
    ),
    AlertCase(
        "NotReady",
        {f"{Name.READY}{{{_AT}}}": "1 0x10"},
        "7m",
        {"group": "pushcast-send-apns-urgent", "instance": "a"},
        quiet_at="4m",
    ),
    AlertCase(
        "HeartbeatOld",
        {f"{Name.HEARTBEAT_AGE}{{{_AT}}}": "1 9 69 129"},
        "2m",
        {"group": "pushcast-send-apns-urgent", "instance": "a"},
        "69",
    ),
    AlertCase("OutboxStuck", {f'{Name.OUTBOX_RECORDS}{{instance="a"}}': "0 6000x5"}, "3m", {"instance": "a"}, "6000"),
    AlertCase(
        "BreakerOpen",
        {f'{Name.BREAKER_OPEN}{{app="news", platform="apns"}}': "0 1x10"},
        "4m",
        {"app": "news", "platform": "apns"},
        quiet_at="2m",
    ),
    AlertCase(
        "PausedLong",
        {f'{Name.PAUSED}{{app="news", platform="fcm", lane="bulk"}}': "1x300"},
        "245m",
        {"app": "news", "platform": "fcm", "lane": "bulk"},
        quiet_at="230m",
    ),
    AlertCase(
        "DeadLetters",
        {f'{Name.DEAD_LETTERS}{{role="planner", lane="bulk", reason="invalid_field"}}': "0 0 5 5 5"},
        "3m",
        {"role": "planner", "lane": "bulk", "reason": "invalid_field"},
        quiet_at="1m",
    ),
    AlertCase(
        "DeadLettersLost",
        {f'{Name.DEAD_LETTERS_LOST}{{role="planner", lane="bulk", reason="too_large"}}': "0 0 1 1 1"},
        "3m",
        {"role": "planner", "lane": "bulk", "reason": "too_large"},
        quiet_at="1m",
    ),
    AlertCase(
        "RestartLoop",
        {'process_start_time_seconds{instance="a"}': "10 10 70 130 190 250 310"},
        "6m",
        {"instance": "a"},
        quiet_at="3m",
    ),
    AlertCase(
        "LogJumped",
        {f'{Name.LOG_JUMPED}{{group="pushcast-settle", topic="push.parked.v1"}}': "0 0 700 700"},
        "3m",
        {"group": "pushcast-settle", "topic": "push.parked.v1"},
        quiet_at="1m",
    ),
    AlertCase(
        "InvalidShare",
        {
            f'{Name.OUTCOMES}{{app="news", platform="apns", lane="bulk", outcome="accepted", reason=""}}': "0+60x60",
            f'{Name.OUTCOMES}{{app="news", platform="apns", lane="bulk", outcome="invalid", reason="x"}}': "0+60x60",
        },
        "40m",
        {"app": "news", "platform": "apns"},
        "50%",
        "10m",
    ),
    AlertCase(
        "GatewayErrors",
        {
            f'{Name.GATEWAY_REQUESTS}{{route="send", status="202"}}': "0+60x20",
            f'{Name.GATEWAY_REQUESTS}{{route="send", status="503"}}': "0+60x20",
        },
        "10m",
        value="50%",
    ),
    AlertCase(
        "WebhookDisabled",
        {
            f'{Name.WEBHOOK_DISABLED}{{endpoint="crm", instance="a"}}': "0 0 1x9",
            f'{Name.WEBHOOK_DISABLED}{{endpoint="bi"}}': "0x12",
        },
        "5m",
        {"endpoint": "crm"},
        quiet_at="1m",
    ),
    AlertCase("ConfigNotReloaded", {f'{Name.CONFIG_RELOADED}{{instance="a"}}': "1 1 0x5"}, "4m", {"instance": "a"}),
    *SLO_CASES,
    *KEEPER_CASES,
    AlertCase(
        "ReportsOverdue",
        {
            f'{Name.REPORT_OVERDUE}{{instance="a", class="chat"}}': "0x5 3x90",
            f'{Name.REPORT_OVERDUE}{{instance="b", class="chat"}}': "0x5 4x90",
            f'{Name.REPORT_OVERDUE}{{instance="b", class=""}}': "0x95",
        },
        "70m",
        {"class": "chat"},
        "7",
        quiet_at="60m",
    ),
    # Prometheus begins its tests at 1 January 1970: the first day's end, and none after it.
    AlertCase("DaysNotExported", {f"{Name.REPORT_EXPORTED}": "86400x1200"}, "4400m", quiet_at="4300m", interval="4m"),
    # O3: the provider is dead from minute 10 on, and no push is accepted any more.
    AlertCase(
        "CanaryMissing",
        {f'{Name.CANARY_SUCCESS}{{app="news", platform="apns"}}': "0+60x10 600x200"},
        "140m",
        {"app": "news", "platform": "apns"},
        quiet_at="120m",
    ),
    # O3: the provider was dead before the reporter started.
    AlertCase(
        "CanaryMissing",
        {f'{Name.CANARY_SUCCESS}{{app="news", platform="expo"}}': "0x200"},
        "126m",
        {"app": "news", "platform": "expo"},
        quiet_at="120m",
    ),
    # O3: the reporter that sends it is gone from minute 10 on.
    AlertCase(
        "CanaryMissing",
        {f'{Name.CANARY_SUCCESS}{{app="news", platform="fcm", instance="a"}}': "0+60x10 stale"},
        "20m",
        {"app": "news", "platform": "fcm"},
        quiet_at="10m",
    ),
    AlertCase(
        "KeyUnknown",
        {f'{Name.PARKED}{{app="news", platform="apns", lane="bulk", reason="key_unknown"}}': "0x5 1+1x20"},
        "10m",
        {"app": "news", "platform": "apns"},
        quiet_at="5m",
    ),
    AlertCase(
        "SealBroken",
        {
            f'{Name.OUTCOMES}{{app="news", platform="fcm", outcome="rejected", reason="seal_broken"}}': "0x5 3x9",
        },
        "8m",
        {"app": "news", "platform": "fcm"},
        quiet_at="5m",
    ),
    AlertCase(
        "KeyWorn",
        {f'{Name.KEY_SEALS}{{key="t1", instance="a"}}': "2147483647x3 2147483648x9"},
        "7m",
        {"key": "t1"},
        "2.147483648e+09",
        "3m",
    ),
    AlertCase(
        "CertificateEnds",
        # promtool's clock begins at 0: ten days and 90 minutes from there, looked at after 90 minutes.
        {f'{Name.CREDENTIAL_EXPIRES}{{app="news", platform="apns"}}': "869400x100"},
        "90m",
        {"app": "news", "platform": "apns"},
        "10d 0h 0m 0s",
    ),
)
