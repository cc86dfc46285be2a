"""`parley broadcast`."""

from datetime import datetime
from typing import Annotated, Any

import typer

from server.cli.options import AsJson, ConfigPath, DataDir, fail
from server.cli.remote import URL, Url, ask, show

app = typer.Typer(no_args_is_help=True, help="Send a room of a running server, or a recording, elsewhere.")

Layout = Annotated[str | None, typer.Option(help="grid, speaker, screen or single")]
_PATH = "/broadcasts"


def _begun(url: str, made: dict[str, Any]) -> None:
    print(made["id"])
    if made.get("hls_url"):
        print(url.rstrip("/") + str(made["hls_url"]))


@app.command("start")
def broadcast_start(
    room: str,
    destination: Annotated[list[str], typer.Argument(help="Ids of registered destinations")],
    *,
    layout: Layout = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Send a room to destinations; everyone in it is told. Prints the broadcast's id."""
    body = {"room": room, "destinations": destination, "layout": layout}
    _begun(url, ask(url, config, data_dir, lambda client: client.call("POST", _PATH, body)))


@app.command("replay")
def broadcast_replay(
    recording: str,
    *,
    to: Annotated[list[str], typer.Option(help="Id of a registered destination; may be given again")],
    at: Annotated[
        str | None,
        typer.Option(help="When, such as 2027-01-31T20:00+01:00; local time without an offset"),
    ] = None,
    loop: Annotated[bool, typer.Option(help="Begin again at the end, until it is stopped")] = False,
    layout: Layout = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Send a finished recording to destinations, at once or at a set time. Prints the broadcast's id.

    Who is shown is decided when it begins, and anew with each turn: whoever agreed to `replay`, nobody else.
    """
    begins = None
    if at is not None:
        try:
            begins = datetime.fromisoformat(at).astimezone().isoformat()
        except ValueError:
            fail(f"--at {at!r} is no time: write it as 2027-01-31T20:00")
    body = {"recording": recording, "destinations": to, "at": begins, "loop": loop, "layout": layout}
    _begun(url, ask(url, config, data_dir, lambda client: client.call("POST", _PATH, body)))


@app.command("stop")
def broadcast_stop(
    broadcast: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a broadcast, or take back one that is planned."""
    print(_change(url, config, data_dir, "POST", broadcast, "stop")["state"])


@app.command("add")
def broadcast_add(
    broadcast: str,
    destination: str,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Send a running broadcast to one more destination; the others are not disturbed."""
    body = {"destination": destination}
    print(_change(url, config, data_dir, "POST", broadcast, "destinations", body)["state"])


@app.command("remove")
def broadcast_remove(
    broadcast: str,
    destination: str,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Take one destination out of a running broadcast; the others are not disturbed."""
    print(_change(url, config, data_dir, "DELETE", broadcast, f"destinations/{destination}")["state"])


@app.command("dump")
def broadcast_dump(
    broadcast: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Throw away what the delays of a running broadcast hold: it is sent nowhere."""
    print(_change(url, config, data_dir, "POST", broadcast, "dump")["state"])


@app.command("list")
def broadcast_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List broadcasts, newest first, with the state of each destination."""
    items = ask(url, config, data_dir, lambda client: client.all(_PATH))
    if not as_json:
        items = [item | {"played": _played(item.get("replay"))} for item in items]
    show(items, ("id", "room", "state", "mode", "played", "destinations", "reason"), as_json=as_json)


def _played(replay: dict[str, Any] | None) -> str:
    """How far a replay has come, for people."""
    if replay is None:
        return ""
    fetching = replay["fetching"]
    if fetching is not None:
        return f"fetching, {100 * fetching['done_bytes'] // max(fetching['total_bytes'], 1)} %"
    place = f"{_clock(replay['position_ms'])} of {_clock(replay['duration_ms'])}"
    return f"{place}, turn {replay['turn']}" if replay["loop"] else place


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _change(
    url: str,
    config: ConfigPath,
    data_dir: DataDir,
    method: str,
    broadcast: str,
    what: str,
    body: dict[str, str] | None = None,
) -> dict[str, Any]:
    def path(part: str) -> str:
        return f"{_PATH}/{part}/{what}"

    return ask(url, config, data_dir, lambda client: client.call(method, path(client.part(broadcast)), body))
