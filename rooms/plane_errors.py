"""What the media plane raises, as the refusal that it means for a request."""

from collections.abc import Iterator
from contextlib import contextmanager

from rooms.errors import Code, Refused
from sfu import EngineError, NegotiationError, RouterClosed, SdpError, SfuError, TooManyPeers


@contextmanager
def plane_errors() -> Iterator[None]:
    """Turn the plane's errors into refusals.

    Raises: Refused.
    """
    try:
        yield
    except (SdpError, NegotiationError) as error:
        code = Code.UNSUPPORTED_CODEC if error.code == Code.UNSUPPORTED_CODEC else Code.INVALID_SDP
        raise Refused(code, str(error)) from error
    except TooManyPeers as error:
        raise Refused(Code.ROOM_FULL, str(error), retry_after_s=5.0) from error
    except RouterClosed as error:
        raise Refused(Code.NOT_FOUND, "the room is closed") from error
    except EngineError as error:
        raise Refused(Code.UNAVAILABLE, "the media engine is busy: try again", retry_after_s=1.0) from error
    except SfuError as error:
        raise Refused(Code.NOT_FOUND, str(error)) from error
