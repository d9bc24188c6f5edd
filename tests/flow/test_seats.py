"""The last seats: five hundred register at the same moment at three processes for twenty of them. Never one too many, in the order
of arrival, whoever dies meanwhile; and a flood of invented registrations takes few of them.

The control decides the same five hundred without taking the event's row first.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from websockets.asyncio.client import ClientConnection, connect

from live import admin
from live.desk import Answer, Desk, Done
from live.desks import Desks
from live.log import Begun, Log, Row
from live.settings import Settings
from moderation.capabilities import AnyChange, apply
from moderation.event import Event
from rooms.programme import Programme
from rooms.register import Registration, Registrations
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person, refusal
from tests.flow.installation import Installation
from tests.flow.line import Line
from tests.flow.server import Server

SEATS, PEOPLE, PROCESSES = 20, 500, 3
TIMES = {"starts": "2099-08-20T18:00:00+02:00", "ends": "2099-08-20T20:00:00+02:00"}
FACTS: dict[str, Any] = {**TIMES, "places": {"hall": {"seats": SEATS, "deadline": "2099-08-19T12:00:00+02:00", "party": 2}}}
_CHANGES = msgspec.json.Decoder(list[AnyChange])


class Applicant:
    """Somebody who wants a seat, every second of a process with company, and has not closed the page since. In the order of one
    process a party of two comes when one seat is left. `answer`: what they were told."""

    def __init__(self, number: int) -> None:
        self.number, self.party = number, 1 + number // PROCESSES % 2
        self.name, self.email = f"Person {number}", f"person-{number}@example.org"
        self.id = str(uuid.uuid4())
        self.person: Person
        self.answer: dict[str, Any] = {}

    @property
    def wish(self) -> dict[str, Any]:
        """What they send."""
        return {"place": "hall", "name": self.name, "email": self.email, "party": self.party}

    async def register(self) -> None:
        """Ask for the seat, and be told."""
        self.answer = await self.person.do("registration.submit", id=self.id, **self.wish)

    async def cancel(self) -> None:
        """Give it back."""
        await self.person.do("registration.cancel", registration=self.answer["number"], token=self.answer["token"])


@asynccontextmanager
async def registering(town: Installation, urls: Sequence[str] = ()) -> AsyncIterator[tuple[list[Evening], list[Applicant]]]:
    """A new event as each process shows it, and everybody at their page, spread over the processes (at `urls`); nobody has sent
    anything yet."""
    slug = await town.servers[0].event("registration", **FACTS)
    applicants = [Applicant(number) for number in range(PEOPLE)]
    async with AsyncExitStack() as stack:
        evenings = [await stack.enter_async_context(Evening(server, slug)) for server in town.servers]
        gate = asyncio.Semaphore(50)

        async def come(applicant: Applicant, url: str) -> None:
            async with gate:
                applicant.person = await stack.enter_async_context(Person(url, slug))

        doors = itertools.cycle(urls or [server.url for server in town.servers])
        await asyncio.gather(*(come(applicant, next(doors)) for applicant in applicants))
        yield evenings, applicants


def history(town: Installation, slug: str) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    """The log, row by row, as a new process reads it: the state after the row, the command's id and the answer to it."""
    columns = "secret, seq, at, actor, command, changes, result"
    with psycopg.connect(town.postgres.url) as database:
        query = f"SELECT {columns} FROM log JOIN events ON id = event WHERE slug = %s ORDER BY seq"
        rows = database.execute(query, [slug]).fetchall()
    assert [row[1] for row in rows] == list(range(1, len(rows) + 1)), "the log has a gap"
    event = Event(slug, rows[0][0])
    for _, seq, at, actor, command, changes, result in rows:
        apply(event, seq, at, actor, _CHANGES.decode(changes))
        yield event, command, msgspec.json.decode(result)


def taken(registrations: Registrations) -> int:
    """People with a seat, counted one by one."""
    return sum(item.party for item in registrations.items.values() if item.status == "seated")


def in_order(registrations: Registrations) -> list[Registration]:
    """Everybody, the first to come first."""
    return sorted(registrations.items.values(), key=lambda item: item.order)


def first_who_fit(items: Sequence[Registration], seats: int) -> list[int]:
    """Who sits if nobody overtakes: as many from the front as fit; a party that does not fit keeps all behind it waiting."""
    sums = itertools.accumulate(item.party for item in items)
    return [item.number for item, people in zip(items, sums, strict=True) if people <= seats]


def seated_in(documents: dict[str, Any]) -> set[int]:
    """The same as an organiser is shown it."""
    return {data["number"] for data in documents.values() if data.get("status") == "seated"}


