"""The OpenAPI 3.1 document, made from the endpoint table and the structs.

PURE: no I/O.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from signaling.errors import CODES
from signaling.rest import BASE, ENDPOINTS, Endpoint

_REF: Final = "#/components/schemas/{name}"
_PART: Final = re.compile(r"\{(\w+)\}")
_ALWAYS: Final = ("invalid_request", "unprocessable", "rate_limited", "internal")
_AUTHORISED: Final = ("unauthorized", "forbidden")
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}


class ProblemBody(msgspec.Struct, frozen=True, rename={"kind": "type"}):
    """An error. Source: RFC 9457."""

    kind: str
    title: str
    status: int
    detail: str
    code: str
    reason: str
    retry_after_s: float | None = None


def document(title: str, version: str) -> dict[str, Any]:
    """The whole document."""
    types = {
        struct for endpoint in ENDPOINTS for struct in (endpoint.body, endpoint.result) if struct is not None
    }
    ordered = sorted(types, key=lambda struct: struct.__name__)
    _, components = msgspec.json.schema_components([*ordered, ProblemBody], ref_template=_REF)
    components = dict(components)
    components["Problem"] = components.pop("ProblemBody")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        path = paths.setdefault(BASE + endpoint.path, {})
        path[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "summary": "Rooms, tokens, recordings and broadcasts of Parley",
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "key": {"type": "http", "scheme": "basic", "description": "An API key's id and secret"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.path.split("/")[1]],
        "security": [] if endpoint.is_public else [{"token": []}, {"key": []}],
        "responses": _responses(endpoint),
    }
    parameters = [_part(name) for name in _PART.findall(endpoint.path)]
    parameters += [
        {
            "name": query.name,
            "in": "query",
            "required": False,
            "description": query.description,
            "schema": {"type": "integer" if query.is_integer else "string"},
        }
        for query in endpoint.queries
    ]
    if parameters:
        operation["parameters"] = parameters
    if not endpoint.is_public:
        roles = ", ".join(sorted({"admin", *map(str, endpoint.permissions)}))
        operation["description"] = f"Needs one of these grants: {roles}."
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=endpoint.body.__name__)}}},
        }
    return operation


def _part(name: str) -> Mapping[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    success: dict[str, Any] = {"description": endpoint.summary}
    if endpoint.result is not None:
        schema = {"$ref": _REF.format(name=endpoint.result.__name__)}
        success["content"] = {endpoint.media_type: {"schema": schema}}
    elif endpoint.media_type != "application/json":
        success["content"] = {endpoint.media_type: {"schema": {"type": "string", "format": "binary"}}}
    responses = {str(endpoint.status): success}
    codes = {*_ALWAYS, *endpoint.problems}
    if not endpoint.is_public:
        codes |= set(_AUTHORISED)
    if endpoint.body is not None:
        codes |= {"too_large", "unsupported_media_type", "timeout"}
    for code in sorted(codes):
        status, title = str(CODES[code].status), CODES[code].title
        if status in responses:
            responses[status]["description"] += (
                f"; {title}" if title not in responses[status]["description"] else ""
            )
            continue
        responses[status] = {
            "description": title,
            "content": {"application/problem+json": {"schema": _PROBLEM_REF}},
        }
    return dict(sorted(responses.items()))
