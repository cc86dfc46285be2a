"""Attribute and media lines, read into the section that they are in. PURE.

Unknown attributes are skipped; known ones must be well formed, and their number is bounded.

Source: RFC 8839 (ICE), RFC 8122 and 8842 (DTLS), RFC 8843 (BUNDLE), RFC 8851 and 8853 (rid, simulcast),
RFC 5576 (ssrc), RFC 8285 (extmap), RFC 4585 (rtcp-fb), RFC 8841 (sctp-port, max-message-size).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.model import Direction, ExtMap, Fingerprint, Rid, Setup, Simulcast, SimulcastStream, SsrcGroup
from sfu.sdp.section import EVERY_PT, Section

__all__ = ["read_attribute", "read_media_line"]

MAX_CODECS: Final = 64
MAX_EXTENSIONS: Final = 32
MAX_RIDS: Final = 8
MAX_SSRCS: Final = 64
MAX_CANDIDATES: Final = 64
MAX_FINGERPRINTS: Final = 8
MAX_FEEDBACK: Final = 16
MAX_PARAMETERS: Final = 32
MAX_BUNDLE: Final = 1024
MAX_U32: Final = (1 << 32) - 1
MAX_U64: Final = (1 << 64) - 1


def read_media_line(value: str, number: int) -> Section:
    """Begin a section.

    Raises:
        SdpError: the line is malformed.
    """
    words = value.split(" ")
    if len(words) < 4:
        raise SdpError("m= needs a kind, a port, a protocol and formats", number)
    kind, port_text, protocol, *formats = words
    port = grammar.parse_uint(port_text, 65_535)
    if port is None:
        raise SdpError("m= needs a single port", number)
    if grammar.TOKEN.fullmatch(kind) is None or grammar.PROTOCOL.fullmatch(protocol) is None:
        raise SdpError("m= has a malformed kind or protocol", number)
    if len(formats) > MAX_CODECS:
        raise SdpError(f"more than {MAX_CODECS} formats", number)
    if any(grammar.TOKEN.fullmatch(word) is None for word in formats):
        raise SdpError("m= has a malformed format", number)
    if len(set(formats)) != len(formats):
        raise SdpError("m= lists a format twice", number)
    return Section(kind=kind, port=port, protocol=protocol, formats=tuple(formats), line=number)


def read_attribute(into: Section, text: str, number: int) -> None:
    """Take one `a=` line into its section.

    Raises:
        SdpError: it is known, and malformed or one too many.
    """
    name, colon, value = text.partition(":")
    if name in _FLAGS:
        into.flags.add(name)
    elif name in _DIRECTIONS:
        into.direction = _DIRECTIONS[name]
    elif colon and (reader := _READERS.get(name)) is not None:
        reader(into, value, number)


def _read_mid(into: Section, value: str, number: int) -> None:
    if grammar.TOKEN.fullmatch(value) is None:
        raise SdpError("a mid must be a token", number)
    if len(value) > grammar.MAX_ID_BYTES:
        raise SdpError(f"a mid must not be longer than {grammar.MAX_ID_BYTES} characters", number)
    into.mid = value


def _read_ufrag(into: Section, value: str, number: int) -> None:
    if grammar.ICE_UFRAG.fullmatch(value) is None:
        raise SdpError("ice-ufrag must be 4 to 256 ice characters", number)
    into.ice_ufrag = value


def _read_pwd(into: Section, value: str, number: int) -> None:
    if grammar.ICE_PWD.fullmatch(value) is None:
        raise SdpError("ice-pwd must be 22 to 256 ice characters", number)
    into.ice_pwd = value


def _read_options(into: Section, value: str, number: int) -> None:
    words = value.split(" ")
    if len(words) > 16 or any(grammar.TOKEN.fullmatch(word) is None for word in words):
        raise SdpError("ice-options must be tokens", number)
    into.ice_options = tuple(words)


def _read_fingerprint(into: Section, value: str, number: int) -> None:
    algorithm, _, digest = value.partition(" ")
    if grammar.TOKEN.fullmatch(algorithm) is None or grammar.FINGERPRINT_VALUE.fullmatch(digest) is None:
        raise SdpError("fingerprint needs an algorithm and hex pairs", number)
    if len(into.fingerprints) >= MAX_FINGERPRINTS:
        raise SdpError(f"more than {MAX_FINGERPRINTS} fingerprints", number)
    into.fingerprints.append(Fingerprint(algorithm.lower(), digest.upper()))


def _read_setup(into: Section, value: str, number: int) -> None:
    try:
        into.setup = Setup(value)
    except ValueError:
        raise SdpError("setup must be actpass, active or passive", number) from None


def _read_group(into: Section, value: str, number: int) -> None:
    semantics, *words = value.split(" ")
    mids = [word for word in words if word]
    if semantics != "BUNDLE" or into.bundle is not None:
        return
    if len(mids) > MAX_BUNDLE or len(set(mids)) != len(mids):
        raise SdpError("the BUNDLE group lists a mid twice, or too many", number)
    if any(grammar.TOKEN.fullmatch(mid) is None for mid in mids):
        raise SdpError("the BUNDLE group must list mids", number)
    into.bundle = tuple(mids)


def _read_rtpmap(into: Section, value: str, number: int) -> None:
    pt, rest = _payload_type(value, number)
    name, *parts = rest.split("/")
    clock_hz = grammar.parse_uint(parts[0], MAX_U32) if parts else None
    channels = grammar.parse_uint(parts[1], 255) if len(parts) == 2 else 1
    if grammar.TOKEN.fullmatch(name) is None or not clock_hz or not channels or len(parts) > 2:
        raise SdpError("rtpmap needs name/clock or name/clock/channels", number)
    if pt in into.rtpmaps:
        raise SdpError("a payload type is mapped twice", number)
    into.rtpmaps[pt] = (name.lower(), clock_hz, channels)


def _read_fmtp(into: Section, value: str, number: int) -> None:
    pt, rest = _payload_type(value, number)
    pairs = []
    for part in rest.split(";"):
        key, equals, word = part.strip(" ").partition("=")
        if key or equals:
            pairs.append((key.lower(), word) if equals else ("", key))
    if len(pairs) > MAX_PARAMETERS:
        raise SdpError(f"more than {MAX_PARAMETERS} format parameters", number)
    into.fmtps[pt] = tuple(pairs)


def _read_feedback(into: Section, value: str, number: int) -> None:
    word, _, feedback = value.partition(" ")
    pt = EVERY_PT if word == "*" else grammar.parse_uint(word, 127)
    if pt is None or not feedback:
        raise SdpError("rtcp-fb needs a payload type and a kind", number)
    kinds = into.feedback.setdefault(pt, [])
    if len(kinds) >= MAX_FEEDBACK:
        raise SdpError(f"more than {MAX_FEEDBACK} kinds of feedback for one payload type", number)
    kinds.append(feedback)


def _read_extmap(into: Section, value: str, number: int) -> None:
    head, _, rest = value.partition(" ")
    id_text, slash, direction_text = head.partition("/")
    id_ = grammar.parse_uint(id_text, 4351)
    uri = rest.split(" ", 1)[0]
    direction = _DIRECTIONS.get(direction_text) if slash else Direction.SENDRECV
    if not id_ or direction is None or grammar.URI.fullmatch(uri) is None:
        raise SdpError("extmap needs an id, an optional direction and a URI", number)
    if id_ in into.extensions:
        raise SdpError("an extmap id is used twice", number)
    if len(into.extensions) >= MAX_EXTENSIONS:
        raise SdpError(f"more than {MAX_EXTENSIONS} header extensions", number)
    into.extensions[id_] = ExtMap(id_, uri, direction)


def _read_rid(into: Section, value: str, number: int) -> None:
    rid, _, rest = value.partition(" ")
    direction, _, restrictions = rest.partition(" ")
    if grammar.RID.fullmatch(rid) is None or direction not in {"send", "recv"}:
        raise SdpError(
            f"rid needs a name of at most {grammar.MAX_ID_BYTES} characters and send or recv", number
        )
    if rid in into.rids:
        raise SdpError("a rid is declared twice", number)
    if len(into.rids) >= MAX_RIDS:
        raise SdpError(f"more than {MAX_RIDS} rids", number)
    into.rids[rid] = Rid(rid, sends=direction == "send", pts=_rid_payload_types(restrictions, number))


def _rid_payload_types(restrictions: str, number: int) -> tuple[int, ...]:
    for part in restrictions.split(";"):
        key, _, value = part.strip(" ").partition("=")
        if key == "pt":
            pts = [grammar.parse_uint(word, 127) for word in value.split(",")]
            if len(pts) > MAX_CODECS or None in pts:
                raise SdpError("a rid's pt restriction must list payload types", number)
            return tuple(pt for pt in pts if pt is not None)
    return ()


def _read_simulcast(into: Section, value: str, number: int) -> None:
    words = value.strip(" ").split(" ")
    if into.simulcast is not None or len(words) not in {2, 4} or len(set(words[::2])) * 2 != len(words):
        raise SdpError("simulcast needs send or recv, each once, with its streams", number)
    streams: dict[str, tuple[SimulcastStream, ...]] = {}
    for direction, text in zip(words[::2], words[1::2], strict=True):
        if direction not in {"send", "recv"}:
            raise SdpError("simulcast needs send or recv", number)
        streams[direction] = tuple(_simulcast_stream(part, number) for part in text.split(";"))
        if len(streams[direction]) > MAX_RIDS:
            raise SdpError(f"more than {MAX_RIDS} simulcast streams", number)
    into.simulcast = Simulcast(send=streams.get("send", ()), recv=streams.get("recv", ()))


def _simulcast_stream(text: str, number: int) -> SimulcastStream:
    alternatives = text.split(",")
    rids = tuple(word.removeprefix("~") for word in alternatives)
    if len(rids) > MAX_RIDS or any(grammar.RID.fullmatch(rid) is None for rid in rids):
        raise SdpError("a simulcast stream must name rids", number)
    return SimulcastStream(rids, paused=alternatives[0].startswith("~"))


def _read_ssrc(into: Section, value: str, number: int) -> None:
    word, _, rest = value.partition(" ")
    ssrc = grammar.parse_uint(word, MAX_U32)
    if ssrc is None:
        raise SdpError("ssrc needs a number", number)
    if ssrc not in into.ssrcs and len(into.ssrcs) >= MAX_SSRCS:
        raise SdpError(f"more than {MAX_SSRCS} sources", number)
    name, _, cname = rest.partition(":")
    known = into.ssrcs.setdefault(ssrc, "")
    if not known and name == "cname" and grammar.CNAME.fullmatch(cname) is not None:
        into.ssrcs[ssrc] = cname


def _read_ssrc_group(into: Section, value: str, number: int) -> None:
    semantics, *words = value.split(" ")
    ssrcs = [grammar.parse_uint(word, MAX_U32) for word in words]
    if grammar.TOKEN.fullmatch(semantics) is None or None in ssrcs or not 0 < len(ssrcs) <= MAX_SSRCS:
        raise SdpError("ssrc-group needs semantics and sources", number)
    if len(into.ssrc_groups) >= MAX_SSRCS:
        raise SdpError(f"more than {MAX_SSRCS} source groups", number)
    into.ssrc_groups.append(SsrcGroup(semantics, tuple(ssrc for ssrc in ssrcs if ssrc is not None)))


def _read_msid(into: Section, value: str, _number: int) -> None:
    stream, _, track = value.partition(" ")
    # Nobody reads a peer's msid: an unusual one is no reason to refuse its media.
    if grammar.MSID.fullmatch(stream) and (not track or grammar.MSID.fullmatch(track)):
        into.msid = (stream, track)


def _read_candidate(into: Section, value: str, number: int) -> None:
    if len(into.candidates) >= MAX_CANDIDATES:
        raise SdpError(f"more than {MAX_CANDIDATES} candidates", number)
    into.candidates.append(value)


def _read_sctp_port(into: Section, value: str, number: int) -> None:
    port = grammar.parse_uint(value, 65_535)
    if not port:
        raise SdpError("sctp-port must be a port", number)
    into.sctp_port = port


def _read_max_message_size(into: Section, value: str, number: int) -> None:
    size = grammar.parse_uint(value, MAX_U64)
    if size is None:
        raise SdpError("max-message-size must be a number", number)
    into.max_message_bytes = size


def _payload_type(value: str, number: int) -> tuple[int, str]:
    word, _, rest = value.partition(" ")
    pt = grammar.parse_uint(word, 127)
    if pt is None or not rest:
        raise SdpError("a payload type from 0 to 127 and a value must follow", number)
    return pt, rest


_DIRECTIONS: Final = {direction.value: direction for direction in Direction}

_FLAGS: Final = frozenset(
    {"ice-lite", "rtcp-mux", "rtcp-rsize", "bundle-only", "extmap-allow-mixed", "end-of-candidates"}
)

_READERS: Final[dict[str, Callable[[Section, str, int], None]]] = {
    "candidate": _read_candidate,
    "extmap": _read_extmap,
    "fingerprint": _read_fingerprint,
    "fmtp": _read_fmtp,
    "group": _read_group,
    "ice-options": _read_options,
    "ice-pwd": _read_pwd,
    "ice-ufrag": _read_ufrag,
    "max-message-size": _read_max_message_size,
    "mid": _read_mid,
    "msid": _read_msid,
    "rid": _read_rid,
    "rtcp-fb": _read_feedback,
    "rtpmap": _read_rtpmap,
    "sctp-port": _read_sctp_port,
    "setup": _read_setup,
    "simulcast": _read_simulcast,
    "ssrc": _read_ssrc,
    "ssrc-group": _read_ssrc_group,
}
