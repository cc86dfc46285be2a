"""The recorder's process: `python -m recorder.worker`, started by the server with its channel on fd 3."""

import fcntl
import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import assert_never

import msgspec

from media.control import BlockingControl, ControlError, WorkerStart, convert_config
from media.gates import GatePage
from recorder.data_keys import DataKeys
from recorder.files import NO_ROOM
from recorder.worker.messages import EraseConfig, Failed, FinishConfig, RecordConfig, WorkerConfig
from recorder.worker.session import Session


def main() -> int:
    """Runs one worker process; the exit code."""
    control = BlockingControl.from_fd()
    try:
        start = control.receive(msgspec.msgpack.Decoder(WorkerStart))
        if start is None:
            return 1
        os.umask(0o077)
        config: WorkerConfig = convert_config(start.config, WorkerConfig)
        with _locked(Path(config.folder)) as is_mine:
            if not is_mine:
                control.send(Failed("folder_in_use", "another process works on this folder"))
                return 1
            return 0 if _run(config, control, start.fds) else 1
    except ControlError:
        return 1
    except OSError as error:
        reason = "disk_full" if error.errno in NO_ROOM else "io_error"
        with suppress(ControlError):
            control.send(Failed(reason, error.strerror or type(error).__name__))
        return 1
    finally:
        control.close()


def _run(config: WorkerConfig, control: BlockingControl, fds: dict[str, int]) -> bool:
    match config:
        case RecordConfig():
            gates = GatePage.open(fds["gates"])
            with socket.socket(fileno=fds["sink"]) as sink:
                return Session(config, control, sink, gates).run()
        case FinishConfig():
            from recorder.worker.finish import finish_folder  # noqa: PLC0415 - loads PyAV, recording does not need it

            return finish_folder(Path(config.folder), _keys(config), control.send)
        case EraseConfig():
            from recorder.worker.erase import erase_person  # noqa: PLC0415 - as above

            folder = Path(config.folder)
            return erase_person(folder, config.person, _keys(config), control.send, config.archived)
        case _:
            assert_never(config)


def _keys(config: FinishConfig | EraseConfig) -> DataKeys | None:
    return DataKeys(config.keys) if config.keys is not None else None


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder for this process alone. Raises: OSError when there is no such folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(fd)


if __name__ == "__main__":
    gc.freeze()
    sys.exit(main())
