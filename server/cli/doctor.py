"""`parley doctor`."""

import json

import typer
from rich.table import Table
from rich.text import Text

from server.cli.options import AsJson, ConfigPath, DataDir, out, run, settings_of
from server.doctor import Finding, examine


def doctor(*, config: ConfigPath = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Look whether this machine can run Parley: ports, addresses, core, codecs, disk, clock, ledger."""
    settings = settings_of(config, server__data_dir=data_dir)
    findings = run(examine(settings))
    if as_json:
        print(json.dumps([finding.plain() for finding in findings], indent=2))
    else:
        out.print(_doctor_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def _doctor_table(findings: list[Finding]) -> Table:
    styles = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table("", "what", "found", "what to do", header_style="bold")
    for finding in findings:
        mark = Text(finding.verdict, style=styles[finding.verdict])
        table.add_row(mark, finding.what, finding.found, finding.advice)
    return table
