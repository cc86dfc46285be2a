"""`parley doctor`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.options import AsJson, ConfigPath, DataDir, out, run, settings_of
from server.logging import configure

if TYPE_CHECKING:
    from server.doctor import Finding


def doctor(
    *,
    config: ConfigPath = None,
    host: Annotated[str | None, typer.Option(help="Address that HTTP listens on")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port of HTTP")] = None,
    media_port: Annotated[int | None, typer.Option(help="UDP port of the first worker")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Look whether this machine can run Parley, or runs it well: ports, addresses, calls, TURN, disk, clock.

    Calls go through the server that runs with these settings, or else through a media plane of its own. Ends
    with 1 when something is bad.
    """
    settings = settings_of(
        config, server__host=host, server__port=port, media__port=media_port, server__data_dir=data_dir
    )
    configure("error", "console", sys.stderr)
    # Loaded here: the other commands need no media plane, and no PyAV.
    from server.doctor import examine  # noqa: PLC0415

    findings = run(examine(settings))
    if as_json:
        print(json.dumps([finding.plain() for finding in findings], indent=2))
    else:
        out.print(_doctor_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def _doctor_table(findings: "list[Finding]") -> Table:
    styles = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table("", "what", "found", "what to do", header_style="bold")
    for finding in findings:
        mark = Text(finding.verdict, style=styles[finding.verdict])
        # As text: brackets of addresses and options are no markup.
        table.add_row(mark, *map(Text, (finding.what, finding.found, finding.advice)))
    return table