def numbers(registrations: Registrations, status: str) -> list[int]:
    """Who is in this state, the first to come first."""
    return [item.number for item in in_order(registrations) if item.status == status]


def agreed(town: Installation, slug: str, applicants: Sequence[Applicant]) -> Registrations:
    """What the log says: at no time one too many, everybody registered once, told what it says, and nobody overtaken."""
    asked = {applicant.id: applicant for applicant in applicants}
    registered: set[int] = set()
    known = Registrations()
    for event, command, result in history(town, slug):
        known = event.registrations
        assert taken(known) == sum(known.line("hall").taken.values()) <= SEATS, f"row {event.seq}"
        if applicant := asked.pop(command, None):
            item = known.items[result["number"]]
            assert applicant.answer == result, "told something else than the log"
            assert (item.party, item.status) == (applicant.party, result["status"])
            if item.status == "waiting":
                assert result["position"] == numbers(known, "waiting").index(item.number) + 1
            registered.add(item.number)
    assert asked == {}, "somebody is not in the log"
    assert known.items.keys() == registered
    assert [item.number for item in in_order(known)] == sorted(known.items), "numbers go by arrival"
    return known


async def shown(evenings: Sequence[Evening], registrations: Registrations, applicants: Sequence[Applicant]) -> None:
    """An organiser at each of the processes sees what the log says, with the names."""
    of_number = {applicant.answer["number"]: applicant for applicant in applicants}
    expected = {
        f"registration/{item.number}": (item.status, item.party, of_number[item.number].name, of_number[item.number].email)
        for item in registrations.items.values()
    }

    def seen(documents: dict[str, Any]) -> dict[str, Any]:
        fields = ("status", "party", "name", "email")
        return {key: tuple(data[one] for one in fields) for key, data in documents.items() if key.startswith("registration/")}

    organisers = [await evening.staff("organiser", "registrations") for evening in evenings]
    for organiser in organisers:
        await organiser.sees(lambda shown: seen(shown["registrations"]) == expected)
    assert len({msgspec.json.encode(organiser.documents["registrations"], order="sorted") for organiser in organisers}) == 1
    [counted] = organisers[0].documents["registrations"]["registrations"]["places"]
    assert (counted["taken"], counted["waiting"]) == (taken(registrations), len(numbers(registrations, "waiting")))


@pytest.mark.slow
async def test_five_hundred_want_twenty_seats_and_those_who_came_first_sit_and_move_up(tmp_path: Path) -> None:
    async with Installation(tmp_path, PROCESSES) as town, registering(town) as (evenings, applicants):
        slug = evenings[0].slug
        watching = [await evening.staff("organiser", "registrations") for evening in evenings]
        await asyncio.gather(*(applicant.register() for applicant in applicants))

        known = agreed(town, slug, applicants)
        assert SEATS - 1 <= taken(known) <= SEATS, "a seat was left though somebody fitted"
        assert numbers(known, "seated") == first_who_fit(in_order(known), SEATS)
        assert len(numbers(known, "waiting")) == PEOPLE - len(numbers(known, "seated"))
        await shown(evenings, known, applicants)

        seated = [applicant for applicant in applicants if applicant.answer["status"] == "seated"]
        leaving = seated[:10]
        for number, applicant in enumerate(leaving):  # whichever process takes the line when they come back
            applicant.person = await evenings[number % PROCESSES].person(applicant.person.cookie)
        await asyncio.gather(*(applicant.cancel() for applicant in leaving))

        later = agreed(town, slug, applicants)
        gone = {applicant.answer["number"] for applicant in leaving}
        assert numbers(later, "cancelled") == sorted(gone)
        assert numbers(later, "seated") == first_who_fit([item for item in in_order(later) if item.number not in gone], SEATS)
        moved_up = set(numbers(later, "seated")) - set(numbers(known, "seated"))
        assert moved_up
        assert moved_up == later.to_confirm.keys(), "who moves up is asked whether they still come, and nobody else"
        await shown(evenings, later, applicants)
        for organiser in watching:  # who has watched from the beginning sees the same as who comes now
            await organiser.sees(lambda shown: seated_in(shown["registrations"]) == set(numbers(later, "seated")))


