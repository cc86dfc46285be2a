"""Builders of descriptions for the tests of this folder."""

import random
from pathlib import Path

from hypothesis import strategies as st

from sfu.sdp import Fingerprint, LocalTransport

CAPTURES = Path(__file__).parents[2] / "fixtures" / "sdp"
OFFERS = sorted(path.stem for path in CAPTURES.glob("*-offer*.txt") if "-answer-" not in path.stem)
ANSWERS = sorted(path.stem for path in CAPTURES.glob("*-answer-to-server-offer*.txt"))
ALL = sorted(path.stem for path in CAPTURES.glob("*.txt"))

FINGERPRINT = Fingerprint("sha-256", ":".join(["AB"] * 32))
CANDIDATE = "1 1 udp 2130706175 198.51.100.7 7882 typ host"


def capture(name: str) -> str:
    """A captured description, byte for byte."""
    with (CAPTURES / f"{name}.txt").open(newline="") as file:
        return file.read()


def local(session_id: int = 4711, *, ufrag: str = "ourufrag1234", pwd: str = "o" * 24) -> LocalTransport:
    """Our side of a transport."""
    return LocalTransport(ufrag, pwd, FINGERPRINT, (CANDIDATE,), session_id)


def rng(seed: int = 7) -> random.Random:
    """Randomness that repeats."""
    return random.Random(seed)


TRANSPORT = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa",
    f"a=fingerprint:sha-256 {FINGERPRINT.value}",
    "a=setup:actpass",
    "a=rtcp-mux",
)
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    "a=rtpmap:96 VP8/90000",
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
)
AUDIO = ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2")


def section(kind: tuple[str, ...], mid: str, *extra: str, drop: str = "\0") -> list[str]:
    """The lines of one section; those that begin with `drop` are left out."""
    lines = [*kind, *TRANSPORT, "a=sendonly", f"a=mid:{mid}", *extra]
    return [line for line in lines if not line.startswith(drop)]


def description(*sections: list[str], bundle: str | None = None, session: tuple[str, ...] = ()) -> str:
    """A whole description; `bundle` defaults to every mid."""
    mids = [line.removeprefix("a=mid:") for lines in sections for line in lines if line.startswith("a=mid:")]
    group = f"a=group:BUNDLE {' '.join(mids) if bundle is None else bundle}"
    lines = ["v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0", *([group] if bundle != "" else []), *session]
    return "".join(f"{line}\r\n" for line in [*lines, *(line for lines in sections for line in lines)])


@st.composite
def mutated(draw, texts):
    """One of the texts with a few lines cut, dropped, doubled, swapped or holding junk."""
    lines = draw(st.sampled_from(texts)).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["cut", "drop", "double", "insert", "swap"])):
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]
            case "drop":
                lines[place] = ""
            case "double":
                lines.insert(place, lines[place])
            case "insert":
                at = draw(st.integers(0, len(lines[place])))
                junk = draw(st.text(st.characters(exclude_categories=()), max_size=6))
                lines[place] = lines[place][:at] + junk + lines[place][at:]
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[place], lines[other] = lines[other], lines[place]
    return "\n".join(lines)
