"""What the doctor says of a machine that is well, and of each thing that can be wrong with one."""

import contextlib
import dataclasses
import json
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from server.config import Config
from server.doctor import Finding, examine, machine, ports, services, turn
from server.doctor import calls as calls_of
from server.doctor.finding import Check, Patient
from server.sections import (
    ArchiveSection,
    ClusterSection,
    IceSection,
    MediaSection,
    RecorderSection,
    ServerSection,
)
from sfu.engine import srtp_table
from sfu.probe import call
from store import Store, StoreConfig
from tests.browser.parley import free_port, serve
from tests.server.command import parley
from tests.store.test_ledger import entry, tamper
from tests.support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, VERSIONED, S3Server


def config(data_dir: Path, **sections: dict[str, Any]) -> Config:
    """A server on loopback, with ports that are free."""
    server = {"port": free_port(), "data_dir": data_dir, **sections.get("server", {})}
    media = {"port": 0, "tcp_port": free_port(), "workers": 2, "bind": ("127.0.0.1",)}
    return Config(
        server=ServerSection(**server),
        media=MediaSection(**{**media, **sections.get("media", {})}),
        ice=IceSection(**sections.get("ice", {})),
        cluster=ClusterSection(**sections.get("cluster", {})),
    )


@contextlib.contextmanager
def held(kind: socket.SocketKind) -> Iterator[int]:
    """A port that another program has."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen(1)
        yield taken.getsockname()[1]


async def look(check: Check, settings: Config) -> Finding:
    return await check(Patient(settings, ""))


def is_bad(finding: Finding, *words: str) -> None:
    assert finding.verdict == "bad", finding
    assert finding.advice
    for word in words:
        assert word in f"{finding.found} {finding.advice}", finding


async def test_a_machine_that_is_well_carries_calls_by_udp_and_tcp(tmp_path: Path) -> None:
    findings = {finding.what: finding for finding in await examine(config(tmp_path))}
    assert len(findings) >= 20
    assert not [finding for finding in findings.values() if finding.verdict == "bad"]
    for what in ("call by UDP", "call by ICE-TCP"):
        assert findings[what].verdict == "good", findings[what]
        assert findings[what].found.count("127.0.0.1:") == 2  # each worker
        assert "ms through" in findings[what].found


async def test_calls_go_through_the_server_that_runs(tmp_path: Path) -> None:
    environment = {"PARLEY_MEDIA_TCP_PORT": str(free_port()), "PARLEY_MEDIA_BIND": "127.0.0.1"}
    async with serve(tmp_path, environment=environment) as running:
        port = running.url.rpartition(":")[2]
        code, out = await parley(
            "doctor", "--json", "--port", port, "--data-dir", str(tmp_path), **environment
        )
        assert code == 0, out
        findings = {finding["what"]: finding for finding in json.loads(out)}
        assert findings["HTTP port"]["found"] == f"a Parley serves {running.url}"
        for what in ("call by UDP", "call by ICE-TCP"):
            assert findings[what]["verdict"] == "good", findings[what]
            assert "ms through" in findings[what]["found"]
        status, rooms = await running.api("GET", "/rooms")
        assert (status, rooms["items"][0]["participants"]) == (200, 0)


async def test_a_finding_that_is_bad_ends_the_command_with_1(tmp_path: Path) -> None:
    with held(socket.SOCK_STREAM) as port:
        code, out = await parley(
            *("doctor", "--json", "--port", str(port), "--media-port", str(free_port(socket.SOCK_DGRAM))),
            *("--data-dir", str(tmp_path)),
            PARLEY_MEDIA_TCP_PORT="0",
        )
    assert code == 1
    bad = [finding["what"] for finding in json.loads(out) if finding["verdict"] == "bad"]
    assert bad == ["HTTP port"]


async def test_ports_that_others_have_are_named_with_the_option_that_chooses_another(tmp_path: Path) -> None:
    with held(socket.SOCK_STREAM) as port:
        is_bad(await look(ports.http, config(tmp_path, server={"port": port})), str(port), "--port")
        taken = config(tmp_path, media={"tcp_port": port})
        is_bad(await look(ports.media_tcp, taken), str(port), "media.tcp_port")
        is_bad(await look(calls_of.by_tcp, taken), "no TCP candidate")
        assert (await look(calls_of.by_udp, taken)).verdict == "good"
    with held(socket.SOCK_DGRAM) as port:
        taken = config(tmp_path, media={"port": port, "workers": 1})
        is_bad(await look(ports.media_udp, taken), str(port), "--media-port")
        is_bad(await look(calls_of.by_udp, taken), "does not start")


async def test_addresses_that_cannot_serve_are_told(tmp_path: Path) -> None:
    strange = config(tmp_path, media={"bind": ("192.0.2.1",), "port": free_port(socket.SOCK_DGRAM)})
    is_bad(await look(ports.media_udp, strange), "192.0.2.1", "media.bind")
    is_bad(
        await look(ports.addresses, config(tmp_path, media={"announce": ("192.0.2.1", "192.0.2.2")})),
        "2 announced, 1 bound",
    )
    alone = await look(ports.addresses, config(tmp_path))
    assert (alone.verdict, "only this machine" in alone.advice) == ("note", True)
    private = config(tmp_path, server={"host": "0.0.0.0"}, media={"bind": ("10.0.0.5",)})
    inside = await look(ports.addresses, private)
    assert (inside.verdict, "media.announce" in inside.advice) == ("note", True)


async def test_an_announced_address_that_does_not_lead_back_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From inside nobody can know more: a NAT need not lead its own side back in."""
    monkeypatch.setattr(call, "_CONNECT_S", 0.5)
    settings = config(tmp_path, media={"announce": ("127.0.0.77",), "bind": ("127.0.0.1",), "workers": 1})
    finding = await look(calls_of.by_udp, settings)
    assert (finding.verdict, "127.0.0.77" in finding.found) == ("note", True), finding
    assert "NAT" in finding.advice


