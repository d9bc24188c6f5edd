"""The engines that a city runs, started by the tests themselves on free ports: PostgreSQL and Redis."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

WITHIN = 30.0
"""Seconds in which an engine has to answer."""


def free_port() -> int:
    """A port on which nobody listens. Not one that the system gives to outgoing connections (ip(7): 32768 and above): one of those
    could sit on it while its owner is restarted. By the system's chance: Hypothesis seeds Python's, the same in every run."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def kept(port: int) -> socket.socket:
    """This port, until the socket is closed: whoever comes is refused, and no other program of a busy machine takes it."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", port))
    return keeper


class Postgres:
    """A PostgreSQL of one's own. It refuses to run as root: then it runs as `postgres`, whom its Debian package has made."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.port = folder, options, free_port()
        self.programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1] if Path("/usr/lib/postgresql").exists() else None
        self.url = f"postgresql://plenum@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. Raises AssertionError with what it wrote if it does not."""
        data = self.folder / "data"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                shutil.chown(self.folder, "postgres")
                for parent in self.folder.parents:
                    if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                        parent.chmod(parent.stat().st_mode | 0o011)
            self._run("initdb", "-D", str(data), "-U", "plenum", "--auth=trust", "--no-sync").wait()
        own = ["-D", str(data), "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        self.process = self._run("postgres", *own, *self.options)
        ready = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + WITHIN
        while subprocess.run(ready, check=False).returncode:
            alive = self.process.poll() is None and time.monotonic() < deadline
            assert alive, f"PostgreSQL does not answer:\n{(self.folder / 'log').read_text()}"
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, as a restart of the machine does it; the data stay."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: immediate shutdown
            self.process.wait(WITHIN)
            self.process = None

    def _program(self, name: str) -> str:
        assert self.programs is not None, "PostgreSQL is missing: apt-get install postgresql"
        return str(self.programs / name)

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([self._program(name), *arguments], user=user, cwd=self.folder, stdout=log, stderr=log)


class RedisServer:
    """A Redis of one's own, without anything on disk."""

    def __init__(self, *options: str) -> None:
        self.port, self.options = free_port(), options
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens."""
        program = shutil.which("redis-server")
        assert program is not None, "Redis is missing: apt-get install redis-server"
        own = ["--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen([program, *own, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listening(self.port)

    def stop(self) -> None:
        """As a crash: what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(WITHIN)
            self.process = None


def listening(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
