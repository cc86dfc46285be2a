"""`parley record` and `parley recordings`."""

import asyncio
import base64
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from recorder import ManifestInvalid, Verification, rotate_master_key, verify_recording
from server.cli.options import AsJson, ConfigPath, DataDir, err, fail, out, run, settings_of
from server.cli.remote import URL, Url, ask, show
from server.client import ApiClient
from store import BlobError, Blobs, Store, StoreConfig

app = typer.Typer(no_args_is_help=True, help="Recordings of a running server.")
record_app = typer.Typer(no_args_is_help=True, help="Record a room of a running server.")


@app.command("list")
def recordings_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List recordings, newest first."""
    items = ask(url, config, data_dir, lambda client: client.all("/recordings"))
    if not as_json:
        items = [item | {"archive": _archived(item["archive"])} for item in items]
    show(items, ("id", "room", "state", "size_bytes", "archive", "reason"), as_json=as_json)


def _archived(archive: dict[str, Any] | None) -> str:
    """How far a recording is on its way to the archive, in a few words."""
    if archive is None:
        return ""
    if archive["state"] == "uploading" and archive["total_bytes"]:
        return f"{100 * archive['done_bytes'] // archive['total_bytes']} %"
    return f"{archive['state']}: {archive['reason']}" if archive["reason"] else str(archive["state"])


@app.command("archive")
def recordings_archive(
    recording: str,
    *,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds to wait for it")] = 600.0,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Wait until a finished recording is in the archive, with progress. Exit 1 when it is not in time."""

    async def follow(client: ApiClient) -> dict[str, Any]:
        path = f"/recordings/{client.part(recording)}"
        deadline = time.monotonic() + wait_s
        with Progress(console=err) as progress:
            task = progress.add_task("archiving")
            while True:
                archive = (await client.call("GET", path))["archive"]
                if archive is None:
                    fail("The recording is not finished, or the server has no [archive]", code=1)
                total, done = archive["total_bytes"], archive["done_bytes"]
                progress.update(task, total=total or None, completed=done, description=archive["state"])
                if archive["state"] in {"archived", "failed"} or time.monotonic() > deadline:
                    return dict(archive)
                await asyncio.sleep(0.5)

    archive = ask(url, config, data_dir, follow)
    if archive["state"] != "archived":
        fail(f"It is not archived: {_archived(archive)}", code=1)
    out.print("The recording is in the archive.")


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
            manifest = f"/recordings/{client.part(recording)}/files/manifest.json"
            await client.fetch(f"/api/v1{manifest}", folder / "manifest.json", lambda _: None)
            for item in items:
                target = folder / Path(str(item["name"])).name
                await client.fetch(str(item["url"]), target, lambda size: progress.advance(task, size))
        return len(items)

    folder.mkdir(parents=True, exist_ok=True)
    count = ask(url, config, data_dir, fetch)
    out.print(f"{count} files in {folder}")


