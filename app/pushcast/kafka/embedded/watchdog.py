"""`python -m pushcast.kafka.embedded.watchdog DIR`: removes a temporary cluster once its owner is gone.

The owner holds the other end of our standard input; the kernel closes it however the owner ends. PR_SET_PDEATHSIG would
not do: it follows the thread that started the broker, and there is none on macOS.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pushcast.kafka.embedded.handle import Cluster

if __name__ == "__main__":
    sys.stdin.buffer.read()
    Cluster(Path(sys.argv[1])).destroy()
