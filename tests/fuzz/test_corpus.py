"""Every fuzz target over its kept corpus and over a few hundred fresh inputs, as plain tests."""

import importlib
from pathlib import Path

import pytest
from hypothesis import given

from tests.fuzz import harness

HERE = Path(__file__).parent
TARGETS = sorted(path.stem for path in HERE.glob("fuzz_*.py"))
CORPUS = sorted(path.relative_to(HERE / "corpus") for path in (HERE / "corpus").rglob("*") if path.is_file())


def target(name):
    return importlib.import_module(f"tests.fuzz.{name}").one_input


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_a_corpus(name):
    assert any(path.parts[0] == name for path in CORPUS)


@pytest.mark.parametrize("path", CORPUS, ids=str)
def test_a_kept_input_is_handled(path):
    target(path.parts[0])((HERE / "corpus" / path).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@given(data=harness.inputs)
def test_any_input_is_handled(name, data):
    target(name)(data)
