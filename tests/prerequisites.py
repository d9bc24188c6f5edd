"""What must be on the machine before make can work, and the Debian packages that bring it.

`python tests/prerequisites.py venv|tests` installs what is missing where root or sudo allows, and otherwise lists it. Runs
with the machine's own Python, before anything is installed: standard library only.
"""

from __future__ import annotations  # an older Python must get as far as the message that says so

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that is there. The headless shell is Chromium without windows around its pages, which are much of what a test costs."""


class Need(NamedTuple):
    """`instead`: the package where there is none of the first name."""

    what: str
    why: str
    package: str
    found: Callable[[], bool]
    instead: str = ""


VENV = [
    Need(
        "Python's venv and ensurepip",
        "to create .venv",
        f"python3.{sys.version_info.minor}-venv",
        lambda: all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
    ),
]
TESTS = [
    Need(
        "Chromium",
        "for the browser tests",
        "chromium-headless-shell",
        lambda: any(shutil.which(name) for name in BROWSERS),
        instead="chromium",
    ),
    Need("a C compiler", "for the C loop and the load client", "gcc", lambda: any(shutil.which(name) for name in ("cc", "gcc"))),
    Need("openssl", "for a certificate of the tests' own", "openssl", lambda: shutil.which("openssl") is not None),
    Need("nginx", "for the example of a proxy", "nginx-light", lambda: Path("/usr/sbin/nginx").exists()),
    Need("Dovecot", "for letters", "dovecot-imapd", lambda: Path("/usr/sbin/dovecot").exists()),
    Need("PostgreSQL", "for the log's contract", "postgresql", lambda: Path("/usr/lib/postgresql").exists()),
    Need("Redis", "for the bus's contract", "redis-server", lambda: shutil.which("redis-server") is not None),
]


def main(stage: str) -> int:
    """Returns an exit code: 0 unless something is missing without which the next step cannot even start."""
    if sys.version_info < (3, 11):  # noqa: UP036 - that is what is asked here
        print(f"Plenum needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.12 …")
        return 1
    needs = {"venv": VENV, "tests": TESTS}[stage]
    install([need for need in needs if not need.found()])
    missing = [need for need in needs if not need.found()]
    if missing:
        report(missing)
    return 1 if missing and stage == "venv" else 0


def install(missing: list[Need]) -> None:
    root = root_command()
    if not missing or root is None or shutil.which("apt-get") is None:
        return
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    subprocess.run([*root, *quiet, "update"], stdout=subprocess.DEVNULL)
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True).stdout.split()
    packages = [need.package if need.package in known else need.instead or need.package for need in missing]
    print("apt-get: installing", *packages, flush=True)
    subprocess.run([*root, *quiet, "install", "-y", "--no-install-recommends", *packages], stdout=subprocess.DEVNULL)


def root_command() -> list[str] | None:
    """How to run something as root without being asked for a password; None if there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return [sudo, "-n"]
    return None


def report(missing: list[Need]) -> None:
    print("Missing on this machine:")
    for need in missing:
        print(f"  {need.what}, {need.why}; on Debian: apt-get install {need.package}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
