"""FFmpeg never opens an address: whatever a URL says, PyAV is given open files and fixed formats only."""

import ast
from pathlib import Path

import pytest

from rebroadcast.url_policy import DestinationRefused, UrlPolicy

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("cluster", "media", "members", "policy", "rebroadcast", "recorder"),
    *("rooms", "server", "sfu", "signaling", "store"),
)
SCHEMES = (
    *("async", "cache", "concat", "concatf", "crypto", "data", "fd", "ffrtmphttp", "file", "ftp", "gopher"),
    *(
        "hls",
        "icecast",
        "ipfs",
        "md5",
        "mmsh",
        "pipe",
        "rtmpt",
        "rtp",
        "rtsp",
        "sftp",
    ),
    *("srtp", "subfile", "tcp", "tee", "tls", "udp", "udplite", "unix", "whip"),
)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "form", ["{}://h.example/live/key", "{}:/etc/passwd", "{},,start,0,end,9,,:/etc/passwd"]
)
def test_a_destination_of_any_other_protocol_of_ffmpeg_is_refused_by_name(scheme: str, form: str) -> None:
    with pytest.raises(DestinationRefused, match="is not allowed"):
        UrlPolicy(allow_private=True).check_url(form.format(scheme))


OPENERS = {"av.open", "av.container.open"}


def calls_in(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def opens() -> list[tuple[str, ast.Call]]:
    """Every call of `av.open` in what we ship."""
    sources = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        (str(path.relative_to(ROOT)), call)
        for path in sources
        for call in calls_in(path)
        if ast.unparse(call.func) in OPENERS
    ]


def test_pyav_opens_our_own_objects_in_a_fixed_format_only() -> None:
    calls = opens()
    assert calls
    for path, call in calls:
        target = ast.unparse(call.args[0])
        assert "format" in {word.arg for word in call.keywords}, (
            f"{path}: av.open guesses the format of {target}"
        )
        assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr), f"{path}: av.open({target})"
        assert not target.startswith("str("), f"{path}: av.open({target})"
