"""TensorRT's complaints, kept so that an error of ours can repeat them."""

from __future__ import annotations

from collections import deque

_KEPT = 16
_REPEATED = 2


class Complaints:
    """TensorRT's last error messages, from any thread; older ones are dropped.

    Attributes:
        total: how many there were so far; :meth:`since` takes it.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.total = 0
        self._kept: deque[str] = deque(maxlen=_KEPT)

    def add(self, message: str) -> None:
        """Keep a message."""
        self._kept.append(" ".join(message.split()))
        self.total += 1

    def since(self, total: int) -> str:
        """Return the last two messages that came after the count was ``total``, for an error of ours.

        The last one often only says that something failed, and the one before it says why.
        """
        count = min(self.total - total, _REPEATED)
        if count <= 0:
            return "TensorRT did not say why"
        return "; ".join(dict.fromkeys(list(self._kept)[-count:]))


COMPLAINTS = Complaints()
"""Those of this process: TensorRT has one logger a process, the first it is given, and ignores all others."""
