"""Configuration of the room service: one frozen dataclass, filled by the server's configuration."""

from dataclasses import dataclass, field

from policy import Limits, RoomSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsConfig:
    """What the operator decides about all rooms."""

    defaults: RoomSettings = field(default_factory=RoomSettings)
    """Settings of rooms that are made by the first join."""
    limits: Limits = field(default_factory=Limits)
    """Quotas of every participant and room."""
    creates_on_join: bool = True
    """Whether a first join makes a room that the API did not make. Off: such joins are refused."""
    node: str = "local"
    """This node's id in the cluster."""
