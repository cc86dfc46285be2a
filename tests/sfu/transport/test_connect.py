"""ICE and DTLS together, in memory: our end behind the rule that DTLS comes from bound addresses only."""

import asyncio
import random
import struct

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from sfu.sdp import CodecPolicy, Fingerprint, LocalTransport, answer_publish, parse
from sfu.transport import (
    BindPath,
    Dtls,
    DtlsConnected,
    DtlsFailed,
    DtlsState,
    IceClient,
    IceConnected,
    IceLite,
    SendDtls,
    SendStun,
    UnbindPath,
    credentials,
    host_candidates,
)
from sfu.wire import DatagramKind, classify
from tests.sfu.sdp.descriptions import capture
from tests.sfu.transport.associations import client_identity, server, server_identity

_PEER, _STRANGER = ("192.0.2.1", 5000), ("203.0.113.66", 6666)
_RTP = struct.pack("!BBHII", 0x80, 96, 1, 2, 3) + b"payload"


class Endpoint:
    """Our side of one peer, with the core's door: length, kind, bound address."""

    def __init__(self, ice: IceLite, dtls: Dtls):
        self.ice, self.dtls = ice, dtls
        self.bound: set[tuple[str, int]] = set()
        self.out: list[tuple[tuple[str, int], bytes]] = []
        self.events: list[object] = []

    def receive(self, data: bytes, source: tuple[str, int], now: float = 0.0) -> None:
        match classify(data):
            case DatagramKind.STUN:
                self.ice.receive(data, 0, *source, now)
            case DatagramKind.DTLS if source in self.bound:
                self.dtls.receive(data, now)
        for effect in self.ice.poll():
            match effect:
                case SendStun():
                    self.out.append(((effect.ip, effect.port), effect.data))
                case BindPath():
                    self.bound.add((effect.ip, effect.port))
                case UnbindPath():
                    self.bound.discard((effect.ip, effect.port))
                case _:
                    self.events.append(effect)
        for effect in self.dtls.poll():
            if isinstance(effect, SendDtls):
                assert self.ice.selected is not None
                self.out.append((self.ice.selected[1:3], effect.data))
            else:
                self.events.append(effect)


class Client:
    """A peer of our own parts."""

    def __init__(self, ice: IceClient, dtls: Dtls):
        self.ice, self.dtls = ice, dtls
        self.events: list[object] = []

    def run(self, now: float = 0.0) -> list[bytes]:
        out = []
        self.ice.tick(now)
        for effect in self.ice.poll():
            if isinstance(effect, SendStun):
                out.append(effect.data)
            else:
                self.events.append(effect)
                if isinstance(effect, IceConnected):
                    self.dtls.start(now)
        for effect in self.dtls.poll():
            if isinstance(effect, SendDtls):
                out.append(effect.data)
            else:
                self.events.append(effect)
        return out

    def receive(self, data: bytes, now: float = 0.0) -> None:
        if classify(data) is DatagramKind.STUN:
            self.ice.receive(data, 0, "198.51.100.7", 7882, now)
        else:
            self.dtls.receive(data, now)


def _negotiated(offer_name="chromium-offer-sendonly-av"):
    """Both sides from a captured offer with our client's credentials, and our answer to it."""
    rng = random.Random(3)
    theirs, ours = credentials(rng), credentials(rng)
    offer = capture(offer_name)
    media = parse(offer).media[0]
    offer = offer.replace(media.ice_ufrag, theirs[0]).replace(media.ice_pwd, theirs[1])
    offer = offer.replace(media.fingerprints[0].value, client_identity().fingerprint.value)
    candidates = host_candidates([("198.51.100.7", 7882)])
    local = LocalTransport(*ours, server_identity().fingerprint, candidates, 1)
    result = answer_publish(offer, CodecPolicy(), local)
    answered = parse(result.answer).media[0]
    role = result.remote.dtls_role
    endpoint = Endpoint(
        IceLite(ufrag=ours[0], pwd=ours[1], now=0.0),
        Dtls(server_identity(), role, result.remote.fingerprints, 0.0),
    )
    client = Client(
        IceClient(
            local=theirs,
            remote=(answered.ice_ufrag, answered.ice_pwd),
            socket=0,
            ip="198.51.100.7",
            port=7882,
            rng=rng,
            now=0.0,
        ),
        Dtls(client_identity(), "client" if role == "server" else "server", answered.fingerprints, 0.0),
    )
    return endpoint, client


def _connect(endpoint, client, *, meanwhile=lambda _moment: None, rounds=30):
    for moment in range(rounds):
        meanwhile(moment)
        sent = client.run()
        for data in sent:
            endpoint.receive(data, _PEER)
        back, endpoint.out = endpoint.out, []
        for address, data in back:
            assert address == _PEER
            client.receive(data)
        if not sent and not back:
            break


@pytest.mark.parametrize(
    "offer", ["chromium-offer-sendonly-av", "firefox-offer-simulcast-3rid", "gstreamer-1.22-webrtcbin-offer"]
)
def test_from_an_offer_to_srtp_both_ways(offer):
    endpoint, client = _negotiated(offer)
    _connect(endpoint, client)
    assert [type(event) for event in endpoint.events] == [IceConnected, DtlsConnected]
    ours, theirs = endpoint.dtls.sessions(), client.dtls.sessions()
    assert ours.rx.unprotect(theirs.tx.protect(_RTP)) == _RTP
    assert theirs.rx.unprotect(ours.tx.protect(_RTP)) == _RTP


