"""A room's chat: bounded history in memory, one rate per person."""

from collections import deque

from policy import Limits, NameRefused, normalize_chat
from rooms.errors import Code, Refused
from rooms.member import Member
from rooms.types import ChatMessage


class ChatLog:
    """The newest lines of a room. PURE: time comes in by parameter."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: deque[ChatMessage] = deque(maxlen=limits.chat_history)

    def compose(
        self, author: Member, text: str, *, line_id: str, now: float, now_ms: int, to: str | None
    ) -> ChatMessage:
        """The line to send, after length, characters and the author's rate are checked.

        `now`: monotonic seconds; `to`: participant id of the only reader.

        Raises: Refused (invalid_request, too_large, rate_limited).
        """
        try:
            tidy = normalize_chat(text, self._limits.chat_chars)
        except NameRefused as error:
            is_long = len(text) > self._limits.chat_chars
            raise Refused(Code.TOO_LARGE if is_long else Code.INVALID_REQUEST, str(error)) from error
        self._spend(author, now)
        return ChatMessage(
            id=line_id,
            at_ms=now_ms,
            participant=author.id,
            identity=author.identity,
            name=author.name,
            text=tidy,
            to=to,
        )

    def add(self, line: ChatMessage) -> None:
        """Keep a line for late joiners; the oldest one goes when the history is full."""
        self._lines.append(line)

    def visible_to(self, participant: str) -> tuple[ChatMessage, ...]:
        """The lines that this participant may see, oldest first."""
        return tuple(
            line for line in self._lines if line.to is None or participant in {line.to, line.participant}
        )

    def delete(self, line: ChatMessage) -> None:
        """Keep a line no longer."""
        self._lines.remove(line)

    def forget(self, participant: str) -> None:
        """Drop every line of a participant."""
        kept = [line for line in self._lines if line.participant != participant]
        self._lines.clear()
        self._lines.extend(kept)

    def _spend(self, author: Member, now: float) -> None:
        # Token bucket; a fresh author starts with a full one.
        if author.chat_tokens < 0:
            author.chat_tokens = float(self._limits.chat_burst)
        else:
            gained = (now - author.chat_at) * self._limits.chat_per_s
            author.chat_tokens = min(float(self._limits.chat_burst), author.chat_tokens + gained)
        author.chat_at = now
        if author.chat_tokens < 1.0:
            wait_s = (1.0 - author.chat_tokens) / self._limits.chat_per_s
            raise Refused(Code.RATE_LIMITED, "you write too fast: wait a little", retry_after_s=wait_s)
        author.chat_tokens -= 1.0
