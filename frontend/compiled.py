"""Compiled templates, kept for the next process as Python keeps compiled modules: compiling them is half of a start's work."""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache


class Compiled(BytecodeCache):
    """The templates of one language, in `folder`. Where that cannot be written, every process compiles for itself."""

    def __init__(self, folder: Path, lang: str) -> None:
        self.folder, self.lang = folder, lang
        package = Path(__file__).parent
        made_from = [*sorted(package.glob("*.py")), package / "locale" / lang / "LC_MESSAGES" / "plenum.mo"]
        self._made_from = sha256(b"".join(file.read_bytes() for file in made_from)).hexdigest()

    def get_source_checksum(self, source: str) -> str:
        """Of all that a template is made from: its own source, its words, and the code that puts them in."""
        return f"{super().get_source_checksum(source)} {self._made_from}"

    def load_bytecode(self, bucket: Bucket) -> None:
        """What an earlier process has left, if it was made from the same."""
        with contextlib.suppress(Exception), self._file(bucket).open("rb") as file:  # a power cut may leave anything
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """All at once: another process may be reading."""
        fresh = self._file(bucket).with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            fresh.write_bytes(bucket.bytecode_to_string())
            fresh.replace(self._file(bucket))

    def _file(self, bucket: Bucket) -> Path:
        return self.folder / f"{bucket.key}.{self.lang}"