def test_ffmpegs_default_makes_us_the_dtls_client():
    endpoint, client = _negotiated("ffmpeg-8.1.2-whip-offer")
    assert endpoint.dtls.role == "client"
    client.dtls.start(0.0)

    def begin(_moment):
        if endpoint.ice.selected is not None:
            endpoint.dtls.start(0.0)
            endpoint.receive(b"", _PEER)

    _connect(endpoint, client, meanwhile=begin)
    assert endpoint.dtls.state is client.dtls.state is DtlsState.CONNECTED


def test_empty_and_broken_datagrams_of_strangers_change_nothing():
    """F1, F3 and row 2 of the threat model: before, during and after the handshake."""
    endpoint, client = _negotiated()
    rng = random.Random(9)
    junk = [b"", b"\0", b"\x16", b"\x80", bytes(20), bytes(25), b"\x16\xfe\xfd" + bytes(10), b"\x80\xc8\0\1"]
    junk += [bytes([first]) + rng.randbytes(40) for first in range(0, 256, 5)]

    def disturb(_moment):
        for data in junk:
            endpoint.receive(data, _STRANGER)

    _connect(endpoint, client, meanwhile=disturb)
    disturb(0)
    assert endpoint.dtls.state is client.dtls.state is DtlsState.CONNECTED
    assert endpoint.bound == {_PEER}
    assert endpoint.out == [], "strangers got nothing"


@pytest.mark.parametrize("moment", range(5))
def test_a_strangers_hello_never_wins_the_race(moment):
    """F2 and row 1: a ClientHello from an address that ICE has not proved, at any moment."""
    endpoint, client = _negotiated()
    stranger = Dtls(client_identity(), "client", [server_identity().fingerprint], 0.0)
    stranger.start(0.0)
    [hello] = stranger.poll()

    def race(now):
        if now == moment:
            endpoint.receive(hello.data, _STRANGER)

    _connect(endpoint, client, meanwhile=race)
    assert [type(event) for event in client.events] == [IceConnected, DtlsConnected]
    assert endpoint.dtls.state is DtlsState.CONNECTED


def test_an_address_change_needs_no_new_handshake():
    endpoint, client = _negotiated()
    _connect(endpoint, client)
    client.ice.tick(6.0)
    [check] = [effect for effect in client.ice.poll() if isinstance(effect, SendStun)]
    endpoint.receive(check.data, ("198.51.100.200", 7777), 6.0)
    assert endpoint.ice.selected[:3] == (0, "198.51.100.200", 7777)
    assert endpoint.dtls.state is DtlsState.CONNECTED
    assert endpoint.dtls.sessions().rx.unprotect(client.dtls.sessions().tx.protect(_RTP)) == _RTP


# aiortc, an independent DTLS end


class _MemoryIce:
    """What aiortc's DTLS transport needs of an ICE transport."""

    role = "controlling"

    def __init__(self):
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.outgoing: asyncio.Queue[bytes] = asyncio.Queue()

    async def _recv(self):
        data = await self.incoming.get()
        if data is None:
            raise ConnectionError
        return data

    async def _send(self, data):
        await self.outgoing.put(data)


async def _shake_with_aiortc(ours: Dtls, role: str):
    """Connect ours with aiortc's; our effects but for datagrams, and aiortc's transport."""
    ice, certificate = _MemoryIce(), RTCCertificate.generateCertificate()
    theirs = RTCDtlsTransport(ice, [certificate])
    theirs._set_role(role)
    expected = server_identity().fingerprint
    fingerprints = [RTCDtlsFingerprint(algorithm=expected.algorithm, value=expected.value)]
    mine = [Fingerprint(item.algorithm, item.value) for item in certificate.getFingerprints()]
    ours.set_fingerprints(mine)
    effects = []
    start = asyncio.create_task(theirs.start(RTCDtlsParameters(fingerprints=fingerprints)))
    async with asyncio.timeout(10):
        ours.start(0.0)
        while not start.done() or ours.state is DtlsState.CONNECTING:
            for effect in ours.poll():
                if isinstance(effect, SendDtls):
                    ice.incoming.put_nowait(effect.data)
                else:
                    effects.append(effect)
            try:
                ours.receive(await asyncio.wait_for(ice.outgoing.get(), 0.05), 0.0)
            except TimeoutError:
                continue
        await start
    effects += [effect for effect in ours.poll() if not isinstance(effect, SendDtls)]
    return effects, theirs, ice


@pytest.mark.parametrize("role", ["client", "server"])
async def test_aiortc_connects_in_either_role(role):
    ours = server(fingerprints=None)
    if role == "server":
        ours = Dtls(server_identity(), "client", None, 0.0)
    effects, theirs, ice = await _shake_with_aiortc(ours, role)
    assert [type(effect) for effect in effects] == [DtlsConnected]
    assert ours.sessions().profile == ("AEAD_AES_128_GCM" if role == "client" else ours.sessions().profile)
    assert ours.sessions().rx.unprotect(theirs._tx_srtp.protect(_RTP)) == _RTP
    assert theirs._rx_srtp.unprotect(ours.sessions().tx.protect(_RTP)) == _RTP
    closed = asyncio.Event()
    theirs.on("statechange", closed.set)
    ours.close()
    for effect in ours.poll():
        ice.incoming.put_nowait(effect.data)
    async with asyncio.timeout(5):
        await closed.wait()
    assert theirs.state == "closed"


async def test_aiortc_with_another_certificate_is_refused():
    wrong = Fingerprint("sha-256", ":".join(["11"] * 32))
    ours = server(wrong)
    effects, theirs, ice = await _shake_with_aiortc(ours, "client")
    assert [effect.code for effect in effects if isinstance(effect, DtlsFailed)] == ["fingerprint_mismatch"]
    await theirs.stop()
    ice.incoming.put_nowait(None)
    await asyncio.sleep(0)
