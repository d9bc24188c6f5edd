"""Who may send which command and watch which channel, and the links by which people get a role."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import COMMANDS
from moderation.roles import MAY_SEND, MAY_WATCH, actor, check_channel, hashed, notes_right, output_of
from rooms.command import SYSTEM, Refused
from tests.moderation.evening import EXAMPLES, NOW, STAFF, Evening

PERSON = {role: person for person, role in STAFF.items()} | {"nobody": "bilal", "system": SYSTEM}
EVERYBODY = frozenset(PERSON)
MODERATOR = frozenset({"moderator", "organiser", "system"})
DOOR = frozenset({"helper", "organiser", "system"})
MAY: dict[str, frozenset[str]] = {
    "event.configure": frozenset({"system"}),
    "event.advance": frozenset({"organiser", "system"}),
    "person.join": EVERYBODY,
    "contribution.submit": EVERYBODY,
    "contribution.edit": EVERYBODY,
    "contribution.withdraw": EVERYBODY,
    "contribution.approve": MODERATOR,
    "contribution.return": MODERATOR,
    "contribution.shortlist": MODERATOR,
    "contribution.hide": MODERATOR,
    "contribution.air": MODERATOR | {"operator"},
    "contribution.answer": MODERATOR | {"operator"},
    "contribution.restore": MODERATOR | {"operator"},
    "support.give": EVERYBODY,
    "support.withdraw": EVERYBODY,
    "registration.submit": EVERYBODY,
    "registration.confirm": EVERYBODY,
    "registration.cancel": EVERYBODY,
    "registration.erase": EVERYBODY,
    "registration.correct": EVERYBODY,
    "registration.move": DOOR,
    "registration.check_in": DOOR,
    "registration.withdraw_consent": EVERYBODY,
    "registration.give_consent": EVERYBODY,
    "registration.enter": EVERYBODY,
    "registration.lapse": frozenset({"system"}),
    "registration.settle": frozenset({"system"}),
    "registration.postpone": frozenset({"organiser", "system"}),
    "message.send": frozenset({"organiser", "system"}),
    "message.claim": frozenset({"system"}),
    "message.report": frozenset({"system"}),
    "message.test": frozenset({"organiser", "system"}),
    "message.retry": DOOR,
    "message.told": DOOR,
    "mail.receive": frozenset({"system"}),
    "mail.settle": DOOR,
    "round.create": MODERATOR,
    "round.copy": MODERATOR,
    "round.edit": MODERATOR,
    "round.remove": MODERATOR,
    "round.join": EVERYBODY,
    "round.assign": MODERATOR,
    "round.bind": MODERATOR,
    "round.open": MODERATOR,
    "round.close": MODERATOR,
    "round.recall": MODERATOR,
    "room.add": MODERATOR,
    "room.edit": MODERATOR,
    "room.remove": MODERATOR,
    "room.enter": EVERYBODY,
    "room.leave": EVERYBODY,
    "room.move": MODERATOR,
    "room.extend": EVERYBODY,
    "room.ask_for_time": EVERYBODY,
    "room.ask_for_help": EVERYBODY,
    "room.claim_help": MODERATOR,
    "room.end_help": EVERYBODY,
    "announcement.send": MODERATOR,
    "announcement.withdraw": MODERATOR,
    "announcement.seen": EVERYBODY,
    "room.seat_table": EVERYBODY,
    "room.renew_code": MODERATOR,
    "room.forget_names": EVERYBODY,
    "card.submit": EVERYBODY,
    "card.edit": EVERYBODY,
    "card.withdraw": EVERYBODY,
    "card.group": EVERYBODY,
    "card.order": EVERYBODY,
    "card.support": EVERYBODY,
    "card.propose": EVERYBODY,
    "card.set_aside": EVERYBODY,
    "summary.draft": EVERYBODY,
    "summary.submit": EVERYBODY,
    "summary.confirm": EVERYBODY,
    "summary.set_aside": MODERATOR,
    "summary.air": MODERATOR | {"operator"},
    "proposal.support": EVERYBODY,
    "proposal.group": MODERATOR,
    "proposal.order": MODERATOR,
    "proposal.air": MODERATOR | {"operator"},
    "room.raise_hand": EVERYBODY,
    "room.lower_hand": EVERYBODY,
    "room.give_floor": EVERYBODY,
    "chat.send": EVERYBODY,
    "chat.remove": EVERYBODY,
    "room.away": frozenset({"system"}),
    "room.release": frozenset({"system"}),
    "room.guest_away": frozenset({"system"}),
    "room.end_visit": frozenset({"system"}),
    "event.retain": frozenset({"organiser", "system"}),
    "link.create": frozenset({"organiser", "system"}),
    "link.redeem": EVERYBODY,
    "link.revoke": frozenset({"organiser", "system"}),
}
"""docs/protocol.md, with each author's own contribution."""


