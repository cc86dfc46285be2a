"""The rendering process: `python -m recorder.render`, started by the server with its channel on fd 3."""

import hashlib
import os
import sys
from contextlib import suppress

import av
import msgspec

from media.control import BlockingControl, ControlError, WorkerStart, convert_config
from media.sealed import SealError
from recorder.data_keys import DataKeys
from recorder.errors import RecorderError
from recorder.render.job import Made, render
from recorder.render.messages import RenderConfig, Rendered, RenderFailed, RenderProgress
from recorder.render.storage import open_rendition

_NICE = 15
"""Live rooms come first."""
_PIECE = 1 << 20


def main() -> int:
    """Makes one rendition; the exit code."""
    control = BlockingControl.from_fd()
    try:
        start = control.receive(msgspec.msgpack.Decoder(WorkerStart))
        if start is None:
            return 1
        os.umask(0o077)
        os.nice(_NICE)
        config = convert_config(start.config, RenderConfig)
        made = render(config, lambda share: control.send(RenderProgress(share)))
        control.send(_told(config, made))
    except ControlError:
        return 1
    except (OSError, RecorderError, SealError, av.FFmpegError, ValueError) as error:
        with suppress(ControlError):
            control.send(RenderFailed(str(error) or type(error).__name__))
        return 1
    finally:
        control.close()
    return 0


def _told(config: RenderConfig, made: Made) -> Rendered:
    """What is fetched: the plain bytes."""
    key = DataKeys(config.keys).get(config.id) if config.keys is not None else None
    digest = hashlib.sha256()
    with open_rendition(made.path, key) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
        return Rendered(made.path.name, file.tell(), digest.hexdigest(), made.beside)


if __name__ == "__main__":
    sys.exit(main())
