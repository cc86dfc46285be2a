"""Pages, files, health, and what is not there."""

from tests.signaling.rig import rig


async def test_pages_are_served_with_an_etag_and_files_with_their_type() -> None:
    async with rig() as house:
        for path, content_type in (
            ("/", "text/html"),
            ("/r/demo", "text/html"),
            ("/embed/demo", "text/html"),
            ("/terms", "text/html"),
            ("/terms/2026-11", "text/html"),
            ("/static/sdk/parley.js", "text/javascript"),
            ("/static/ui/base.css", "text/css"),
            ("/static/ui/mark.svg", "image/svg+xml"),
        ):
            async with house.http.get(house.url + path) as response:
                assert (response.status, response.content_type) == (200, content_type)
                etag = response.headers["ETag"]
            async with house.http.get(house.url + path, headers={"If-None-Match": etag}) as response:
                assert response.status == 304


async def test_health_is_told() -> None:
    async with rig() as house:
        assert await house.get("/healthz") == (200, "ok\n")
        assert await house.get("/readyz") == (200, {"ready": True, "missing": []})


async def test_what_is_not_there_is_a_problem() -> None:
    async with rig() as house:
        for path in ("/nowhere", "/api/v1/nowhere", "/api/v2/rooms", "/static/"):
            status, body = await house.get(path)
            assert (status, body["code"]) == (404, "not_found")
        status, body = await house.request("PUT", "/api/v1/rooms", headers=house.admin())
        assert (status, body["code"]) == (405, "method_not_allowed")
