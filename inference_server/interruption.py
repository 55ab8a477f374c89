"""How one thread has another end its forward pass early, between two layers."""

import ctypes


class Interrupted(Exception):
    """A pass was ended before it was done; nothing of it counts."""


class Interruption:
    """Asked for by any thread, looked for by the one that computes."""

    def __init__(self) -> None:
        self._flags = (ctypes.c_int64 * 2)()

    @property
    def address(self) -> int:
        """Of two int64, for compiled passes: whether it is asked for, and room to note that they have ended."""
        return ctypes.addressof(self._flags)

    def ask(self) -> None:
        """The pass is to end before its next layer."""
        self._flags[0] = 1

    def clear(self) -> None:
        """Before another pass."""
        self._flags[0] = self._flags[1] = 0

    @property
    def asked(self) -> bool:
        return bool(self._flags[0])

    def check(self) -> None:
        """Raises Interrupted if it is asked for."""
        if self.asked:
            raise Interrupted

    def settle(self) -> None:
        """Raises Interrupted if a compiled pass has noted that it ended early."""
        if self._flags[1]:
            raise Interrupted
