"""Fuzz target: `X-Forwarded-For` of a trusted proxy: the answer is an address that no stranger chose."""

import ipaddress
from pathlib import Path

from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from signaling.config import SignalingConfig
from signaling.context import client_address
from tests.fuzz import harness

_PROXY = "127.0.0.1"
_CONFIG = SignalingConfig(
    web_root=Path(), trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))
)


def one_input(data: bytes) -> None:
    values = data.decode("latin-1").split("\n")
    headers = CIMultiDict([("X-Forwarded-For", value) for value in values])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=_PROXY)
    told = client_address(request, _CONFIG)
    address = ipaddress.ip_address(told)
    hops = [hop.strip() for value in values for hop in value.split(",")]
    if told not in {_PROXY, *hops}:
        raise AssertionError(f"{told} was never named")
    # Whoever writes the header's beginning may be anybody: what a proxy saw of them stands last and counts.
    last = hops[-1]
    try:
        is_stranger = not any(ipaddress.ip_address(last) in network for network in _CONFIG.trusted_proxies)
    except ValueError:
        if told != _PROXY:
            raise AssertionError(f"{told} behind {last!r}") from None
        return
    if is_stranger and address != ipaddress.ip_address(last):
        raise AssertionError(f"{told} in place of {last}")


if __name__ == "__main__":
    harness.run(one_input)
