"""The `parley` command: one module for each group of subcommands."""

import typer

from server.cli import bench, broadcast, config, consent, doctor, recordings, rooms, serve, sites, token

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Parley: a real-time media server.",
)
app.command()(serve.serve)
app.command()(token.token)
app.add_typer(rooms.app, name="rooms")
app.add_typer(recordings.app, name="recordings")
app.add_typer(recordings.record_app, name="record")
app.add_typer(broadcast.app, name="broadcast")
app.add_typer(sites.partners_app, name="partners")
app.add_typer(sites.destinations_app, name="destinations")
app.add_typer(consent.app, name="consent")
app.add_typer(config.app, name="config")
app.command()(doctor.doctor)
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Run the command."""
    app()
