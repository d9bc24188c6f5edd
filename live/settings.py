"""Settings: every value that an operator may turn, with its default and what it does. Read once, handed to who needs it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is read from the environment as PLENUM_<NAME>, except DATABASE_URL and REDIS_URL, which platforms set."""

    database_url: Annotated[str, "Where the log is. Empty: `plenum.sqlite3` in the data directory"] = ""
    redis_url: Annotated[str, "Redis that tells several processes of each other's commits. Empty: none is needed"] = ""
    data: Annotated[str, "Directory of everything that is stored"] = "data"
    public_url: Annotated[str, "Address under which people reach the server, for QR codes and links. Empty: as browsers say"] = ""
    imprint_url: Annotated[str, "Address of the imprint (DDG § 5), in the foot of every page"] = ""
    privacy_url: Annotated[str, "Address of the privacy notice (GDPR Art. 13), in the foot of every page"] = ""
    accessibility_url: Annotated[str, "Address of the accessibility statement (BGG § 12b), in the foot of every page"] = ""
    smtp_url: Annotated[str, "Mail server for messages to people: smtp://user:password@host:587 or smtps://…:465. Empty: none"] = ""
    mail_from: Annotated[str, "Address that messages come from, and answers go to"] = ""
    imap_url: Annotated[str, "Mailbox that registrations come to: imaps://user:password@host/INBOX. Empty: none is read"] = ""
    mail_seconds: Annotated[float, "Longest wait for an answer of a mail server, and between two looks into the mailbox"] = 20.0
    secure_cookies: Annotated[bool, "Set cookies for https only. Switch on behind TLS"] = False
    trusted_proxies: Annotated[str, "Addresses of reverse proxies whose X-Forwarded-For is believed, comma-separated"] = "127.0.0.1"
    batch_limit: Annotated[int, "Most commands in one commit; 1 switches group commit off"] = 1000
    snapshot_rows: Annotated[int, "Log rows between two snapshots of an event's state"] = 10_000
    flush_seconds: Annotated[float, "Least time between two updates of a channel under load"] = 0.1
    presence_seconds: Annotated[float, "Least time between two updates of the numbers in hall and at home"] = 1.0
    tail_seconds: Annotated[float, "How often the log is looked at for what another process has written"] = 0.5
    lock_seconds: Annotated[float, "How long a commit waits for a locked database before it is refused"] = 2.0
    slow_seconds: Annotated[float, "How long a client may have a backlog before it is told to come back"] = 30.0
    ping_seconds: Annotated[float, "How often an idle connection is asked whether it is alive"] = 20.0
    frame_bytes: Annotated[int, "Largest frame taken from a client"] = 65_536
    form_bytes: Annotated[int, "Largest body of an HTTP request; a table of 1,500 people has 100 kB"] = 262_144
    malformed_frames: Annotated[int, "Malformed frames from one connection before it is closed for good"] = 20
    unanswered: Annotated[int, "Commands of one connection that may wait for their answer"] = 64
    connections_per_address: Annotated[int, "Connections from one address; a hall shares one"] = 2000
    send_burst: Annotated[float, "Commands that one person may send at once"] = 30.0
    send_rate: Annotated[float, "Commands a second that one person may go on sending"] = 2.0
    submit_burst: Annotated[float, "Contributions that one person may send at once; staff are not limited"] = 5.0
    submit_rate: Annotated[float, "Contributions a second that one person may go on sending"] = 0.1
    say_burst: Annotated[float, "Cards and chat messages that one person may send at once; staff are not limited"] = 10.0
    say_rate: Annotated[float, "Cards and chat messages a second that one person, or a table's device, may go on sending"] = 0.4
    address_burst: Annotated[float, "Commands that one address may send at once; a hall shares one"] = 1000.0
    address_rate: Annotated[float, "Commands a second that one address may go on sending"] = 200.0
    join_burst: Annotated[float, "Tries to enter the hall's code, a table's or a link that one address has at once"] = 60.0
    join_rate: Annotated[float, "Tries a second to enter the hall's code, a table's or a link from one address"] = 1.0
    register_burst: Annotated[float, "Registrations that one address may send at once; staff are not limited"] = 50.0
    register_rate: Annotated[float, "Registrations a second that one address may go on sending"] = 0.2
    form_seconds: Annotated[float, "Least time between showing the registration form and taking it: a program is faster"] = 3.0
    notes_bytes: Annotated[int, "Largest notes of one room, as they are stored; what would make them larger is refused"] = 200_000
    notes_burst: Annotated[float, "Messages to the notes that one person may send at once"] = 200.0
    notes_rate: Annotated[float, "Messages a second to the notes that one person may go on sending"] = 20.0
    notes_growth_burst: Annotated[float, "Bytes by which one person may make notes longer at once; a frame must fit"] = 65_536.0
    notes_growth_rate: Annotated[float, "Bytes a second by which one person may go on making notes longer; typing adds ten"] = 100.0
    admitted_per_turn: Annotated[int, "Requests begun in one turn of the loop: lower keeps moderators quicker in a storm"] = 8
    native_fanout: Annotated[bool, "Use the C send loop where it was built"] = True
    metrics_token: Annotated[str, "Who asks for `/metrics` from another machine sends it: `Authorization: Bearer …`"] = ""
    metrics_directory: Annotated[str, "Where processes on one port add up what they count. `plenum serve` chooses one"] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], "Least important lines that are written"] = "info"
    log_format: Annotated[Literal["auto", "json", "text"], "How they are written. `auto`: as text on a terminal"] = "auto"
    drain_seconds: Annotated[float, "How long a stopping server lets its clients leave"] = 10.0

    @property
    def database(self) -> str:
        """Where the log is."""
        return self.database_url or f"sqlite:///{Path(self.data) / 'plenum.sqlite3'}"


