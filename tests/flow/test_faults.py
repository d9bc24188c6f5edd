"""Trouble between the machines of an installation: engines that die, processes that die or freeze, cables that are cut. After each,
every acknowledged command is in the log once and all screens of all processes show the same; who was not touched went on meanwhile.

Each has a control: the same trouble with the protection switched off. (The database's own are in `tests/live/test_log.py`.)
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from rooms.command import Refused
from tests.flow.evening import ANSWERED_WITHIN, Evening
from tests.flow.installation import Citizen, Installation, agree, progress, writing

pytestmark = pytest.mark.slow
NEVER = 1_000.0
PEOPLE = 20


async def reaches(here: Evening, there: Evening, within: float = ANSWERED_WITHIN) -> bool:
    """Whether what is said at one process is shown at the other in that time."""
    viewer = await there.person(None, "public")
    number = await here.said(f"Hört mich jemand? {uuid.uuid4()}")
    try:
        await viewer.until(lambda client: f"contribution/{number}" in client.documents["public"], within)
    except TimeoutError:
        return False
    return True


async def leave(citizens: list[Citizen]) -> None:
    for citizen in citizens:
        await citizen.leave()


async def test_redis_is_gone_for_twenty_seconds_and_back_empty(tmp_path: Path) -> None:
    async with Installation(tmp_path) as town, town.evening() as evenings:
        async with writing(evenings, PEOPLE) as citizens:
            town.redis.stop()
            gone = time.monotonic()
            assert await reaches(evenings[0], evenings[1]), "the log is looked at instead"
            while time.monotonic() - gone < 20:
                await progress(citizens, 1)
            await asyncio.to_thread(town.redis.start)
            await progress(citizens, 5)
        await agree(town, evenings, citizens)
        assert sum(citizen.came_back for citizen in citizens) == 0, "nobody has noticed"
        await leave(citizens)


@pytest.mark.parametrize("trouble", ["killed", "the cable is pulled"])
@pytest.mark.parametrize("protected", [True, False], ids=["", "control: nobody looks at the log"])
async def test_without_the_bus_the_processes_look_at_the_log(tmp_path: Path, trouble: str, protected: bool) -> None:
    async with Installation(tmp_path, tail_seconds=0.5 if protected else NEVER) as town, town.evening() as evenings:
        assert await reaches(evenings[0], evenings[1])
        if trouble == "killed":
            town.redis.stop()
        else:
            town.to_redis[1].silence()
        assert await reaches(evenings[0], evenings[1], ANSWERED_WITHIN if protected else 3) == protected


async def test_the_cable_between_one_process_and_redis_is_pulled_and_mended(tmp_path: Path) -> None:
    async with Installation(tmp_path) as town, town.evening() as evenings:
        async with writing(evenings, PEOPLE) as citizens:
            town.to_redis[1].silence()
            assert await reaches(evenings[0], evenings[1])
            assert await reaches(evenings[1], evenings[0])
            await progress(citizens, 20)
            town.to_redis[1].release()
            await progress(citizens, 5)
        await agree(town, evenings, citizens)
        assert sum(citizen.came_back for citizen in citizens) == 0
        await leave(citizens)


async def test_postgresql_is_restarted(tmp_path: Path) -> None:
    async with Installation(tmp_path) as town, town.evening() as evenings:
        async with writing(evenings, PEOPLE) as citizens:
            for _ in range(3):
                await asyncio.to_thread(town.postgres.stop)
                with pytest.raises(Refused, match="storage_unavailable"):
                    await (await evenings[0].person()).do("contribution.submit", kind="idea", text="Jetzt gerade nicht")
                await asyncio.to_thread(town.postgres.start)
                await progress(citizens, 3)
        await agree(town, evenings, citizens)
        assert sum(citizen.came_back for citizen in citizens) == 0, "nobody was sent away"
        await leave(citizens)


async def test_a_process_is_killed_while_a_thousand_write(tmp_path: Path) -> None:
    """They go on at the other one; the control is `test_crash`: with a new id the second sending doubles the first."""
    async with Installation(tmp_path) as town, town.evening() as evenings:
        async with asyncio.timeout(240):
            citizens = [Citizen(evenings, number) for number in range(1_000)]
            await asyncio.gather(*(citizen.write(1) for citizen in citizens))
            async with asyncio.TaskGroup() as tasks:
                for citizen in citizens:
                    tasks.create_task(citizen.write(1))
                await asyncio.sleep(0)  # all of them have sent it, and the process is at work on the first
                town.servers[1].kill()
            assert all(len(citizen.acknowledged) == 2 for citizen in citizens)
            assert any(citizen.came_back for citizen in citizens), "nobody was interrupted: the test has shown nothing"
            await asyncio.to_thread(town.servers[1].start)
            await agree(town, evenings, citizens)
            await leave(citizens)


async def test_a_process_is_paused_for_fifteen_seconds_and_woken(tmp_path: Path) -> None:
    async with Installation(tmp_path) as town, town.evening() as evenings:
        async with writing(evenings[:1], PEOPLE) as citizens, writing(evenings[1:], PEOPLE) as paused:
            process = town.servers[1].process
            assert process is not None
            os.kill(process.pid, signal.SIGSTOP)
            stopped, before = time.monotonic(), sum(len(citizen.acknowledged) for citizen in citizens)
            while time.monotonic() - stopped < 15:
                await progress(citizens, 1)
            assert sum(len(citizen.acknowledged) for citizen in citizens) > before + PEOPLE
            os.kill(process.pid, signal.SIGCONT)
            await progress(paused, 3)
        await agree(town, evenings, [*citizens, *paused])
        await leave([*citizens, *paused])


async def test_two_processes_decide_about_the_same_single_thing_two_hundred_times(tmp_path: Path) -> None:
    """A link that works once, redeemed at both at the same moment. The control is in `tests/live/test_desk.py`."""
    async with Installation(tmp_path) as town, town.evening() as evenings:
        winners = []
        people = [await evening.person() for evening in evenings]
        for _ in range(200):
            path = await evenings[0].server.link(evenings[0].slug, "helper")
            token = path.rpartition("/")[2]
            answers = await asyncio.gather(
                *(person.do("link.redeem", token=token, id=str(uuid.uuid4())) for person in people), return_exceptions=True
            )
            refused = [answer for answer in answers if isinstance(answer, BaseException)]
            assert all(isinstance(answer, Refused) and answer.code == "link_used" for answer in refused), refused
            winners.append(len(answers) - len(refused))
        assert winners == [1] * 200
