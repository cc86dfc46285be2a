"""`parley record` and `parley recordings`."""

from pathlib import Path

import typer
from rich.progress import Progress

from server.cli.options import AsJson, ConfigPath, DataDir, err, out
from server.cli.remote import URL, Url, ask, show
from server.client import ApiClient

app = typer.Typer(no_args_is_help=True, help="Recordings of a running server.")
record_app = typer.Typer(no_args_is_help=True, help="Record a room of a running server.")


@app.command("list")
def recordings_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List recordings, newest first."""
    items = ask(url, config, data_dir, lambda client: client.all("/recordings"))
    show(items, ("id", "room", "state", "size_bytes", "reason"), as_json=as_json)


@app.command("files")
def recordings_files(
    recording: str,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the files of a recording."""
    path = "/recordings/{}/files"
    items = ask(url, config, data_dir, lambda client: client.all(path.format(client.part(recording))))
    show(items, ("name", "size_bytes", "content_type", "sha256"), as_json=as_json)


@app.command("fetch")
def recordings_fetch(
    recording: str,
    folder: Path,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Fetch the files of a finished recording into a folder."""

    async def fetch(client: ApiClient) -> int:
        items = await client.all(f"/recordings/{client.part(recording)}/files")
        with Progress(console=err) as progress:
            task = progress.add_task("fetching", total=sum(int(item["size_bytes"]) for item in items))
            for item in items:
                target = folder / Path(str(item["name"])).name
                await client.fetch(str(item["url"]), target, lambda size: progress.advance(task, size))
        return len(items)

    folder.mkdir(parents=True, exist_ok=True)
    count = ask(url, config, data_dir, fetch)
    out.print(f"{count} files in {folder}")


@record_app.command("start")
def record_start(room: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Record a room; everyone in it is told. Prints the recording's id."""
    made = ask(url, config, data_dir, lambda client: client.call("POST", "/recordings", {"room": room}))
    print(made["id"])


@record_app.command("stop")
def record_stop(
    recording: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a recording."""
    path = "/recordings/{}/stop"
    made = ask(url, config, data_dir, lambda client: client.call("POST", path.format(client.part(recording))))
    print(made["state"])
