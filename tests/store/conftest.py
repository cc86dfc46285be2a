from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import Store, StoreConfig


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Store]:
    """A store in a folder of the test."""
    store = await Store.open(StoreConfig(data_dir=tmp_path / "data"))
    yield store
    await store.close()


@pytest.fixture
async def memory() -> AsyncIterator[Store]:
    """A store in memory."""
    store = await Store.open(StoreConfig(data_dir=None))
    yield store
    await store.close()