@pytest.mark.parametrize("role", PERSON)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_role_may_send_exactly_its_commands(command: str, role: str) -> None:
    evening = Evening()
    person = PERSON[role]
    arguments = EXAMPLES[command](evening, person)
    before = evening.snapshot()
    if role in MAY[command]:
        evening.send(person, command, **arguments)
    else:
        assert evening.refused(person, command, **arguments).code == "forbidden"
        assert evening.snapshot() == before


def test_every_command_has_its_roles() -> None:
    assert COMMANDS.keys() == MAY_SEND.keys() == MAY.keys() == EXAMPLES.keys()


def test_a_role_in_one_event_is_none_in_another() -> None:
    here, there = Evening(), Evening()
    here.send(SYSTEM, "link.create", role="moderator", token_hash=hashed("t"))
    here.send("anna", "link.redeem", token="t")
    number = there.submit()
    assert there.refused("anna", "contribution.approve", contribution=number).code == "forbidden"


# Channels.

STAFF_ONLY = frozenset(STAFF.values()) | {"system"}
WATCH = {
    "public": EVERYBODY,
    "stage": EVERYBODY,
    "me": EVERYBODY,
    "hall": STAFF_ONLY,
    "moderation": STAFF_ONLY,
    "output/main": STAFF_ONLY,
    "door": STAFF_ONLY,
    "registrations": DOOR,
    "rooms": MODERATOR,
    "board": EVERYBODY,
}


@pytest.mark.parametrize("role", PERSON)
@pytest.mark.parametrize("channel", WATCH)
def test_each_role_may_watch_exactly_its_channels(channel: str, role: str) -> None:
    assert opens(Evening(), PERSON[role], channel) is (role in WATCH[channel])


def opens(evening: Evening, person: str, channel: str, token: str | None = None) -> bool:
    who = actor(evening.event, person)
    if person == SYSTEM:
        who = type(who)(SYSTEM, frozenset({SYSTEM}))
    try:
        check_channel(evening.event, who, channel, token)
    except Refused as refused:
        assert (refused.code, refused.field) == ("forbidden", "channels")
        return False
    return True


def test_every_kind_of_channel_has_its_watchers() -> None:
    # A room's are those in it: tests/rooms/test_rounds.py.
    assert {channel.partition("/")[0] for channel in WATCH} | {"room"} == MAY_WATCH.keys()


@pytest.mark.parametrize(
    "channel",
    [
        "",
        "/",
        "output",
        "output/",
        "me/anna",
        "public/",
        "public/x",
        "moderation/x",
        "rooms/x",
        "Public",
        "stage ",
        "hall/x",
        "me\x00",
    ],
)
@pytest.mark.parametrize("person", ["bilal", "olga"])
def test_a_channel_that_does_not_exist_is_unknown(person: str, channel: str) -> None:
    evening = Evening()
    with pytest.raises(Refused) as refused:
        check_channel(evening.event, actor(evening.event, person), channel, None)
    assert (refused.value.code, refused.value.field) == ("unknown_channel", "channels")


