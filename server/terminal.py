"""Whether a hangup means that the terminal is gone, or that the configuration is to be read again."""

import os


def has_terminal() -> bool:
    """Whether this process can reach a terminal of its own."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    os.close(descriptor)
    return True
