"""The native engine that these tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.sfu.native.peers import (
    House,
)


@pytest.fixture
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    made = House.build(gives_masters=getattr(request, "param", True))
    yield made
    await made.close()
