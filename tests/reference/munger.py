"""What a munger must do, with every packet remembered: an oracle for the core's munger."""


class Numbering:
    """One numbering of one source: numbers left out on purpose are closed up, lost ones stay holes."""

    def __init__(self) -> None:
        self.first_in = 0
        self.first_out = 0
        self.dropped: set[int] = set()
        self.highest_in = -1
        self.next_out = 0

    def sync(self, number: int, out: int) -> None:
        self.first_in, self.first_out, self.dropped = number, out, set()
        self.highest_in, self.next_out = number - 1, out

    def drop(self, number: int) -> None:
        if number >= self.first_in and number > self.highest_in:
            self.dropped.add(number)

    def map(self, number: int) -> int | None:
        if number < self.first_in or number in self.dropped:
            return None
        left_out = sum(1 for other in self.dropped if other < number)
        out = self.first_out + number - self.first_in - left_out
        if number > self.highest_in:
            self.highest_in, self.next_out = number, out + 1
        return out


class MungerModel:
    """Takes extended numbers, gives (seq, timestamp, picture, tl0, keyidx) as on the wire."""

    def __init__(self, first_seq: int, first_timestamp: int) -> None:
        self.seqs = Numbering()
        self.seqs.sync(0, first_seq)
        self.pictures = Numbering()
        self.offset = 0
        self.last = (first_timestamp, 0)
        self.tl0_offset = self.keyidx_offset = self.last_tl0 = self.last_keyidx = 0
        self.has_sent = False

    def switch_source(
        self,
        seq: int,
        timestamp: int,
        picture: int,
        tl0: int,
        keyidx: int,
        aligned: int | None,
        hz: int,
        now: int,
    ) -> tuple[int, ...]:
        last, since = self.last
        new = last
        if self.has_sent:
            elapsed = max(now - since, 0)
            new = last + max(elapsed * hz // 10**9, 1)
            if aligned is not None:
                ahead = (aligned + self.offset - last + 2**31) % 2**32 - 2**31
                if 0 < ahead <= (elapsed + 10**9) * hz // 10**9:
                    new = last + ahead
                elif -hz <= ahead <= 0:
                    new = last + 1
        self.offset = (new - timestamp) % 2**32
        self.seqs.sync(seq, self.seqs.next_out)
        self.pictures.sync(picture, self.pictures.next_out if self.has_sent else picture % 2**15)
        self.tl0_offset = self.last_tl0 + 1 - tl0 if self.has_sent else 0
        self.keyidx_offset = self.last_keyidx + 1 - keyidx if self.has_sent else 0
        out_picture = self.pictures.map(picture)
        out = self.seqs.map(seq)
        assert out is not None
        assert out_picture is not None
        return self._munge(out, timestamp, out_picture, tl0, keyidx, now)

    def forward(
        self, seq: int, timestamp: int, picture: int, tl0: int, keyidx: int, now: int
    ) -> tuple[int, ...] | None:
        out_picture = self.pictures.map(picture)
        if out_picture is None:
            return None
        out = self.seqs.map(seq)
        if out is None:
            return None
        return self._munge(out, timestamp, out_picture, tl0, keyidx, now)

    def drop(self, seq: int, picture: int | None) -> None:
        self.seqs.drop(seq)
        if picture is not None:
            self.pictures.drop(picture)

    def _munge(
        self, out: int, timestamp: int, picture: int, tl0: int, keyidx: int, now: int
    ) -> tuple[int, ...]:
        result = (
            out,
            (timestamp + self.offset) % 2**32,
            picture % 2**15,
            (tl0 + self.tl0_offset) % 256,
            (keyidx + self.keyidx_offset) % 32,
        )
        if out + 1 == self.seqs.next_out:
            self.last = (result[1], now)
            self.last_tl0, self.last_keyidx = result[3], result[4]
        self.has_sent = True
        return result
