"""Errors of the policy package. PURE."""


class PolicyError(Exception):
    """Root of everything that `policy` raises; `code` is stable and goes on the wire."""

    code: str = "policy"


class NameRefused(PolicyError):
    """A room name, identity or screen name that breaks the rules; the message says how to mend it."""

    code = "invalid_name"


class TermsError(PolicyError):
    """A terms document that contradicts itself or the documents before it."""

    code = "invalid_terms"


class SettingsError(PolicyError):
    """Room settings outside their ranges; the message lists every problem."""

    code = "invalid_settings"
