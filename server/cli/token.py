"""`parley token`."""

import time
from typing import Annotated

import typer

from policy import DEFAULT_TERMS, Permission, Use, parse_permissions
from server.cli.options import ConfigPath, DataDir, fail, run, settings_of, signing_key
from server.config import Config
from server.devkey import DevKeyError
from signaling import TokenError, VouchedTerms, join_url, mint
from store import Store, StoreConfig, StoreError


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
    settings = settings_of(config, server__data_dir=data_dir)
    try:
        permissions = parse_permissions(grant or ["publish", "subscribe", "chat"]) | {Permission.JOIN}
        terms = None
        if use or terms_version:
            version = terms_version or run(_current_terms(settings))
            terms = VouchedTerms(version, frozenset(Use(item) for item in use or ()))
        made = mint(
            signing_key(settings, key_id),
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
        fail(str(error))
    except Exception as error:
        if getattr(error, "code", None) is None:
            raise
        fail(str(error))
    print(join_url(link.rstrip("/"), room, made) if link else made)


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
