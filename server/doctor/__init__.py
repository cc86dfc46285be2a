"""`parley doctor`: whether this machine can run a server, or runs one well, and what to do when not."""

from server.doctor.examine import examine
from server.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
