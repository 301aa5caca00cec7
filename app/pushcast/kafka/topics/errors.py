"""Errors of the topology.

TopologyError
├── InvalidTopology     a topic file is wrong: refuse to start
├── UndeclaredEdge      an agent consumes or produces what the topology does not say: refuse to start
├── PartitionsDiffer    the configuration counts other partitions than the cluster has: refuse to start
├── TopologyConflict    the cluster differs in what must not be changed in place: nothing was changed
└── ClusterUnavailable  the cluster did not answer, refused, or did not do it in time: apply again
"""

from __future__ import annotations

from pushcast.model.errors import ConfigurationError, PushcastError


class TopologyError(PushcastError):
    """Base of the errors of the topology."""


class InvalidTopology(TopologyError, ConfigurationError):
    """A topic file that is refused. The message names the file and the key."""


class UndeclaredEdge(TopologyError, ConfigurationError):
    """A role uses a topic that the topology does not give to it."""


class PartitionsDiffer(TopologyError, ConfigurationError):
    """`kafka.partitions` is not what the topics have."""


class TopologyConflict(TopologyError):
    """A difference that `apply` must not mend by itself. Raised before anything is changed."""


class ClusterUnavailable(TopologyError):
    """The cluster did not answer or did not finish. What was created so far stays; apply again."""
