"""`parley config`: check, show, reference."""

import json
from dataclasses import fields
from pathlib import Path

import typer

from server.cli.options import ConfigPath, fail, out, settings_of
from server.config import check, sections_of
from server.reference import reference

app = typer.Typer(no_args_is_help=True, help="The configuration.")


@app.command("check")
def config_check(*, config: ConfigPath = None) -> None:
    """Look at the configuration without serving; every problem at once."""
    settings = settings_of(config)
    problems = check(settings)
    if problems:
        fail(*problems)
    out.print("The configuration is fine.")


@app.command("show")
def config_show(*, config: ConfigPath = None) -> None:
    """Print what is in force, as TOML without secrets."""
    settings = settings_of(config)
    for section in sections_of():
        print(f"[{section.name}]")
        values = getattr(settings, section.name)
        for item in fields(values):
            value = getattr(values, item.name)
            if item.metadata["is_secret"] and value:
                value = "[masked]"
            if value is not None:
                shown = (
                    list(value)
                    if isinstance(value, tuple)
                    else str(value)
                    if isinstance(value, Path)
                    else value
                )
                print(f"{item.name} = {json.dumps(shown)}")
        print()
    for key in settings.keys:
        print(f"[[keys]]\nid = {json.dumps(key.id)}\nalg = {json.dumps(key.alg)}\n")


@app.command("reference")
def config_reference() -> None:
    """Print docs/configuration.md."""
    print(reference(), end="")
