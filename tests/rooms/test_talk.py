"""Hands and chat: who speaks next, who keeps their place, who reads what is said, and what is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import forgotten
from moderation.roles import actor, check_channel
from rooms.breakout import tag
from rooms.command import SYSTEM, Refused
from rooms.register import token
from rooms.talk import MAX_MESSAGE, MOST_MESSAGES, SHOWN
from tests.moderation.evening import _READ, _WRITE, REGISTERING, Evening, same

IN = ("anna", "bilal", "cem")


def room(*, moderators: tuple[str, ...] = ("anna",), policy: str = "chosen") -> Evening:
    """Anna leads, Bilal and Cem take part, Dana is in another room."""
    evening = Evening()
    plans: list[dict[str, Any]] = [{"name": "Verkehr", "moderators": moderators}, {"name": "Schule"}]
    evening.send("mona", "round.create", title="Runde", policy=policy, come_and_go=True, rooms=plans)
    evening.send("mona", "round.open", round=1, minutes=20)
    for person in IN:
        evening.send(person, "room.enter", room="1-1")
    evening.send("dana", "room.enter", room="1-2")
    return evening


def raises(evening: Evening, *people: str) -> None:
    for person in people:
        evening.send(person, "room.raise_hand", room="1-1")


def gives(evening: Evening, person: str = "", by: str = "anna") -> Any:
    named = {"person": tag(evening.event, person)} if person else {}
    return evening.send(by, "room.give_floor", room="1-1", **named)


def hands(evening: Evening) -> list[str]:
    """Who is on the list, as the room sees it."""
    known = {tag(evening.event, person): person for person in (*IN, "dana", "mona", "registration/1")}
    return [known[one["id"]] for one in evening.seen("room/1-1", "hands/1-1")["hands"]]


def speaker(evening: Evening) -> str:
    """Who is speaking, by their tag."""
    one = evening.seen("room/1-1", "hands/1-1")["speaker"]
    return one["id"] if one else ""


def says(evening: Evening, text: str = "Hallo zusammen", person: str = "cem") -> int:
    return int(evening.send(person, "chat.send", room="1-1", text=text)["message"])


def test_hands_are_taken_in_the_order_in_which_they_were_raised() -> None:
    evening = room()
    assert [evening.send(person, "room.raise_hand", room="1-1")["place"] for person in ("cem", "bilal", "cem", "anna")] == [
        1, 2, 1, 3,
    ]  # fmt: skip
    assert hands(evening) == ["cem", "bilal", "anna"]
    for person in ("cem", "bilal", "anna"):
        assert gives(evening)["speaker"] == tag(evening.event, person) == speaker(evening)
        assert person not in hands(evening)
    assert evening.seen("room/1-1", "hands/1-1")["since"]
    assert gives(evening)["speaker"] == "" == speaker(evening)
    assert evening.seen("room/1-1", "hands/1-1")["since"] == ""


def test_who_speaks_does_not_wait_and_ends_it_by_themselves() -> None:
    evening = room()
    raises(evening, "cem", "bilal")
    gives(evening)
    assert evening.send("cem", "room.raise_hand", room="1-1") == {"place": 0}
    evening.send("cem", "room.lower_hand", room="1-1")
    assert (speaker(evening), hands(evening)) == ("", ["bilal"])
    evening.send("bilal", "room.lower_hand", room="1-1")
    assert hands(evening) == []


def test_only_who_leads_gives_the_floor_and_lowers_others_hands() -> None:
    evening = room()
    raises(evening, "bilal", "cem")
    cem = tag(evening.event, "cem")
    for command in ("room.give_floor", "room.lower_hand"):
        assert evening.refused("bilal", command, room="1-1", person=cem).code == "forbidden"
        assert evening.refused("dana", command, room="1-1", person=cem).code == "not_your_room"
        assert evening.refused("anna", command, room="1-1", person=tag(evening.event, "dana")).code == "unknown_person"
    evening.send("anna", "room.lower_hand", room="1-1", person=cem)
    assert hands(evening) == ["bilal"]
    evening.send("mona", "room.enter", room="1-1")
    gives(evening, "cem", by="mona")
    assert speaker(evening) == cem, "also to somebody who has not raised a hand"


def test_where_nobody_was_named_to_lead_everybody_in_the_room_does() -> None:
    evening = room(moderators=())
    raises(evening, "cem")
    gives(evening, by="bilal")
    assert speaker(evening) == tag(evening.event, "cem")
    assert evening.refused("dana", "room.give_floor", room="1-1").code == "not_your_room"
    number = says(evening)
    assert evening.refused("dana", "chat.remove", message=number).code == "unknown_message"
    evening.send("bilal", "chat.remove", message=number)


def test_of_two_who_press_the_same_button_nobody_is_passed_over() -> None:
    evening = room()
    raises(evening, "bilal", "cem")
    for _ in range(2):
        gives(evening, "bilal")
    assert (speaker(evening), hands(evening)) == (tag(evening.event, "bilal"), ["cem"])


def test_who_drops_out_keeps_their_place_and_is_passed_over_meanwhile() -> None:
    evening = room()
    raises(evening, "bilal", "cem", "anna")
    evening.send(SYSTEM, "room.away", room="1-1", person="bilal", away=True)
    assert evening.seen("room/1-1", "hands/1-1")["hands"][0]["away"]
    assert evening.seen("room/1-1", "hands/1-1")["next"] == tag(evening.event, "cem")
    gives(evening)
    assert (speaker(evening), hands(evening)) == (tag(evening.event, "cem"), ["bilal", "anna"])
    evening.send("bilal", "room.enter", room="1-1")
    gives(evening)
    assert speaker(evening) == tag(evening.event, "bilal")


def test_who_comes_back_from_another_device_has_the_same_place() -> None:
    evening = room()
    given = evening.send("phone", "registration.submit", **REGISTERING)
    evening.send("phone", "room.enter", room="1-1")
    raises(evening, "bilal", "phone", "cem")
    evening.send(SYSTEM, "room.away", room="1-1", person="registration/1", away=True)
    evening.send("laptop", "registration.enter", registration=1, token=given["token"])
    evening.send("laptop", "room.enter", room="1-1")
    assert hands(evening) == ["bilal", "registration/1", "cem"]
    assert evening.send("laptop", "room.raise_hand", room="1-1") == {"place": 2}
    evening.send("laptop", "room.lower_hand", room="1-1")
    assert hands(evening) == ["bilal", "cem"]
    assert token(evening.event, 1) == given["token"]


@pytest.mark.parametrize("way", ["leaves", "is released", "is moved", "ends"])
def test_who_gives_up_the_seat_is_on_no_list_and_does_not_speak(way: str) -> None:
    evening = room()
    raises(evening, "cem", "bilal")
    gives(evening)
    for person in ("cem", "bilal"):
        if way == "leaves":
            evening.send(person, "room.leave", room="1-1")
        elif way == "is moved":
            evening.send("mona", "room.move", person=tag(evening.event, person), to="1-2")
        elif way == "is released":
            evening.send(SYSTEM, "room.away", room="1-1", person=person, away=True)
            since = evening.now
            evening.now += 300_000
            evening.send(SYSTEM, "room.release", room="1-1", person=person, away_since=since)
        else:
            evening.send("mona", "round.close", round=1)
        assert "hands/1-1" in evening.touched or person == "bilal"
    assert (speaker(evening), hands(evening)) == ("", [])
    assert same(evening.replayed(), evening.event)


def test_a_visitor_may_ask_to_speak_and_takes_the_hand_along() -> None:
    evening = room()
    assert evening.refused("mona", "room.raise_hand", room="1-1").code == "not_your_room"
    evening.send("mona", "room.enter", room="1-1")
    raises(evening, "mona")
    assert evening.seen("room/1-1", "hands/1-1")["hands"][0]["number"] == 0, "somebody of the team"
    evening.send("mona", "room.leave", room="1-1")
    assert hands(evening) == []


def test_who_leads_but_has_not_come_in_writes_and_does_not_raise_a_hand() -> None:
    evening = room(moderators=("anna", "emil"))
    says(evening, "Ich komme gleich", "emil")
    assert evening.refused("emil", "room.raise_hand", room="1-1").code == "not_your_room"


def test_who_has_no_name_has_a_number_that_stays() -> None:
    evening = room()
    raises(evening, "cem")
    says(evening)
    evening.send("bilal", "room.leave", room="1-1")
    shown = evening.screen("room/1-1")
    numbers = [shown["hands/1-1"]["hands"][0]["number"], shown["chat/1"]["number"], shown["room/1-1"]["people"][1]["number"]]
    assert numbers == [3, 3, 3]
    evening.send("bilal", "room.enter", room="1-1")
    assert [one["number"] for one in evening.seen("room/1-1", "room/1-1")["people"]] == [1, 3, 2]


@pytest.mark.parametrize("person", ["dana", "emil", "mona"])
def test_only_those_in_the_room_speak_and_write_there(person: str) -> None:
    evening = room()
    for command in ("room.raise_hand", "room.lower_hand", "room.give_floor"):
        assert evening.refused(person, command, room="1-1").code == "not_your_room"
    assert evening.refused(person, "chat.send", room="1-1", text="Hallo").code == "not_your_room"
    evening.send("mona", "room.enter", room="1-1")
    says(evening, person="mona")


def test_nobody_speaks_or_writes_after_the_end() -> None:
    evening = room()
    number = says(evening)
    evening.send("mona", "round.close", round=1)
    for command in ("room.raise_hand", "room.lower_hand", "room.give_floor"):
        assert evening.refused("anna", command, room="1-1").code == "round_closed"
    assert evening.refused("cem", "chat.send", room="1-1", text="Zu spät").code == "round_closed"
    evening.send("cem", "chat.remove", message=number)


@pytest.mark.parametrize(
    ("text", "code"), [("", "message_missing"), (" \n\u200b", "message_missing"), ("x" * 501, "text_too_long")]
)
def test_a_message_is_a_few_sentences(text: str, code: str) -> None:
    refused = room().refused("cem", "chat.send", room="1-1", text=text)
    assert (refused.code, refused.field) == (code, "text")


def test_a_message_of_the_greatest_length_is_one_line() -> None:
    evening = room()
    says(evening, "👩‍👩‍👧" * MAX_MESSAGE)
    says(evening, "eins\n\nzwei")
    assert evening.seen("room/1-1", "chat/2")["text"] == "eins zwei"


def test_a_chat_has_a_bound_and_another_room_s_is_another_one() -> None:
    evening = room()
    for number in range(1, MOST_MESSAGES):
        evening.event.talk.of_room.setdefault("1-1", []).append(number)
    says(evening)
    assert evening.refused("cem", "chat.send", room="1-1", text="Noch etwas").code == "chat_full"
    evening.send("dana", "chat.send", room="1-2", text="Hier ist Platz")


def test_the_newest_messages_are_on_the_page_and_the_oldest_leave_it() -> None:
    evening = room()
    for number in range(SHOWN):
        says(evening, f"Nachricht {number}")
    assert len([key for key in evening.screen("room/1-1") if key.startswith("chat/")]) == SHOWN
    says(evening)
    assert evening.touched[:2] == [f"chat/{SHOWN + 1}", "chat/1"], "it has to leave the screens"
    shown = [key for key in evening.screen("room/1-1") if key.startswith("chat/")]
    assert shown == [f"chat/{number}" for number in range(2, SHOWN + 2)]
    assert evening.seen("room/1-1", "chat/1") is None


@pytest.mark.parametrize(("person", "removed"), [("cem", "author"), ("anna", "lead"), ("mona", "lead"), ("olga", "lead")])
def test_what_is_removed_is_seen_to_be_removed_and_gone_from_the_log(person: str, removed: str) -> None:
    evening = room()
    number = says(evening, "Ein Geheimnis")
    if person in ("mona", "olga"):
        assert evening.refused(person, "chat.remove", message=number).code == "unknown_message", "who does not visit, sees nothing"
        evening.send(person, "room.enter", room="1-1")
    for other in ("bilal", "dana"):
        assert evening.refused(other, "chat.remove", message=number).code in ("forbidden", "unknown_message")
    forget = evening.decide(person, "chat.remove", message=number).forget
    evening.send(person, "chat.remove", message=number)
    shown = evening.seen("room/1-1", f"chat/{number}")
    assert (shown["text"], shown["name"], shown["author"], shown["removed"]) == ("", "", "", removed)
    assert evening.refused("cem", "chat.remove", message=number).code == "unknown_message"
    for seq in forget:
        at, by, changes = evening.rows[seq - 1]
        evening.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
    assert b"Geheimnis" not in b"".join(changes for *_, changes in evening.rows)
    assert same(evening.replayed(), evening.event)


def test_who_has_left_takes_back_what_they_have_said_and_nothing_of_others() -> None:
    evening = room()
    mine, other = says(evening), says(evening, person="bilal")
    evening.send("cem", "room.leave", room="1-1")
    evening.send("cem", "chat.remove", message=mine)
    assert evening.refused("cem", "chat.remove", message=other).code == "unknown_message"


@pytest.mark.parametrize(
    ("person", "may"),
    [("cem", True), ("olga", True), ("mona", False), ("dana", False), ("emil", False), ("hilde", False)],
    ids=lambda value: value if isinstance(value, str) else "hears" if value else "does not",
)
def test_what_is_said_in_a_room_is_heard_there_only(person: str, may: bool) -> None:
    evening = room()
    evening.send("olga", "room.enter", room="1-1")  # a visit, which is announced
    says(evening, "Unter uns")
    raises(evening, "cem")
    try:
        check_channel(evening.event, actor(evening.event, person), "room/1-1", None)
    except Refused as refused:
        assert (refused.code, may) == ("forbidden", False)
    else:
        assert may
    for channel in ("public", "stage", "board", "moderation", "rooms", "room/1-2", "output/main", "registrations", "door"):
        assert "Unter uns" not in str(evening.screen(channel))
        assert not {"chat/1", "hands/1-1"} & evening.screen(channel).keys()


def test_a_new_name_is_shown_at_what_was_said_before() -> None:
    evening = room()
    raises(evening, "cem")
    says(evening)
    evening.send("cem", "person.join", name="Cem")
    assert {"room/1-1", "hands/1-1", "chat/1"} <= set(evening.touched)
    shown = evening.screen("room/1-1")
    assert shown["hands/1-1"]["hands"][0]["name"] == shown["chat/1"]["name"] == "Cem"


def test_the_moderators_are_told_of_activity_once_a_minute_however_much_is_said() -> None:
    evening = room()
    evening.now -= evening.now % 60_000
    told = 0
    for number in range(118):
        says(evening, f"Nachricht {number}")
        told += "work/1-1" in evening.touched
        assert "room/1-1" not in evening.touched
    assert told == 2
    raises(evening, "cem")
    evening.send("anna", "card.submit", room="1-1", text="Mehr Bänke")
    shown = evening.screen("rooms")["room/1-1"]
    assert (shown["hands"], shown["cards"]) == (1, 1)
    assert shown["active"] % 60_000 == 0
    assert 0 <= evening.now - shown["active"] < 60_000
