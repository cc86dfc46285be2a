"""When a NACKed packet may be sent again: an oracle for the core's forward sequencer. Times in ns."""

MS = 10**6


class SequencerModel:
    """The last `entries` packets; three resends each, an RTT apart, paid for by the media's bytes."""

    def __init__(self, entries: int, max_credit: int, first_credit: int) -> None:
        self.entries, self.max_credit, self.credit = entries, max_credit, first_credit
        self.ring: dict[int, dict[str, int]] = {}

    def record(self, seq: int, source_seq: int, size: int, now: int) -> None:
        self.ring[seq % self.entries] = {
            "seq": seq, "source_seq": source_seq, "size": size, "last_ms": now // MS, "resends": 0,
        }  # fmt: skip
        self.credit = min(self.credit + size, self.max_credit)

    def request(self, seq: int, now: int, rtt: int) -> tuple[str, int]:
        entry = self.ring.get(seq % self.entries)
        if entry is None or entry["seq"] != seq:
            return "unknown", 0
        if entry["resends"] >= 3:
            return "exhausted", 0
        guard = min(max(rtt or 100 * MS, 10 * MS), 100 * MS)
        if entry["resends"] and (now // MS - entry["last_ms"]) * MS < guard:
            return "too_soon", 0
        if entry["size"] > self.credit:
            return "over_budget", 0
        self.credit -= entry["size"]
        entry["resends"] += 1
        entry["last_ms"] = now // MS
        return "send", entry["source_seq"]
