"""Values that a JSON schema does not allow, field by field."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]

SAMPLES: tuple[Any, ...] = (
    None,
    True,
    -1,
    7,
    1.5,
    "",
    "\u202e",
    "x" * 5_000,
    [],
    [[]],
    ["a"],
    {},
    {"a": {"b": 1}},
)
"""At least one of every kind of JSON value, and of the sizes that somebody might forget to bound."""


def fits(schema: Schema, definitions: Schema, value: object) -> bool:
    """Whether a schema allows a value; `definitions` is what its references lead to."""
    return Draft202012Validator({**schema, **definitions}).is_valid(value)


def misfits(schema: Schema, definitions: Schema) -> Iterator[tuple[str, Any]]:
    """Whole values with one thing wrong, and the field where it is; "" is the whole itself."""
    for value in SAMPLES:
        if not isinstance(value, dict):
            yield "", value
    yield from ((field, {}) for field in schema.get("required", ())[:1])
    for field, inner in schema["properties"].items():
        yield from ((field, {field: value}) for value in SAMPLES if not fits(inner, definitions, value))


def nonsense(schema: Schema, definitions: Schema) -> Iterator[dict[str, Any]]:
    """Values that the schema allows and nobody means: one sample in every field that allows it."""

    def filled(field: str, value: object) -> Any:
        inner = schema["properties"][field]
        candidates = (value, *inner.get("enum", ()), *reversed(SAMPLES))
        return next((item for item in candidates if fits(inner, definitions, item)), None)

    for value in SAMPLES:
        fields = [name for name, inner in schema["properties"].items() if fits(inner, definitions, value)]
        if fields:
            yield {name: filled(name, value) for name in {*schema.get("required", ()), *fields}}
