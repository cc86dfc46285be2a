"""The `parley` command."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from policy import DEFAULT_TERMS, Permission, Use, parse_permissions
from server.client import ApiClient, ApiError
from server.config import CONFIG_VARIABLE, Config, ConfigError, check, load, sections_of
from server.devkey import DevKeyError, load_or_create
from server.doctor import Finding, examine
from server.logging import configure
from server.reference import reference
from server.tls import TlsError
from sfu import SfuError
from signaling import ApiKey, SignalingError, TokenError, VouchedTerms, join_url, mint
from store import Store, StoreConfig, StoreError

if TYPE_CHECKING:
    from server.wiring import Server

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Parley: a real-time media server.",
)
rooms_app = typer.Typer(no_args_is_help=True, help="Rooms of a running server.")
recordings_app = typer.Typer(no_args_is_help=True, help="Recordings of a running server.")
record_app = typer.Typer(no_args_is_help=True, help="Record a room of a running server.")
broadcast_app = typer.Typer(no_args_is_help=True, help="Send a room of a running server to other sites.")
consent_app = typer.Typer(no_args_is_help=True, help="The consent ledger.")
config_app = typer.Typer(no_args_is_help=True, help="The configuration.")
app.add_typer(rooms_app, name="rooms")
app.add_typer(recordings_app, name="recordings")
app.add_typer(record_app, name="record")
app.add_typer(broadcast_app, name="broadcast")
app.add_typer(consent_app, name="consent")
app.add_typer(config_app, name="config")

_out: Final = Console()
_err: Final = Console(stderr=True)

ConfigPath = Annotated[Path | None, typer.Option("--config", envvar=CONFIG_VARIABLE, help="TOML file")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of database, keys and recordings")]
Url = Annotated[str, typer.Option("--url", help="Address of the running server")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]

_URL: Final = "http://127.0.0.1:8080"
_DEMO: Final = "demo"
"""The room whose links are printed at the start."""


def main() -> None:
    """Run the command."""
    app()


def _fail(*lines: str, code: int = 2) -> NoReturn:
    for line in lines:
        _err.print(Text(line, style="red"))
    raise typer.Exit(code)


def _load(path: Path | None, **overrides: object) -> Config:
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    try:
        return load(path, os.environ, named)
    except ConfigError as error:
        _fail("The configuration cannot be used:", *(f"  {problem}" for problem in error.problems))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, telling the errors that people can mend in one line."""
    try:
        return uvloop.run(work)
    except (StoreError, DevKeyError, TlsError, SfuError, SignalingError, ApiError) as error:
        _fail(str(error), code=1)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", code=1)


# serve


@app.command()
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
    """Serve rooms until told to stop (Ctrl-C or SIGTERM; twice: at once)."""
    settings = _load(
        config,
        server__host=host,
        server__port=port,
        server__data_dir=data_dir,
        server__tls_cert=tls_cert,
        server__tls_key=tls_key,
        server__tls=tls,
        server__behind_proxy=tuple(behind_proxy) if behind_proxy else None,
        server__generate_key=generate_key or None,
        media__port=media_port,
        media__bind=tuple(media_bind) if media_bind else None,
        log__format=log_format,
        log__level=log_level,
    )
    configure(settings.log.level, settings.log.format)
    _run(_serve(settings))


