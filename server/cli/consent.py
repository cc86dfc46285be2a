"""`parley consent`: the ledger, and withdrawal."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from server.cli.options import AsJson, ConfigPath, DataDir, err, fail, out, run, settings_of
from server.cli.remote import URL, Url, ask, show
from server.config import Config
from store import LedgerReport, Store, StoreConfig

app = typer.Typer(no_args_is_help=True, help="The consent ledger, and withdrawal of what was recorded.")


@app.command("verify")
def consent_verify(*, config: ConfigPath = None, data_dir: DataDir = None) -> None:
    """Check every row of the consent ledger, its chain and its anchor; exit 1 when it does not verify."""
    report = run(_report(settings_of(config, server__data_dir=data_dir)))
    if not report.is_verified:
        fail(f"The ledger does not verify: {report.problem}", code=1)
    out.print(f"The ledger verifies: {report.rows} rows.")


@app.command("export")
def consent_export(
    *,
    output: Annotated[Path | None, typer.Option(help="File to write; default is standard output")] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Write the consent ledger as JSON lines; together they verify without the database."""
    settings = settings_of(config, server__data_dir=data_dir)

    async def export() -> None:
        store = await _read_only(settings)
        try:
            total = await store.ledger.size()
            with Progress(console=err, disable=output is None) as progress:
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

    run(export())


@app.command("anchor")
def consent_anchor(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Trust the ledger as it is: its anchor was lost, or a backup was restored on purpose.

    The server must be stopped. The rows and their chain must verify; what is given up is the proof that none
    are missing at the end: compare with an export that is kept elsewhere.
    """
    settings = settings_of(config, server__data_dir=data_dir)
    before = run(_report(settings))
    if before.is_verified:
        out.print(f"The ledger verifies: {before.rows} rows. There is nothing to do.")
        return
    err.print(f"The ledger does not verify: {before.problem}. {before.rows} rows are chained.")
    if not yes:
        typer.confirm("Trust it as it is now?", abort=True, err=True)

    async def anchor() -> LedgerReport:
        store = await Store.open(StoreConfig(data_dir=settings.server.data_dir))
        try:
            return await store.ledger.anchor_again()
        finally:
            await store.close()

    report = run(anchor())
    out.print(f"The ledger is anchored at row {report.rows}: {report.head.hash}", soft_wrap=True)


@app.command("withdraw")
def consent_withdraw(
    *,
    identity: Annotated[str, typer.Option(help="Whose media and chat are to be removed")],
    room: Annotated[str | None, typer.Option(help="Only from recordings of this room")] = None,
    recording: Annotated[str | None, typer.Option(help="Only from this recording")] = None,
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
) -> None:
    """Have a person removed from recordings, on their behalf. Prints the recordings that may hold them."""
    named = {"identity": identity, "room": room, "recording": recording}
    body = {key: value for key, value in named.items() if value is not None}
    answer = ask(url, config, data_dir, lambda client: client.call("POST", "/consents/withdrawals", body))
    for name in answer["recordings"]:
        print(name)


@app.command("erasures")
def consent_erasures(
    *,
    identity: Annotated[str, typer.Option(help="Whose withdrawals")],
    url: Url = URL,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell what came of a person's withdrawals, recording by recording, composed files of each included."""
    path = "/consents/withdrawals?identity={}"
    found = ask(url, config, data_dir, lambda client: client.call("GET", path.format(client.part(identity))))
    items = found["items"]
    if not as_json:
        items = [{**item, "copies": [_copy_words(copy) for copy in item["copies"]]} for item in items]
    show(items, ("recording", "outcome", "at_ms", "copies"), as_json=as_json)


def _copy_words(copy: dict[str, Any]) -> str:
    return f"{copy['rendition']} {copy['outcome']} ({len(copy['files'])} files)"


async def _report(settings: Config) -> LedgerReport:
    store = await _read_only(settings)
    try:
        return store.ledger.report
    finally:
        await store.close()


async def _read_only(settings: Config) -> Store:
    return await Store.open(StoreConfig(data_dir=settings.server.data_dir, is_read_only=True))
