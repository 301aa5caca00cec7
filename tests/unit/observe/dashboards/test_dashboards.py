"""deploy/grafana: every panel asks for what our processes export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushcast.observe.catalogue import CATALOGUE
from pushcast.observe.dashboards.boards import BOARDS, RUNTIME
from pushcast.observe.dashboards.files import rendered
from pushcast.observe.dashboards.grafana import WINDOW, Board, render

pytest.importorskip("promql_parser", reason="promql-parser is not installed: PromQL of panels is not judged")
from unit.observe.dashboards.promql import unknown

ROOT = Path(__file__).parents[4]


def panels(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in render(board)["panels"] if panel["type"] != "row"]


def test_the_committed_files_are_fresh() -> None:
    for name, text in rendered().items():
        assert (ROOT / "deploy" / name).read_text(encoding="utf-8") == text, "python -m pushcast.observe.dashboards"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_is_promql_that_names_only_what_the_catalogue_has(board: Board) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            assert unknown(target["expr"].replace(WINDOW, "5m")) == [], panel["title"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sum by (app) (rate(pushcast_outcomez_total[5m]))", "there is no series pushcast_outcomez_total"),
        ('max(pushcast_ready{app="news"})', "pushcast_ready has no label app"),
        ("sum by (topic) (pushcast_ready)", "pushcast_ready has no label topic"),
        ("max(pushcast_provider_request_seconds)", "there is no series pushcast_provider_request_seconds"),
    ],
)
def test_a_series_or_label_that_nobody_exports_is_found(expression: str, told: str) -> None:
    assert unknown(expression) == [told]


def test_the_runtime_board_has_a_plot_of_every_metric_with_what_to_do() -> None:
    said = [panel["description"] for panel in panels(RUNTIME)]
    assert said == [f"{metric.meaning}\n\nWhat to do: {metric.remedy}" for metric in CATALOGUE]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_have_ids_of_their_own_and_do_not_overlap(board: Board) -> None:
    found = render(board)["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    cells = [
        (x, y)
        for panel in found
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_files_are_what_grafana_provisions() -> None:
    for name, text in rendered().items():
        if name.startswith("grafana/") and name.endswith(".json"):
            board = json.loads(text)
            assert board["uid"] == f"pushcast-{Path(name).stem}"
            assert {panel["type"] for panel in board["panels"]} == {"row", "timeseries"}
