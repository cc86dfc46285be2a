"""What a token allows its bearer to do. PURE.

A permission is what a token allows; consent to being recorded or broadcast is a *grant* and lives in
`consent.py`.
"""

from collections.abc import Iterable
from enum import StrEnum

from policy.errors import PolicyError


class Permission(StrEnum):
    """One thing a token may allow; the values are the wire claim `grants`."""

    JOIN = "join"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    CHAT = "chat"
    MODERATE = "moderate"
    RECORD = "record"
    WATCH = "watch"
    BROADCAST = "broadcast"
    ADMIN = "admin"


class UnknownPermission(PolicyError):
    """A claim names a permission that does not exist; nothing of the claim is then used."""

    code = "invalid_permission"


def parse_permissions(values: Iterable[str]) -> frozenset[Permission]:
    """The set of permissions that a wire claim names.

    Raises: UnknownPermission when any value is not a permission (fail closed: no partial sets).
    """
    names = {permission.value: permission for permission in Permission}
    found: set[Permission] = set()
    for value in values:
        permission = names.get(value)
        if permission is None:
            raise UnknownPermission(f"{value[:40]!r} is not a permission; known: {', '.join(sorted(names))}")
        found.add(permission)
    return frozenset(found)
