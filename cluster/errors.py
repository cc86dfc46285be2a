"""Errors of the cluster package."""


class ClusterError(Exception):
    """Root of everything that `cluster` raises; `code` is stable."""

    code = "cluster_error"


class InvalidTopic(ClusterError):
    """A topic, node or room id that is not 1 to 128 visible ASCII characters without `*` and spaces."""

    code = "invalid_topic"


class ClusterUnavailable(ClusterError):
    """What the nodes share cannot be reached now."""

    code = "unavailable"


class MessageTooLarge(ClusterError):
    """A message above the bus's limit."""

    code = "too_large"
