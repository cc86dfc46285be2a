"""The NACK rules as sentences: an oracle for the core's generator. Times in ns."""

MS = 10**6


class NackModel:
    """Missing packets: first asked for after 12 ms, then every RTT x 1.25^n within 20..400 ms; a packet that
    comes earns one request.
    """

    def __init__(self, max_missing: int, max_gap: int, max_credit: int) -> None:
        self.max_missing, self.max_gap = max_missing, max_gap
        self.credit = self.max_credit = max_credit
        self.missing: dict[int, tuple[int, int, int]] = {}  # seq -> (since, due, tries)
        self.highest: int | None = None
        self.given_up = 0

    def receive(self, seq: int, now: int) -> str:
        if self.highest is None:
            self.highest = seq
            return "first"
        if seq <= self.highest:
            if self.missing.pop(seq, None) is None:
                return "old"
            self.credit = min(self.credit + 1, self.max_credit)
            return "recovered"
        self.credit = min(self.credit + 1, self.max_credit)
        hole = range(self.highest + 1, seq)
        self.highest = seq
        if not hole:
            return "in_order"
        if len(hole) > self.max_gap or len(hole) + len(self.missing) > self.max_missing:
            self.given_up += len(hole) + len(self.missing)
            self.missing.clear()
            return "reset"
        self.missing.update(dict.fromkeys(hole, (now, now + 12 * MS, 0)))
        return "gap"

    def poll(self, now: int, rtt: int, room: int) -> list[int]:
        asked = []
        for seq, (since, due, tries) in sorted(self.missing.items()):
            if due > now:
                continue
            if tries >= 10 or now - since > 1000 * MS:
                del self.missing[seq]
                self.given_up += 1
            elif len(asked) < room and self.credit:
                self.credit -= 1
                asked.append(seq % 2**16)
                wait = min(max(rtt or 100 * MS, 20 * MS), 400 * MS)
                for _ in range(tries + 1):
                    if wait < 400 * MS:
                        wait += wait // 4
                self.missing[seq] = (since, now + min(wait, 400 * MS), tries + 1)
        return asked

    @property
    def deadline(self) -> int | None:
        return min((due for _, due, _ in self.missing.values()), default=None)