# Notes.


@pytest.mark.parametrize("over", [("round.close", {"round": 1, "room": "1-1"}), ("event.advance", {"phase": "documented"})])
def test_whoever_writes_a_room_s_cards_writes_its_notes_and_moderators_read_later(over: tuple[str, dict[str, Any]]) -> None:
    evening = Evening()
    plans = [{"name": "Verkehr", "moderators": ["anna"]}, {"name": "Schule"}]
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=plans)
    staff = {person for role, person in PERSON.items() if role in ("moderator", "organiser")}

    def rights() -> dict[str, str]:
        everybody = {*PERSON.values(), "anna", "cem", "dana"} - {SYSTEM}
        found = {person: notes_right(evening.event, person, "1-1") for person in everybody}
        return {person: right for person, right in found.items() if right}

    read = dict.fromkeys(staff, "read")
    assert rights() == read | {"anna": "read"}, "it has not begun; Anna is to lead it"
    evening.send("mona", "round.open", round=1)
    assert rights() == {"anna": "write"}, "nobody looks in unannounced"
    evening.send("cem", "room.enter", room="1-1")
    evening.send("dana", "room.enter", room="1-2")
    evening.send("hilde", "room.enter", room="1-1")
    inside = {"anna": "write", "cem": "write", "hilde": "write"}
    assert rights() == inside, "a visit is announced"
    evening.send("hilde", "room.leave", room="1-1")
    assert rights() == {"anna": "write", "cem": "write"}
    assert {notes_right(evening.event, person, "9-9") for person in ("olga", "cem")} == {""}
    evening.send("olga", over[0], **over[1])
    moderators = read if over[0] == "round.close" else {}
    assert rights() == moderators | {"anna": "read", "cem": "read"}


# Outputs.


def overlay(evening: Evening, token: str, name: str = "main") -> None:
    evening.send("olga", "link.create", role="overlay", token_hash=hashed(token), name=name)


def test_an_output_is_opened_by_its_own_token_and_by_no_other() -> None:
    evening = Evening()
    overlay(evening, "token-main")
    overlay(evening, "token-left", "left")
    assert opens(evening, "nobody", "output/main", "token-main")
    assert not opens(evening, "nobody", "output/main", "token-left")
    assert not opens(evening, "nobody", "output/left", "token-main")
    assert not opens(evening, "nobody", "output/main", hashed("token-main")), "who reads the log has no token"
    assert not opens(evening, "nobody", "output/main", "")
    assert not opens(evening, "nobody", "output/main", None)


def test_an_output_s_token_opens_nothing_else_and_signs_nobody_in() -> None:
    evening = Evening()
    overlay(evening, "token-main")
    for channel in ("moderation", "hall", "output/left"):
        assert not opens(evening, "nobody", channel, "token-main")
    assert evening.refused("nobody", "link.redeem", token="token-main").code == "link_unknown"


def test_a_sign_in_token_opens_no_output() -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="moderator", token_hash=hashed("t"), name="main")
    assert not opens(evening, "nobody", "output/main", "t")
    assert output_of(evening.event, "t") is None


def test_a_new_address_of_an_output_ends_the_old_one() -> None:
    evening = Evening()
    overlay(evening, "old")
    overlay(evening, "left", "left")
    overlay(evening, "new")
    assert [opens(evening, "nobody", "output/main", token) for token in ("old", "new")] == [False, True]
    assert opens(evening, "nobody", "output/left", "left")


def test_an_output_s_address_can_be_taken_back() -> None:
    evening = Evening()
    overlay(evening, "token-main")
    overlay(evening, "token-left", "left")
    evening.send("olga", "link.revoke", role="overlay", name="main")
    assert not opens(evening, "nobody", "output/main", "token-main")
    assert opens(evening, "nobody", "output/left", "token-left")
    assert "rights" in evening.touched, "who watches is asked again"


