"""Fuzz target: destination URLs, as an embedder registers them."""

from rebroadcast.url_policy import DestinationRefused, UrlPolicy
from rebroadcast.worker.rtmp import RtmpTarget
from tests.fuzz import harness

POLICY = UrlPolicy()


def one_input(data: bytes) -> None:
    url = data.decode("utf-8", "surrogateescape")
    try:
        host, port = POLICY.check_url(url)
    except DestinationRefused:
        return
    if not host or not 0 < port < 65_536:
        raise AssertionError(f"accepted without an address: {host!r}, {port}")
    # What the policy lets through goes to the very address that was judged, or is refused for its path.
    try:
        target = RtmpTarget.parse(url)
    except ValueError:
        return
    if (target.host, target.port) != (host, port):
        raise AssertionError(f"judged {host!r}, {port}; used {target.host!r}, {target.port}")


if __name__ == "__main__":
    harness.run(one_input)
