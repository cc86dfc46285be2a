"""A program process that dies in the middle of a message, as one that is killed while it sends a segment."""

import os

if __name__ == "__main__":
    os.write(3, (500_000).to_bytes(4, "big") + bytes(1000))
