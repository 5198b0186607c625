"""Lines of many processes on one terminal, each under the name of its process."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import IO

_COLOURS = {"web": 36, "live": 35, "worker": 33, "beat": 34, "migrate": 32, "demo": 32, "meridian": 1}
_WIDTH = 8


class Output:
    """Writes whole lines only, from any thread; remembers the last ones of each process for error messages."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout
        self.colour = self.stream.isatty()
        self._lock = threading.Lock()
        self._recent: dict[str, deque[str]] = {}

    def say(self, text: str, name: str = "meridian") -> None:
        for line in text.splitlines() or [""]:
            self._write(name, line)

    def follow(self, name: str, pipe: IO[bytes]) -> threading.Thread:
        """Copy a process's output until it closes its end."""
        recent = self._recent[name] = deque(maxlen=25)

        def pump() -> None:
            with pipe:
                for raw in pipe:
                    line = raw.decode(errors="replace").rstrip()
                    if line:
                        recent.append(line)
                        self._write(name, line)

        thread = threading.Thread(target=pump, name=f"output-{name}", daemon=True)
        thread.start()
        return thread

    def recent(self, name: str) -> str:
        return "\n".join(self._recent.get(name, ()))

    def _write(self, name: str, line: str) -> None:
        label = f"{name:<{_WIDTH}}|"
        if self.colour:
            label = f"\x1b[{_COLOURS.get(name, 0)}m{label}\x1b[0m"
        with self._lock:
            try:
                self.stream.write(f"{label} {line}\n")
                self.stream.flush()
            except (BrokenPipeError, ValueError):  # nobody reads any more; the work goes on
                return