async def _serve(config: Config) -> None:
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
    await server.start()
    try:
        _greet(server, config)
        await stop.wait()
        _err.print("Stopping. Once more to stop at once.", style="dim")
    finally:
        async with asyncio.TaskGroup() as group:
            hurried = group.create_task(hurry.wait())
            stopping = group.create_task(server.stop())
            await asyncio.wait({hurried, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                server.hurry()
            await asyncio.wait({stopping})
            hurried.cancel()


def _greet(server: "Server", config: Config) -> None:
    body = Text()
    body.append(f"{server.origin()}/\n", style="bold")
    addresses = ", ".join(server.media_config().addresses)
    body.append(f"media on UDP {config.media.port}, {addresses}\n", style="dim")
    if not config.keys:
        key = config.server.data_dir / "dev-key.json"
        body.append(f"key generated for this machine: {key}\n", style="dim")
    if _out.is_terminal:
        _out.print(Panel(body, title="Parley", expand=False))
    else:
        print(body.plain, flush=True)
    # Plain and unwrapped: links that are to be clicked, copied, or read by a script.
    if not config.is_loopback and (invitation := server.invitation(_DEMO)) is not None:
        print(f"Invite others: {invitation}", flush=True)
    if (link := server.join_link(_DEMO, "host")) is not None:
        print(f"Join: {link}", flush=True)


# token


@app.command()
def token(
    *,
    room: Annotated[str, typer.Option(help="The room that the token opens")],
    identity: Annotated[str, typer.Option(help="Who; unique in the room")],
    name: Annotated[str | None, typer.Option(help="Screen name")] = None,
    grant: Annotated[list[str] | None, typer.Option(help="What it permits; repeat")] = None,
    use: Annotated[list[str] | None, typer.Option(help="A use that you vouch they agreed to; repeat")] = None,
    terms_version: Annotated[str | None, typer.Option(help="The terms that they accepted")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds that it lives", min=1, max=86_400)] = 3_600,
    external: Annotated[bool, typer.Option("--external", help="A viewer outside the room")] = False,
    guests: Annotated[
        bool, typer.Option("--guests", help="An invitation: each who opens it gets an identity of their own")
    ] = False,
    key_id: Annotated[str | None, typer.Option(help="Sign with this configured key")] = None,
    link: Annotated[str | None, typer.Option(help="Print a join link of this server instead")] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Print a join token. `join` is always among its grants; default: publish, subscribe and chat too."""
    settings = _load(config, server__data_dir=data_dir)
    try:
        permissions = parse_permissions(grant or ["publish", "subscribe", "chat"]) | {Permission.JOIN}
        terms = None
        if use or terms_version:
            version = terms_version or _run(_current_terms(settings))
            terms = VouchedTerms(version, frozenset(Use(item) for item in use or ()))
        made = mint(
            _signing_key(settings, key_id),
            identity=identity,
            room=room,
            permissions=permissions,
            now=time.time(),
            ttl_s=ttl,
            name=name,
            terms=terms,
            is_external=external,
            is_invitation=guests,
        )
    except (TokenError, DevKeyError, ValueError) as error:
        _fail(str(error))
    except Exception as error:
        if getattr(error, "code", None) is None:
            raise
        _fail(str(error))
    print(join_url(link.rstrip("/"), room, made) if link else made)


def _signing_key(config: Config, key_id: str | None) -> ApiKey:
    keys = list(config.keys) or [load_or_create(config.server.data_dir)]
    for key in keys:
        if key.is_shared and key_id in {None, key.id}:
            return key
    raise TokenError("there is no key of that id that can sign" if key_id else "no configured key can sign")


async def _current_terms(config: Config) -> str:
    """The version in force: of the server's database when there is one, else the shipped one."""
    try:
        store = await Store.open(StoreConfig(data_dir=config.server.data_dir, is_read_only=True))
    except (StoreError, OSError):
        return DEFAULT_TERMS.version
    try:
        history = await store.terms.history()
    except StoreError:
        return DEFAULT_TERMS.version
    finally:
        await store.close()
    current = None if history is None else history.current(time.time_ns() // 1_000_000)
    return DEFAULT_TERMS.version if current is None else current.version


# Against a running server


def _client(url: str, config: Path | None, data_dir: Path | None) -> ApiClient:
    settings = _load(config, server__data_dir=data_dir)
    try:
        key = _signing_key(settings, None)
        made = mint(
            key, identity="cli", room=None, permissions=[Permission.ADMIN], now=time.time(), ttl_s=600
        )
    except (TokenError, DevKeyError) as error:
        _fail(str(error))
    return ApiClient(url, made)


def _show(items: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(items, indent=2))
        return
    table = Table(*columns, header_style="bold")
    for item in items:
        table.add_row(*(_cell(item.get(column)) for column in columns))
    _out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(
            str(part.get("state", part)) if isinstance(part, dict) else str(part) for part in value
        )
    return str(value)


def _ask(
    url: str, config: Path | None, data_dir: Path | None, work: Callable[[ApiClient], Coroutine[Any, Any, T]]
) -> T:
    async def run() -> T:
        async with _client(url, config, data_dir) as client:
            return await work(client)

    return _run(run())


@rooms_app.command("list")
def rooms_list(
    *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List open rooms."""
    items = _ask(url, config, data_dir, lambda client: client.all("/rooms"))
    _show(items, ("name", "participants", "viewers", "activities"), as_json=as_json)


@rooms_app.command("participants")
def rooms_participants(
    room: str,
    *,
    url: Url = _URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List who is in a room."""
    items = _ask(url, config, data_dir, lambda client: client.all(f"/rooms/{client.part(room)}/participants"))
    _show(items, ("identity", "name", "state", "permissions"), as_json=as_json)


@rooms_app.command("close")
def rooms_close(room: str, *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Close a room."""
    _ask(url, config, data_dir, lambda client: client.call("DELETE", f"/rooms/{client.part(room)}"))


@recordings_app.command("list")
def recordings_list(
    *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List recordings, newest first."""
    items = _ask(url, config, data_dir, lambda client: client.all("/recordings"))
    _show(items, ("id", "room", "state", "size_bytes", "reason"), as_json=as_json)


@recordings_app.command("files")
def recordings_files(
    recording: str,
    *,
    url: Url = _URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the files of a recording."""
    path = "/recordings/{}/files"
    items = _ask(url, config, data_dir, lambda client: client.all(path.format(client.part(recording))))
    _show(items, ("name", "size_bytes", "content_type", "sha256"), as_json=as_json)


@recordings_app.command("fetch")
def recordings_fetch(
    recording: str,
    folder: Path,
    *,
    url: Url = _URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Fetch the files of a finished recording into a folder."""

    async def fetch(client: ApiClient) -> int:
        items = await client.all(f"/recordings/{client.part(recording)}/files")
        with Progress(console=_err) as progress:
            task = progress.add_task("fetching", total=sum(int(item["size_bytes"]) for item in items))
            for item in items:
                target = folder / Path(str(item["name"])).name
                await client.fetch(str(item["url"]), target, lambda size: progress.advance(task, size))
        return len(items)

    folder.mkdir(parents=True, exist_ok=True)
    count = _ask(url, config, data_dir, fetch)
    _out.print(f"{count} files in {folder}")


@record_app.command("start")
def record_start(room: str, *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Record a room; everyone in it is told. Prints the recording's id."""
    made = _ask(url, config, data_dir, lambda client: client.call("POST", "/recordings", {"room": room}))
    print(made["id"])


@record_app.command("stop")
def record_stop(
    recording: str, *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a recording."""
    path = "/recordings/{}/stop"
    made = _ask(
        url, config, data_dir, lambda client: client.call("POST", path.format(client.part(recording)))
    )
    print(made["state"])


@broadcast_app.command("start")
def broadcast_start(
    room: str,
    destination: Annotated[list[str], typer.Argument(help="Ids of registered destinations")],
    *,
    url: Url = _URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Send a room to destinations; everyone in it is told. Prints the broadcast's id."""
    body = {"room": room, "destinations": destination}
    made = _ask(url, config, data_dir, lambda client: client.call("POST", "/broadcasts", body))
    print(made["id"])
    if made.get("hls_url"):
        print(url.rstrip("/") + str(made["hls_url"]))


@broadcast_app.command("stop")
def broadcast_stop(
    broadcast: str, *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a broadcast."""
    path = "/broadcasts/{}/stop"
    made = _ask(
        url, config, data_dir, lambda client: client.call("POST", path.format(client.part(broadcast)))
    )
    print(made["state"])


@broadcast_app.command("list")
def broadcast_list(
    *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List broadcasts, newest first, with the state of each destination."""
    items = _ask(url, config, data_dir, lambda client: client.all("/broadcasts"))
    _show(items, ("id", "room", "state", "mode", "destinations", "reason"), as_json=as_json)


@broadcast_app.command("destinations")
def broadcast_destinations(
    *, url: Url = _URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List registered destinations; never their keys."""
    items = _ask(url, config, data_dir, lambda client: client.all("/destinations"))
    _show(items, ("id", "name", "site", "kind", "shown_url", "key_hint"), as_json=as_json)


# consent


@consent_app.command("verify")
def consent_verify(*, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Check every row of the consent ledger, its chain and its anchor; exit 1 when it does not verify."""
    settings = _load(config, server__data_dir=data_dir)

    async def verify() -> tuple[int, str | None]:
        store = await Store.open(StoreConfig(data_dir=settings.server.data_dir, is_read_only=True))
        try:
            return store.ledger.report.rows, store.ledger.report.problem
        finally:
            await store.close()

    rows, problem = _run(verify())
    if problem is not None:
        _fail(f"The ledger does not verify: {problem}", code=1)
    _out.print(f"The ledger verifies: {rows} rows.")


@consent_app.command("export")
def consent_export(
    *,
    output: Annotated[Path | None, typer.Option(help="File to write; default is standard output")] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Write the consent ledger as JSON lines; together they verify without the database."""
    settings = _load(config, server__data_dir=data_dir)

    async def export() -> None:
        store = await Store.open(StoreConfig(data_dir=settings.server.data_dir, is_read_only=True))
        try:
            total = await store.ledger.size()
            with Progress(console=_err, disable=output is None) as progress:
                task = progress.add_task("exporting", total=total)
                file = output.open("w") if output is not None else sys.stdout
                try:
                    async for line in store.ledger.export():
                        file.write(line + "\n")
                        progress.advance(task)
                finally:
                    if output is not None:
                        file.close()
        finally:
            await store.close()

    _run(export())


# config


@config_app.command("check")
def config_check(*, config: ConfigPath = None) -> None:
    """Look at the configuration without serving; every problem at once."""
    settings = _load(config)
    problems = check(settings)
    if problems:
        _fail(*problems)
    _out.print("The configuration is fine.")


@config_app.command("show")
def config_show(*, config: ConfigPath = None) -> None:
    """Print what is in force, as TOML without secrets."""
    settings = _load(config)
    for section in sections_of():
        print(f"[{section.name}]")
        values = getattr(settings, section.name)
        for name in values.__dataclass_fields__:
            value = getattr(values, name)
            if name == "credential" and value:
                value = "[masked]"
            if value is not None:
                shown = (
                    list(value)
                    if isinstance(value, tuple)
                    else str(value)
                    if isinstance(value, Path)
                    else value
                )
                print(f"{name} = {json.dumps(shown)}")
        print()
    for key in settings.keys:
        print(f"[[keys]]\nid = {json.dumps(key.id)}\nalg = {json.dumps(key.alg)}\n")


@config_app.command("reference")
def config_reference() -> None:
    """Print docs/configuration.md."""
    print(reference(), end="")


# doctor


@app.command()
def doctor(*, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Look whether this machine can run Parley: ports, addresses, core, codecs, disk, clock, ledger."""
    settings = _load(config, server__data_dir=data_dir)
    findings = _run(examine(settings))
    if as_json:
        print(json.dumps([finding.plain() for finding in findings], indent=2))
    else:
        _out.print(_doctor_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def _doctor_table(findings: list[Finding]) -> Table:
    styles = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table("", "what", "found", "what to do", header_style="bold")
    for finding in findings:
        mark = Text(finding.verdict, style=styles[finding.verdict])
        table.add_row(mark, finding.what, finding.found, finding.advice)
    return table
