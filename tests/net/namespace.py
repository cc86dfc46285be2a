"""Network namespaces: a machine of its own for a browser, gone when the test ends.

A socket or TUN device belongs for life to the namespace of the thread that made it, whoever uses it later.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_RUN = Path("/var/run/netns")

T = TypeVar("T")


class NamespaceUnavailableError(Exception):
    """Tests on bad networks need root and iproute2."""


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace by its name; the empty name is the machine's own."""

    name: str

    def command(self, *argv: str) -> tuple[str, ...]:
        """How to run a command inside."""
        return ("ip", "netns", "exec", self.name, *argv) if self.name else argv

    @contextlib.contextmanager
    def script(self, program: str) -> Iterator[str]:
        """An executable that runs a program inside: itself, or a script that lasts as long as the context."""
        if not self.name:
            yield program
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(program).name
            path.write_text(f'#!/bin/sh\nexec {" ".join(self.command(program))} "$@"\n')
            path.chmod(0o700)
            yield str(path)

    def ip(self, *arguments: str) -> None:
        """Configure it: `ip <arguments>` inside.

        Raises:
            NamespaceUnavailableError: `ip` refused.
        """
        run("ip", *(("-n", self.name) if self.name else ()), *arguments)

    def inside(self, action: Callable[[], T]) -> T:
        """Call something on a thread that lives inside, for a moment."""
        if not self.name:
            return action()
        result: list[T] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                with (_RUN / self.name).open("rb") as namespace:
                    _enter(namespace.fileno())
                result.append(action())
            except BaseException as error:  # noqa: BLE001  handed to the caller's thread
                failure.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    def socket(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """An IPv4 socket that lives inside."""
        return self.inside(lambda: socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK))

    def tun(self, device: str) -> int:
        """A TUN device inside; the descriptor reads and writes whole IP packets."""

        def open_tun() -> int:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _IFF_TUN_NO_PI))
            return descriptor

        return self.inside(open_tun)


def run(*argv: str) -> None:
    """Run a command to its end.

    Raises:
        NamespaceUnavailableError: it failed; the text says how.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NamespaceUnavailableError(f"{' '.join(argv)}: {done.stderr.strip()}")


@contextlib.contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """Make a namespace, with its loopback up.

    Raises:
        NamespaceUnavailableError: not root, or no iproute2.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise NamespaceUnavailableError(
            "tests on bad networks need root and iproute2 (apt-get install iproute2)"
        )
    run("ip", "netns", "add", name)
    made = Namespace(name)
    try:
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        run("ip", "netns", "del", name)


MACHINE = Namespace("")
"""Where the test itself runs."""
