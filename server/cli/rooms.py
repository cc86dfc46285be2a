"""`parley rooms`."""

from typing import Annotated

import typer

from server.cli.options import AsJson, ConfigPath, DataDir
from server.cli.remote import URL, Url, ask, show

app = typer.Typer(no_args_is_help=True, help="Rooms of a running server.")


@app.command("list")
def rooms_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List open rooms."""
    items = ask(url, config, data_dir, lambda client: client.all("/rooms"))
    show(items, ("name", "participants", "viewers", "activities"), as_json=as_json)


@app.command("participants")
def rooms_participants(
    room: str,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List who is in a room."""
    items = ask(url, config, data_dir, lambda client: client.all(f"/rooms/{client.part(room)}/participants"))
    show(items, ("identity", "name", "state", "permissions"), as_json=as_json)


@app.command("close")
def rooms_close(room: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Close a room."""
    ask(url, config, data_dir, lambda client: client.call("DELETE", f"/rooms/{client.part(room)}"))


@app.command("embed")
def rooms_embed(
    room: str,
    partner: str,
    *,
    ttl_s: Annotated[int, typer.Option(help="How long the link is good for, in seconds")] = 86_400,
    html: Annotated[bool, typer.Option(help="Print the iframe for the partner's page")] = False,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Make a signed link of a player that a partner's pages may frame."""
    body = {"partner": partner, "ttl_s": ttl_s}
    path = "/rooms/{}/embeds"
    made = ask(
        url, config, data_dir, lambda client: client.call("POST", path.format(client.part(room)), body)
    )
    print(made["html" if html else "url"])
