"""`parley serve`."""

import asyncio
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import structlog
import typer
from rich.panel import Panel
from rich.text import Text

from server.cli.options import ConfigPath, DataDir, err, out, run, settings_now, settings_of
from server.config import Config, ConfigError
from server.devkey import DevKeyError
from server.logging import configure
from server.terminal import has_terminal

if TYPE_CHECKING:
    from server.wiring import Server

_DEMO: Final = "demo"
_log = structlog.get_logger("server")


def serve(
    *,
    config: ConfigPath = None,
    host: Annotated[str | None, typer.Option(help="Address that HTTP listens on")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port of HTTP")] = None,
    media_port: Annotated[int | None, typer.Option(help="First UDP port of media")] = None,
    media_bind: Annotated[list[str] | None, typer.Option(help="Address that media is received on")] = None,
    data_dir: DataDir = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate chain")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key")] = None,
    tls: Annotated[str | None, typer.Option(help="`self-signed` or `off`")] = None,
    behind_proxy: Annotated[list[str] | None, typer.Option(help="Trusted proxy, address or network")] = None,
    generate_key: Annotated[bool, typer.Option("--generate-key", help="Make and keep an API key")] = False,
    log_format: Annotated[str | None, typer.Option(help="auto, json or console")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error")] = None,
) -> None:
    """Serve rooms until told to stop (Ctrl-C or SIGTERM; twice: at once). SIGHUP reads the API keys again."""
    chosen: dict[str, object] = {
        "server__host": host,
        "server__port": port,
        "server__data_dir": data_dir,
        "server__tls_cert": tls_cert,
        "server__tls_key": tls_key,
        "server__tls": tls,
        "server__behind_proxy": tuple(behind_proxy) if behind_proxy else None,
        "server__generate_key": generate_key or None,
        "media__port": media_port,
        "media__bind": tuple(media_bind) if media_bind else None,
        "log__format": log_format,
        "log__level": log_level,
    }
    settings = settings_of(config, **chosen)
    configure(settings.log.level, settings.log.format)
    run(_serve(settings, lambda: settings_now(config, **chosen)))


async def _serve(config: Config, read_again: Callable[[], Config]) -> None:
    # Loaded here: the other commands need no media plane, and no PyAV.
    from server.wiring import Server  # noqa: PLC0415

    server = Server(config)
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def ask() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    ends_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def hang_up() -> None:
        if ends_with_terminal and not has_terminal():
            ask()
            return
        try:
            server.reload_keys(read_again())
        except ConfigError as error:
            _log.error("keys_not_reloaded", reason="; ".join(error.problems))
        except DevKeyError as error:
            _log.error("keys_not_reloaded", reason=str(error))

    await server.start()
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    # What is loaded stays: else each full round of the collector goes over it and holds the event loop.
    gc.collect()
    gc.freeze()
    try:
        _greet(server, config)
        await stop.wait()
        err.print("Stopping. Once more to stop at once.", style="dim")
    finally:
        async with asyncio.TaskGroup() as group:
            hurried = group.create_task(hurry.wait())
            stopping = group.create_task(server.stop())
            await asyncio.wait({hurried, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                server.hurry()
            await asyncio.wait({stopping})
            hurried.cancel()
        # What was loaded goes with the process, the core's objects among it.
        gc.unfreeze()


def _greet(server: "Server", config: Config) -> None:
    body = Text()
    body.append(f"{server.origin()}/\n", style="bold")
    addresses = ", ".join(server.media_config().addresses)
    body.append(f"media on UDP {config.media.port}, {addresses}\n", style="dim")
    if not config.keys:
        key = config.server.data_dir / "dev-key.json"
        body.append(f"key generated for this machine: {key}\n", style="dim")
    if out.is_terminal:
        out.print(Panel(body, title="Parley", expand=False))
    else:
        print(body.plain, flush=True)
    # Plain and unwrapped: links that are to be clicked, copied, or read by a script.
    if not config.is_loopback and (invitation := server.invitation(_DEMO)) is not None:
        print(f"Invite others: {invitation}", flush=True)
    if (link := server.join_link(_DEMO, "host")) is not None:
        print(f"Join: {link}", flush=True)
