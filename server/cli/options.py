"""What commands share: options, the configuration, and how errors are told."""

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.text import Text

from cluster import ClusterError
from recorder import RecorderError
from server.client import ApiError
from server.config import CONFIG_VARIABLE, Config, ConfigError, load
from server.devkey import DevKeyError, load_or_create
from server.tls import TlsError
from sfu import SfuError
from signaling import ApiKey, SignalingError, TokenError
from store import StoreError

T = TypeVar("T")

out: Final = Console()
err: Final = Console(stderr=True)

ConfigPath = Annotated[Path | None, typer.Option("--config", envvar=CONFIG_VARIABLE, help="TOML file")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of database, keys and recordings")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]


def fail(*lines: str, code: int = 2) -> NoReturn:
    """Say what is wrong and end."""
    for line in lines:
        err.print(Text(line, style="red"))
    raise typer.Exit(code)


def settings_of(path: Path | None, **overrides: object) -> Config:
    """The configuration: `server__port` and the like stand above file and environment."""
    try:
        return settings_now(path, **overrides)
    except ConfigError as error:
        fail("The configuration cannot be used:", *(f"  {problem}" for problem in error.problems))


def settings_now(path: Path | None, **overrides: object) -> Config:
    """As `settings_of`, for those who go on when it cannot be used.

    Raises:
        ConfigError: with everything that is wrong.
    """
    return load(path, os.environ, {key.replace("__", "."): value for key, value in overrides.items()})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, telling the errors that people can mend in one line."""
    try:
        return uvloop.run(work)
    except (
        StoreError,
        RecorderError,
        DevKeyError,
        TlsError,
        SfuError,
        SignalingError,
        ClusterError,
        ApiError,
    ) as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", code=1)


def signing_key(config: Config, key_id: str | None) -> ApiKey:
    """The configured key of that id, or the first one, that can sign; without any, the development key.

    Raises: TokenError, DevKeyError.
    """
    keys = list(config.keys) or [load_or_create(config.server.data_dir)]
    for key in keys:
        if key.is_shared and key_id in {None, key.id}:
            return key
    raise TokenError("there is no key of that id that can sign" if key_id else "no configured key can sign")