@pytest.mark.slow
async def test_a_process_dies_in_the_middle_and_nobody_has_two_registrations_or_none(tmp_path: Path) -> None:
    """`kill -9` when it has committed what it has not answered. A page sends what was not answered again, with the same id, to the
    next process."""
    async with (
        Installation(tmp_path, PROCESSES) as town,
        Line(town.servers[-1].url) as cable,
        registering(town, [*(server.url for server in town.servers[:-1]), cable.url]) as (evenings, applicants),
        AsyncExitStack() as at_last,
    ):
        at_last.push_async_callback(cable.cut)  # else all would wait for their farewell on a cable that is held
        slug, watching = evenings[0].slug, await evenings[0].staff("organiser", "registrations")
        there = [applicant for applicant in applicants if applicant.person.address.startswith(cable.url.replace("http", "ws"))]
        unheard = there[-50:]
        cable.hold()
        here = [applicant for applicant in applicants if applicant not in there]
        sent = [asyncio.create_task(applicant.register()) for applicant in applicants if applicant not in unheard]
        names = {applicant.name for applicant in there}
        await watching.sees(
            lambda shown: sum(data.get("name") in names for data in shown["registrations"].values()) == len(there) - len(unheard)
        )
        cable.silence()
        sent += [asyncio.create_task(applicant.register()) for applicant in unheard]
        town.servers[-1].kill()
        await cable.cut()
        lost = [one for one in await asyncio.gather(*sent, return_exceptions=True) if one is not None]
        assert [type(one) for one in lost] == [ConnectionError] * len(there)
        assert all(applicant.answer for applicant in here), "who is at another process has noticed nothing"

        for number, applicant in enumerate(there):
            applicant.person = await evenings[number % 2].person(applicant.person.cookie)
        again = await refusal(there[0].person.do("registration.submit", **there[0].wish))
        assert again.code == "already_registered", "the control: with a new id the page would not get its answer"
        await asyncio.gather(*(applicant.register() for applicant in there))

        known = agreed(town, slug, applicants)
        assert len(known.by_contact) == PEOPLE, "somebody has two registrations, or none"
        assert numbers(known, "seated") == first_who_fit(in_order(known), SEATS)
        await shown(evenings[:-1], known, applicants)
        await asyncio.to_thread(town.servers[-1].start)
        await shown(evenings, known, applicants)


class BlindLog(Log):
    """For the control: reads the log without taking the event's row, and writes when all have decided. It finds a free place for
    its rows, which the log's primary key would otherwise refuse."""

    decided: threading.Barrier | None = None

    def begin(self, event: int, since: int, commands: Sequence[tuple[str, str]]) -> Begun:
        begun = super().begin(event, since, commands)
        if self.decided is not None:
            self.release()
        return begun

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        if self.decided is not None:
            self.decided.wait(ANSWERED_WITHIN)
            head = super().begin(event, 0, ()).head.seq
            rows = [(head + n, *row[1:]) for n, row in enumerate(rows, 1)]
        super().commit(event, rows, names, rewritten)


@pytest.mark.parametrize("kind", [Log, BlindLog], ids=["", "control: nobody takes the event's row"])
async def test_three_who_decide_about_the_last_seats_take_turns(tmp_path: Path, kind: type[Log]) -> None:
    """Three desks with a log of their own, as in three processes; five hundred stand in line before the first has begun."""
    url = f"sqlite:///{tmp_path / 'plenum.sqlite3'}"
    programme = msgspec.convert({"slug": "abend", "title": {"de": "Abend"}, **FACTS}, Programme)
    settings, together = Settings(tail_seconds=1_000), threading.Barrier(PROCESSES)
    answers: list[tuple[int, Answer]] = []
    async with AsyncExitStack() as stack:
        desks: list[Desk] = []
        for _ in range(PROCESSES):
            log = kind(url, lock_seconds=ANSWERED_WITHIN)
            stack.callback(log.close)
            log.create_tables()
            opened = await stack.enter_async_context(Desks(log, settings))
            if not desks:
                await admin.configure(opened, programme, "registration")
            desk = await opened.get("abend")
            assert desk is not None
            desks.append(desk)
            if isinstance(log, BlindLog):
                stack.callback(setattr, log, "decided", None)
                log.decided = together
        answered = asyncio.Event()

        def told(applicant: Applicant) -> Callable[[str, Answer], None]:
            def reply(_: str, answer: Answer) -> None:
                answers.append((applicant.party, answer))
                if len(answers) == PEOPLE:
                    answered.set()

            return reply

        for applicant, desk in zip(map(Applicant, range(PEOPLE)), itertools.cycle(desks), strict=False):
            wish = msgspec.json.encode(applicant.wish)
            desk.submit(f"person-{applicant.number}", applicant.id, "registration.submit", wish, told(applicant))
        async with asyncio.timeout(ANSWERED_WITHIN):
            await answered.wait()
    promised = sum(
        party for party, answer in answers if isinstance(answer, Done) and msgspec.json.decode(answer.result)["status"] == "seated"
    )
    assert all(isinstance(answer, Done) for _, answer in answers)
    if kind is Log:
        assert SEATS - 1 <= promised <= SEATS
    else:
        assert promised >= PROCESSES * (SEATS - 1), "each has given away all of them"


