"""Debian's Firefox driven over WebDriver BiDi by a small client of our own."""

import asyncio
import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser.page import SHOTS, BrowserMissingError, Capture, probe_script, until
from tests.net.namespace import MACHINE, Namespace

_EASED: dict[str, object] = {
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
}
"""What an everyday Firefox does not allow."""

_PREFERENCES: dict[str, object] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.getusermedia.browser.enabled": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "media.gmp-manager.url": "",
    "services.settings.server": "data:,",
    "ui.systemUsesDarkTheme": 1,
    "layout.frame_rate": 20,  # enough for test cameras of 15 fps; there is no screen to refresh
}
_KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004"}
_PR_SET_PDEATHSIG = 1


class BidiError(Exception):
    """Firefox refused a command or a script threw."""


class _Connection:
    """The command channel: numbered requests, their answers, and log events."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.logs: dict[str, list[str]] = {}

    async def read(self) -> None:
        """Deliver answers and events until the socket closes."""
        async for message in self._socket:
            data = json.loads(message.data)
            if data["type"] == "event":
                self._event(data["method"], data["params"])
            elif future := self._waiting.pop(data["id"], None):
                future.set_result(data)
        for future in self._waiting.values():
            future.cancel()

    def _event(self, method: str, params: dict[str, Any]) -> None:
        if method == "log.entryAdded" and params["level"] == "error":
            context = params["source"].get("context", "")
            self.logs.setdefault(context, []).append(str(params["text"]))

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send one command and wait for its result.

        Raises:
            BidiError: Firefox answered with an error.
        """
        self._number += 1
        future = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(60):
            answer = await future
        if answer["type"] == "error":
            raise BidiError(f"{method}: {answer['error']}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result


class FirefoxPage:
    """One tab of Firefox."""

    def __init__(self, connection: _Connection, context: str) -> None:
        self._connection = connection
        self._context = context
        self.messages = connection.logs.setdefault(context, [])

    async def goto(self, url: str) -> None:
        """Load `url` and wait for its load event."""
        await self._connection.command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, body: str, argument: object = None) -> Any:
        """Run a JavaScript function with a JSON argument."""
        answer = await self._connection.command(
            "script.callFunction",
            functionDeclaration=f"async (json) => JSON.stringify(await ({body})(JSON.parse(json)) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise BidiError(f"{body}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    async def click(self, selector: str) -> None:
        """Click the middle of the first visible match with the pointer."""
        x, y = await until(self, _MIDDLE, selector, within_s=10)
        moves: list[dict[str, object]] = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._actions({"type": "pointer", "id": "mouse", "actions": moves})

    async def fill(self, selector: str, text: str) -> None:
        """Focus the field, empty it, type."""
        await self.click(selector)
        await self.evaluate("(selector) => document.querySelector(selector).select()", selector)
        await self._type(["\ue003", *text])

    async def choose(self, selector: str, label: str) -> None:
        """Choose an option of a select by typing its label."""
        await self.evaluate("(selector) => document.querySelector(selector).focus()", selector)
        await self._type([*label])

    async def press(self, key: str) -> None:
        """Press one key."""
        await self._type([_KEYS.get(key, key)])

    async def reload(self) -> None:
        """Load the page again, as a person does."""
        await self._connection.command("browsingContext.reload", context=self._context, wait="complete")

    async def close(self) -> None:
        """Close the window."""
        await self._connection.command("browsingContext.close", context=self._context)

    async def _type(self, keys: list[str]) -> None:
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        await self._actions({"type": "key", "id": "keyboard", "actions": presses})

    async def _actions(self, source: dict[str, object]) -> None:
        await self._connection.command("input.performActions", context=self._context, actions=[source])

    async def screenshot(self, name: str) -> Path:
        """Save the visible page."""
        SHOTS.mkdir(exist_ok=True)
        answer = await self._connection.command("browsingContext.captureScreenshot", context=self._context)
        path = SHOTS / f"{name}.png"
        path.write_bytes(base64.b64decode(answer["data"]))
        return path


# Where a click lands on the first visible match: once it stands still, and nothing covers it.
_MIDDLE = """async (selector) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (const element of document.querySelectorAll(selector)) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.disabled) continue;
    element.scrollIntoView({ block: "center", behavior: "instant" });
    const before = element.getBoundingClientRect();
    await frame();
    await frame();
    const { left, top, width, height } = element.getBoundingClientRect();
    if (!width || !height || left !== before.left || top !== before.top) continue;
    const [x, y] = [left + width / 2, top + height / 2];
    const found = document.elementFromPoint(x, y);
    if (found && (element.contains(found) || found.contains(element))) return [x, y];
  }
  return null;
}"""


class Firefox:
    """One running Firefox; ends with `launch`'s context."""

    def __init__(self, connection: _Connection, version: str) -> None:
        self._connection = connection
        self.version = version

    async def page(
        self, capture: Capture | None = None, *, size: tuple[int, int] = (1280, 800)
    ) -> FirefoxPage:
        """A window; `capture` stands in for its devices. Windows share cookies and storage of the profile."""
        answer = await self._connection.command("browsingContext.create", type="window")
        context = answer["context"]
        scripts = [probe_script(), *([capture.script(own_sources=True)] if capture else [])]
        for script in scripts:
            await self._connection.command(
                "script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}", contexts=[context]
            )
        viewport = {"width": size[0], "height": size[1]}
        await self._connection.command("browsingContext.setViewport", context=context, viewport=viewport)
        return FirefoxPage(self._connection, context)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _endpoint(process: asyncio.subprocess.Process) -> str:
    """The WebSocket address that Firefox prints."""
    if process.stderr is None:
        raise BrowserMissingError("Firefox was started without its error stream")
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode(errors="replace"):
            if match := re.search(r"ws://[\d.:]+", line):
                return f"{match.group(0)}/session"
    raise BrowserMissingError(
        f"Firefox ended with code {await process.wait()} before it opened its BiDi port"
    )


async def _drain(stream: asyncio.StreamReader | None) -> None:
    while stream and await stream.read(65_536):
        pass


@contextlib.asynccontextmanager
async def launch(
    tone_hz: int = 1000, *, everyday: bool = False, far: Namespace = MACHINE
) -> AsyncIterator[Firefox]:
    """Run Firefox with a new profile, whose fake microphone plays `tone_hz`.

    `far`: the network namespace that it lives in.
    `everyday`: only the fake devices and a quiet start tell it from a person's browser.

    Raises:
        BrowserMissingError: Firefox is not installed or does not start.
    """
    executable = shutil.which("firefox-esr") or shutil.which("firefox")
    if executable is None:
        raise BrowserMissingError("Firefox is needed by the browser tests: apt-get install firefox-esr")
    profile = Path(tempfile.mkdtemp(prefix="parley-firefox-"))
    preferences = {**_PREFERENCES, "media.navigator.audio.fake_frequency": tone_hz}
    if not everyday:
        preferences |= _EASED
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
    (profile / "user.js").write_text("".join(lines))
    process = await asyncio.create_subprocess_exec(
        *far.command(executable),
        *("--headless", "--no-remote", "--remote-debugging-port", "0"),
        *("--profile", str(profile), "about:blank"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MOZ_HEADLESS": "1"},
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    try:
        url = await _endpoint(process)
        connector = aiohttp.TCPConnector(socket_factory=lambda _info: far.socket())
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.ws_connect(url, max_msg_size=0) as socket,
        ):
            connection = _Connection(socket)
            running = [asyncio.create_task(connection.read()), asyncio.create_task(_drain(process.stderr))]
            try:
                session = await connection.command(
                    "session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}}
                )
                await connection.command("session.subscribe", events=["log.entryAdded"])
                yield Firefox(connection, session["capabilities"]["browserVersion"])
            finally:
                for task in running:
                    task.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)
