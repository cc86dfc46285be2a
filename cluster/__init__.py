"""Cluster: node registry, room placement and message bus.

In this process, with the interface of a shared one.

Floor 2; stands on `store` and `policy` alone.
"""

from cluster.api import MESSAGE_BYTES, Bus, Cluster, Node, NodeRegistry, Placement, Subscription
from cluster.errors import ClusterError, InvalidTopic, MessageTooLarge
from cluster.local import LocalCluster, LocalSubscription

__all__ = [
    "MESSAGE_BYTES",
    "Bus",
    "Cluster",
    "ClusterError",
    "InvalidTopic",
    "LocalCluster",
    "LocalSubscription",
    "MessageTooLarge",
    "Node",
    "NodeRegistry",
    "Placement",
    "Subscription",
]