MAY_BE_ZERO = frozenset({"form_seconds", "flush_seconds", "presence_seconds", "drain_seconds", "malformed_frames"})
"""At once, or none at all. Any other number of zero would stop everything or keep a core busy."""


_WEB = ("https://", "http://", "/")
_SCHEMES: dict[str, tuple[str, ...]] = {
    "database_url": (), "redis_url": (), "smtp_url": ("smtps://", "smtp://"), "imap_url": ("imaps://", "imap://"),
}  # fmt: skip
"""What the addresses of these begin with; those without are told by their own library."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return name.upper() if name in ("database_url", "redis_url") else f"PLENUM_{name.upper()}"


def described() -> list[tuple[str, Any, str]]:
    """(variable, default, help) of every setting, for the documentation and its test."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    return [(variable(name), getattr(defaults, name), get_args(hint)[1]) for name, hint in hints.items() if get_origin(hint)]


def load(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from the environment, overruled by what is given (None is not given). Raises msgspec.ValidationError."""
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {
        field: source[variable(field)] for field in Settings.__struct_fields__ if variable(field) in source
    }
    values.update({name: value for name, value in given.items() if value is not None})
    for name, value in values.items():
        try:
            number = msgspec.structs.asdict(msgspec.convert({name: value}, Settings, strict=False))[name]
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{variable(name)}: {error}") from error
        schemes = _SCHEMES.get(name, _WEB) if name.endswith("_url") else ()
        if schemes and number and not number.startswith(schemes):
            # Not the value: a password may be in it.
            raise msgspec.ValidationError(f"{variable(name)}: must begin with {' or '.join(schemes)}")
        if type(number) in (int, float) and not (number > 0 or (number == 0 and name in MAY_BE_ZERO)):
            raise msgspec.ValidationError(f"{variable(name)}: must be more than 0, not {value}")
    return msgspec.convert(values, Settings, strict=False)


def set_in(environment: Mapping[str, str] | None = None) -> list[str]:
    """The variables of settings that are set there."""
    source = os.environ if environment is None else environment
    return [variable(field) for field in Settings.__struct_fields__ if variable(field) in source]


def unknown(environment: Mapping[str, str] | None = None) -> list[str]:
    """Variables that look like settings and are none: a misspelt one is silently without effect."""
    source = os.environ if environment is None else environment
    return sorted(name for name in source if name.startswith("PLENUM_") and name not in set_in(source))


def export(settings: Settings) -> None:
    """Hand the settings down to processes that this one starts."""
    os.environ.update({variable(name): str(getattr(settings, name)) for name in Settings.__struct_fields__})
    if settings.metrics_directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = settings.metrics_directory
