"""`parley bench`: what this machine carries. Needs no running server: each command starts its own."""

import typer

from server.cli.bench import costs, others, people, programs, where

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure what forwarding costs on this machine.")
app.command("load")(costs.bench_load)
app.command("limit")(costs.bench_limit)
app.command("saturate")(costs.bench_saturate)
app.command("latency")(costs.bench_latency)
app.command("workers")(costs.bench_workers)
app.command("profile")(where.bench_profile)
app.command("storm")(people.bench_storm)
app.command("revocation")(people.bench_revocation)
app.command("offsets")(people.bench_offsets)
app.command("soak")(people.bench_soak)
app.command("program")(programs.bench_program)
app.command("recorder")(programs.bench_recorder)
app.command("kills")(programs.bench_kills)
app.command("faults")(programs.bench_faults)
compare_app = typer.Typer(no_args_is_help=True, help="The same load on another server, side by side.")
compare_app.command("janus")(others.bench_compare_janus)
app.add_typer(compare_app, name="compare")
