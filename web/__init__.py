"""What browsers load: the client SDK, the room, the embed player and the pages around them.

Plain ES modules and stylesheets without a build step; Python only needs to know where they lie.
"""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parent
"""The folder that is served under `/static/`; `<page>/index.html` are the pages."""
