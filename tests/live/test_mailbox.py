"""Letters out of a real Dovecot: in their order, once, cheaply, and in spite of lost connections."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop

from live import mailbox
from live.mailbox import AT_ONCE, DONE, LETTER_BYTES, Mailbox, MailboxGone
from tests.live.engines import free_port
from tests.live.post_engines import ENCODED, PASSWORD, Dovecot, Wire, certificate

SECONDS = 20.0
"""More than anything here takes."""
SOON = 0.3
"""Seconds after which a mailbox that does not answer is given up."""
NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    engine = Dovecot(tmp_path_factory.mktemp("dovecot"))
    engine.start()
    yield engine
    engine.stop()


class People:
    """Those who write to the mailbox, and read it with a program of their own."""

    def __init__(self, dovecot: Dovecot) -> None:
        self.imap = imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=SECONDS)
        self.imap.authenticate("PLAIN", lambda _: f"\0dialog\0{PASSWORD}".encode())

    def write(self, subject: str, body: bytes = b"Hallo", arrived: datetime = NOON, folder: str = "INBOX") -> None:
        raw = f"From: Anna <anna@example.org>\r\nDate: 1 Jan 1999 00:00:00 +0000\r\nSubject: {subject}\r\n\r\n".encode() + body
        date = imaplib.Time2Internaldate(arrived)
        assert self.imap.append(f'"{folder}"', "", date, raw)[0] == "OK"

    def flags(self) -> list[bytes]:
        """Of each letter."""
        self.imap.select("INBOX")
        return [bytes(line) for line in self.imap.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]


@pytest.fixture
def people(running: Dovecot) -> Iterator[People]:
    """The mailbox is empty when they begin."""
    people = People(running)
    if people.imap.select("INBOX")[1] != [b"0"]:
        people.imap.store("1:*", "+FLAGS", "\\Deleted")
        people.imap.expunge()
    people.imap.unselect()
    yield people
    people.imap.logout()


@pytest.fixture
def at(running: Dovecot) -> Callable[[int], str]:
    """Port → the address of the mailbox through it."""
    return lambda port: running.url.replace(str(running.port), str(port))


async def test_letters_come_in_the_order_of_their_arrival_which_they_cannot_forge(running: Dovecot, people: People) -> None:
    people.write("zweiter", arrived=NOON + timedelta(hours=1))
    people.write("erster", arrived=NOON)
    box = Mailbox(running.url, SECONDS)
    first, second = await box.letters()
    assert (first.subject, second.subject) == ("erster", "zweiter")
    assert first.arrived == NOON.timestamp() * 1000
    assert (first.address, first.text, first.clipped) == ("anna@example.org", "Hallo", False)
    assert first.uid != second.uid
    assert first.validity == second.validity > 0
    await box.close()


async def test_what_is_done_does_not_come_again_and_stays_in_the_mailbox(running: Dovecot, people: People) -> None:
    people.write("eins")
    people.write("zwei")
    box = Mailbox(running.url, SECONDS)
    eins, _ = await box.letters()
    await box.done(eins)
    await box.done(eins)
    assert [letter.subject for letter in await box.letters()] == ["zwei"]
    await box.close()
    assert [letter.subject for letter in await Mailbox(running.url, SECONDS).letters()] == ["zwei"]
    one, two = people.flags()
    assert DONE.encode() in one
    assert b"\\Seen" in one
    assert DONE.encode() not in two
    assert b"\\Seen" not in two


async def test_what_people_have_read_is_not_done(running: Dovecot, people: People) -> None:
    people.write("eins")
    people.imap.select("INBOX")
    people.imap.store("1", "+FLAGS", "\\Seen")
    box = Mailbox(running.url, SECONDS)
    assert [letter.subject for letter in await box.letters()] == ["eins"]
    await box.close()


async def test_a_letter_of_an_earlier_numbering_marks_no_other(running: Dovecot, people: People) -> None:
    people.write("eins")
    box = Mailbox(running.url, SECONDS)
    (letter,) = await box.letters()
    await box.done(mailbox.Letter(**{name: getattr(letter, name) for name in letter.__struct_fields__} | {"validity": 1}))
    assert len(await box.letters()) == 1
    await box.close()


async def test_ten_megabytes_cost_a_quarter_of_one(running: Dovecot, people: People, at: Callable[[int], str]) -> None:
    people.write("groß", b"Hallo\r\n" + b"x" * 76 * 140_000)
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        (letter,) = await box.letters()
        assert letter.clipped
        assert letter.text.startswith("Hallo")
        assert sum(map(len, wire.said)) < LETTER_BYTES + 10_000
        await box.close()


async def test_a_letter_with_everything_that_imap_is_made_of(running: Dovecot, people: People) -> None:
    body = b"A001 OK done\r\n* 1 FETCH (\r\n)) ((\r\n{5}\r\nA1 BAD\r\n+ go on\r\n" * 500
    people.write("eins (", body)
    people.write("", b"")
    people.write("drei")
    box = Mailbox(running.url, SECONDS)
    letters = await box.letters()
    assert [letter.subject for letter in letters] == ["eins (", "", "drei"]
    assert letters[0].text.count("A001 OK done") == 500
    await box.close()


async def test_a_folder_and_a_password_with_umlauts(running: Dovecot, people: People) -> None:
    people.imap.create('"B&APw-rger &- Rat"')
    people.write("dort", folder="B&APw-rger &- Rat")
    box = Mailbox(running.url.replace("/INBOX", "/B%C3%BCrger%20%26%20Rat"), SECONDS)
    assert [letter.subject for letter in await box.letters()] == ["dort"]
    await box.close()


async def test_a_wait_ends_when_a_letter_arrives(running: Dovecot, people: People, at: Callable[[int], str]) -> None:
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        assert await box.letters() == []
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(box.wait(10 * SECONDS))
            await wire.until(b"+ idling")
            assert not waiting.done()
            await asyncio.to_thread(people.write, "neu")
        assert [letter.subject for letter in await box.letters()] == ["neu"]
        await box.close()


async def test_a_letter_that_arrives_between_reading_and_waiting_is_not_waited_for(running: Dovecot, people: People) -> None:
    """The server has told of it in its answer to the mark of the other."""
    people.write("eins")
    box = Mailbox(running.url, SECONDS)
    (eins,) = await box.letters()
    await asyncio.to_thread(people.write, "zwei")
    await box.done(eins)
    async with asyncio.timeout(SECONDS):
        await box.wait(10 * SECONDS)
    assert [letter.subject for letter in await box.letters()] == ["zwei"]
    await box.close()


async def test_what_people_do_to_old_letters_ends_no_wait(running: Dovecot, people: People, at: Callable[[int], str]) -> None:
    people.write("alt")
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        (alt,) = await box.letters()
        await box.done(alt)
        people.imap.select("INBOX")
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(box.wait(10 * SECONDS))
            await wire.until(b"+ idling")
            await asyncio.to_thread(people.imap.store, "1", "+FLAGS", "\\Deleted")
            await asyncio.to_thread(people.imap.expunge)
            await wire.until(b"EXPUNGE")
            for _ in range(20):  # time enough to end the wait, if it were to end
                await asyncio.to_thread(people.imap.noop)
            assert not waiting.done()
            assert not wire.heard(b"Idle completed")
            await asyncio.to_thread(people.write, "neu")
        await box.close()


@pytest.mark.parametrize("idle", [True, False])
async def test_a_wait_ends_after_its_time_and_the_mailbox_goes_on(
    running: Dovecot, people: People, at: Callable[[int], str], idle: bool
) -> None:
    async with Wire(running.port).running() as wire:
        wire.alter = (lambda octets: octets) if idle else (lambda octets: octets.replace(b" IDLE", b" XXXX"))
        box = Mailbox(at(wire.port), SECONDS)
        assert await box.letters() == []
        await box.wait(SOON)
        people.write("neu")
        await box.wait(10 * SECONDS)
        assert [letter.subject for letter in await box.letters()] == ["neu"]
        assert bool(wire.heard(b"+ idling")) == idle
        assert wire.heard(b"Logged in") == 1
        await box.close()


async def test_what_people_do_in_the_meantime_makes_no_wait_longer(
    running: Dovecot, people: People, at: Callable[[int], str]
) -> None:
    people.write("alt")
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        await box.letters()
        people.imap.select("INBOX")
        waiting = asyncio.ensure_future(box.wait(1.2))  # Dovecot gathers news for half a second
        async with asyncio.timeout(SECONDS):
            while not waiting.done():
                await asyncio.to_thread(people.imap.store, "1", "+FLAGS", "\\Flagged")
                await asyncio.to_thread(people.imap.store, "1", "-FLAGS", "\\Flagged")
        await waiting
        await box.close()


async def test_many_letters_come_in_batches_without_a_wait_between(running: Dovecot, people: People) -> None:
    for number in range(AT_ONCE + 2):
        people.write(str(number))
    box, subjects = Mailbox(running.url, SECONDS), list[str]()
    async with asyncio.timeout(SECONDS):
        while len(subjects) < AT_ONCE + 2:
            for letter in await box.letters():
                subjects.append(letter.subject)
                await box.done(letter)
            if len(subjects) < AT_ONCE + 2:
                assert len(subjects) == AT_ONCE
                await box.wait(10 * SECONDS)
    assert subjects == [str(number) for number in range(AT_ONCE + 2)]
    await box.close()


async def test_who_marks_none_of_many_letters_is_not_kept_busy(running: Dovecot, people: People) -> None:
    for number in range(AT_ONCE + 1):
        people.write(str(number))
    box = Mailbox(running.url, SECONDS)
    await box.letters()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON):
            await box.wait(SECONDS)


@pytest.mark.parametrize("idle", [True, False])
async def test_a_connection_that_is_lost_while_waiting_is_noticed_at_once(
    running: Dovecot, people: People, at: Callable[[int], str], idle: bool
) -> None:
    async with Wire(running.port).running() as wire:
        wire.alter = (lambda octets: octets) if idle else (lambda octets: octets.replace(b" IDLE", b" XXXX"))
        box = Mailbox(at(wire.port), SECONDS)
        await box.letters()
        waiting = asyncio.ensure_future(box.wait(10 * SECONDS))
        async with asyncio.timeout(SECONDS):
            await (wire.until(b"+ idling") if idle else wire.until(b"Select completed", times=3))
            wire.cut()
            with pytest.raises(MailboxGone, match="connection lost"):
                await waiting
        people.write("danach")
        assert [letter.subject for letter in await box.letters()] == ["danach"]
        await box.close()


async def test_a_connection_that_is_lost_between_two_questions_is_replaced(
    running: Dovecot, people: People, at: Callable[[int], str]
) -> None:
    people.write("eins")
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        (eins,) = await box.letters()
        wire.cut()
        await box._lost.wait()
        await box.done(eins)
        assert await box.letters() == []
        assert wire.heard(b"Logged in") == 2
        await box.close()


def test_a_connection_that_is_lost_while_waiting_is_noticed_by_the_loop_of_the_web_processes(
    running: Dovecot, people: People, at: Callable[[int], str]
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_a_connection_that_is_lost_while_waiting_is_noticed_at_once(running, people, at, True))


async def test_a_connection_that_is_lost_within_a_letter_is_noticed_at_once(
    running: Dovecot, people: People, at: Callable[[int], str]
) -> None:
    people.write("groß", b"x" * 200_000)
    async with Wire(running.port).running() as wire:

        def cut(octets: bytes) -> bytes:
            if b"BODY[]" not in octets:
                return octets
            asyncio.get_running_loop().call_soon(wire.cut)
            return octets[: octets.index(b"BODY[]") + 100]

        wire.alter = cut
        box = Mailbox(at(wire.port), 10 * SECONDS)
        async with asyncio.timeout(SECONDS):
            with pytest.raises(MailboxGone, match="connection lost"):
                await box.letters()
        wire.alter = lambda octets: octets
        assert [letter.subject for letter in await box.letters()] == ["groß"]
        await box.close()


async def test_a_server_that_is_away_and_comes_back(tmp_path: Path) -> None:
    dovecot = Dovecot(tmp_path / "dovecot")
    box = Mailbox(dovecot.url, SECONDS)
    with pytest.raises(MailboxGone, match="no connection"):
        await box.letters()
    dovecot.start()
    People(dovecot).write("eins")
    (eins,) = await box.letters()
    dovecot.stop()
    with pytest.raises(MailboxGone):
        await box.done(eins)
    dovecot.start()
    assert await box.letters() == [eins]
    await box.done(eins)
    assert await box.letters() == []
    await box.close()
    dovecot.stop()


@pytest.mark.parametrize("silent_from", [b"* OK", b"CAPABILITY", b"Logged in", b"EXISTS", b"SEARCH", b"BODY[]", b"Store"])
async def test_a_server_that_falls_silent_is_left_in_time(
    running: Dovecot, people: People, at: Callable[[int], str], silent_from: bytes
) -> None:
    people.write("eins")
    async with Wire(running.port).running() as wire:
        box, fallen = Mailbox(at(wire.port), SOON), False

        def fall(octets: bytes) -> bytes:
            nonlocal fallen
            fallen = fallen or silent_from in octets
            return b"" if fallen else octets

        wire.alter = fall

        async def read_and_done() -> None:
            for letter in await box.letters():
                await box.done(letter)

        with pytest.raises(MailboxGone, match="no answer in time"):
            await read_and_done()
        wire.alter = lambda octets: octets
        assert len(await Mailbox(at(wire.port), SECONDS).letters()) <= 1


async def test_who_is_cancelled_while_waiting_leaves_a_mailbox_that_works(
    running: Dovecot, people: People, at: Callable[[int], str]
) -> None:
    async with Wire(running.port).running() as wire:
        box = Mailbox(at(wire.port), SECONDS)
        await box.letters()
        waiting = asyncio.ensure_future(box.wait(10 * SECONDS))
        await wire.until(b"+ idling")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        others = asyncio.all_tasks() - {asyncio.current_task()}
        people.write("danach")
        assert [letter.subject for letter in await box.letters()] == ["danach"]
        await box.close()
        assert not [task for task in others if "idle" in repr(task).lower() and not task.done()]


async def test_a_wrong_password_is_said_without_it(running: Dovecot) -> None:
    with pytest.raises(MailboxGone) as caught:
        await Mailbox(running.url.replace(ENCODED, "falsch"), SECONDS).letters()
    assert caught.value.reason == "login refused"
    assert caught.value.__suppress_context__


async def test_a_folder_that_is_not_there(running: Dovecot) -> None:
    with pytest.raises(MailboxGone, match="folder refused"):
        await Mailbox(running.url.replace("/INBOX", "/INBOX/Nirgendwo"), SECONDS).letters()


@pytest.mark.parametrize(("kept", "instead"), [(b" \\*)", b")"), (b"[READ-WRITE]", b"[READ-ONLY]")])
async def test_a_folder_that_would_forget_what_is_done_is_refused(
    running: Dovecot, people: People, at: Callable[[int], str], kept: bytes, instead: bytes
) -> None:
    async with Wire(running.port).running() as wire:
        wire.alter = lambda octets: octets.replace(kept, instead).replace(DONE.encode(), b"$XxxxxxXxxx")
        with pytest.raises(MailboxGone, match="keep"):
            await Mailbox(at(wire.port), SECONDS).letters()


async def test_imaps_and_whom_it_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = certificate(tmp_path)
    dovecot = Dovecot(tmp_path / "dovecot", pair)
    dovecot.start()
    People(dovecot).write("eins")
    address = f"imaps://dialog:{ENCODED}@localhost:{dovecot.tls_port}"
    with pytest.raises(MailboxGone, match="TLS failed"):
        await Mailbox(address, SECONDS).letters()
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    box = Mailbox(address, SECONDS)
    assert [letter.subject for letter in await box.letters()] == ["eins"]
    await box.close()
    dovecot.stop()


async def test_the_log_holds_neither_letters_nor_the_password(
    running: Dovecot, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    people.write("vertraulich")
    box = Mailbox(running.url, SECONDS)
    await box.letters()
    await box.close()
    assert "vertraulich" not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "",
        "imap.example.org",
        "http://user:geheim@localhost",
        "imaps://localhost",
        "imaps://user@localhost",
        "imaps://user:geheim@",
        "imaps://user:geheim@localhost/a%0d%0ab",
        "imap://user:geheim@imap.example.org",
        "imaps://user:geheim@imap.example.org?tls=no",
        "imap://user:geheim@imap.example.org?tls=ja",
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match=r"expected imaps://user:password@host/INBOX") as caught:
        Mailbox(address, SECONDS)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("address", ["imap://u:p@example.org?tls=no", "imap://u:p@localhost", "imaps://u:p@example.org/INBOX/Dialog"])
def test_an_address_says_whether_it_is_encrypted(address: str) -> None:
    Mailbox(address, SECONDS)


async def test_nobody_listens() -> None:
    with pytest.raises(MailboxGone, match="no connection"):
        await Mailbox(f"imap://u:p@127.0.0.1:{free_port()}", SECONDS).letters()
