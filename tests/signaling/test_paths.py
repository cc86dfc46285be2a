"""No name and no address becomes a path (row 25)."""

import asyncio
from pathlib import Path

import pytest

from signaling.pages import Assets
from tests.signaling.rig import rig

TRAVERSALS = (
    "../conftest.py",
    "..%2fconftest.py",
    "%2e%2e/%2e%2e/etc/passwd",
    "sdk/../../pyproject.toml",
    "sdk/..%2f..%2fpyproject.toml",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "sdk/parley.js%00.css",
    "__init__.py",
    ".git/config",
    "sdk",
    "sdk/",
    "x" * 3_000,
    "CON",
    "sdk/./parley.js",
    "//sdk/parley.js",
    "%c0%ae%c0%ae/etc/passwd",
)


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leaves_the_folder_of_the_client(path: str) -> None:
    async with rig() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        try:
            writer.write(f"GET /static/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert answer.split()[1] in {b"404", b"400"}
        assert b"root:" not in answer
        assert b"[project]" not in answer


def test_links_hidden_files_and_other_kinds_are_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "web"
    root.mkdir()
    (tmp_path / "secret.js").write_text("secret")
    (root / "good.js").write_text("good")
    (root / "link.js").symlink_to(tmp_path / "secret.js")
    (root / "folder").symlink_to(tmp_path)
    (root / ".hidden.js").write_text("hidden")
    (root / "code.py").write_text("code")
    assets = Assets(root)
    assert assets.get("good.js") is not None
    for name in ("link.js", "folder/secret.js", ".hidden.js", "code.py", "../secret.js", "", "."):
        assert assets.get(name) is None
    (root / "good.js").unlink()
    (root / "good.js").symlink_to(tmp_path / "secret.js")
    assert assets.get("good.js") is None


@pytest.mark.parametrize(
    "name",
    ["../../x", "..\\", "/abs", "a\0b", "x" * 300, "CON", "\u202eevil", "a/b", "%2e%2e", " ", "a\r\nb"],
)
async def test_a_room_with_such_a_name_is_not_made(name: str) -> None:
    async with rig() as house:
        status, body = await house.request(
            "POST", "/api/v1/rooms", json={"name": name}, headers=house.admin()
        )
        assert status in {400, 422}
        assert body["code"] in {"unprocessable", "invalid_request"}