BOTS, EACH = 500, 20
"""Each is a new person, who sends fewer commands than one person may."""
THEIRS, OURS = "203.0.113.7", "198.51.100.4"
"""Addresses as a proxy on this machine says them (RFC 5737)."""


def invented(number: int) -> dict[str, Any]:
    """A registration of nobody."""
    return {"place": "hall", "name": f"Nobody {number}", "email": f"nobody-{number}@example.org"}


@asynccontextmanager
async def line(evening: Evening, address: str) -> AsyncIterator[ClientConnection]:
    """Somebody new at that address."""
    url = f"{evening.server.url.replace('http', 'ws')}/ws/{evening.slug}"
    async with connect(url, additional_headers={"X-Forwarded-For": address}, open_timeout=ANSWERED_WITHIN) as connection:
        yield connection


async def asked(connection: ClientConnection, *wishes: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers to these registrations, one after the other."""
    answers: list[dict[str, Any]] = []
    async with asyncio.timeout(3 * ANSWERED_WITHIN):
        for wish in wishes:
            frame = {"t": "do", "id": str(uuid.uuid4()), "name": "registration.submit", "args": wish}
            await connection.send(msgspec.json.encode(frame).decode())
            answers.append(await answer_on(connection))
    return answers


async def answer_on(connection: ClientConnection) -> dict[str, Any]:
    """The next frame that is one."""
    while True:
        frame: dict[str, Any] = msgspec.json.decode(await connection.recv())
        if frame["t"] in ("done", "refused"):
            return frame


async def healthy(url: str, until: asyncio.Event) -> list[float]:
    """Seconds that each look at `/healthz` took, one after the other."""
    waits: list[float] = []
    async with httpx.AsyncClient(timeout=ANSWERED_WITHIN) as client:
        while not until.is_set():
            began = time.perf_counter()
            assert (await client.get(f"{url}/healthz")).json() == {"status": "ok"}
            waits.append(time.perf_counter() - began)
    return waits


@pytest.mark.slow
@pytest.mark.parametrize("limited", [True, False], ids=["", "control: an address may register as often as it likes"])
async def test_ten_thousand_invented_registrations_from_one_address(tmp_path: Path, limited: bool) -> None:
    """With the limits as they come. What is protected: all seats but fifty, and everybody at other addresses, who are served
    meanwhile. What is not: the fifty, and who shares the address; they cannot register either, until the flood is over."""
    server = Server(tmp_path, {} if limited else {"register_burst": 1_000_000})
    server.start()
    try:
        hall = {**FACTS["places"]["hall"], "seats": 5_000}
        async with Evening(server, await server.event("registration", **TIMES, places={"hall": hall})) as evening:
            async with AsyncExitStack() as stack:
                bots = [await stack.enter_async_context(line(evening, THEIRS)) for _ in range(BOTS)]
                citizen = await stack.enter_async_context(line(evening, OURS))
                memory, over = server.memory(), asyncio.Event()
                looking = asyncio.create_task(healthy(server.url, over))
                began = time.monotonic()
                flood = [
                    asyncio.create_task(asked(bot, *(invented(number * EACH + n) for n in range(EACH))))
                    for number, bot in enumerate(bots)
                ]
                await asyncio.sleep(0)  # all of them have sent their first
                [answer] = await asked(citizen, {"place": "hall", "name": "Anna Arndt", "email": "anna@example.org"})
                assert answer["result"]["status"] == "seated"
                assert not any(one.done() for one in flood), "some had sent all before: the flood was none"
                answers = [answer for answers in await asyncio.gather(*flood) for answer in answers]
                took, grown = time.monotonic() - began, server.memory() - memory
                over.set()
                waits = await looking
            codes = Counter(answer.get("code", "done") for answer in answers)
            assert codes.keys() == {"done", "too_many"}
            assert codes.total() == BOTS * EACH
            usual = Settings()
            assert (codes["done"] <= usual.register_burst + usual.register_rate * took + 1) == limited
            assert max(waits) < 5, "whoever looks after the server would have taken it for dead"
            assert grown < 10_000_000
            assert "Traceback" not in server.said()
            if not limited:
                return
            async with line(evening, THEIRS) as neighbour:
                [answer] = await asked(neighbour, {"place": "hall", "name": "Nora Nah", "email": "nora@example.org"})
            assert answer["code"] == "too_many"
            assert answer["retry_after"] >= 1
    finally:
        server.kill()
