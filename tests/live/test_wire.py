"""The wire: whatever comes over a connection is answered by docs/protocol.md, or refused; it never raises and leaves no trace."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocket

from frontend.render import LANGUAGES, document, wording
from live.admin import configure, link
from live.desk import Desk
from live.desks import Desks
from live.endpoint import same_origin
from live.fanout import Group
from live.frames import Frame
from live.hub import Hub
from live.limits import Limits
from live.log import Log, Row
from live.settings import Settings
from live.wire import Connection
from rooms.command import SYSTEM, Refused
from rooms.programme import Phase, Programme
from tests.moderation.evening import EXAMPLES, Evening

SECONDS = 10
PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)
OPEN_HANDED = Settings(
    send_burst=1e9, submit_burst=1e9, say_burst=1e9, address_burst=1e9, join_burst=1e9, register_burst=1e9,
    malformed_frames=10**9, flush_seconds=0,
)  # fmt: skip


class Recorded:
    """A link that keeps what is written to it."""

    def __init__(self) -> None:
        self.behind = False
        self.on_behind: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.groups: tuple[Group, ...] = ()
        self.frames: list[dict[str, Any]] = []
        self.ended: int | None = None

    @property
    def is_open(self) -> bool:
        return self.ended is None

    def write(self, frame: Frame) -> None:
        if self.ended is None:
            self.frames.append(msgspec.json.decode(frame.payload))

    def close(self, code: int, reason: str = "") -> None:
        self.ended = self.ended or code

    def buffered(self) -> int:
        return 0


class GatedLog(Log):
    """A log whose commits wait until they may."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.open, self.reached = threading.Event(), threading.Event()
        self.open.set()

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        self.reached.set()
        assert self.open.wait(SECONDS)
        super().commit(event, rows, names, rewritten)


class Client:
    """One connection, and what came over it."""

    def __init__(self, house: House, person: str) -> None:
        self.house, self.link = house, Recorded()
        self.told = 0
        self.connection = Connection(self.link, house.hub, person, "127.0.0.1", house.limits, wording, LANGUAGES)

    def say(self, frame: Any) -> None:
        """One text message; anything but a string is sent as JSON."""
        self.connection.receive(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())

    async def hear(self, frame: Any) -> list[dict[str, Any]]:
        """What comes in answer."""
        before = len(self.link.frames)
        self.say(frame)
        await self.house.quiet()
        self.told = len(self.link.frames)
        return self.link.frames[before:]

    def heard(self) -> list[dict[str, Any]]:
        """What has come since somebody asked last."""
        news, self.told = self.link.frames[self.told :], len(self.link.frames)
        return news

    async def do(self, command: str, id: str = "a", /, **arguments: Any) -> dict[str, Any]:
        """One command's answer."""
        (answer,) = [frame for frame in await self.hear(do(command, id, **arguments)) if frame.get("id") == id]
        return answer


class House:
    """A desk with its hub on a database of its own, and people who connect."""

    def __init__(self, desks: Desks, desk: Desk, log: GatedLog, chosen: Settings) -> None:
        self.desks, self.desk, self.log = desks, desk, log
        self.hub = Hub(desk, lambda key, channel, lang, data: document(key, channel, lang, data, "abend"))
        self.limits = Limits(chosen)

    def person(self, name: str = "anna") -> Client:
        return Client(self, name)

    async def staff(self, role: str, person: str = "mona") -> Client:
        path = await link(self.desks, "abend", role)
        await self.desk.send(person, "sign-in", "link.redeem", msgspec.json.encode({"token": path.rpartition("/")[2]}))
        return Client(self, person)

    async def hold(self, author: Client) -> None:
        """The author's contribution is decided, and its commit waits."""
        self.log.reached.clear()
        self.log.open.clear()
        author.say(submit())
        assert await asyncio.to_thread(self.log.reached.wait, SECONDS)

    async def quiet(self) -> None:
        """Everything that was sent before is answered, and what changed is flushed."""
        with contextlib.suppress(Refused):
            await self.desk.send("quiet", "quiet", "link.redeem", b'{"token":""}')
        while self.hub._flush_at is not None:  # noqa: ASYNC110  (a flush is a turn of the loop away, and nothing announces it)
            await asyncio.sleep(0)

    def trace(self) -> tuple[bytes, dict[str, str]]:
        return msgspec.msgpack.encode(self.desk.event), dict(self.desk.names)


