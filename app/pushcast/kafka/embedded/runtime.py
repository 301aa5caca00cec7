"""What runs a broker: a Java, Kafka's jars, and the archive that makes both start faster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pushcast.kafka.embedded import archive, jars, java, process
from pushcast.kafka.embedded.environment import Environment

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """Progress goes nowhere unless a caller shows it."""


#: The pause that G1 aims at is the one of Kafka's own start script; its default is 200 ms. Beside a broadcast every
#: urgent record in a pause waits for its end (docs/benchmarks.md).
_SHORT_PAUSES: Final = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs a broker: found once per start."""

    java: Path
    jars: Sequence[Path]
    start_options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=lambda: os.environ | {"LC_ALL": "C.UTF-8"})

    @classmethod
    def find(cls, environment: Environment, cache: Path | None, offline: bool, progress: Progress) -> Runtime:
        """Downloads the jars that are missing unless `offline`. Raises a kind of EmbeddedKafkaError."""
        java.check_platform()
        found = java.find(environment.java)
        cached = cache.absolute() if cache else jars.default_cache(environment)
        paths = jars.fetch(cached, environment, offline=offline, progress=progress)
        return cls(found, paths, archive.options(found, paths, cached, progress))

    def spawn(self, broker_dir: Path, brokers: int) -> int:
        """Starts one of so many brokers. Returns its process id."""
        # G1 pauses less; with several brokers on a laptop memory and threads count more.
        collector = _SHORT_PAUSES if brokers == 1 else ("-XX:+UseSerialGC",)
        options = (*self.start_options, "-Xmx512m", "-Xms256m", *collector)
        return process.spawn(broker_dir, self.java, self.jars, *options, environment=self.environment)

    def tool(self, *arguments: str) -> list[str]:
        """Command line of one of Kafka's Java tools."""
        options = (*self.start_options, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        return [*process.java_command(self.java, self.jars, *options), *arguments]
