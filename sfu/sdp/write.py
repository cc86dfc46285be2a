"""`SessionDescription` to text. PURE.

Every word is checked against its grammar on the way out, so that no value, wherever it came from, can end a
line and begin another (injection through ufrag, mid, rid, msid or cname).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.model import Codec, Direction, ExtMap, Media, SessionDescription, Simulcast, SimulcastStream

__all__ = ["write"]


def write(description: SessionDescription) -> str:
    """The text of a description, lines ended by CRLF.

    Raises:
        SdpError: a value does not fit its grammar; nothing is written then.
    """
    return "".join(f"{line}\r\n" for line in _session_lines(description))


def _session_lines(description: SessionDescription) -> Iterator[str]:
    yield "v=0"
    session_id, version = _number(description.session_id, 1 << 63), _number(description.version, 1 << 63)
    yield f"o=- {session_id} {version} IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    if description.ice_lite:
        yield "a=ice-lite"
    if description.bundle is not None:
        yield " ".join(["a=group:BUNDLE", *(_mid(mid) for mid in description.bundle)])
    if description.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield "a=msid-semantic:WMS *"
    if description.ice_options:
        yield "a=ice-options:" + " ".join(_word(grammar.TOKEN, option) for option in description.ice_options)
    for media in description.media:
        yield from _media_lines(media)


def _media_lines(media: Media) -> Iterator[str]:
    formats = [_word(grammar.TOKEN, word) for word in media.formats]
    kind = _word(grammar.TOKEN, media.kind)
    port = _number(media.port, 1 << 16)
    yield f"m={kind} {port} {_word(grammar.PROTOCOL, media.protocol)} {' '.join(formats)}"
    yield "c=IN IP4 0.0.0.0"
    if media.mid:
        yield f"a=mid:{_mid(media.mid)}"
    if media.is_stopped:
        yield f"a={Direction.INACTIVE.value}"
        return
    yield from _transport_lines(media)
    if media.sctp_port:
        # RFC 8841 section 4; a section of data channels has no direction.
        yield f"a=sctp-port:{_number(media.sctp_port, 1 << 16)}"
        yield f"a=max-message-size:{_number(media.max_message_bytes, 1 << 64)}"
        return
    yield from (_extension(extension) for extension in media.extensions)
    if media.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield f"a={media.direction.value}"
    if media.msid[0]:
        yield " ".join([f"a=msid:{_word(grammar.MSID, media.msid[0])}", *_optional(media.msid[1])])
    for codec in media.codecs:
        yield from _codec_lines(codec)
    yield from _encoding_lines(media)


def _transport_lines(media: Media) -> Iterator[str]:
    for candidate in media.candidates:
        yield f"a=candidate:{_word(grammar.CANDIDATE, candidate)}"
    if media.end_of_candidates:
        yield "a=end-of-candidates"
    if media.ice_ufrag:
        yield f"a=ice-ufrag:{_word(grammar.ICE_UFRAG, media.ice_ufrag)}"
        yield f"a=ice-pwd:{_word(grammar.ICE_PWD, media.ice_pwd)}"
    for fingerprint in media.fingerprints:
        algorithm = _word(grammar.TOKEN, fingerprint.algorithm)
        yield f"a=fingerprint:{algorithm} {_word(grammar.FINGERPRINT_VALUE, fingerprint.value)}"
    if media.setup is not None:
        yield f"a=setup:{media.setup.value}"
    if media.bundle_only:
        yield "a=bundle-only"
    if media.rtcp_mux:
        yield "a=rtcp-mux"
    if media.rtcp_rsize:
        yield "a=rtcp-rsize"


def _codec_lines(codec: Codec) -> Iterator[str]:
    pt = _number(codec.pt, 128)
    name, clock_hz = _word(grammar.TOKEN, _rtpmap_name(codec.name)), _number(codec.clock_hz, 1 << 32)
    channels = f"/{_number(codec.channels, 256)}" if codec.channels > 1 else ""
    yield f"a=rtpmap:{pt} {name}/{clock_hz}{channels}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{pt} {' '.join(_word(grammar.TOKEN, word) for word in feedback.split(' '))}"
    if codec.fmtp:
        text = ";".join(f"{key}={value}" if key else value for key, value in codec.fmtp)
        yield f"a=fmtp:{pt} {_word(grammar.FMTP, text)}"


def _encoding_lines(media: Media) -> Iterator[str]:
    for rid in media.rids:
        restriction = f" pt={','.join(_number(pt, 128) for pt in rid.pts)}" if rid.pts else ""
        yield f"a=rid:{_word(grammar.RID, rid.rid)} {'send' if rid.sends else 'recv'}{restriction}"
    if media.simulcast is not None:
        yield _simulcast(media.simulcast)
    for group in media.ssrc_groups:
        ssrcs = " ".join(_number(ssrc, 1 << 32) for ssrc in group.ssrcs)
        yield f"a=ssrc-group:{_word(grammar.TOKEN, group.semantics)} {ssrcs}"
    for ssrc in media.ssrcs:
        yield f"a=ssrc:{_number(ssrc, 1 << 32)} cname:{_word(grammar.CNAME, media.cname)}"


def _extension(extension: ExtMap) -> str:
    direction = "" if extension.direction is Direction.SENDRECV else f"/{extension.direction.value}"
    return f"a=extmap:{_number(extension.id, 4352)}{direction} {_word(grammar.URI, extension.uri)}"


def _simulcast(simulcast: Simulcast) -> str:
    parts = [
        f"{direction} {';'.join(_stream(stream) for stream in streams)}"
        for direction, streams in (("send", simulcast.send), ("recv", simulcast.recv))
        if streams
    ]
    return f"a=simulcast:{' '.join(parts)}"


def _stream(stream: SimulcastStream) -> str:
    words = ",".join(_word(grammar.RID, rid) for rid in stream.rids)
    return f"~{words}" if stream.paused else words


def _rtpmap_name(name: str) -> str:
    """The registered spelling: names are case insensitive, some parsers are not."""
    return name.upper() if name in {"vp8", "vp9", "h264", "av1"} else name


def _mid(mid: str) -> str:
    if len(mid) > grammar.MAX_ID_BYTES:
        raise SdpError("a mid is too long to be written")
    return _word(grammar.TOKEN, mid)


def _optional(word: str) -> list[str]:
    return [_word(grammar.MSID, word)] if word else []


def _word(pattern: re.Pattern[str], word: str) -> str:
    if pattern.fullmatch(word) is None:
        raise SdpError(f"{word[:32]!a} cannot be written into a description")
    return word


def _number(value: int, end: int) -> str:
    if not 0 <= value < end:
        raise SdpError(f"a number is outside 0..{end - 1}")
    return str(value)
