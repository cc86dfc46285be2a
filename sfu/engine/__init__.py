"""The media engine as Python sees it: typed commands and events, the native wrapper, its in-memory model."""