async def test_files_and_services_that_are_named_but_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    is_bad(await look(machine.data, config(tmp_path / "file" / "data")), "--data-dir")
    missing = {"tls_cert": tmp_path / "no.pem", "tls_key": tmp_path / "no.key"}
    is_bad(await look(services.certificate, config(tmp_path, server=missing)), "no.pem")
    dead = config(tmp_path, cluster={"redis": f"redis://127.0.0.1:{free_port()}"})
    is_bad(await look(services.redis, dead), "does not answer", "cluster.redis")


@pytest.mark.shares("the S3 server, and the client's connections to it")
async def test_a_bucket_is_tried_and_one_that_keeps_versions_is_told(tmp_path: Path) -> None:
    server = S3Server(tmp_path / "swift")

    def bucket(name: str, *, encrypt: bool = True) -> Config:
        section = ArchiveSection(
            bucket=name,
            endpoint=server.endpoint,
            allow_http=True,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
        )
        recorder = RecorderSection(encrypt=encrypt)
        return dataclasses.replace(config(tmp_path), archive=section, recorder=recorder)

    is_bad(await look(services.archive, bucket(BUCKET)), "cannot be used", "ListBucket")
    server.start()
    try:
        assert (await look(services.archive, bucket(BUCKET))).verdict == "good"
        is_bad(await look(services.archive, bucket("nothing")), "s3://nothing/parley", "PutObject")
        noted = await look(services.archive, bucket(VERSIONED))
        assert (noted.verdict, "keeps old versions" in noted.found) == ("note", True)
        is_bad(await look(services.archive, bucket(VERSIONED, encrypt=False)), "not encrypted")
    finally:
        server.stop()


async def test_a_ledger_that_was_changed_is_bad(tmp_path: Path) -> None:
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    await store.ledger.append(entry("u_a"), entry("u_b"))
    await store.close()
    assert (await look(services.ledger, config(tmp_path))).found == "2 rows verify"
    tamper(tmp_path, "UPDATE ledger SET person = 'u_z' WHERE seq = 1")
    is_bad(await look(services.ledger, config(tmp_path)), "row 1 was changed", "backup")


