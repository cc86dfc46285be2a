"""A program process that dies in the middle of a message, as one that is killed while it sends a segment."""

import os
import select

if __name__ == "__main__":
    while select.select([3], [], [], 0.3)[0]:  # what it was told is read: its death alone is to be seen
        os.read(3, 65_536)
    os.write(3, (500_000).to_bytes(4, "big") + bytes(1000))
