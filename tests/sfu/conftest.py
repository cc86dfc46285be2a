"""The room that the tests of the plane share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sfu import CodecPolicy, MediaConfig, MediaPlane
from sfu.engine.fake import FakeEngine
from tests.sfu.room import CONFIG, Room

ENGINES = ["fake", "native", "spread", "tcp"]
"""The model, one worker, two that a room's peers take turns on, and those with TCP alone."""


@pytest.fixture(params=ENGINES)
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A room that gives its peers the time that they take."""
    async with opened(request.param, CONFIG) as made:
        yield made


@pytest.fixture(params=ENGINES)
async def impatient_room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A room whose peers have little time to answer and to connect."""
    async with opened(request.param, replace(CONFIG, join_timeout_s=1.5, answer_timeout_s=1.0)) as made:
        yield made


@asynccontextmanager
async def opened(engine: str, config: MediaConfig) -> AsyncIterator[Room]:
    if engine in {"spread", "tcp"}:
        config = replace(config, workers=2, spread=0, tcp_port=0)
    plane = await MediaPlane.start(config, engine=FakeEngine if engine == "fake" else None)
    made = Room(plane, plane.router("r", CodecPolicy()))
    made.by_tcp = engine == "tcp"
    async with asyncio.TaskGroup() as group:
        group.create_task(made.read())
        yield made
        await made.close()
        await plane.close()
