"""Settings come from the environment, are overruled by what is given, and say what is wrong with a value."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from live.settings import Settings, described, export, load, variable

NAMES = Settings.__struct_fields__
NUMBERS = [name for name in NAMES if type(getattr(Settings(), name)) in (int, float)]


def test_without_an_environment_everything_has_a_default() -> None:
    assert load({}) == Settings()


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_is_read_from_its_variable(name: str) -> None:
    default = getattr(Settings(), name)
    words = dict.fromkeys(("public_url", "imprint_url", "privacy_url", "accessibility_url"), "https://stadt.example/x")
    words |= {"smtp_url": "smtp://mail.stadt.example", "imap_url": "imaps://mail.stadt.example/INBOX"}
    words |= {"log_level": "error", "log_format": "json"}
    number = isinstance(default, int | float)
    other: Any = not default if isinstance(default, bool) else default + 1 if number else words.get(name, "something")
    read = load({variable(name): str(other)})
    assert getattr(read, name) == other
    assert type(getattr(read, name)) is type(default)
    assert msgspec.structs.replace(read, **{name: default}) == Settings(), "nothing else has changed"


def test_what_platforms_set_keeps_its_name_and_the_rest_is_ours() -> None:
    assert [variable(name) for name in ("database_url", "redis_url", "data")] == ["DATABASE_URL", "REDIS_URL", "PLENUM_DATA"]
    assert load({"DATA": "x", "PLENUM_DATABASE_URL": "x", "PATH": "x", "PLENUM_NO_SUCH": "x"}) == Settings()


def test_what_is_given_overrules_the_environment_and_none_is_not_given() -> None:
    assert load({"PLENUM_DATA": "there"}, data="here").data == "here"
    assert load({"PLENUM_DATA": "there"}, data=None).data == "there"


def test_the_process_s_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLENUM_BATCH_LIMIT", "7")
    assert load().batch_limit == 7


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("1", True), ("false", False), ("False", False), ("0", False)]
)
def test_a_switch_is_true_or_false(text: str, value: bool) -> None:
    assert load({"PLENUM_SECURE_COOKIES": text}).secure_cookies is value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_limit", "many"),
        ("batch_limit", "1.5"),
        ("batch_limit", ""),
        ("lock_seconds", "2s"),
        ("secure_cookies", "perhaps"),
        ("frame_bytes", "64 KiB"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"(?i){name}"):
        load({variable(name): value})


@pytest.mark.parametrize("value", ["-1", "nan"])
def test_a_number_that_makes_no_sense_is_refused_by_name(value: str) -> None:
    for name in NUMBERS:
        if value == "-1" or isinstance(getattr(Settings(), name), float):
            with pytest.raises(msgspec.ValidationError, match=f"(?i){name}"):
                load({variable(name): value})


def test_a_zero_that_would_stop_everything_is_refused_by_name() -> None:
    """No command in a batch: nobody is ever answered. No seconds between two looks: a core is busy. No rate: a division by it."""
    for name in (
        "batch_limit",
        "tail_seconds",
        "snapshot_rows",
        "send_rate",
        "submit_rate",
        "say_rate",
        "notes_growth_rate",
        "address_rate",
        "join_rate",
        "frame_bytes",
    ):
        with pytest.raises(msgspec.ValidationError, match=f"(?i){name}"):
            load({variable(name): "0"})


def test_a_zero_that_means_at_once_is_taken() -> None:
    for name in ("flush_seconds", "presence_seconds", "drain_seconds", "malformed_frames"):
        assert getattr(load({variable(name): "0"}), name) == 0


def test_what_is_wrong_names_the_variable_that_the_operator_has_set() -> None:
    with pytest.raises(msgspec.ValidationError, match="PLENUM_BATCH_LIMIT"):
        load({"PLENUM_BATCH_LIMIT": "many"})


@pytest.mark.parametrize("value", ["javascript:alert(1)", "stadt.example", " https://stadt.example"])
def test_an_address_that_is_none_is_refused_by_name(value: str) -> None:
    for name in ("public_url", "imprint_url", "privacy_url", "accessibility_url"):
        with pytest.raises(msgspec.ValidationError, match=f"(?i){name}"):
            load({variable(name): value})


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings().data = "elsewhere"  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    listed = described()
    assert [name for name, _, _ in listed] == [variable(name) for name in NAMES]
    assert [default for _, default, _ in listed] == [getattr(Settings(), name) for name in NAMES]
    assert all(len(help) > 20 for _, _, help in listed)


def test_a_child_process_reads_what_was_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    chosen = Settings(data="/srv/plenum", secure_cookies=True, lock_seconds=0.25, batch_limit=1, redis_url="redis://localhost")
    export(chosen)
    assert load() == chosen
