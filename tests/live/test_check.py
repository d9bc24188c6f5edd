"""`plenum check` tells what is wrong, really provoked, and how to mend it; it changes nothing and gives no secret away."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
import redis as redis_py

from live import check, check_redis, cli, migrations
from live.check_database import database as look_at_database
from live.findings import Finding
from live.log import METADATA, Log
from live.sending import fastest_way
from live.settings import Settings, variable
from tests.flow.server import ROOT, Server
from tests.live.engines import Postgres, RedisServer, free_port
from tests.live.post_engines import Dovecot, SmtpServer
from tests.live.release import leave_behind

SECRET = "geh31m"
POWERLESS = "exec" if os.getuid() else "exec setpriv --bounding-set=-dac_override,-dac_read_search"
"""Root as somebody for whom the rights of files hold."""


class Checked(NamedTuple):
    """What `plenum check` printed, and its exit status."""

    status: int
    lines: list[tuple[str, str, str]]

    def of(self, about: str) -> list[tuple[str, str]]:
        """(level, what was seen) of these lines."""
        return [(level, seen) for level, what, seen in self.lines if what == about]

    def finds(self, level: str, about: str, *words: str) -> None:
        """Assert that this was found, and that the exit status fits."""
        assert [seen for found, seen in self.of(about) if found == level and all(word in seen for word in words)], self.lines
        assert self.status == any(found == "BROKEN" for found, _, _ in self.lines)


Check = Callable[..., Checked]


def read(status: int, printed: str) -> Checked:
    lines = [line.split(maxsplit=2) for line in printed.splitlines()]
    assert all(len(line) == 3 and line[0] in ("OK", "WARNING", "BROKEN") for line in lines), printed
    assert SECRET not in printed
    return Checked(status, [(level, about, seen) for level, about, seen in lines])


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """`plenum check` with these settings and words, and nothing else in the environment."""
    for name in [name for name in os.environ if name.startswith("PLENUM_")] + ["DATABASE_URL", "REDIS_URL"]:
        monkeypatch.delenv(name, raising=False)

    def looked(*words: str, **settings: object) -> Checked:
        with monkeypatch.context() as environment:
            for name, value in {"data": tmp_path / "data", **settings}.items():
                environment.setenv(variable(name), str(value))
            status = cli.main(["check", *words])
        said = capsys.readouterr()
        assert said.err == ""
        return read(status, said.out)

    return looked


@pytest.fixture
def log(database: str) -> Iterator[Log]:
    """A database that Plenum has worked on, once with each engine."""
    log = Log(database)
    log.create_tables()
    yield log
    log.close()


def test_what_is_well_is_called_ok(look: Check, log: Log, database: str, redis: RedisServer) -> None:
    log.close()
    address: dict[str, object] = {"public_url": "https://dialog.example", "secure_cookies": True}
    found = look("--people", "10", database_url=database, redis_url=redis.url, **address)

    assert found.status == 0
    assert {level for level, about, _ in found.lines if about != "sending"} == {"OK"}
    abouts = {about for _, about, _ in found.lines}
    assert abouts == {
        "settings", "address", "disk", "database", "schema", "durability", "writing", "redis", "mail", "files", "sending"
    }  # fmt: skip


def test_looking_changes_nothing(look: Check, log: Log, database: str, new_database: Callable[[str], str]) -> None:
    empty = new_database(log.engine.dialect.name)
    look(database_url=database).finds("OK", "schema", migrations.head())
    found = look(database_url=empty)

    found.finds("OK", "database" if "sqlite" in empty else "schema", "the first command makes")
    assert found.status == 0
    if "sqlite" in empty:
        assert not Path(empty.removeprefix("sqlite:///")).exists()
    else:
        with psycopg.connect(empty) as connection:
            assert connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall() == []
    with log.engine.connect() as connected:
        assert [connected.execute(table.select()).all() for table in METADATA.sorted_tables] == [[]] * len(METADATA.tables)


def test_the_data_directory_is_not_made(look: Check, tmp_path: Path) -> None:
    look().finds("OK", "database", "is not there yet")
    assert not (tmp_path / "data").exists()


def test_beside_a_running_server_nothing_is_wrong(look: Check, database: str, serve: Callable[..., Server]) -> None:
    serve(database_url=database)
    assert look(database_url=database).status == 0


# Settings.


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_limit", f"many {SECRET}"), ("secure_cookies", "perhaps"), ("tail_seconds", "0,5"), ("unanswered", "1.5")],
)
def test_a_setting_that_cannot_be_read_is_named_and_its_value_is_not_printed(look: Check, name: str, value: str) -> None:
    found = look(**{name: value})
    found.finds("BROKEN", "settings", variable(name), "docs/settings.md")
    assert len(found.lines) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_limit", 0),
        ("lock_seconds", -1),
        ("lock_seconds", 0),
        ("flush_seconds", -0.1),
        ("tail_seconds", "nan"),
        ("send_rate", "inf"),
    ],
)
def test_a_number_that_cannot_work_is_broken(look: Check, name: str, value: object) -> None:
    look(**{name: value}).finds("BROKEN", "settings", variable(name))


def test_a_number_that_may_be_zero_is_not(look: Check) -> None:
    look(flush_seconds=0, drain_seconds=0).finds("OK", "settings", "PLENUM_FLUSH_SECONDS")


def test_a_misspelt_setting_is_found(look: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLENUM_PUBLC_URL", SECRET)
    look().finds("WARNING", "settings", "PLENUM_PUBLC_URL is no setting", "Is it PLENUM_PUBLIC_URL?")


@pytest.mark.parametrize(
    ("url", "secure", "level", "words"),
    [
        ("", False, "WARNING", "PLENUM_PUBLIC_URL"),
        ("https://dialog.example", True, "OK", "https only"),
        ("https://dialog.example:8443/", True, "OK", "https only"),
        ("https://dialog.example", False, "WARNING", "Set PLENUM_SECURE_COOKIES=true"),
        ("http://dialog.example", True, "BROKEN", "nobody stays signed in"),
        ("http://dialog.example", False, "WARNING", "not encrypted"),
        ("http://192.0.2.7:8000", False, "WARNING", "not encrypted"),
        ("http://127.0.0.1:8000", False, "OK", "without https"),
        ("http://localhost:8000", False, "OK", "without https"),
        ("http://[::1]:8000", False, "OK", "without https"),
        ("https://", False, "BROKEN", "like https://dialog.example"),
        ("https://dialog.example/stadt", True, "BROKEN", "without anything behind the host"),
        (f"https://me:{SECRET}@dialog.example", True, "BROKEN", "like https://dialog.example"),
        ("https://dialog.example:port", True, "BROKEN", "like https://dialog.example"),
        ("/dialog", True, "BROKEN", "like https://dialog.example"),
    ],
)
def test_address_and_cookies_must_go_together(look: Check, url: str, secure: bool, level: str, words: str) -> None:
    found = look(public_url=url, secure_cookies=secure)
    found.finds(level, "address", words)
    assert found.of("address") == look("--url", url, secure_cookies=secure).of("address")


# Disk.


def test_a_directory_that_takes_no_files_is_broken(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    for folder in (tmp_path, tmp_path / "below"):
        found = looked_apart(["--data", str(folder)], before=POWERLESS)
        found.finds("BROKEN", "disk", f"{tmp_path} takes no files: Permission denied", "--data")


def test_a_file_where_the_directory_should_be_is_broken(look: Check, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    look().finds("BROKEN", "disk", "takes no files: Not a directory")


@pytest.mark.parametrize(("size", "level"), [("50m", "BROKEN"), ("500m", "WARNING"), ("1100m", "OK")])
def test_little_room_is_told(tmp_path: Path, size: str, level: str) -> None:
    looked_apart(["--data", str(tmp_path)], mount=f"mount -t tmpfs -o size={size} tmpfs {tmp_path}").finds(
        level, "disk", "GB free", *(["Make room"] if level != "OK" else [])
    )


def test_a_disk_that_has_become_read_only_is_broken(tmp_path: Path) -> None:
    log = Log(f"sqlite:///{tmp_path / 'plenum.sqlite3'}")
    log.create_tables()
    log.close()
    mount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    found = looked_apart(["--data", str(tmp_path)], mount=mount)
    found.finds("BROKEN", "disk", "takes no files: Read-only file system")
    found.finds("BROKEN", "database", "cannot be opened", "for a file, its owner and its disk")


# Database.


def test_a_database_that_does_not_answer_is_broken(look: Check) -> None:
    url = f"postgresql://plenum:{SECRET}@127.0.0.1:{free_port()}/plenum"
    look(database_url=url).finds("BROKEN", "database", "postgresql://***@127.0.0.1", "Connection refused", "Start it")


def test_a_database_that_is_not_there_is_broken(look: Check, postgres: Postgres) -> None:
    url = postgres.url.replace("/postgres", "/no_such_one").replace("plenum@", f"plenum:{SECRET}@")
    look(database_url=url).finds("BROKEN", "database", '"no_such_one" does not exist', "correct DATABASE_URL")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        f"mysql://me:{SECRET}@127.0.0.1/plenum",
        f"postgres://me:{SECRET}@127.0.0.1/plenum",
        f"postgresql://me:{SECRET}@127.0.0.1:port/plenum",
        f"postgresql://me:a/b@{SECRET}@127.0.0.1/plenum",
        f"postgresql://me:a@b{SECRET}@127.0.0.1:1/plenum",
        f"redis://:{SECRET}@127.0.0.1/0",
    ],
)
def test_an_address_that_is_none_is_broken(look: Check, url: str) -> None:
    look(database_url=url).finds("BROKEN", "database", "DATABASE_URL is not the address of a database")


def test_a_password_among_the_options_of_an_address_is_not_printed(look: Check) -> None:
    url = f"postgresql://me@127.0.0.1:1/plenum?password={SECRET}"
    look(database_url=url).finds("BROKEN", "database", "***@127.0.0.1:1/plenum cannot be opened")


def test_a_file_that_is_no_database_is_broken(look: Check, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plenum.sqlite3").write_bytes(b"not a database" * 100)
    look().finds("BROKEN", "database", "file is not a database")


def test_tables_of_the_last_release_are_broken_and_migrating_mends_it(
    look: Check, database: str, next_release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(database)
    leave_behind(log, named=True)
    look(database_url=database).finds("BROKEN", "schema", "older than this program", "plenum migrate")

    log.migrate()
    look(database_url=database).finds("OK", "schema", next_release)
    monkeypatch.undo()
    look(database_url=database).finds("BROKEN", "schema", "newer than this program", "Start the release")
    log.close()


def test_tables_of_somebody_else_are_broken(look: Check, database: str) -> None:
    log = Log(database)
    with log.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE log (line TEXT)")
    look(database_url=database).finds("BROKEN", "schema", "not Plenum's (log)")
    log.close()


def test_a_database_that_is_locked_is_a_warning(look: Check, log: Log, database: str) -> None:
    with log.engine.connect().execution_options(writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE")
        else:
            connection.exec_driver_sql("SELECT 1")
        found = look(database_url=database, lock_seconds=0.1)
    found.finds("WARNING", "writing", "locked")
    assert found.status == 0


@pytest.fixture
def postgresql(new_database: Callable[[str], str]) -> str:
    """A PostgreSQL database with Plenum's tables."""
    url = new_database("postgresql")
    log = Log(url)
    log.create_tables()
    log.close()
    return url


