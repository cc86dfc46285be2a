"""Fuzz target: a row of JSON-RPC messages into one session: one answer at most for each that it hears."""

from signaling.session import Call, Close, Send, Session
from signaling.wire import Encoding
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    session = Session(Encoding.JSON, 0.0)
    heard = said = closes = 0
    for number, message in enumerate(data.split(b"\n")[:200]):
        session.receive(message, number * 0.01, is_text=True)
        heard += 1
        for effect in session.poll():
            match effect:
                case Send():
                    said += 1
                    Encoding.JSON.decode(effect.data)
                case Call():
                    session.answer(effect.id, {})
                case Close():
                    closes += 1
        said += sum(isinstance(effect, Send) for effect in session.poll())
    if closes > 1 or said > heard:
        raise AssertionError(f"{closes} closes, {said} answers to {heard} messages")


if __name__ == "__main__":
    harness.run(one_input)
