"""A string that does not show itself. PURE."""


class Secret:
    """A stream key or the like: `str()`, `repr()` and logs show at most its last four characters."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; only for the call that needs it."""
        return self._value

    @property
    def masked(self) -> str:
        """Dots, and the last four characters when the secret is long enough to spare them."""
        return f"····{self._value[-4:]}" if len(self._value) >= 12 else "····"

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"Secret({self.masked})"

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")
