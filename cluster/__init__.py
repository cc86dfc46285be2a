"""Cluster: node registry, room placement and message bus.

In this process, or by Redis for many, with the same promises. Floor 2; stands on `media` alone.
`RedisCluster` is loaded when first asked for: a node that is alone carries no client of Redis.
"""

from typing import TYPE_CHECKING

from cluster.api import MESSAGE_BYTES, Bus, Cluster, Node, NodeRegistry, Placement, Subscription
from cluster.errors import ClusterError, ClusterUnavailable, InvalidTopic, MessageTooLarge
from cluster.local import LocalCluster
from media.facade import lazy

if TYPE_CHECKING:
    from cluster.shared import RedisCluster

__all__ = [
    "MESSAGE_BYTES",
    "Bus",
    "Cluster",
    "ClusterError",
    "ClusterUnavailable",
    "InvalidTopic",
    "LocalCluster",
    "MessageTooLarge",
    "Node",
    "NodeRegistry",
    "Placement",
    "RedisCluster",
    "Subscription",
]

__getattr__ = lazy(__name__, {"cluster.shared": ("RedisCluster",)})
