"""Bit-level reading of codec headers, bounded by the data. PURE."""


class BitsError(ValueError):
    """The data ended before the field did, or a field is longer than its standard allows."""

    code = "bits_exhausted"


class BitReader:
    """Reads fields from the most significant bit down; every read advances or raises."""

    __slots__ = ("_bits", "_left")

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._left

    def read(self, count: int) -> int:
        """Read an unsigned field of `count` bits. Raises: BitsError past the end."""
        if count > self._left:
            raise BitsError(f"{count} bits wanted, {self._left} left")
        self._left -= count
        return (self._bits >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """Read one bit. Raises: BitsError past the end."""
        return self.read(1) == 1

    def skip(self, count: int) -> None:
        """Pass over `count` bits. Raises: BitsError past the end."""
        self.read(count)

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb code of at most 32 leading zeros. Raises: BitsError.

        Source: ITU-T H.264 section 9.1.
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise BitsError("an Exp-Golomb code above 32 bits")
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        """Read a signed Exp-Golomb code. Raises: BitsError. Source: ITU-T H.264 section 9.1.1."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def uvlc(self) -> int:
        """Read AV1's unsigned variable length code. Raises: BitsError. Source: AV1 section 4.10.3."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise BitsError("a variable length code above 32 bits")
        return (1 << 32) - 1 if zeros == 32 else (1 << zeros) - 1 + self.read(zeros)
