"""Prints docs/metrics.md."""

from __future__ import annotations

import sys

from pushcast.observe.catalogue import render_docs

if __name__ == "__main__":
    sys.stdout.write(render_docs())
