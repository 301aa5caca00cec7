"""The cases of alerts as promtool reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pushcast.observe.dashboards.alert_case import AlertCase
from pushcast.observe.dashboards.alerts import ALERTS, Alert
from pushcast.observe.dashboards.rules import texts

BY_NAME: Final = {alert.name: alert for alert in ALERTS}


#: A case that lasts longer stands in the file of long ones. promtool computes every rule at each step: a case of three
#: days in steps of 15 s takes it 40 s.
_SHORT_MINUTES: Final = 120


def case_files(cases: Sequence[AlertCase]) -> dict[str, dict[str, Any]]:
    """The files for promtool by their name: short cases in steps of 15 s, long ones of a minute."""
    return {
        "tests.yml": _file("15s", (case for case in cases if not _is_long(case))),
        "tests_long.yml": _file("1m", filter(_is_long, cases)),
    }


def _file(step: str, cases: Iterable[AlertCase]) -> dict[str, Any]:
    return {
        "rule_files": ["rules.yml", "alerts.yml"],
        "evaluation_interval": step,
        "tests": [_case(case, BY_NAME[case.alert]) for case in cases],
    }


def _is_long(case: AlertCase) -> bool:
    return int(case.at.removesuffix("m")) > _SHORT_MINUTES


def _case(case: AlertCase, alert: Alert) -> dict[str, Any]:
    fires = [_fires(case, alert, labels) for labels in (case.labels, *case.also)]
    return {
        "interval": case.interval,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": case.quiet_at, "alertname": alert.name, "exp_alerts": []},
            {"eval_time": case.at, "alertname": alert.name, "exp_alerts": fires},
        ],
    }


def _fires(case: AlertCase, alert: Alert, labels: Mapping[str, str]) -> dict[str, Any]:
    said = {name: _filled(text, labels, case.value) for name, text in texts(alert).items()}
    return {"exp_labels": {"severity": alert.severity, **labels}, "exp_annotations": said}


def _filled(text: str, labels: Mapping[str, str], value: str) -> str:
    """As Prometheus fills its templates, of which we use these three forms."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), text)
    return re.sub(r"\{\{ \$value( \| humanize\w+)? \}\}", value, text)
