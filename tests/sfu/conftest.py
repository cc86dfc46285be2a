"""The room that the tests of the plane share."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sfu import (
    CodecPolicy,
    MediaPlane,
)
from sfu.engine.fake import FakeEngine
from tests.sfu.room import (
    CONFIG,
    Room,
)


@pytest.fixture(params=["fake", "native", "spread", "tcp"])
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A room on the model, on one worker, on two that its peers take turns on, and there with TCP alone."""
    config = CONFIG
    if request.param in {"spread", "tcp"}:
        config = replace(CONFIG, workers=2, spread=0, tcp_port=0)
    plane = await MediaPlane.start(config, engine=FakeEngine if request.param == "fake" else None)
    made = Room(plane, plane.router("r", CodecPolicy()))
    made.by_tcp = request.param == "tcp"
    async with asyncio.TaskGroup() as group:
        group.create_task(made.read())
        yield made
        await made.close()
        await plane.close()