@contextlib.asynccontextmanager
async def opened(folder: Path, phase: Phase = "live", chosen: Settings = OPEN_HANDED) -> AsyncIterator[House]:
    log = GatedLog(f"sqlite:///{folder / 'plenum.sqlite3'}")
    log.create_tables()
    async with Desks(log, chosen) as desks:
        await configure(desks, PROGRAMME, phase)
        desk = await desks.get("abend")
        assert desk is not None
        try:
            yield House(desks, desk, log, chosen)
        finally:
            log.open.set()
    log.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        yield house


@pytest.fixture
async def draft(tmp_path: Path) -> AsyncIterator[House]:
    """An event that takes nothing from anybody: whatever is sent must leave it as it is."""
    async with opened(tmp_path, "draft") as house:
        yield house


def do(command: str, id: str = "a", /, **arguments: Any) -> dict[str, Any]:
    return {"t": "do", "id": id, "name": command, "args": arguments}


def submit(text: str = "Mehr Bänke", id: str = "a") -> dict[str, Any]:
    return do("contribution.submit", id, kind="idea", text=text)


def watch(*channels: str, **more: Any) -> dict[str, Any]:
    return {"t": "open", "channels": {channel: {} for channel in channels}, **more}


# Fuzzing.

TAKEN_IN_A_DRAFT = {"round.join"}
"""Commands that anybody may send before the evening: bent so little that they stay what they are, they are no noise."""
GOOD: list[dict[str, Any]] = [
    *(do(name, **make(Evening(), "olga")) for name, make in EXAMPLES.items() if name not in TAKEN_IN_A_DRAFT),
    watch("public", "me", "stage", lang="en", token="t", **{"as": "json"}),
    {"t": "open", "channels": {"public": {"epoch": "k", "seq": 1}}},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    ["t", "id", "name", "args", "channels", "lang", "as", "token", "text", "contribution", "open", "do", "public", "seq"]
)


@st.composite
def bent(draw: st.DrawFn) -> str:
    """A good frame with a field replaced, added or left out, here or one level deeper."""
    frame = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(GOOD))))
    place = frame
    inner = [value for value in frame.values() if isinstance(value, dict)]
    if draw(st.booleans()) and inner:
        place = draw(st.sampled_from(inner))
    name = draw(st.sampled_from([*place, "surprise"]) | WORDS)
    if draw(st.booleans()):
        place[name] = draw(st.one_of(JSON, WORDS))
    else:
        place.pop(name, None)
    return msgspec.json.encode(frame).decode()


@st.composite
def torn(draw: st.DrawFn) -> str:
    """A good frame with some characters replaced."""
    text = msgspec.json.encode(draw(st.sampled_from(GOOD))).decode()
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.text(max_size=5)) + text[start + draw(st.integers(0, 5)) :]


