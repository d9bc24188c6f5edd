"""Compiled templates are kept for the next process, and never used when anything that they were made from has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from frontend.compiled import Compiled

SOURCE = "Guten {{ part }}"


def environment(folder: Path, lang: str = "de", source: str = SOURCE) -> Environment:
    """As a process that starts has it."""
    return Environment(loader=DictLoader({"hello.html": source}), bytecode_cache=Compiled(folder, lang), autoescape=True)


def kept(folder: Path, lang: str = "de", source: str = SOURCE) -> bool:
    """Whether a process that starts finds it compiled."""
    starting = environment(folder, lang, source)
    assert starting.bytecode_cache is not None
    return starting.bytecode_cache.get_bucket(starting, "hello.html", None, source).code is not None


def greeting(folder: Path) -> str:
    """What a process that starts makes of it."""
    return environment(folder).get_template("hello.html").render(part="Tag")


def test_the_second_process_finds_what_the_first_has_compiled(tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    assert not kept(folder)
    assert greeting(folder) == "Guten Tag"
    assert kept(folder)
    assert greeting(folder) == "Guten Tag"
    assert len(list(folder.iterdir())) == 1


def test_another_text_another_language_and_other_words_are_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greeting(tmp_path)
    assert not kept(tmp_path, source="Guten Abend")
    assert not kept(tmp_path, lang="en")
    with monkeypatch.context() as changed:
        changed.setattr(Path, "read_bytes", lambda path: b"other words" if path.suffix == ".mo" else path.open("rb").read())
        assert not kept(tmp_path)
    assert kept(tmp_path)


@pytest.mark.parametrize("left", [b"", b"nonsense", "half"])
def test_what_a_power_cut_has_left_is_compiled_anew(tmp_path: Path, left: bytes | str) -> None:
    greeting(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(left if isinstance(left, bytes) else file.read_bytes()[: file.stat().st_size // 2])
    assert not kept(tmp_path)
    assert greeting(tmp_path) == "Guten Tag"
    assert kept(tmp_path)


def test_where_nothing_can_be_written_every_process_compiles_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert greeting(tmp_path / "file" / "compiled") == "Guten Tag"
    assert not kept(tmp_path / "file" / "compiled")
