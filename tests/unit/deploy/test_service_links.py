"""Kubernetes tells each pod of every Service in its namespace, in variables that begin with the Service's name."""

from __future__ import annotations

from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[3] / "deploy" / "helm" / "pushcast" / "templates"
WITH_PODS = sorted(file for file in TEMPLATES.glob("*.yaml") if "serviceAccountName:" in file.read_text())


@pytest.mark.parametrize("file", WITH_PODS, ids=lambda file: file.name)
def test_no_pod_is_told_of_services_whose_variables_the_configuration_would_refuse(file: Path) -> None:
    # A release that is called pushcast has a Service pushcast-gateway: PUSHCAST_GATEWAY_PORT=tcp://10.0.0.1:80
    text = file.read_text()
    assert text.count("enableServiceLinks: false") == text.count("serviceAccountName:")