@pytest.mark.parametrize("name", ["", "-", "a/b", "a b", "../x", "<b>"])
def test_an_output_needs_a_name_that_fits_into_an_address(name: str) -> None:
    refused = Evening().refused("olga", "link.create", role="overlay", token_hash=hashed("t"), name=name)
    assert (refused.code, refused.field) == ("name_missing", "name")


# Sign-in links.


def test_a_link_gives_its_role_once() -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="helper", token_hash=hashed("t"))
    assert evening.send("anna", "link.redeem", token="t") == {"role": "helper"}
    assert actor(evening.event, "anna").roles == {"helper"}
    assert evening.refused("bilal", "link.redeem", token="t").code == "link_used"
    assert evening.refused("anna", "link.redeem", token="t").code == "link_used"


def test_a_person_may_hold_several_roles() -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="operator", token_hash=hashed("t"))
    evening.send("hilde", "link.redeem", token="t")
    assert actor(evening.event, "hilde").roles == {"helper", "operator"}


@pytest.mark.parametrize("token", ["", "wrong", hashed("t"), "t ", "T", "\x00"])
def test_another_token_is_unknown(token: str) -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="helper", token_hash=hashed("t"))
    refused = evening.refused("anna", "link.redeem", token=token)
    assert (refused.code, refused.field) == ("link_unknown", "token")


@pytest.mark.parametrize(("after", "code"), [(-1, None), (0, "link_expired"), (1, "link_expired")])
def test_a_link_ends_at_its_time(after: int, code: str | None) -> None:
    evening = Evening()
    expires = NOW + 60_000
    evening.send("olga", "link.create", role="helper", token_hash=hashed("t"), expires_at=expires)
    evening.now = expires + after - 1_000  # sending takes a second
    if code is None:
        evening.send("anna", "link.redeem", token="t")
    else:
        assert evening.refused("anna", "link.redeem", token="t").code == code


def test_a_revoked_role_is_lost_by_all_who_have_it_and_its_links_are_worth_nothing() -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="moderator", token_hash=hashed("open"))
    number = evening.submit()
    evening.send("olga", "link.revoke", role="moderator")
    assert "rights" in evening.touched
    assert evening.refused("mona", "contribution.approve", contribution=number).code == "forbidden"
    assert not opens(evening, "mona", "moderation")
    assert evening.refused("anna", "link.redeem", token="open").code == "link_unknown"
    assert opens(evening, "oskar", "moderation"), "other roles stay"


def test_tokens_are_kept_as_hashes_only() -> None:
    evening = Evening()
    evening.send("olga", "link.create", role="helper", token_hash=hashed("very-secret-token"))
    evening.send("anna", "link.redeem", token="very-secret-token")
    assert b"very-secret-token" not in b"".join(row for _, _, row in evening.rows) + evening.snapshot()


@pytest.mark.parametrize(
    "fields", [{"role": "mayor"}, {"role": SYSTEM}, {"token_hash": None}, {"expires_at": "tomorrow"}, {"redeemed_by": "anna"}]
)
def test_a_link_of_another_shape_is_malformed(fields: dict[str, Any]) -> None:
    arguments = {"role": "helper", "token_hash": hashed("t")} | fields
    assert Evening().refused("olga", "link.create", **arguments).code == "malformed"


@pytest.mark.parametrize("expires", [2**64, -(2**64), 10**30])
def test_a_time_that_no_snapshot_can_hold_is_malformed(expires: int) -> None:
    """What msgpack cannot encode would keep every later snapshot from being written."""
    evening = Evening()
    refused = evening.refused("olga", "link.create", role="helper", token_hash=hashed("t"), expires_at=expires)
    assert (refused.code, refused.field) == ("malformed", "expires_at")


def test_the_system_is_nobody_s_role() -> None:
    """Whoever calls themselves so has no role by that: a person's roles come from links only."""
    assert actor(Evening().event, SYSTEM).roles == frozenset()
