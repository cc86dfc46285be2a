"""The native engine that these tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.sfu.native.peers import (
    House,
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House.build()
    yield made
    await made.close()
