"""One server per module; every test makes rooms of its own in it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.parley import Parley, serve


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    """A running server."""
    async with serve(tmp_path_factory.mktemp("parley") / "data") as running:
        yield running
