"""The facade loads neither PyAV nor the core."""

import subprocess
import sys


def test_importing_the_facade_loads_neither_pyav_nor_the_core() -> None:
    code = "import sfu, sys; assert not {'av', 'aiortc', 'sfu.engine._core'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
