"""Bounded output: head and tail are kept while streaming, and the end is found by a marker."""

from __future__ import annotations


class HeadTail:
    """Keeps the first and the last bytes of a stream; memory never exceeds about the limit."""

    def __init__(self, head: int, tail: int = 0) -> None:
        self._head_limit = head
        self._tail_limit = tail
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        """Bytes seen."""

    @classmethod
    def of(cls, limit: int) -> HeadTail:
        """A keeper of ``limit`` bytes, half at each end."""
        return cls(limit - limit // 2, limit // 2)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data or not self._tail_limit:
            return
        self._tail += data[-self._tail_limit :]
        # Trimmed late, so that many small pieces do not move the whole tail each time.
        if len(self._tail) > 4 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    @property
    def complete(self) -> bool:
        """True when nothing was left out."""
        return self.total <= len(self._head) + min(len(self._tail), self._tail_limit)

    def raw(self) -> bytes:
        """What was kept, head then tail, without a notice."""
        return bytes(self._head) + self._last()

    def text(self) -> tuple[str, int]:
        """Kept text with a notice where bytes were left out, and how many they are.

        Bytes that are not UTF-8 become U+FFFD; a character cut in two by the cap is left out
        (and counted), not garbled.
        """
        if self.complete:
            return self.raw().decode("utf-8", "replace"), 0
        head, tail = _whole_end(bytes(self._head)), _whole_start(self._last())
        dropped = self.total - len(head) - len(tail)
        notice = f"\n[... {dropped} bytes left out ...]\n"
        return head.decode("utf-8", "replace") + notice + tail.decode("utf-8", "replace"), dropped

    def _last(self) -> bytes:
        return bytes(self._tail[-self._tail_limit :]) if self._tail_limit else b""


class Marker:
    """Splits a stream at a secret that only the loop in the sandbox and the host know."""

    def __init__(self, secret: bytes, into: HeadTail) -> None:
        self._secret = secret
        self._into = into
        self._held = b""
        self._found = False

    def feed(self, data: bytes) -> list[bytes] | None:
        """Take bytes; gives the fields behind the secret once the marker's line is whole."""
        held = self._held + data
        if not self._found:
            at = held.find(self._secret)
            if at < 0:
                # The secret may be cut in two by the end of this piece.
                keep = len(self._secret) - 1
                self._into.feed(held[: max(0, len(held) - keep)])
                self._held = held[max(0, len(held) - keep) :]
                return None
            self._into.feed(held[:at])
            held = held[at + len(self._secret) :]
            self._found = True
        self._held = held
        line, newline, _ = held.partition(b"\n")
        return line.split() if newline else None


def _whole_end(data: bytes) -> bytes:
    """``data`` without a UTF-8 character that its end cut in two."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if size > back else data
    return data


def _whole_start(data: bytes) -> bytes:
    """``data`` without the rest of a UTF-8 character that its start cut in two."""
    for skip in range(min(3, len(data))):
        if not 0x80 <= data[skip] < 0xC0:
            return data[skip:]
    return data[3:] if len(data) >= 3 and 0x80 <= data[2] < 0xC0 else data
