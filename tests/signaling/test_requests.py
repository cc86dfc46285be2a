"""Bodies and headers of requests, headers of answers, addresses behind a proxy."""

from ipaddress import ip_network

import aiohttp
import pytest

from signaling import Rate
from tests.signaling.rig import Rig, rig


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    async with rig() as house:
        headers = house.bearer() | {"Content-Type": "application/sdp"}
        status, body = await house.request("POST", "/whip/demo", data=b"x" * 100_000, headers=headers)
        assert (status, body["code"]) == (413, "too_large")

        async def chunks():  # type: ignore[no-untyped-def]
            for _ in range(100):
                yield b"x" * 1_000

        status, _ = await house.request("POST", "/whip/demo", data=chunks(), headers=headers)
        assert status == 413


async def test_large_headers_are_refused() -> None:
    async with rig() as house:
        try:
            status, _ = await house.get("/api/v1/site", headers={"X-Big": "x" * 40_000})
        except aiohttp.ClientError:
            return
        assert status == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"name": ' + b"[" * 60_000, "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"name": 7}', "application/json", 422),
        (b'{"name": "demo"}', "text/plain", 415),
        (b'{"name": "demo", "max_participants": -1}', "application/json", 422),
        (b'{"name": "demo", "video_codecs": ["h265"]}', "application/json", 422),
    ],
)
async def test_a_body_that_does_not_fit_is_a_problem(body: bytes, content_type: str, status: int) -> None:
    async with rig() as house:
        headers = house.admin() | {"Content-Type": content_type}
        answered, problem = await house.request("POST", "/api/v1/rooms", data=body, headers=headers)
        assert answered == status
        assert problem["type"].startswith("urn:parley:problem:")
        assert problem["status"] == status
        assert problem["detail"]


async def test_every_answer_carries_the_security_headers() -> None:
    async with rig() as house:
        for path in (
            "/",
            "/r/demo",
            "/embed/demo",
            "/terms",
            "/api/v1/site",
            "/static/sdk/parley.js",
            "/nowhere",
        ):
            async with house.http.get(house.url + path) as response:
                headers = response.headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert "unsafe" not in headers["Content-Security-Policy"]
                assert "aiohttp" not in headers["Server"]
                if path in {"/", "/r/demo", "/terms"}:
                    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                    assert "camera=(self)" in headers["Permissions-Policy"]


async def test_who_may_frame_the_embed_comes_from_the_configuration() -> None:
    async with (
        rig(frame_ancestors=("https://tv.example",)) as house,
        house.http.get(f"{house.url}/embed/demo") as response,
    ):
        assert "frame-ancestors https://tv.example" in response.headers["Content-Security-Policy"]


async def test_metrics_are_for_this_machine_or_an_administrator() -> None:
    async with rig(trusted_proxies=(ip_network("127.0.0.0/8"),)) as house:
        far = {"X-Forwarded-For": "192.0.2.7"}
        assert (await house.get("/metrics"))[0] == 200
        assert (await house.get("/metrics", headers=far))[0] == 401
        assert (await house.get("/metrics", headers=far | house.bearer()))[0] == 403
        status, text = await house.get("/metrics", headers=far | house.admin())
        assert status == 200
        assert "parley_http_requests_total" in text


async def test_a_forwarded_address_is_believed_from_proxies_only() -> None:
    async def statuses(house: Rig) -> list[int]:
        return [
            (await house.get("/api/v1/site", headers={"X-Forwarded-For": f"192.0.2.{number}, 127.0.0.1"}))[0]
            for number in range(4)
        ]

    limits = {"requests": Rate(per_s=0.001, burst=2)}
    async with rig(**limits) as house:
        assert await statuses(house) == [200, 200, 429, 429]
    async with rig(trusted_proxies=(ip_network("127.0.0.0/8"),), **limits) as house:
        assert await statuses(house) == [200] * 4
