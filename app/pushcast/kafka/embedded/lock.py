"""Writes kafka-jars.lock.toml again: `python -m pushcast.kafka.embedded.lock`.

Needed only when Kafka's version moves."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pushcast.kafka.embedded.jars import KAFKA_VERSION, LOCK_FILE, Jar, file_sha256

#: The "!" keeps log4j's own BOM from managing kafka-clients down to 3.9.1: jgo takes each coordinate as a BOM.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!")


def resolve(scratch: Path) -> list[Jar]:
    """The transitive closure of COORDINATES as Maven Central serves it now, downloaded into `scratch`."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch, timeout=60)
    roots, transitive = context.resolver.resolve([context.create_dependency(c) for c in COORDINATES])
    return sorted(
        (
            Jar(dep.groupId, dep.artifactId, dep.version, file_sha256(dep.artifact.resolve()))
            for dep in [*roots, *transitive]
            if dep.type == "jar" and not dep.optional
        ),
        key=lambda jar: (jar.group, jar.artifact),
    )


def render(jars: list[Jar]) -> str:
    """The text of the lock file."""
    rows = "".join(
        f'\n[[jar]]\ngroup = "{jar.group}"\nartifact = "{jar.artifact}"\n'
        f'version = "{jar.version}"\nsha256 = "{jar.sha256}"\n'
        for jar in jars
    )
    return (
        f"# Written by `python -m pushcast.kafka.embedded.lock`: everything Apache Kafka {KAFKA_VERSION} needs.\n{rows}"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        LOCK_FILE.write_text(render(resolve(Path(directory))))
