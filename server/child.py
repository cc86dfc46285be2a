"""What a worker process runs before its own module: tied to its parent's life, the channel on descriptor 3.

`python -m server.child <module> <control descriptor> <parent pid>`
"""

import ctypes
import os
import runpy
import signal
import sys
from typing import Final

CONTROL_FD: Final = 3
_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Become the worker."""
    module, control, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the server died between the fork and the line above
    # The terminal's Ctrl-C goes to the server, which ends its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if control != CONTROL_FD:
        os.dup2(control, CONTROL_FD, inheritable=False)
        os.close(control)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
