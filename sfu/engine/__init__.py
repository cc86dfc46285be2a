"""The media engine as Python sees it: typed commands and events, the native wrapper, and its in-memory model."""
