"""What tests measured, shown at the end of a run that passes too, also when several processes shared it.

`tests/conftest.py` hangs what a test told here on its report, and shows all of them
in the end.
"""

PROPERTY = "figure"
_told: list[str] = []


def tell(figure: str) -> None:
    """Show a figure with the test's output and in the summary of the run."""
    print(figure)
    _told.append(figure)


def taken() -> list[str]:
    """What was told since this was asked last."""
    figures = list(_told)
    _told.clear()
    return figures
