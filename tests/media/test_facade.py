"""Lazy facades are complete: what they show is there once, and loads."""

import importlib

import pytest

LAZY = ["cluster", "rebroadcast", "recorder", "sfu", "sfu.engine", "sfu.transport"]


@pytest.mark.parametrize("package", LAZY)
def test_every_name_is_there_once_and_loads(package):
    facade = importlib.import_module(package)
    assert len(set(facade.__all__)) == len(facade.__all__)
    for name in facade.__all__:
        assert getattr(facade, name) is not None


@pytest.mark.parametrize("package", LAZY)
def test_an_unknown_name_is_an_attribute_error(package):
    facade = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        facade.Nothing  # noqa: B018
