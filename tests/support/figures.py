"""What tests measured, shown at the end of a run that passes too, also when several processes shared it.

`tests/conftest.py` hangs what a test told here on its report, and shows all of them
in the end. Where the environment names a folder, `FIGURES=folder pytest ...`, what tests keep is written
there.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import figures

_FOLDER = "FIGURES"
_SETTINGS = (_FOLDER, "LOSSY_S")
PROPERTY = "figure"
_told: list[str] = []


def tell(figure: str) -> None:
    """Show a figure with the test's output and in the summary of the run."""
    print(figure)
    _told.append(figure)


def taken() -> list[str]:
    """What was told since this was asked last."""
    figures = list(_told)
    _told.clear()
    return figures


def keep(name: str, result: Mapping[str, Any], svg: str | None = None) -> None:
    """Write a result, with the command that made it, and its picture to the folder, if there is one."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return
    settings = [f"{key}={os.environ[key]}" for key in _SETTINGS if key in os.environ]
    command = " ".join([*settings, "pytest", *sys.argv[1:]])
    figures.keep(name, {"command": command, **result}, svg=svg, folder=Path(folder))
