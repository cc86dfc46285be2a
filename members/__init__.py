"""Members: accounts, profiles, preferences, address book, invitations, requests and registers.

Floor 2; stands on `store` and `policy` alone. Rooms work without it: a participant is who their token says.
"""

__all__: list[str] = []
