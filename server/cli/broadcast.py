"""`parley broadcast`."""

from typing import Annotated

import typer

from server.cli.options import AsJson, ConfigPath, DataDir
from server.cli.remote import URL, Url, ask, show

app = typer.Typer(no_args_is_help=True, help="Send a room of a running server to other sites.")


@app.command("start")
def broadcast_start(
    room: str,
    destination: Annotated[list[str], typer.Argument(help="Ids of registered destinations")],
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Send a room to destinations; everyone in it is told. Prints the broadcast's id."""
    body = {"room": room, "destinations": destination}
    made = ask(url, config, data_dir, lambda client: client.call("POST", "/broadcasts", body))
    print(made["id"])
    if made.get("hls_url"):
        print(url.rstrip("/") + str(made["hls_url"]))


@app.command("stop")
def broadcast_stop(
    broadcast: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a broadcast."""
    path = "/broadcasts/{}/stop"
    made = ask(url, config, data_dir, lambda client: client.call("POST", path.format(client.part(broadcast))))
    print(made["state"])


@app.command("list")
def broadcast_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List broadcasts, newest first, with the state of each destination."""
    items = ask(url, config, data_dir, lambda client: client.all("/broadcasts"))
    show(items, ("id", "room", "state", "mode", "destinations", "reason"), as_json=as_json)


@app.command("destinations")
def broadcast_destinations(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List registered destinations; never their keys."""
    items = ask(url, config, data_dir, lambda client: client.all("/destinations"))
    show(items, ("id", "name", "site", "kind", "shown_url", "key_hint"), as_json=as_json)