def altered(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(name=url.rpartition("/")[2]).encode())


def test_a_database_that_takes_nothing_is_broken(look: Check, postgresql: str) -> None:
    altered(postgresql, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    look(database_url=postgresql).finds("BROKEN", "writing", "read-only transaction", "no replica")


def test_a_user_who_may_not_write_is_told(look: Check, postgresql: str) -> None:
    altered(postgresql, "CREATE ROLE {name} LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    url = postgresql.replace("plenum@", f"{postgresql.rpartition('/')[2]}@")
    look(database_url=url).finds("BROKEN", "writing", "permission denied for table keys", "GRANT")


def test_commits_that_are_not_on_the_disk_are_told(look: Check, postgresql: str) -> None:
    altered(postgresql, "ALTER DATABASE {name} SET synchronous_commit = off")
    found = look(database_url=postgresql)
    found.finds("WARNING", "durability", "synchronous_commit", "Set synchronous_commit = on")
    assert found.status == 0


def test_a_database_that_puts_nothing_on_the_disk_is_broken(look: Check, tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "careless", *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"))
    postgres.start()
    try:
        found = look(database_url=postgres.url)
        found.finds("BROKEN", "durability", "fsync and full_page_writes and synchronous_commit off", "Set fsync = on")
    finally:
        postgres.stop()


def test_sqlite_without_a_write_ahead_log_is_a_warning(look: Check, tmp_path: Path) -> None:
    """As on a network drive: this way of locking has no shared memory."""
    sqlite3.connect(tmp_path / "plenum.sqlite3").close()
    url = f"sqlite:///file:{tmp_path / 'plenum.sqlite3'}?vfs=unix-dotfile&uri=true"
    look(database_url=url).finds("WARNING", "durability", "journal_mode delete", "network drives")


@pytest.mark.parametrize(("by", "words"), [(-3.0, "3.0 s ahead of"), (3.0, "3.0 s behind"), (1.0, ""), (-1.0, "")])
def test_clocks_that_differ_are_a_warning(by: float, words: str, postgresql: str, redis: RedisServer) -> None:
    settings = Settings(database_url=postgresql, redis_url=redis.url)

    def now() -> float:
        return time.time() + by

    for found in (look_at_database(settings, now), check_redis.redis(settings, now)):
        (clock,) = [one for one in found if "clock" in one.seen]
        assert clock.level == ("WARNING" if words else "OK")
        assert words in clock.seen


# Redis.


def test_a_redis_that_does_not_answer_is_broken(look: Check) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"
    look(redis_url=url).finds("BROKEN", "redis", "redis://***@127.0.0.1", "Start Redis")


def test_a_redis_that_says_nothing_is_not_waited_for(look: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_redis, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kept: list[object] = []
        accepting = threading.Thread(target=lambda: kept.append(silent.accept()))
        accepting.start()
        look(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0").finds("BROKEN", "redis", "no answer")
        accepting.join()


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1/", f"redis://:{SECRET}@127.0.0.1:port/0", "redis+sentinel://127.0.0.1"])
def test_an_address_of_redis_that_is_none_is_broken(look: Check, url: str) -> None:
    look(redis_url=url).finds("BROKEN", "redis", "REDIS_URL is not an address of Redis")


def test_a_password_that_redis_does_not_take_is_told(look: Check, redis: RedisServer) -> None:
    with redis_py.Redis.from_url(redis.url) as client:
        client.config_set("requirepass", "the right one")
    look(redis_url=redis.url).finds("BROKEN", "redis", "Authentication required")
    url = redis.url.replace("//", f"//:{SECRET}@")
    look(redis_url=url).finds("BROKEN", "redis", "password", "correct REDIS_URL")
    look(redis_url=redis.url.replace("//", "//:the%20right%20one@")).finds("OK", "redis", "carries a message")


@pytest.mark.parametrize("forbidden", ["publish", "subscribe"])
def test_a_redis_that_does_not_let_us_speak_or_listen_is_broken(look: Check, redis: RedisServer, forbidden: str) -> None:
    with redis_py.Redis.from_url(redis.url) as client:
        client.acl_setuser("plenum", enabled=True, passwords=[f"+{SECRET}"], categories=["+@all"], channels=["*"], keys=["*"])
        client.execute_command("ACL", "SETUSER", "plenum", f"-{forbidden}")
    url = redis.url.replace("//", f"//plenum:{SECRET}@")
    look(redis_url=url).finds("BROKEN", "redis", f"no permissions to run the '{forbidden}' command", "ACL")


# The process.


def test_too_few_files_for_the_people_who_are_expected_are_told(look: Check) -> None:
    found = looked_apart([], before="ulimit -n 256 && exec")
    found.finds("WARNING", "files", "256 files open: enough for 156 people at once, not for 5000", "LimitNOFILE=5100")
    looked_apart(["--people", "150"], before="ulimit -n 256 && exec").finds("OK", "files", "enough for 150 people")


def test_a_c_loop_that_is_missing_or_switched_off_is_told(look: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    look(native_fanout=False).finds("WARNING", "sending", "switched off")
    if fastest_way() == "extension":
        look().finds("OK", "sending", "by the C loop")
    monkeypatch.setitem(sys.modules, "live._fanout", None)
    look().finds("WARNING", "sending", "not built", "make build")


def test_everything_broken_at_once_is_told_in_one_go(look: Check) -> None:
    port = free_port()
    engines = {"database_url": f"postgresql://me:{SECRET}@127.0.0.1:{port}/x", "redis_url": f"redis://:{SECRET}@127.0.0.1:{port}"}
    found = look(**engines, public_url="/x", send_rate="inf")
    assert found.status == 1
    assert {about for level, about, _ in found.lines if level == "BROKEN"} == {"settings", "address", "database", "redis"}


def test_the_findings_come_one_by_one(tmp_path: Path) -> None:
    """So that what is known is on the screen while a server is still waited for."""
    given = argparse.Namespace(data=str(tmp_path), url=None, people=10)
    first = next(iter(check.findings(given)))
    assert isinstance(first, Finding)


def looked_apart(words: list[str], *, mount: str = "", before: str = "") -> Checked:
    """`plenum check` in a process of its own: with another disk at a place, or with other rights or limits."""
    run = [sys.executable, "-c", "import sys; from live import cli; sys.exit(cli.main())", "check", *words]
    if mount:
        if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
            pytest.skip("another disk needs root")
        run = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", *run]
    if before:
        run = ["sh", "-c", f'{before} "$@"', "sh", *run]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(run, cwd="/", env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return read(done.returncode, done.stdout)


# Mail.


@pytest.fixture
def post() -> Iterator[SmtpServer]:
    """It runs in a thread of its own, as `plenum check` has none to spare."""
    server, running, over = SmtpServer(login=("dialog", SECRET)), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server.running():
            running.set()
            await over.wait()

    with asyncio.Runner() as runner:
        thread = threading.Thread(target=runner.run, args=(serve(),))
        loop = runner.get_loop()
        thread.start()
        assert running.wait(20)
        yield server
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture
def dovecot(tmp_path: Path) -> Iterator[Dovecot]:
    engine = Dovecot(tmp_path / "dovecot")
    engine.start()
    yield engine
    engine.stop()


def test_without_mail_people_are_told_by_telephone(look: Check) -> None:
    assert look().of("mail") == [("OK", "not used: people are told by telephone")]


def test_mail_servers_that_let_us_in_are_called_ok_and_nothing_is_sent(look: Check, post: SmtpServer, dovecot: Dovecot) -> None:
    smtp = post.url.replace("://", f"://dialog:{SECRET}@")
    found = look(smtp_url=smtp, imap_url=dovecot.url, mail_from="Stadt <dialog@stadt.example>", public_url="http://localhost")
    assert found.of("mail") == [
        ("OK", f"smtp://***@127.0.0.1:{post.port} lets us in to send"),
        ("OK", f"imap://***@127.0.0.1:{dovecot.port}/INBOX can be read, and keeps what is done"),
    ]
    assert found.status == 0
    assert post.heard == [("AUTH", False)]
    assert post.taken == []


def test_what_messages_need_is_named(look: Check, post: SmtpServer) -> None:
    smtp = post.url.replace("://", f"://dialog:{SECRET}@")
    found = look(smtp_url=smtp)
    found.finds("BROKEN", "mail", "PLENUM_MAIL_FROM is not set")
    found.finds("BROKEN", "mail", "PLENUM_PUBLIC_URL is not set")
    look(smtp_url=smtp, mail_from="dialog").finds("BROKEN", "mail", "PLENUM_MAIL_FROM is no address")


def test_a_mail_server_that_does_not_let_us_in_is_broken(look: Check, post: SmtpServer, dovecot: Dovecot) -> None:
    known: dict[str, object] = {"mail_from": "dialog@stadt.example", "public_url": "http://localhost"}
    wrong = post.url.replace("://", f"://dialog:{SECRET}2@")
    look(smtp_url=wrong, **known).finds("BROKEN", "mail", "login refused: 535", "Correct PLENUM_SMTP_URL")
    look(smtp_url=f"smtp://127.0.0.1:{free_port()}", **known).finds("BROKEN", "mail", "no connection")
    look(smtp_url=f"smtp://dialog:{SECRET}@mail.example/way", **known).finds("BROKEN", "mail", "expected smtp://")
    look(imap_url=dovecot.url.replace("INBOX", "Nirgends")).finds("BROKEN", "mail", "folder refused", "PLENUM_IMAP_URL")
    wrong = f"imap://dialog:{SECRET}@127.0.0.1:{dovecot.port}/INBOX"
    look(imap_url=wrong).finds("BROKEN", "mail", "login refused")
    look(imap_url=dovecot.url).finds("WARNING", "mail", "nobody gets an answer by mail")
    look(imap_url=f"imap://dialog:{SECRET}@mail.example").finds("BROKEN", "mail", "not encrypted")
