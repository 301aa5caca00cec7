"""Writes deploy/grafana and deploy/prometheus, or the folder that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from pushcast.observe.dashboards.files import rendered

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "deploy")
    for name, text in rendered().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
