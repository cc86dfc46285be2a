"""How many voices of one room are forwarded at once: the loudest."""

from sfu.engine.api import Engine
from sfu.engine.types import Ack, StageId


class Stage:
    """One room's stage in the engine, the same on every worker."""

    def __init__(self, number: StageId, engine: Engine) -> None:
        self.number = number
        self.places = 0
        """0: everyone is forwarded."""
        self._engine = engine

    def seat(self, places: int) -> list[Ack]:
        """Have so many places from now on.

        Raises:
            QueueFull: the engine is too busy.
        """
        self.places = places
        workers = range(self._engine.workers)
        return [self._engine.set_stage(worker, self.number, places) for worker in workers]
