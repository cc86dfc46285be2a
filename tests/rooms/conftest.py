from collections.abc import AsyncIterator

import pytest

from tests.rooms.rig import Rig, rig


@pytest.fixture
async def house() -> AsyncIterator[Rig]:
    """A running room service with default settings (a `notice` room)."""
    async with rig() as made:
        yield made