async def test_parts_that_are_not_installed_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"aac"})
    is_bad(await look(machine.codecs, config(tmp_path)), "libx264", "PyAV's wheel")
    monkeypatch.setitem(sys.modules, "sfu.engine._core", None)
    is_bad(await look(machine.core, config(tmp_path)), "pip install")


async def test_wrong_srtp_answers_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp_table, "_GCM_ANSWER", bytes(len(srtp_table._GCM_ANSWER)))
    is_bad(await look(machine.srtp, config(tmp_path)), "known-answer")
    is_bad(await look(calls_of.by_udp, config(tmp_path)), "does not start")


@pytest.mark.parametrize(
    ("cipher", "architecture", "verdict"),
    [
        ("intel-ipsec-mb 1.3.0", "x86_64", "good"),
        ("libsrtp", "x86_64", "note"),
        ("libsrtp", "aarch64", "good"),
    ],
)
async def test_the_cipher_of_media_is_named_and_a_slower_one_than_the_machine_could_have_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cipher: str, architecture: str, verdict: str
) -> None:
    monkeypatch.setattr(machine, "gcm_implementation", lambda: cipher)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    finding = await look(machine.srtp, config(tmp_path))
    assert finding.verdict == verdict
    assert finding.found.endswith(f"AES-GCM by {cipher}")
    assert ("libipsec-mb-dev" in finding.advice) == (verdict == "note")


async def test_the_cipher_of_media_is_the_librarys_where_there_is_one(tmp_path: Path) -> None:
    cipher = "intel-ipsec-mb" if platform.machine() == "x86_64" else "libsrtp"
    finding = await look(machine.srtp, config(tmp_path))
    assert (finding.verdict, f"AES-GCM by {cipher}" in finding.found) == ("good", True), finding


async def test_scarce_resources_are_notes_with_the_command_that_gives_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    try:
        files = await look(machine.descriptors, config(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monkeypatch.setattr(machine, "_kernel_limit", lambda _path: 212_992)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 1 << 20))
    found = [
        files,
        await look(machine.receive_buffer, config(tmp_path)),
        await look(machine.send_buffer, config(tmp_path)),
        await look(machine.disk, config(tmp_path)),
    ]
    assert [finding.verdict for finding in found] == ["note"] * 4
    for finding, word in zip(found, ("ulimit", "rmem_max", "wmem_max", "room"), strict=True):
        assert word in finding.advice


async def test_a_clock_that_is_wrong_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_is_synchronised", lambda: False)
    assert (await look(machine.clock, config(tmp_path))).verdict == "note"
    epoch = time.gmtime(0)
    monkeypatch.setattr(machine.time, "gmtime", lambda: epoch)
    is_bad(await look(machine.clock, config(tmp_path)), "1970")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("turn:127.0.0.1:{port}?transport=tcp", ("refused", "start it")),
        ("turn:127.0.0.1:{port}?transport=udp", ("UDP",)),
        ("turn:turn.invalid:3478", ("ice.urls",)),
        ("turn:", ("is not like", "ice.urls")),
        ("stun:127.0.0.1:{port}", ("no answer", "firewall")),
    ],
)
async def test_turn_servers_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(turn, "_PATIENCE_S", 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        text = url.format(port=silent.getsockname()[1])
        settings = config(tmp_path, ice={"urls": (text,), "secret": "s"})
        is_bad(await look(turn.relays, settings), *words)


def test_a_url_is_read_as_browsers_read_it() -> None:
    cases = {
        "stun:stun.example": ("stun", "stun.example", 3478, "udp"),
        "turn:192.0.2.1:99?transport=tcp": ("turn", "192.0.2.1", 99, "tcp"),
        "turns:[2001:db8::1]": ("turns", "2001:db8::1", 5349, "tcp"),
        "turns:[2001:db8::1]:443?transport=tcp": ("turns", "2001:db8::1", 443, "tcp"),
    }
    for text, parts in cases.items():
        assert dataclasses.astuple(turn.parse_url(text)) == parts
    for text in ("http://x", "turn:x?transport=sctp", "turn:x:port", ""):
        with pytest.raises(ValueError, match="is not like"):
            turn.parse_url(text)