NOISE = st.text(max_size=40) | JSON.map(lambda value: msgspec.json.encode(value).decode()) | bent() | torn()
DEEP = 20_000


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(NOISE)
@example('{"t":"do","id":"a","name":"contribution.submit","args":' + "[" * DEEP + "]" * DEEP + "}")
@example('{"t":"open","channels":' + '{"a":' * DEEP)
@example('{"surprise":' + "[" * DEEP + "]" * DEEP + ',"t":"do","id":"a"}')
@example("[" * DEEP)
@example("\ud800")
@example('{"t":"do","id":"\\ud800","name":"x"}')
@example('{"t":"open","channels":{"public":{"epoch":"k","seq":' + "9" * 5_000 + "}}}")
@example('{"t":"open","channels":{"public":{"epoch":"k","seq":-' + "9" * 30 + "}}}")
@example('{"t":"do","id":"a","name":"contribution.withdraw","args":{"contribution":' + "9" * 5_000 + "}}")
@example('{"t":"do","id":"a","name":"contribution.withdraw","args":{"contribution":1e999}}')
@example('{"t":"do","id":"a","id":"b","name":"x","name":"y"}')
@example('\ufeff{"t":"do","id":"a","name":"x"}')
async def test_noise_is_answered_by_the_protocol_and_leaves_no_trace(draft: House, noise: str) -> None:
    before, client = draft.trace(), draft.person()
    answers = await client.hear(noise)
    assert client.link.ended is None
    assert draft.trace() == before
    if isinstance(frame := parsed(noise), dict) and frame.get("t") == "open" and frame.get("channels") == {} and not answers:
        return  # to watch nothing is a wish like another
    assert answers, "silence"
    if isinstance(frame, dict) and frame.get("t") == "open" and answers[0]["t"] == "docs":
        assert {answer["t"] for answer in answers} <= {"docs", "count"}
        assert {answer["channel"] for answer in answers} == frame["channels"].keys()
        return
    (answer,) = answers
    assert answer["t"] == "refused"
    assert answer["text"]
    assert answer["code"] not in ("bug", "storage_unavailable")
    if isinstance(frame, dict) and isinstance(frame.get("id"), str) and frame.get("t") == "do":
        assert answer["id"] == frame["id"], "who sent it must know which one was refused"


async def test_a_draft_takes_no_command_even_if_an_argument_is_left_out(draft: House) -> None:
    """Else what is bent would now and then be no noise."""
    client, taken = draft.person(), set()
    for frame in GOOD:
        for left_out in ["", *frame.get("args", {})]:
            args = {name: value for name, value in frame.get("args", {}).items() if name != left_out}
            if frame["t"] == "do" and (await client.hear(do(frame["name"], **args)))[0]["t"] != "refused":
                taken.add(frame["name"])
    assert taken == set()


