"""A real server in a process of its own, and the command line beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
import uuid
from pathlib import Path

import httpx
import msgspec

from live import admin
from live.app import open_log
from live.desks import Desks
from live.settings import Settings, load, variable
from rooms.programme import Programme
from tests.live.engines import free_port

ROOT = Path(__file__).resolve().parents[2]
PLENUM = (sys.executable, "-c", "import sys; from live.cli import main; sys.exit(main())")
"""The console script, whether or not the package is installed."""
WITHIN = 30.0
"""Seconds after which a process that does not answer counts as broken; a busy machine may need some of them."""

PROGRAMME = """
slug = "{slug}"
starts = "2020-08-20T18:00:00+02:00"
ends = "2020-08-20T20:00:00+02:00"
title.de = "Digitalisierung in Castrop-Rauxel"
title.en = "Digitalisation in Castrop-Rauxel"
venue.name = "DIEZE"
venue.address = "Erinstraße 6"

[stream]
kind = "embed"
address = "https://video.example/live"
provider = "CAS-TV"

[[topics]]
id = "city"
title.de = "Digitale Stadt"
title.en = "Digital city"

[[agenda]]
at = "18:00"
title.de = "Begrüßung"
title.en = "Welcome"
speaker = "Die Digitalisierungsbeauftragte"
"""


class Server:
    """`plenum serve` on a free port. `start` it, then `stop` or `kill` it; it may be started again on the same port and data."""

    program: tuple[str, ...] = (*PLENUM, "serve")

    def __init__(self, data: Path, settings: dict[str, object] | None = None, *options: str) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data, self.options = data, options
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = data / "server.log"
        ours = {variable(name) for name in Settings.__struct_fields__}
        clean = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment = clean | {variable(name): str(value) for name, value in (settings or {}).items()}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        """Where its log is."""
        return self.data / "plenum.sqlite3"

    def launch(self) -> None:
        """Begin to start it."""
        command = [*self.program, "--port", str(self.port), "--data", str(self.data), *self.options]
        with self.output.open("ab") as output:
            # A session of its own, so that its workers can be found when it is killed.
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    def start(self) -> None:
        """Returns when it answers. Raises AssertionError with what it wrote if it does not."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", timeout=5).json() == {"status": "ok"}:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server does not answer:\n{self.said()}")

    def beside(self, *command: str) -> subprocess.Popen[bytes]:
        """`plenum …` running beside this server on the same data and engines. The caller ends it."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [*PLENUM, *command, "--data", str(self.data)], cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )

    def stop(self) -> int:
        """SIGTERM, as a platform does it; returns the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(WITHIN)

    def kill(self) -> None:
        """As a power cut does it: the process and its workers get no chance to say anything."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(WITHIN)

    def said(self) -> str:
        """What it has written to its standard streams."""
        return self.output.read_text("utf-8")

    def memory(self) -> int:
        """Bytes of its resident memory (proc_pid_status(5))."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def plenum(self, *arguments: str | Path, status: int = 0) -> str:
        """What `plenum …` prints on this server's data; asserts its exit status."""
        done = subprocess.run(
            [*PLENUM, *map(str, arguments), "--data", str(self.data)],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=4 * WITHIN, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    async def event(self, phase: str | None = "live", **facts: object) -> str:
        """A new event in the log, as `plenum event create` makes it; returns its slug."""
        slug = f"abend-{uuid.uuid4().hex[:8]}"
        programme = msgspec.convert({**tomllib.loads(PROGRAMME.format(slug=slug)), **facts}, Programme)
        async with self._desks() as desks:
            await admin.configure(desks, programme, phase)
        return slug

    async def link(self, slug: str, role: str, name: str = "main", hours: float = 24.0) -> str:
        """The path of a new link, as `plenum link` makes it."""
        async with self._desks() as desks:
            return await admin.link(desks, slug, role, name, hours)

    async def command(self, slug: str, name: str, **arguments: object) -> None:
        """A command of the system, as the command line sends them."""
        async with self._desks() as desks:
            await admin.send(desks, slug, name, arguments)

    @contextlib.asynccontextmanager
    async def _desks(self):  # type: ignore[no-untyped-def]
        settings = load(self.environment, data=str(self.data))
        log = open_log(settings)
        try:
            async with Desks(log, settings) as desks:
                yield desks
        finally:
            log.close()
