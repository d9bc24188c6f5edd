"""The load client of load.c on a running server."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.cases import CACHE, CLIENT_CORE, Served, family, pinned
from tests.live.engines import listening

WARM_UP_ROUNDS = 20
"""At the beginning of every turn, as in load.c."""
DELIVERIES = 100_000
"""Per turn, so that it takes about half a second of CPU time."""

Row = dict[str, Any]


class Load:
    """The load client on a server. `opened`: what it printed when all were connected."""

    def __init__(self, served: Served, connections: int, rounds: int, turns: int) -> None:
        listening(served.port)
        self.folder = tempfile.TemporaryDirectory()
        options = [*served.options, *self._file("say", [*map(served.lines, range((rounds + WARM_UP_ROUNDS) * turns))])]
        options += self._file("cookies", served.cookies[: connections + 1])
        options += self._file("openings", served.openings[: connections + 1])
        options += ["--port", str(served.port), "--pids", ",".join(map(str, family(served.pid)))]
        options += ["--connections", str(connections), "--rounds", str(rounds)]
        with pinned(CLIENT_CORE):
            self.process = subprocess.Popen(
                [str(CACHE / "load"), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self.opened = self._read()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.folder.cleanup()

    def block(self) -> Row:
        """Measures once. Raises SystemExit if it could not, or if the server did not deliver what it should."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        row = self._read()
        if row["wrong"] or row["ended"]:
            raise SystemExit(f"wrong or lost deliveries: {row}")
        return row

    def _read(self) -> Row:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the load client has given up, see above")
        row: Row = json.loads(line)
        return row

    def _file(self, name: str, lines: Sequence[str]) -> list[str]:
        if not lines:
            return []
        path = Path(self.folder.name) / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return [f"--{name}", str(path)]
