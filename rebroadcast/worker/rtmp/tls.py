"""TLS over bytes: what is encrypted here is counted where the kernel counts it. No I/O."""

import ssl


class TlsLayer:
    """One TLS client connection between plain bytes and the bytes of the wire.

    Every method may leave bytes for the other side in `pending`.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def pending(self) -> bytes:
        """Takes what is to be sent."""
        return self._outgoing.read()

    def shake(self, received: bytes) -> bool:
        """Goes on with the handshake; whether it is done and the certificate verified.

        Raises:
            ssl.SSLError: it fails.
        """
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def wrap(self, data: bytes) -> bytes:
        """Encrypts; returns what is to be sent."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self.pending()

    def unwrap(self, received: bytes) -> bytes:
        """Decrypts what arrived; empty when nothing is whole yet.

        Raises:
            ssl.SSLError: it cannot be decrypted, or the other side ended the session.
        """
        self._incoming.write(received)
        plain = bytearray()
        while True:
            try:
                data = self._tls.read(65_536)
            except ssl.SSLWantReadError:
                return bytes(plain)
            if not data:
                raise ssl.SSLEOFError("the server ended the TLS session")
            plain += data
