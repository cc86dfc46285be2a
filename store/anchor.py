"""The file that remembers where the ledger ended, so that cutting rows off its end is noticed.

It is authenticated with the master key: somebody who can write the database but lacks the key cannot
rewrite both.
"""

import hmac
import json
import os
from pathlib import Path
from typing import Final

from store.chain import Head
from store.errors import LedgerBroken
from store.keys import Keys

_PURPOSE: Final = "ledger-anchor"


class Anchor:
    """Reads and replaces the anchor file; used by the store's writer thread only."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._path = path
        self._keys = keys

    def read(self) -> Head | None:
        """The anchored head, or None when there is no file yet.

        Raises: LedgerBroken when the file is damaged or was not written by this installation.
        """
        try:
            text = self._path.read_bytes()[:1024]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerBroken(f"cannot read the ledger's anchor {self._path}: {error.strerror}") from error
        try:
            plain = json.loads(text)
            head = Head(int(plain["seq"]), str(plain["hash"]))
            tag, expected = str(plain["tag"]).encode(), self._tag(head).encode()
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise LedgerBroken(f"the ledger's anchor {self._path} is damaged") from error
        if not hmac.compare_digest(tag, expected):
            raise LedgerBroken(f"the ledger's anchor {self._path} was not written with this key")
        return head

    def write(self, head: Head) -> None:
        """Replace the file by one for `head`: written beside it, synced, renamed.

        Raises: OSError.
        """
        text = json.dumps({"seq": head.seq, "hash": head.hash, "tag": self._tag(head)})
        beside = self._path.with_suffix(".new")
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.write(descriptor, text.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.replace(self._path)

    def _tag(self, head: Head) -> str:
        return self._keys.keyed_hash(_PURPOSE, f"{head.seq}:{head.hash}")
