"""Open files: RocksDB holds several per partition, and says that there are too many when it is too late."""

from __future__ import annotations

import resource

from pushcast.model.errors import ConfigurationError

#: Of a partition's database while it is small: measured 6.5.
FILES_PER_PARTITION = 8
#: Of one that holds many devices: what `store.table_options` lets RocksDB keep open.
MOST_FILES_PER_PARTITION = 64
#: Connections to brokers and providers, and what Python itself needs.
OTHER_FILES = 512


def allow_open_files(partitions: int, tables: int) -> None:
    """Raises the soft limit to what a process with so many tables may need.

    Raises ConfigurationError when the hard limit is below what it needs at once.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    needed = OTHER_FILES + FILES_PER_PARTITION * partitions * tables
    if not unlimited and hard < needed:
        raise ConfigurationError(
            f"{partitions} partitions need about {needed} open files and the limit is {hard}: raise it "
            "(ulimit -Hn, LimitNOFILE of systemd), or spread the role over more hosts"
        )
    wanted = OTHER_FILES + MOST_FILES_PER_PARTITION * partitions * tables
    wanted = wanted if unlimited else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        _raise_to(wanted, needed, soft, hard)


def _raise_to(wanted: int, needed: int, soft: int, hard: int) -> None:
    """A kernel may have a bound of its own below an unlimited hard limit: kern.maxfilesperproc of macOS."""
    while True:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError) as error:
            if wanted <= max(needed, soft):
                if soft >= needed:
                    return
                raise ConfigurationError(
                    f"{needed} open files are needed, the limit is {soft} and the system allows no more ({error}): "
                    "raise it (kern.maxfilesperproc of macOS), or spread the role over more hosts"
                ) from error
            wanted = max(needed, soft, wanted // 2)
        else:
            return
