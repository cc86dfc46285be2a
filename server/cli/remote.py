"""How commands ask a running server, and show what it answers."""

import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.table import Table

from policy import Permission
from server.cli.options import fail, out, run, settings_of, signing_key
from server.client import ApiClient
from server.devkey import DevKeyError
from signaling import TokenError, mint

T = TypeVar("T")

Url = Annotated[str, typer.Option("--url", help="Address of the running server")]
URL: Final = "http://127.0.0.1:8080"


def _client(url: str, config: Path | None, data_dir: Path | None) -> ApiClient:
    settings = settings_of(config, server__data_dir=data_dir)
    try:
        key = signing_key(settings, None)
        made = mint(
            key, identity="cli", room=None, permissions=[Permission.ADMIN], now=time.time(), ttl_s=600
        )
    except (TokenError, DevKeyError) as error:
        fail(str(error))
    return ApiClient(url, made)


def show(items: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Print a list as a table of these columns, or whole as JSON."""
    if as_json:
        print(json.dumps(items, indent=2))
        return
    table = Table(*columns, header_style="bold")
    for item in items:
        table.add_row(*(_cell(item.get(column)) for column in columns))
    out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(
            str(part.get("state", part)) if isinstance(part, dict) else str(part) for part in value
        )
    return str(value)


def ask(
    url: str, config: Path | None, data_dir: Path | None, work: Callable[[ApiClient], Coroutine[Any, Any, T]]
) -> T:
    """What a running server answers to `work`, asked as an administrator."""

    async def session() -> T:
        async with _client(url, config, data_dir) as client:
            return await work(client)

    return run(session())
