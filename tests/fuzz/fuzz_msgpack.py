"""Fuzz target: a msgpack frame of the signalling protocol, to its value and into the session."""

from signaling.session import Session, State
from signaling.wire import Encoding, WireError
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    try:
        value = Encoding.MSGPACK.decode(data)
    except WireError:
        value = None
    else:
        if Encoding.MSGPACK.decode(Encoding.MSGPACK.encode(value)) != value:
            raise AssertionError("a value that does not come back")
    session = Session(Encoding.MSGPACK, 0.0)
    session.receive(data, 0.0, is_text=False)
    list(session.poll())
    if value is None and data != Encoding.MSGPACK.encode(None) and session.state is not State.ENDED:
        raise AssertionError("a malformed frame did not end the session")


if __name__ == "__main__":
    harness.run(one_input)
