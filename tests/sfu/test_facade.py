"""The facade is complete and lazy."""

import subprocess
import sys

import pytest

import sfu


def test_every_name_is_there_once_and_loads() -> None:
    assert len(set(sfu.__all__)) == len(sfu.__all__)
    assert set(sfu.__all__) == set(sfu._HOMES)
    for name in sfu.__all__:
        assert getattr(sfu, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sfu.Nothing  # noqa: B018


def test_importing_the_facade_loads_neither_pyav_nor_the_core() -> None:
    code = "import sfu, sys; assert not {'av', 'aiortc', 'sfu.engine._core'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
