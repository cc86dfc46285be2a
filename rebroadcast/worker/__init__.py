"""The program process: composes, encodes and sends; imports `media` and `store` only."""