@app.command("verify")
def recordings_verify(
    recording: Annotated[
        str, typer.Argument(help="A folder with manifest.json, or the id of a recording here")
    ],
    *,
    public_key: Annotated[str | None, typer.Option(help="Base64 of the key that must have signed it")] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Check a recording against its signed manifest.

    Exit 0 when every file is whole and none missing or extra. Exit 1 names what is damaged, missing or extra;
    exit 2 when there is no manifest that verifies. Without a data folder and a key the signature only shows
    that nothing was changed by accident.
    """
    settings = settings_of(config, server__data_dir=data_dir)
    here = settings.server.data_dir
    folder = Path(recording) if "/" in recording or Path(recording).is_dir() else _folder(here, recording)
    try:
        key = base64.b64decode(public_key, validate=True) if public_key is not None else None
    except ValueError:
        fail("The public key is not base64")

    async def check() -> Verification:
        is_own = here.is_dir() and folder.resolve().is_relative_to((here / "blobs").resolve())
        store = (
            await Store.open(StoreConfig(data_dir=here, is_read_only=True))
            if is_own or (key is None and here.is_dir())
            else None
        )
        try:
            with Progress(console=err) as progress:
                task = progress.add_task("verifying")
                return verify_recording(
                    folder,
                    store,
                    settings.recorder.settings(settings.archive),
                    key,
                    lambda done, total: progress.update(task, completed=done, total=total),
                )
        except ManifestInvalid as error:
            fail(str(error))
        finally:
            if store is not None:
                await store.close()

    found = run(check())
    for finding in found.findings:
        print(f"{finding.problem}: {finding.name}")
    if found.findings:
        fail(f"{len(found.findings)} of {found.files} files are not as the manifest says.", code=1)
    out.print(f"The recording verifies: {found.files} files, manifest version {found.manifest.version}.")


def _folder(data_dir: Path, recording: str) -> Path:
    try:
        return Blobs(data_dir / "blobs").path("recordings", recording)
    except BlobError:
        fail(f"{recording!r} is neither a folder nor the id of a recording")


@app.command("rotate-keys")
def recordings_rotate_keys(*, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Make a new master key and wrap the key of every person in every recording with it.

    The server must be stopped. May be run again after a crash.
    """
    settings = settings_of(config, server__data_dir=data_dir)

    async def rotate() -> int:
        store = await Store.open(StoreConfig(data_dir=settings.server.data_dir))
        try:
            return rotate_master_key(settings.recorder.settings(settings.archive), store)
        finally:
            await store.close()

    out.print(f"{run(rotate())} keys are wrapped with the new master key.")


@app.command("hold")
def recordings_hold(
    recording: str,
    *,
    reason: Annotated[str, typer.Option(help="Why it must be kept")],
    until: Annotated[datetime | None, typer.Option(help="When the hold ends by itself, UTC")] = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Place a legal hold: until it ends nothing deletes the recording. Prints the hold's id."""
    body: dict[str, Any] = {"reason": reason}
    if until is not None:
        body["until_ms"] = int(until.replace(tzinfo=UTC).timestamp() * 1000)
    path = "/recordings/{}/holds"
    made = ask(
        url, config, data_dir, lambda client: client.call("POST", path.format(client.part(recording)), body)
    )
    print(made["id"])


@app.command("holds")
def recordings_holds(
    recording: str,
    *,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the legal holds of a recording, ended ones too."""
    path = "/recordings/{}/holds"
    items = ask(url, config, data_dir, lambda client: client.all(path.format(client.part(recording))))
    show(items, ("id", "reason", "placed_by", "until_ms", "released_by"), as_json=as_json)


@app.command("release")
def recordings_release(
    recording: str, hold: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """End a legal hold; erasures that it delayed are carried out."""
    path = "/recordings/{}/holds/{}"
    ask(
        url,
        config,
        data_dir,
        lambda client: client.call("DELETE", path.format(client.part(recording), client.part(hold))),
    )
    out.print("The hold has ended.")


@app.command("render")
def recordings_render(
    recording: str,
    target: Path,
    *,
    layout: str = "grid",
    person: str = "",
    chat: str = "burned",
    use: str = "record",
    names: bool = True,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Compose a finished recording into one file (.mp4 or .webm), with progress, and fetch it."""

    async def render(client: ApiClient) -> int:
        base = f"/recordings/{client.part(recording)}/renditions"
        format_ = "webm" if target.suffix == ".webm" else "mp4"
        wish = {
            "format": format_,
            "layout": layout,
            "person": person,
            "chat": chat,
            "use": use,
            "names": names,
        }
        made = await _made(client, base, await client.call("POST", base, wish), "rendering")
        await client.fetch(str(made["url"]), target, lambda _: None)
        return int(made["size_bytes"])

    size_bytes = ask(url, config, data_dir, render)
    out.print(f"{target}: {size_bytes} bytes")


async def _made(client: ApiClient, base: str, made: Any, words: str) -> Any:
    """A rendition once it is finished, with a progress bar. Exits 1 when it cannot be made."""
    with Progress(console=err) as progress:
        task = progress.add_task(words, total=1.0)
        while made["state"] in {"queued", "rendering"}:
            progress.update(task, completed=float(made["progress"]), description=str(made["state"]))
            await asyncio.sleep(0.5)
            made = await client.call("GET", f"{base}/{made['id']}")
        progress.update(task, completed=1.0)
    if made["state"] != "finished":
        err.print(f"The rendition could not be made: {made['reason']}")
        raise typer.Exit(1)
    return made


@app.command("own")
def recordings_own(
    recording: str,
    person: Annotated[str, typer.Argument(help="An id of the manifest")],
    folder: Path,
    *,
    source: Annotated[str, typer.Option(help="camera or screen; its sound comes with it")] = "camera",
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Fetch one person's own parts, put together as they were published, into a folder."""

    async def fetch(client: ApiClient) -> Path:
        base = f"/recordings/{client.part(recording)}/renditions"
        wish = {"layout": "copy", "person": person, "source": source}
        made = await _made(client, base, await client.call("POST", base, wish), "putting together")
        target = folder / f"{person}-{source}.{made['format']}"
        await client.fetch(str(made["url"]), target, lambda _: None)
        return target

    folder.mkdir(parents=True, exist_ok=True)
    target = ask(url, config, data_dir, fetch)
    out.print(f"{target}: {target.stat().st_size} bytes", soft_wrap=True)


@app.command("link")
def recordings_link(
    recording: str,
    *,
    ttl_s: Annotated[int, typer.Option(help="How long it serves: 60 to 86400")] = 86_400,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link of a recording's page for viewers: they see those who agreed to a replay."""
    path, body = "/recordings/{}/links", {"ttl_s": ttl_s}
    made = ask(
        url, config, data_dir, lambda client: client.call("POST", path.format(client.part(recording)), body)
    )
    print(made["url"])


@record_app.command("start")
def record_start(room: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Record a room; everyone in it is told. Prints the recording's id."""
    made = ask(url, config, data_dir, lambda client: client.call("POST", "/recordings", {"room": room}))
    print(made["id"])


@record_app.command("pause")
def record_pause(
    recording: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Keep nothing of a running recording from now on; everyone in the room is told."""
    print(_post(recording, "pause", url, config, data_dir))


@record_app.command("resume")
def record_resume(
    recording: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Go on with a paused recording."""
    print(_post(recording, "resume", url, config, data_dir))


@record_app.command("stop")
def record_stop(
    recording: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Stop a recording."""
    print(_post(recording, "stop", url, config, data_dir))


def _post(recording: str, verb: str, url: str, config: Path | None, data_dir: Path | None) -> str:
    """Do something with a recording; the state that it is in then."""

    async def post(client: ApiClient) -> str:
        made = await client.call("POST", f"/recordings/{client.part(recording)}/{verb}")
        return str(made["state"])

    return ask(url, config, data_dir, post)
