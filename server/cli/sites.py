"""`parley partners` and `parley destinations`: the sites that broadcasts go to."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import AsJson, ConfigPath, DataDir, fail
from server.cli.remote import URL, Url, ask, show

partners_app = typer.Typer(no_args_is_help=True, help="Partner sites of a running server, with their terms.")
destinations_app = typer.Typer(no_args_is_help=True, help="Places at partner sites that broadcasts go to.")


@partners_app.command("add")
def partners_add(
    site: Annotated[str, typer.Argument(help="Its host name, such as partner.example")],
    *,
    policy_url: Annotated[str, typer.Option(help="Address of its privacy policy")],
    terms_version: Annotated[str, typer.Option(help="Version of the terms that it accepted")],
    use: Annotated[list[str], typer.Option(help="live or replay; may be given again")],
    name: Annotated[str | None, typer.Option(help="As people are told; the host name if not given")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may embed rooms; may be given again")
    ] = None,
    takedown_url: Annotated[str | None, typer.Option(help="Where it takes takedown notices")] = None,
    begins: Annotated[datetime | None, typer.Option("--from", help="When its terms begin, UTC")] = None,
    until: Annotated[datetime | None, typer.Option(help="When they end, UTC")] = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Register a partner site with the uses that its terms cover. Prints its id."""
    body = {
        "name": name or site,
        "site": site,
        "policy_url": policy_url,
        "uses": use,
        "terms_version": terms_version,
        "origins": origin or [],
        "takedown_url": takedown_url,
        "from_ms": _unix_ms(begins) or 0,
        "until_ms": _unix_ms(until),
    }
    print(ask(url, config, data_dir, lambda client: client.call("POST", "/partners", body))["id"])


@partners_app.command("change")
def partners_change(
    partner: str,
    *,
    policy_url: Annotated[str | None, typer.Option(help="Address of its privacy policy")] = None,
    terms_version: Annotated[str | None, typer.Option(help="Version of the terms that it accepted")] = None,
    use: Annotated[list[str] | None, typer.Option(help="live or replay; may be given again")] = None,
    name: Annotated[str | None, typer.Option(help="As people are told")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may embed rooms; may be given again")
    ] = None,
    takedown_url: Annotated[
        str | None, typer.Option(help="Where it takes takedown notices; empty for nowhere")
    ] = None,
    begins: Annotated[datetime | None, typer.Option("--from", help="When its terms begin, UTC")] = None,
    until: Annotated[datetime | None, typer.Option(help="When they end, UTC")] = None,
    no_end: Annotated[bool, typer.Option("--no-end", help="They have no end")] = False,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Change what a partner agreed to; what its terms no longer cover ends at once."""
    given = {
        "policy_url": policy_url,
        "terms_version": terms_version,
        "uses": use or None,
        "name": name,
        "origins": origin or None,
        "from_ms": _unix_ms(begins),
        "until_ms": _unix_ms(until),
    }
    body: dict[str, object] = {field: value for field, value in given.items() if value is not None}
    if takedown_url is not None:
        body["takedown_url"] = takedown_url or None
    if no_end:
        body["until_ms"] = None
    path = "/partners/{}"
    ask(url, config, data_dir, lambda client: client.call("PATCH", path.format(client.part(partner)), body))
    print("changed")


@partners_app.command("list")
def partners_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List partner sites."""
    items = ask(url, config, data_dir, lambda client: client.all("/partners"))
    show(items, ("id", "name", "site", "uses", "terms_version", "blocked"), as_json=as_json)


@partners_app.command("block")
def partners_block(
    partner: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """The kill switch: everything that goes to this partner ends at once, and nothing new begins."""
    _turn(url, config, data_dir, partner, "block")
    print("blocked")


@partners_app.command("unblock")
def partners_unblock(
    partner: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Allow a blocked partner again; what was ended stays ended."""
    _turn(url, config, data_dir, partner, "unblock")
    print("allowed")


@partners_app.command("remove")
def partners_remove(
    partner: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Remove a partner site without destinations."""
    ask(url, config, data_dir, lambda client: client.call("DELETE", f"/partners/{client.part(partner)}"))


@destinations_app.command("add")
def destinations_add(
    partner: str,
    kind: Annotated[str, typer.Argument(help="rtmp, srt, whip or hls")],
    address: Annotated[str | None, typer.Argument(help="Its URL; none for hls")] = None,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called; its kind if not given")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file with the stream key, stream id or token; - reads stdin")
    ] = None,
    room: Annotated[
        list[str] | None, typer.Option(help="A room that may use it; may be given again; all if not given")
    ] = None,
    delay_s: Annotated[float, typer.Option(help="How long everything is held back, 0 to 30")] = 0.0,
    encoding: Annotated[
        list[str] | None,
        typer.Option(
            help="How it wants the picture, such as height=360,fps=15,video_bps=600000,codec=h264; "
            "as configured if not given, may be given again for hls"
        ),
    ] = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Register a destination; its key is encrypted and never told again. Prints its id."""
    body = {
        "name": name or kind,
        "partner": partner,
        "kind": kind,
        "url": address,
        "key": _key(key_file),
        "rooms": room or [],
        "delay_s": delay_s,
        "encodings": [_encoding(text) for text in encoding or []],
    }
    print(ask(url, config, data_dir, lambda client: client.call("POST", "/destinations", body))["id"])


def _encoding(text: str) -> dict[str, str | int]:
    """One `--encoding`; whether it can be made is the server's to say."""
    fields: dict[str, str | int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name == "codec" and value:
            fields[name] = value
        elif name in {"height", "fps", "video_bps"} and value.isascii() and value.isdigit():
            fields[name] = int(value)
        else:
            fail(f"--encoding {text}: write height, fps, video_bps or codec, as height=360,codec=h264")
    return fields


@destinations_app.command("list")
def destinations_list(
    *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List registered destinations; never their keys."""
    items = ask(url, config, data_dir, lambda client: client.all("/destinations"))
    show(items, ("id", "name", "site", "kind", "shown_url", "key_hint", "delay_s"), as_json=as_json)


@destinations_app.command("remove")
def destinations_remove(
    destination: str, *, url: Url = URL, config: ConfigPath = None, data_dir: DataDir = None
) -> None:
    """Remove a destination that no broadcast uses."""
    path = "/destinations/{}"
    ask(url, config, data_dir, lambda client: client.call("DELETE", path.format(client.part(destination))))


def _turn(url: str, config: ConfigPath, data_dir: DataDir, partner: str, switch: str) -> None:
    path = "/partners/{}/{}"
    ask(
        url,
        config,
        data_dir,
        lambda client: client.call("POST", path.format(client.part(partner), switch)),
    )


def _unix_ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.replace(tzinfo=UTC).timestamp() * 1000)


def _key(path: Path | None) -> str | None:
    """A secret from a file, so that it stands on no command line."""
    if path is None:
        return None
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"The key file cannot be read: {error}")
    return text.strip()
