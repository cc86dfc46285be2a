"""The recorder's child process: `python -m recorder.worker` reads taps and writes files, or finishes them.

Imports `media` and `store` only (and the recorder's own pure modules).
"""