def parsed(text: str) -> Any:
    """What a lenient reader makes of it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


async def test_an_empty_wish_is_granted_with_silence(draft: House) -> None:
    assert await draft.person().hear(watch()) == []


# Answers.


async def test_a_connection_begins_with_a_welcome(house: House) -> None:
    client = house.person()
    client.connection.welcome()
    assert client.link.frames == [{"t": "welcome", "person": "anna", "seq": house.desk.event.seq, "epoch": house.desk.epoch}]


async def test_a_command_is_done_and_its_repetition_gets_the_same_answer(house: House) -> None:
    client = house.person()
    first = await client.do("contribution.submit", kind="idea", text="Mehr Bänke")
    assert (first["t"], first["id"], first["result"]["contribution"]) == ("done", "a", 1)
    assert await client.do("contribution.submit", kind="wish", text="Etwas anderes") == first
    assert len(house.desk.event.contributions.items) == 1


@pytest.mark.parametrize("id", ["", "x" * 65, "ein Leerzeichen", "ä", "a\n", "\x00", "a/b"])
async def test_an_id_that_cannot_be_stored_is_refused_and_named(house: House, id: str) -> None:
    (answer,) = await house.person().hear(submit(id=id))
    assert (answer["code"], answer["field"], answer["id"]) == ("malformed", "id", id)
    assert house.desk.event.contributions.items == {}


async def test_refusals_are_worded_in_the_language_of_the_last_open(house: House) -> None:
    client = house.person()
    texts = []
    for lang in ("de", "en", "tlh"):
        await client.hear(watch("stage", lang=lang))
        texts.append((await client.do("contribution.submit", kind="idea", text=""))["text"])
    german, english, klingon = texts
    assert german != english
    assert klingon == german, "a language that we do not speak is the first one"


async def test_a_refusal_names_field_and_limits(house: House) -> None:
    answer = await house.person().do("contribution.submit", kind="idea", text="x" * 1_001)
    assert (answer["code"], answer["field"], answer["params"]["max"], answer["retry_after"]) == (
        "text_too_long",
        "text",
        1_000,
        None,
    )


async def test_who_has_gone_is_not_answered_but_what_they_sent_is_done(house: House) -> None:
    client = house.person()
    client.say(submit())
    client.link.close(1006)
    client.connection.closed()
    await house.quiet()
    assert client.link.frames == []
    assert len(house.desk.event.contributions.items) == 1


# Opening channels.


async def test_watching_begins_with_the_documents_and_goes_on_with_changes(house: House) -> None:
    viewer, author = house.person("bilal"), house.person("anna")
    (docs,) = await viewer.hear(watch("public", **{"as": "json"}))
    assert (docs["t"], docs["channel"], docs["reset"], docs["gone"]) == ("docs", "public", True, [])
    assert [one["key"] for one in docs["put"]] == ["event", "agenda", "places", "on_air"]
    await author.do("contribution.submit", kind="idea", text="Mehr Bänke")
    assert [one["data"]["text"] for one in viewer.link.frames[-1]["put"]] == ["Mehr Bänke"]


async def test_all_channels_are_opened_or_none(house: House) -> None:
    client = house.person()
    await client.hear(watch("stage"))
    for frame, code in ((watch("public", "moderation"), "forbidden"), (watch("public", "kitchen"), "unknown_channel")):
        (answer,) = await client.hear(frame)
        assert (answer["t"], answer["id"], answer["code"], answer["field"]) == ("refused", None, code, "channels")
    assert list(client.connection.watcher.channels) == ["stage"], "what was watched before is still watched"


async def test_opening_again_replaces_what_is_watched(house: House) -> None:
    client = house.person()
    await client.hear(watch("public", "stage"))
    await client.hear(watch("me"))
    assert list(client.connection.watcher.channels) == ["me"]
    await client.hear(watch())
    assert house.hub.channels == {}


async def test_an_output_is_opened_by_its_token(house: House) -> None:
    path = await link(house.desks, "abend", "overlay", "main")
    token = path.rpartition("/")[2]
    assert (await house.person("nobody").hear(watch("output/main", token=token)))[0]["t"] == "docs"
    assert (await house.person("nobody").hear(watch("output/main", token="wrong")))[0]["code"] == "forbidden"
    assert (await house.person("nobody").hear(watch("output/left", token=token)))[0]["code"] == "forbidden"


async def test_who_comes_back_gets_what_was_touched_since_and_a_stranger_everything(house: House) -> None:
    client = house.person()
    first = await client.do("contribution.submit", kind="idea", text="Mehr Bänke")
    await client.do("contribution.submit", "b", kind="idea", text="Mehr Grün")
    epoch, seq = house.desk.epoch, first["seq"]

    async def resumed(epoch: str | None, seq: int | None) -> tuple[bool, list[str]]:
        since = {name: value for name, value in (("epoch", epoch), ("seq", seq)) if value is not None}
        (docs,) = [
            frame for frame in await house.person().hear({"t": "open", "channels": {"public": since}}) if frame["t"] == "docs"
        ]
        return docs["reset"], [one["key"] for one in docs["put"]]

    everything = (True, ["event", "agenda", "places", "on_air", "contribution/1", "contribution/2"])
    assert await resumed(epoch, seq) == (False, ["contribution/2"])
    assert await resumed(epoch, seq + 1) == (False, [])
    for wrong in ((None, None), (epoch, None), (None, seq), ("another", seq), (epoch, seq + 2), (epoch, 10**15)):
        assert await resumed(*wrong) == everything, wrong


async def test_nothing_is_shown_that_is_not_committed(house: House) -> None:
    author, viewer = house.person("anna"), house.person("bilal")
    await house.hold(author)
    viewer.say(watch("public", **{"as": "json"}))
    assert house.desk.event.contributions.items, "the control: the state is ahead"
    assert viewer.link.frames == author.link.frames == []
    house.log.open.set()
    await house.quiet()
    assert [one["key"] for one in viewer.link.frames[0]["put"]] == ["event", "agenda", "places", "on_air", "contribution/1"]
    assert author.link.frames[0]["t"] == "done"


async def test_who_goes_while_a_commit_is_under_way_is_not_watched_for(house: House) -> None:
    author, viewer = house.person("anna"), house.person("bilal")
    await house.hold(author)
    viewer.say(watch("public"))
    viewer.connection.closed()
    house.log.open.set()
    await house.quiet()
    assert house.hub.channels == {}
    assert house.hub.watchers == {}


# Limits.


async def test_a_line_with_too_much_noise_is_closed_for_good(tmp_path: Path) -> None:
    async with opened(tmp_path, chosen=msgspec.structs.replace(OPEN_HANDED, malformed_frames=3)) as house:
        client = house.person()
        for number in range(3):
            (answer,) = await client.hear("noise")
            assert answer["code"] == "malformed", number
            assert (await client.do("contribution.submit", f"id-{number}", kind="idea", text="Mehr Bänke"))["t"] == "done"
        assert await client.hear("noise") == []
        assert client.link.ended == 4502
        assert await client.hear("noise") == []


async def test_only_so_many_commands_wait_for_their_answers(tmp_path: Path) -> None:
    async with opened(tmp_path, chosen=msgspec.structs.replace(OPEN_HANDED, unanswered=5)) as house:
        client, other = house.person("anna"), house.person("bilal")
        house.log.open.clear()
        for number in range(7):
            client.say(submit(id=f"id-{number}"))
        other.say(submit(id="other"))
        assert [(frame["id"], frame["code"]) for frame in client.link.frames] == [("id-5", "too_many"), ("id-6", "too_many")]
        assert client.link.frames[0]["retry_after"] == 1.0
        house.log.open.set()
        await house.quiet()
        assert [frame["id"] for frame in client.link.frames if frame["t"] == "done"] == [f"id-{number}" for number in range(5)]
        assert other.link.frames[-1]["t"] == "done", "the limit is each connection's own"
        assert (await client.do("contribution.submit", "id-5", kind="idea", text="Mehr Bänke"))["t"] == "done"


async def test_a_person_may_send_so_much_and_staff_go_on(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(OPEN_HANDED, send_burst=3.0, send_rate=0.01)
    async with opened(tmp_path, chosen=chosen) as house:
        anna, mona = house.person("anna"), await house.staff("moderator")
        codes = []
        for number in range(5):
            codes.append((await anna.do("support.give", f"id-{number}", contribution=99))["code"])
        assert codes == ["unknown_contribution"] * 3 + ["too_many"] * 2
        (refused,) = await anna.hear(watch("public"))
        assert refused["code"] == "too_many", "asking for channels costs as much"
        assert refused["retry_after"] >= 1
        for number in range(5):
            assert (await mona.do("support.give", f"id-{number}", contribution=99))["code"] == "unknown_contribution"
        assert (await house.person("bilal").do("support.give", contribution=99))["code"] == "unknown_contribution"


async def test_a_person_sends_few_contributions_at_once(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(OPEN_HANDED, submit_burst=2.0, submit_rate=0.01)
    async with opened(tmp_path, chosen=chosen) as house:
        anna = house.person("anna")
        kinds = [(await anna.do("contribution.submit", f"id-{n}", kind="idea", text="Mehr Bänke"))["t"] for n in range(3)]
        assert kinds == ["done", "done", "refused"]
        assert (await anna.do("support.give", contribution=1))["t"] == "done", "supporting is something else"
        hilde = await house.staff("helper", "hilde")
        kinds = [
            (await hilde.do("contribution.submit", f"id-{n}", kind="idea", text="Mehr Bänke", origin="paper"))["t"]
            for n in range(9)
        ]
        assert kinds == ["done"] * 9


async def test_a_person_says_so_much_in_a_small_group_and_staff_as_much_as_they_like(tmp_path: Path) -> None:
    """Cards and messages together. There is no such room: what gets through the limit is refused by the rule."""
    chosen = msgspec.structs.replace(OPEN_HANDED, say_burst=2.0, say_rate=0.01)
    said = [("card.submit", {"room": "1-1", "text": "Mehr Bänke"}), ("chat.send", {"room": "1-1", "text": "Hallo"})] * 2
    async with opened(tmp_path, chosen=chosen) as house:
        anna, hilde = house.person("anna"), await house.staff("helper", "hilde")
        assert [(await anna.do(name, **arguments))["code"] for name, arguments in said] == ["unknown_room"] * 2 + ["too_many"] * 2
        assert (await anna.do("card.support", card=1))["code"] == "unknown_card", "supporting is something else"
        assert (await house.person("bilal").do("chat.send", room="1-1", text="Hallo"))["code"] == "unknown_room"
        assert [(await hilde.do(name, **arguments))["code"] for name, arguments in said] == ["unknown_room"] * 4


@pytest.mark.parametrize(
    ("name", "arguments"), [("person.join", {"place": "hall", "code": "AAAAAA"}), ("link.redeem", {"token": "guess"})]
)
async def test_guessing_is_limited_for_the_whole_address(tmp_path: Path, name: str, arguments: dict[str, str]) -> None:
    chosen = msgspec.structs.replace(OPEN_HANDED, join_burst=4.0, join_rate=0.01)
    async with opened(tmp_path, chosen=chosen) as house:
        codes = [(await house.person(f"guest-{n}").do(name, **arguments))["code"] for n in range(6)]
        assert codes[4:] == ["too_many"] * 2
        assert "too_many" not in codes[:4]


async def test_an_address_may_send_so_much(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(OPEN_HANDED, address_burst=3.0, address_rate=0.01)
    async with opened(tmp_path, chosen=chosen) as house:
        codes = [(await house.person(f"guest-{n}").do("support.give", contribution=99))["code"] for n in range(5)]
        assert codes == ["unknown_contribution"] * 3 + ["too_many"] * 2


async def test_an_address_may_register_so_often_and_staff_go_on(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(OPEN_HANDED, register_burst=3.0, register_rate=0.01)
    wish = {"place": "hall", "name": "Anna Arndt", "email": "anna@example.org"}
    async with opened(tmp_path, chosen=chosen) as house:
        codes = [(await house.person(f"guest-{n}").do("registration.submit", **wish))["code"] for n in range(5)]
        assert codes == ["unknown_place"] * 3 + ["too_many"] * 2
        elsewhere = house.person("bilal")
        elsewhere.connection.address = "198.51.100.4"
        assert (await elsewhere.do("registration.submit", **wish))["code"] == "unknown_place"
        assert (await house.person("guest-9").do("support.give", contribution=99))["code"] == "unknown_contribution"
        hilde = await house.staff("helper", "hilde")
        for number in range(5):
            assert (await hilde.do("registration.submit", f"id-{number}", **wish, way="phone"))["code"] == "unknown_place"


def test_connections_of_an_address_are_counted_and_forgotten() -> None:
    limits = Limits(Settings(connections_per_address=2))
    limits.connect("a")
    limits.connect("a")
    with pytest.raises(Refused, match="too_many") as refused:
        limits.connect("a")
    assert refused.value.retry_after is not None
    limits.connect("b")
    limits.disconnect("a")
    limits.connect("a")
    for address in "aab":
        limits.disconnect(address)
    assert limits._connections == {}


# Rights that end.


async def test_who_loses_the_role_is_sent_away_from_the_console(house: House) -> None:
    mona, viewer = await house.staff("moderator"), house.person()
    await mona.hear(watch("moderation"))
    await viewer.hear(watch("public"))
    await house.desk.send(SYSTEM, "revoke", "link.revoke", b'{"role":"moderator"}')
    await house.quiet()
    assert (mona.link.ended, viewer.link.ended) == (4003, None)


# Where a browser's script comes from.


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("dialog.example", "https://dialog.example", True),
        ("dialog.example:8000", "http://dialog.example:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("dialog.example", None, True),
        ("dialog.example", "https://evil.example", False),
        ("dialog.example", "https://dialog.example.evil.example", False),
        ("dialog.example", "https://evil.example/dialog.example", False),
        ("dialog.example", "https://dialog.example@evil.example", False),
        ("dialog.example", "https://dialog.example:444", False),
        ("dialog.example", "null", False),
        ("dialog.example", "", False),
        ("dialog.example", "https://[", False),
        ("dialog.example", "https://[dialog.example]", False),
        (None, "https://evil.example", False),
        (None, "null", False),
    ],
)
def test_only_our_own_pages_connect(host: str | None, origin: str | None, ours: bool) -> None:
    """A program sends no Origin: it has no visitor whose cookie it could misuse."""
    headers = [(name, value.encode()) for name, value in ((b"host", host), (b"origin", origin)) if value is not None]
    scope = {"type": "websocket", "headers": headers, "path": "/ws/abend", "query_string": b""}
    assert same_origin(WebSocket(scope, receive=None, send=None)) is ours  # type: ignore[arg-type]


async def test_who_is_at_work_on_what_is_told_to_the_other_consoles(house: House) -> None:
    author = house.person()
    await author.do("contribution.submit", kind="idea", text="Mehr Bänke")
    mona, olga = await house.staff("moderator"), await house.staff("organiser", "olga")
    for one in (mona, olga):
        await one.hear({"t": "open", "channels": {"moderation": {}}, "as": "json"})
    assert await mona.hear({"t": "working", "contribution": 1}) == [counted(1)]
    assert olga.heard() == [counted(1)]
    assert await mona.hear({"t": "working", "contribution": 1}) == [], "said again, it is no news"
    assert await olga.hear({"t": "working", "contribution": 1}) == [counted(2)]
    late = await house.staff("moderator", "lena")
    assert counted(2) in await late.hear({"t": "open", "channels": {"moderation": {}}, "as": "json"})
    assert await mona.hear({"t": "working", "contribution": 1, "on": False}) == [counted(1)]
    assert await mona.hear({"t": "working", "contribution": 99}) == []


def counted(people: int) -> dict[str, Any]:
    return {"t": "count", "channel": "moderation", "counts": {"contribution/1": {"working": people}}}


async def test_who_is_at_work_is_forgotten_when_they_leave_or_say_nothing_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.hub.WORKING_SECONDS", 0.05)
    await house.person().do("contribution.submit", kind="idea", text="Mehr Bänke")
    mona, olga = await house.staff("moderator"), await house.staff("organiser", "olga")
    for one in (mona, olga):
        await one.hear({"t": "open", "channels": {"moderation": {}}, "as": "json"})
    await mona.hear({"t": "working", "contribution": 1})
    await asyncio.wait_for(until(lambda: not house.hub._working), SECONDS)
    assert olga.heard() == [counted(1), counted(0)]
    monkeypatch.setattr("live.hub.WORKING_SECONDS", 1_000)
    await mona.hear({"t": "working", "contribution": 1})
    mona.connection.closed()
    assert olga.heard() == [counted(1), counted(0)]


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  (a timer of the loop)
        await asyncio.sleep(0.01)


async def test_only_who_watches_a_console_says_so(house: House) -> None:
    (answer,) = await house.person().hear({"t": "working", "contribution": 1})
    assert (answer["t"], answer["code"]) == ("refused", "forbidden")
