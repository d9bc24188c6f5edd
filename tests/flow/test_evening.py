"""A whole evening over the wire: from the organiser's file to the export, with everybody who takes part."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from live.identity import COOKIE
from rooms.command import Refused
from rooms.entrance import code_at
from tests.flow.evening import Evening, Person, refusal
from tests.flow.installation import spoken
from tests.flow.server import PROGRAMME, Server

ROLES = ("helper", "operator", "moderator", "organiser")


async def test_an_evening_from_the_organisers_file_to_the_export(serve: Callable[..., Server], tmp_path: Path) -> None:
    server, file = serve(), tmp_path / "evening.toml"
    file.write_text(PROGRAMME.format(slug="abend"), "utf-8")
    assert server.plenum("event", "create", file, "--phase", "live") == "abend: created\n"
    links = {role: urlsplit(server.plenum("link", "abend", role, "--url", server.url).strip()).path for role in (*ROLES, "overlay")}

    async with Evening(server, "abend") as evening:
        desk = await evening.browser()
        assert (await desk.post(links["moderator"])).headers["location"] == "/e/abend/moderation"
        moderator = await evening.person(desk.cookies[COOKIE], "moderation", "hall")
        studio = await evening.browser()
        assert (await studio.post(links["operator"])).headers["location"] == "/e/abend/stage"
        operator = await evening.person(studio.cookies[COOKIE], "moderation")
        overlay, projector = await evening.person(), await evening.person(None, "stage")
        await overlay.watch("output/main", token=links["overlay"].removeprefix("/o/"))

        phone = await evening.browser()
        code = moderator.documents["hall"]["entrance"]["code"]
        assert (await phone.get(f"/e/abend/hall?c={code}")).headers["location"] == "/e/abend?notice=hall"
        attendee = await evening.person(phone.cookies[COOKIE], "public", "me")
        viewer = await evening.person(None, "public", "me")

        text = "Gibt es freies WLAN im Rathaus?"
        sent = await attendee.do("contribution.submit", kind="question", text=text, topic="city", name="Erna")
        number, key = sent["contribution"], f"contribution/{sent['contribution']}"
        assert sent["state"] == "received"
        arrived = await moderator.sees(lambda shown: shown["moderation"].get(key))
        assert (arrived["origin"], arrived["name"], arrived["topic_title"]) == ("hall", "Erna", "Digitale Stadt")
        assert key not in viewer.documents["public"]

        await moderator.do("contribution.approve", contribution=number, seen="received")
        await viewer.sees(lambda shown: shown["public"].get(key))
        await viewer.do("support.give", contribution=number)
        await moderator.sees(lambda shown: shown["moderation"][key]["support"] == 1)
        await moderator.do("contribution.shortlist", contribution=number)
        await operator.do("contribution.air", contribution=number, seen="shortlisted")
        for screen, channel in ((overlay, "output/main"), (projector, "stage"), (viewer, "public")):
            on_air = await screen.sees(lambda shown, channel=channel: shown[channel]["on_air"]["contribution"])  # type: ignore[misc]
            assert (on_air["text"], on_air["name"], on_air["origin"]) == (text, "Erna", "hall")
        await operator.do("contribution.answer", contribution=number)
        await overlay.sees(lambda shown: shown["output/main"]["on_air"]["contribution"] is None)
        await attendee.sees(lambda shown: shown["me"][key]["state"] == "answered")
        await moderator.sees(lambda shown: shown["moderation"]["queue"]["aired"] == {"hall": 1, "home": 0, "other": 0})

    assert server.plenum("event", "list") == "abend\tlive\t1 contributions\n"
    [exported] = map(json.loads, server.plenum("event", "export", "abend").splitlines())
    assert (
        exported | {"text": text, "state": "answered", "origin": "hall", "support": 1, "name": "Erna", "topic": "city"} == exported
    )
    assert [step["state"] for step in exported["history"]] == ["received", "approved", "shortlisted", "on_air", "answered"]


class TestSigningIn:
    async def test_a_preview_of_the_link_does_not_use_it_up(self, evening: Evening) -> None:
        link = await evening.server.link(evening.slug, "moderator")
        preview, browser = await evening.browser(), await evening.browser()
        for _ in range(3):
            shown = await preview.get(link)
            assert shown.status_code == 200
            assert f'<form method="post" action="{link}">' in shown.text

        assert (await browser.post(link)).status_code == 303
        assert (await browser.get(f"{evening.page}/moderation")).status_code == 200
        assert (await preview.get(f"{evening.page}/moderation")).status_code == 403

    async def test_a_link_is_used_once(self, evening: Evening) -> None:
        link = await evening.server.link(evening.slug, "moderator")
        first, second = await evening.browser(), await evening.browser()
        assert (await first.post(link)).status_code == 303

        refused = await second.post(link)

        assert refused.status_code == 422
        assert "schon benutzt" in refused.text or "wurde" in refused.text
        assert (await second.get(f"{evening.page}/moderation")).status_code == 403

    async def test_of_many_who_press_the_button_at_once_one_gets_in(self, evening: Evening) -> None:
        link = await evening.server.link(evening.slug, "moderator")
        browsers = [await evening.browser() for _ in range(10)]

        answers = await asyncio.gather(*(browser.post(link) for browser in browsers))

        assert sorted(answer.status_code for answer in answers) == [303] + [422] * 9

    async def test_a_link_ends_when_its_time_is_over(self, evening: Evening) -> None:
        link = await evening.server.link(evening.slug, "moderator", hours=-0.001)
        person = await evening.person()

        assert (await refusal(person.do("link.redeem", token=link.removeprefix("/in/")))).code == "link_expired"

    @pytest.mark.parametrize("token", ["nobody.knows", "{slug}.guessed", "{slug}.", "{slug}"])
    async def test_an_invented_link_is_not_found(self, evening: Evening, token: str) -> None:
        browser, token = await evening.browser(), token.format(slug=evening.slug)

        assert (await browser.post(f"/in/{token}")).status_code in (404, 422)
        assert (await browser.get(f"/o/{token}")).status_code == 404

    async def test_the_database_holds_no_token(self, evening: Evening) -> None:
        tokens = [(await evening.server.link(evening.slug, role)).rpartition(".")[2] for role in (*ROLES, "overlay")]

        stored = everything_stored(evening.server)

        assert stored
        assert not [token for token in tokens if token.encode() in stored]

    async def test_a_moderator_who_loses_the_role_is_sent_away(self, evening: Evening) -> None:
        moderator = await evening.staff("moderator", "moderation")
        still = await evening.staff("helper", "moderation")
        number = await evening.said()

        await evening.server.command(evening.slug, "link.revoke", role="moderator")

        assert await moderator.until(lambda client: client.closed) == 4003
        back = await evening.person(moderator.cookie)
        assert (await refusal(back.watch("moderation"))).code == "forbidden"
        assert (await refusal(back.do("contribution.approve", contribution=number))).code == "forbidden"
        assert still.closed is None


class TestTheHall:
    async def test_a_wrong_code_lets_nobody_in(self, evening: Evening) -> None:
        browser = await evening.browser()

        refused = await browser.get(f"{evening.page}/hall?c=WRONG2")

        assert refused.status_code == 409
        guest = await evening.person(browser.cookies[COOKIE], "me")
        assert guest.documents["me"]["person"]["place"] == "home"
        assert (await refusal(guest.do("person.join", place="hall", code="WRONG2"))).code == "wrong_code"
        assert (await refusal(guest.do("person.join", place="hall"))).code == "wrong_code"

    async def test_yesterdays_code_is_worth_nothing(self, evening: Evening) -> None:
        with sqlite3.connect(evening.server.database) as database:
            [secret] = database.execute("SELECT secret FROM events WHERE slug = ?", [evening.slug]).fetchone()
        now, guest = int(time.time() * 1000), await evening.person()
        yesterday, today = (code_at(secret, moment, 150) for moment in (now - 24 * 3600 * 1000, now))

        assert (await refusal(guest.do("person.join", place="hall", code=yesterday))).code == "wrong_code"
        assert await guest.do("person.join", place="hall", code=today) == {"place": "hall"}

    async def test_the_code_rotates_on_the_screen_and_an_old_one_ends(self, running: Server) -> None:
        async with Evening(running, await running.event(code_period=1)) as evening:
            screen = await evening.staff("helper", "hall")
            guest = await evening.person()
            photographed = screen.documents["hall"]["entrance"]["code"]
            seen = {photographed}
            while len(seen) < 4:
                seen.add(
                    await screen.sees(
                        lambda shown: shown["hall"]["entrance"]["code"] not in seen and shown["hall"]["entrance"]["code"]
                    )
                )

            assert (await refusal(guest.do("person.join", place="hall", code=photographed))).code == "wrong_code"
            fresh = screen.documents["hall"]["entrance"]["code"]
            assert await guest.do("person.join", place="hall", code=fresh) == {"place": "hall"}

    async def test_only_staffs_stage_view_shows_the_code(self, evening: Evening) -> None:
        helper = await evening.staff("helper", "hall")
        code = helper.documents["hall"]["entrance"]["code"]

        assert code in (await (await evening.browser(helper.cookie)).get(f"{evening.page}/stage")).text
        assert code not in (await (await evening.browser()).get(f"{evening.page}/stage")).text

    async def test_nobody_can_bend_the_address_on_the_screen(self, evening: Evening) -> None:
        screen = await evening.staff("helper", "hall")
        stranger = await evening.browser(None, host="evil.example")
        await stranger.get(f"{evening.page}/stage")
        again = await evening.person(screen.cookie, "hall")

        assert "evil.example" not in json.dumps(again.documents)

    async def test_people_are_counted_as_hall_or_home(self, evening: Evening) -> None:
        helper = await evening.staff("helper", "hall", "moderation")
        code = helper.documents["hall"]["entrance"]["code"]
        guests = [await evening.person(None, "public") for _ in range(5)]
        for guest in guests[:2]:
            await guest.do("person.join", place="hall", code=code)
        twice = await evening.person(guests[0].cookie, "public")

        await helper.until(lambda client: client.counts.get("event") == {"hall": 2, "home": 3})

        for leaving in (guests[0], guests[4]):
            await leaving.__aexit__()
        await helper.until(lambda client: client.counts.get("event") == {"hall": 2, "home": 2})
        await twice.__aexit__()
        await helper.until(lambda client: client.counts.get("event") == {"hall": 1, "home": 2})

    async def test_who_leaves_in_the_middle_of_a_commit_is_not_counted_for_ever(self, evening: Evening) -> None:
        helper, number = await evening.staff("helper", "moderation"), await evening.said()
        moderator = await evening.staff("moderator")
        await moderator.do("contribution.approve", contribution=number)
        stays = await evening.person(None, "public")
        done = asyncio.Event()

        async def keep_committing() -> None:
            busy = await evening.person()
            while not done.is_set():
                await busy.do("support.give", contribution=number)
                await busy.do("support.withdraw", contribution=number)

        async def come_and_go() -> None:
            for _ in range(60):
                passing = Person(evening.server.url, evening.slug)
                await passing.__aenter__()
                await passing.open("public")
                await passing.__aexit__()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_committing())
            await asyncio.gather(*(come_and_go() for _ in range(4)))
            done.set()
        late = await evening.person(None, "public")

        await helper.until(lambda client: client.counts.get("event") == {"hall": 0, "home": 2})
        assert {stays.closed, late.closed} == {None}


class TestContributions:
    async def test_a_returned_one_and_its_reason_are_seen_by_its_author_only(self, evening: Evening) -> None:
        moderator = await evening.staff("moderator", "moderation")
        author, other = await evening.person(None, "public", "me"), await evening.person(None, "public", "me", "stage")
        sent = await author.do("contribution.submit", kind="wish", text="Der Nachbar Meier ist laut")
        number, key = sent["contribution"], f"contribution/{sent['contribution']}"
        await moderator.do("contribution.approve", contribution=number)
        await other.sees(lambda shown: shown["public"].get(key))
        other.heard.clear()

        await moderator.do("contribution.return", contribution=number, reason="Bitte ohne Namen von Nachbarn")

        told = await author.sees(lambda shown: shown["me"][key]["state"] == "returned" and shown["me"][key])
        assert told["reason"] == "Bitte ohne Namen von Nachbarn"
        assert told["may_edit"]
        await other.sees(lambda shown: key not in shown["public"])
        assert "Nachbar" not in json.dumps(other.heard, ensure_ascii=False)

    async def test_a_return_without_a_reason_is_refused(self, evening: Evening) -> None:
        moderator, number = await evening.staff("moderator"), await evening.said()

        for reason in ({}, {"reason": ""}, {"reason": " \u200b "}):
            refused = await refusal(moderator.do("contribution.return", contribution=number, **reason))
            assert (refused.code.partition("_")[0], refused.field) == ("reason", "reason")

    async def test_an_edit_after_the_approval_goes_back_to_the_queue(self, evening: Evening) -> None:
        moderator, viewer = await evening.staff("moderator", "moderation"), await evening.person(None, "public")
        author = await evening.person()
        number = (await author.do("contribution.submit", kind="idea", text="Bänke am Ring"))["contribution"]
        key = f"contribution/{number}"
        await moderator.do("contribution.approve", contribution=number)
        await viewer.sees(lambda shown: shown["public"].get(key))

        assert await author.do("contribution.edit", contribution=number, text="Alle Politiker sind doof") == {"state": "received"}

        await viewer.sees(lambda shown: key not in shown["public"])
        await moderator.sees(lambda shown: shown["moderation"][key]["state"] == "received")
        assert "doof" not in json.dumps(viewer.heard)
        refused = await refusal(moderator.do("contribution.restore", contribution=number))
        assert refused.code == "wrong_state", "what was approved was another wording"

    async def test_a_moderators_edit_keeps_the_original_for_moderators_and_says_that_it_was_edited(self, evening: Evening) -> None:
        moderator, viewer = await evening.staff("moderator", "moderation"), await evening.person(None, "public")
        number = await evening.said("Mehr Bänke, Meier ist schuld")
        key = f"contribution/{number}"

        await moderator.do("contribution.edit", contribution=number, text="Mehr Bänke")
        await moderator.do("contribution.approve", contribution=number)

        shown = await viewer.sees(lambda shown: shown["public"].get(key))
        assert (shown["text"], shown["edited"]) == ("Mehr Bänke", True)
        assert "Meier" not in json.dumps(viewer.heard)
        kept = await moderator.sees(lambda shown: shown["moderation"][key]["state"] == "approved" and shown["moderation"][key])
        assert kept["original"] == "Mehr Bänke, Meier ist schuld"

    @pytest.mark.parametrize("command", ["contribution.hide", "contribution.withdraw"])
    async def test_what_is_taken_away_while_on_air_leaves_every_screen(self, evening: Evening, command: str) -> None:
        moderator, author = await evening.staff("moderator", "moderation"), await evening.person()
        token = await evening.overlay()
        overlay, viewer = await evening.person(), await evening.person(None, "public", "stage")
        await overlay.watch("output/main", token=token)
        number = (await author.do("contribution.submit", kind="idea", text="Etwas Unmögliches"))["contribution"]
        await moderator.do("contribution.approve", contribution=number)
        await moderator.do("contribution.air", contribution=number)
        await overlay.sees(lambda shown: shown["output/main"]["on_air"]["contribution"])

        await (author if command == "contribution.withdraw" else moderator).do(command, contribution=number)

        await overlay.sees(lambda shown: shown["output/main"]["on_air"]["contribution"] is None)
        await viewer.sees(lambda shown: shown["stage"]["on_air"]["contribution"] is None)
        await viewer.sees(lambda shown: shown["public"]["on_air"]["contribution"] is None)
        await viewer.sees(lambda shown: f"contribution/{number}" not in shown["public"])
        page = await (await evening.browser()).get(f"/o/{token}")
        assert "Etwas Unmögliches" not in page.text

    async def test_the_next_one_on_air_takes_the_place_of_the_last(self, evening: Evening) -> None:
        moderator, first, second = await evening.staff("moderator", "moderation"), await evening.said(), await evening.said()
        for number in (first, second):
            await moderator.do("contribution.approve", contribution=number)
            await moderator.do("contribution.air", contribution=number)

        await moderator.sees(lambda shown: shown["moderation"][f"contribution/{first}"]["state"] == "answered")
        await moderator.sees(lambda shown: shown["moderation"]["on_air"]["contribution"]["number"] == second)

    async def test_undo_never_puts_on_air(self, evening: Evening) -> None:
        moderator, number = await evening.staff("moderator"), await evening.said()
        for step in ("approve", "air", "answer"):
            await moderator.do(f"contribution.{step}", contribution=number)

        assert await moderator.do("contribution.restore", contribution=number) == {"state": "shortlisted"}

    async def test_a_receipt_shows_what_became_of_it_without_a_cookie(self, evening: Evening) -> None:
        moderator, author = await evening.staff("moderator"), await evening.person()
        sent = await author.do("contribution.submit", kind="idea", text="Ein Brunnen auf dem Markt")
        await moderator.do("contribution.return", contribution=sent["contribution"], reason="Es gibt dort schon einen")
        stranger = await evening.browser()

        shown = await stranger.get(f"{evening.page}/receipt", params={"code": sent["receipt"].lower()})

        assert shown.status_code == 200
        assert "Ein Brunnen auf dem Markt" in shown.text
        assert "Es gibt dort schon einen" in shown.text
        for guessed in ("1-AAAAAAAAAA", sent["receipt"][:-1], "x", "99999999999-A", "²-AAAAAAAAAA"):
            missed = await stranger.get(f"{evening.page}/receipt", params={"code": guessed})
            assert missed.status_code == 404
            assert "Brunnen" not in missed.text

    async def test_a_helper_types_for_people_without_a_screen(self, evening: Evening) -> None:
        helper, number_at = await evening.staff("helper", "moderation", "me"), "2020-08-20T18:42:00+02:00"
        paper = {"kind": "wish", "text": "Ein Ruftaxi", "origin": "paper", "name": "Frau Schulz", "said_at": number_at}
        sent = await helper.do("contribution.submit", **paper)
        key = f"contribution/{sent['contribution']}"

        shown = await helper.sees(lambda shown: shown["moderation"].get(key))

        assert (shown["origin"], shown["name"], shown["at"]) == ("paper", "Frau Schulz", "2020-08-20T16:42:00Z")
        assert key not in helper.documents["me"], "the helper is not the author"
        viewer = await evening.person()
        assert (await refusal(viewer.do("contribution.submit", **paper))).code == "forbidden"

    @pytest.mark.parametrize(
        "moment", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00", "9999-12-31T23:59:59-12:00", "24:00", "abend"]
    )
    async def test_an_impossible_time_harms_no_screen(self, evening: Evening, moment: str) -> None:
        helper = await evening.staff("helper")
        try:
            await helper.do("contribution.submit", kind="wish", text="Ein Ruftaxi", origin="paper", said_at=moment)
        except Refused as refused:
            if refused.code != "wrong_time":
                raise
        moderator = await evening.staff("moderator")
        for number in range(1, 1 + len(await numbers(moderator))):
            await moderator.do("contribution.approve", contribution=number)

        assert (await (await evening.browser(moderator.cookie)).get(f"{evening.page}/moderation")).status_code == 200
        assert (await (await evening.browser()).get(evening.page)).status_code == 200


class TestSupport:
    async def test_one_person_counts_once_however_often_and_from_wherever(self, evening: Evening) -> None:
        moderator, number = await evening.staff("moderator", "moderation"), await evening.said()
        await moderator.do("contribution.approve", contribution=number)
        person = await evening.person()
        screens = [person, *[await evening.person(person.cookie) for _ in range(4)]]

        answers = await asyncio.gather(*(screen.do("support.give", contribution=number) for screen in screens * 4))

        assert answers == [{"support": 1}] * 20

    async def test_it_is_exact_when_many_come_at_once_and_can_be_taken_back(self, evening: Evening) -> None:
        moderator, number = await evening.staff("moderator", "moderation"), await evening.said()
        await moderator.do("contribution.approve", contribution=number)
        viewer, crowd = await evening.person(None, "public"), [await evening.person() for _ in range(40)]

        given = await asyncio.gather(*(person.do("support.give", contribution=number) for person in crowd))
        assert sorted(answer["support"] for answer in given) == list(range(1, 41))
        taken = await asyncio.gather(*(person.do("support.withdraw", contribution=number) for person in crowd[:15] * 2))

        assert min(answer["support"] for answer in taken) == 25
        await viewer.sees(lambda shown: shown["public"][f"contribution/{number}"]["support"] == 25)
        assert (await evening.person(crowd[20].cookie, "me")).documents["me"]["supports"]["contributions"] == [number]
        assert (await evening.person(crowd[0].cookie, "me")).documents["me"]["supports"]["contributions"] == []

    async def test_what_is_not_public_cannot_be_supported(self, evening: Evening) -> None:
        number, person = await evening.said(), await evening.person()

        assert (await refusal(person.do("support.give", contribution=number))).code == "unknown_contribution"

    async def test_what_is_on_air_shows_the_same_number_as_the_list(self, evening: Evening) -> None:
        moderator, number, person = await evening.staff("moderator"), await evening.said(), await evening.person()
        for step in ("approve", "air"):
            await moderator.do(f"contribution.{step}", contribution=number)
        await evening.person(None, "public")  # renders it once
        await person.do("support.give", contribution=number)

        viewer = await evening.person(None, "public")
        await viewer.sees(lambda shown: shown["public"][f"contribution/{number}"]["support"] == 1)
        fresh = await evening.person(None, "public")
        assert fresh.documents["public"]["on_air"]["contribution"]["support"] == 1


class TestTwoModerators:
    async def test_the_slower_one_is_told_that_somebody_was_faster(self, evening: Evening) -> None:
        number = await evening.said()
        one, other = await evening.staff("moderator", "moderation"), await evening.staff("moderator", "moderation")

        outcomes = await asyncio.gather(
            one.do("contribution.approve", contribution=number, seen="received"),
            other.do("contribution.hide", contribution=number, seen="received"),
            return_exceptions=True,
        )

        [done] = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        [refused] = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        assert (refused.code, refused.params) == ("state_changed", done)
        for moderator in (one, other):
            await moderator.sees(lambda shown: shown["moderation"][f"contribution/{number}"]["state"] == done["state"])

    async def test_control_without_saying_what_was_seen_the_slower_one_overrules_the_faster(self, evening: Evening) -> None:
        number = await evening.said()
        one, other = await evening.staff("moderator"), await evening.staff("moderator")

        outcomes = await asyncio.gather(
            one.do("contribution.approve", contribution=number), other.do("contribution.hide", contribution=number)
        )

        assert list(outcomes) == [{"state": "approved"}, {"state": "hidden"}]


EVERYBODYS = {"public", "stage", "me", "board"}
STAFFS = {*EVERYBODYS, "hall", "moderation", "door", "output/main", "output/other"}
LEADERS, DOOR = {"rooms", "room/1-2"}, {"registrations"}
"""The first room is open, and theirs only as announced guests; the second is over."""
ALL = {*STAFFS, *LEADERS, *DOOR}
MAY_WATCH = {
    "anonymous": EVERYBODYS,
    "author": EVERYBODYS,
    "participant": {*EVERYBODYS, "room/1-1"},
    **dict.fromkeys(ROLES, STAFFS),
    "helper": {*STAFFS, *DOOR},
    "moderator": {*STAFFS, *LEADERS},
    "visitor": {*STAFFS, *LEADERS, "room/1-1"},
    "organiser": ALL,
    "overlay": {*EVERYBODYS, "output/main"},
    "another output": {*EVERYBODYS, "output/other"},
}
NO_CHANNELS = {"", "output", "output/", "moderation/x", "public/", "me/", "me/somebody", "rooms/1", "room", "../moderation"}


class TestRights:
    @pytest.mark.parametrize("who", MAY_WATCH)
    async def test_each_channel_is_watched_by_those_who_may(self, evening: Evening, who: str) -> None:
        await evening.said("Das sieht nur die Moderation")
        moderator = await evening.staff("moderator")
        await moderator.do("round.create", title="Runde", policy="chosen", rooms=[{"name": "Verkehr"}, {"name": "Schule"}])
        await moderator.do("round.open", round=1)
        somebody = await evening.person()
        await somebody.do("room.enter", room="1-1")
        await somebody.do("chat.send", room="1-1", text="Das hört nur, wer da ist")
        await moderator.do("round.close", round=1, room="1-2")
        cookie, token = await self.known_as(evening, who)
        browser = await evening.browser(cookie)
        for channel in sorted({*ALL, "room/1-1", "room/9-9"} | NO_CHANNELS):
            expected = None if channel in MAY_WATCH[who] else "unknown_channel" if channel in NO_CHANNELS else "forbidden"
            person = await evening.person(cookie)
            try:
                await person.watch(channel, token=token)
                refused = None
            except Refused as error:
                refused = error.code
            assert refused == expected, channel
            if channel not in NO_CHANNELS:
                answer = await browser.get(f"{evening.api}/channels/{channel}", params={"token": token} if token else {})
                assert (answer.status_code, answer.json().get("code")) == ((200, None) if expected is None else (403, expected))
            if expected == "forbidden":
                assert "Das sieht nur" not in json.dumps(person.heard)
            heard = any("nur, wer da ist" in str(frame) for frame in person.heard)
            assert heard == (channel == "room/1-1" and expected is None), channel

    async def test_a_channel_that_may_not_be_watched_keeps_the_others_from_being_opened(self, evening: Evening) -> None:
        person = await evening.person()

        assert (await refusal(person.watch("public", "moderation"))).code == "forbidden"
        assert person.documents == {}

    async def test_ones_own_channel_holds_nothing_of_others(self, evening: Evening) -> None:
        await evening.said("Nicht deins")
        person = await evening.person(None, "me", "public")

        assert set(person.documents["me"]) == {"person", "supports"}

    @pytest.mark.parametrize("who", [who for who in MAY_WATCH if who not in ("participant", "visitor")])
    async def test_each_command_is_taken_from_those_who_may(self, evening: Evening, who: str) -> None:
        cookie, _ = await self.known_as(evening, who)
        person = await evening.person(cookie)
        for command, (roles, arguments, otherwise) in COMMANDS.items():
            try:
                await person.do(command, **arguments)
                code = None
            except Refused as refused:
                code = refused.code
            assert code == (otherwise if who in roles else "forbidden"), command

    async def known_as(self, evening: Evening, who: str) -> tuple[str | None, str | None]:
        """Cookie and token of somebody."""
        tokens = {"overlay": await evening.overlay("main"), "another output": await evening.overlay("other")}
        if who in ROLES:
            return await evening.cookie(who), None
        if who == "author":
            author = await evening.person()
            await author.do("contribution.submit", kind="idea", text="Von mir")
            return author.cookie, None
        if who in ("participant", "visitor"):
            participant = await (evening.staff("moderator") if who == "visitor" else evening.person())
            await participant.do("room.enter", room="1-1")
            return participant.cookie, None
        return None, tokens.get(who)


_NONE: dict[str, Any] = {"contribution": 999}
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, Any], str | None]] = {
    "contribution.approve": (("moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.return": (("moderator", "organiser"), {**_NONE, "reason": "weil"}, "unknown_contribution"),
    "contribution.shortlist": (("moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.hide": (("moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.air": (("operator", "moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.answer": (("operator", "moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.restore": (("operator", "moderator", "organiser"), _NONE, "unknown_contribution"),
    "contribution.edit": (tuple(MAY_WATCH), {**_NONE, "text": "anders"}, "unknown_contribution"),
    "contribution.withdraw": (tuple(MAY_WATCH), _NONE, "unknown_contribution"),
    "support.give": (tuple(MAY_WATCH), _NONE, "unknown_contribution"),
    "support.withdraw": (tuple(MAY_WATCH), _NONE, "unknown_contribution"),
    "contribution.submit": (tuple(MAY_WATCH), {"kind": "idea", "text": "Eine Idee"}, None),
    "person.join": (tuple(MAY_WATCH), {"place": "home"}, None),
    "link.redeem": (tuple(MAY_WATCH), {"token": "x"}, "link_unknown"),
    "link.create": (("organiser",), {"role": "helper", "token_hash": "0" * 64}, None),
    "link.revoke": (("organiser",), {"role": "overlay", "name": "nothing"}, None),
    "event.advance": (("organiser",), {"phase": "live"}, None),
    "event.configure": ((), {"programme": {"slug": "x", "title": {}, "starts": "", "ends": ""}}, None),
}
"""Command → (who may, arguments, how it is refused to those who may). As docs/protocol.md has it."""


class TestComingBack:
    async def test_who_comes_back_sees_what_a_fresh_client_sees(self, evening: Evening) -> None:
        moderator = await evening.staff("moderator", "moderation")
        first, second, third = [await evening.said(f"Beitrag {n}") for n in range(3)]
        for number in (first, second, third):
            await moderator.do("contribution.approve", contribution=number)
        away = await evening.person(None, "public")
        await away.sees(lambda shown: f"contribution/{third}" in shown["public"])
        await away.__aexit__()

        await moderator.do("contribution.hide", contribution=second)
        await moderator.do("contribution.edit", contribution=first, text="Beitrag 0, gekürzt")
        await moderator.do("contribution.air", contribution=first)
        person = await evening.person()
        await person.do("support.give", contribution=third)

        await comes_back(away)
        await away.watch("public", since=True)
        await away.do("person.join", name="Erna")  # whatever was to come after the documents has come
        fresh = await evening.person(None, "public")
        assert spoken(away) == spoken(fresh)

    async def test_every_step_can_be_resumed_from_every_earlier_one(self, evening: Evening) -> None:
        """The change that touches old documents again is the one that an order of touching can get wrong."""
        moderator = await evening.staff("moderator", "moderation")
        viewers: list[Person] = []
        numbers = [await evening.said(f"Beitrag {n}") for n in range(3)]
        steps = [(verb, number) for verb in ("approve", "shortlist", "answer") for number in numbers]
        for verb, number in [*steps, ("hide", numbers[0]), ("restore", numbers[0]), ("hide", numbers[1])]:
            viewer = await evening.person(None, "public")
            await viewer.__aexit__()
            viewers.append(viewer)
            await moderator.do(f"contribution.{verb}", contribution=number)
        fresh = await evening.person(None, "public")

        for viewer in viewers:
            await comes_back(viewer)
            await viewer.watch("public", since=True)

        assert [spoken(viewer) for viewer in viewers] == [spoken(fresh)] * len(viewers)

    async def test_over_http_one_learns_what_was_touched_since(self, evening: Evening) -> None:
        moderator, number, person = await evening.staff("moderator"), await evening.said(), await evening.person()
        await moderator.do("contribution.approve", contribution=number)
        browser = await evening.browser()
        before = (await browser.get(f"{evening.api}/channels/public")).json()
        assert before["reset"]

        await person.do("support.give", contribution=number)

        since = f"{before['epoch']}:{before['seq']}"
        after = (await browser.get(f"{evening.api}/channels/public", params={"since": since})).json()
        assert not after["reset"]
        assert [document["data"]["support"] for document in after["put"]] == [1]

    async def test_an_overlay_shows_the_same_after_a_restart_of_the_server(self, serve: Callable[..., Server]) -> None:
        server = serve()
        async with Evening(server, await server.event()) as evening:
            moderator, number = await evening.staff("moderator"), await evening.said()
            token = await evening.overlay()
            for step in ("approve", "air"):
                await moderator.do(f"contribution.{step}", contribution=number)
            browser = await evening.browser()
            before = await browser.get(f"/o/{token}")
            overlay = await evening.person()
            await overlay.watch("output/main", token=token)

            server.kill()
            server.start()

            assert await overlay.until(lambda client: client.closed)
            after = await browser.get(f"/o/{token}")
            assert before.text == after.text
            await comes_back(overlay)
            await overlay.watch("output/main", token=token, since=True)
            assert overlay.documents["output/main"]["on_air"]["contribution"]["number"] == number


class TestPersonalData:
    async def test_a_name_is_never_in_the_log(self, evening: Evening) -> None:
        author, moderator = await evening.person(), await evening.staff("moderator")
        sent = await author.do("contribution.submit", kind="idea", text="Eine Idee", name="Wilhelmine Unverwechselbar")
        await moderator.do("contribution.approve", contribution=sent["contribution"])

        assert b"Unverwechselbar" not in everything_stored(evening.server, "log", "snapshots")
        assert b"Unverwechselbar" in everything_stored(evening.server, "people")

    async def test_the_name_of_what_is_taken_back_is_nowhere(self, evening: Evening) -> None:
        author, moderator = await evening.person(), await evening.staff("moderator")
        viewer = await evening.person(None, "public")
        sent = await author.do("contribution.submit", kind="idea", text="Eine Idee", name="Erika Vergänglich")
        await moderator.do("contribution.approve", contribution=sent["contribution"])
        await viewer.sees(lambda shown: "Vergänglich" in str(shown["public"]))

        await author.do("contribution.withdraw", contribution=sent["contribution"])
        await author.do("person.join", name="")

        await viewer.sees(lambda shown: "Vergänglich" not in str(shown["public"]))
        assert "Vergänglich".encode() not in everything_stored(evening.server)

    async def test_a_text_that_is_taken_back_is_deleted_everywhere_as_the_page_says(self, evening: Evening) -> None:
        author = await evening.person()
        sent = await author.do("contribution.submit", kind="idea", text="Unwiderruflich peinlich")
        assert b"Unwiderruflich" in everything_stored(evening.server)

        await author.do("contribution.withdraw", contribution=sent["contribution"])

        assert b"Unwiderruflich" not in everything_stored(evening.server)


async def test_what_people_wrote_to_a_closed_event_is_refused_but_their_rights_remain(evening: Evening) -> None:
    moderator, organiser = await evening.staff("moderator"), await evening.staff("organiser")
    author = await evening.person(None, "me")
    number = (await author.do("contribution.submit", kind="idea", text="Noch rechtzeitig"))["contribution"]
    await moderator.do("contribution.approve", contribution=number)
    await author.do("support.give", contribution=number)

    await organiser.do("event.advance", phase="closed")

    assert (await refusal(author.do("contribution.submit", kind="idea", text="Zu spät"))).code == "closed"
    assert (await refusal(author.do("support.give", contribution=number))).code == "closed"
    await author.sees(lambda shown: not shown["me"][f"contribution/{number}"]["may_edit"])
    assert await author.do("support.withdraw", contribution=number) == {"support": 0}
    assert await author.do("contribution.withdraw", contribution=number) == {"state": "withdrawn"}


async def test_a_draft_is_listed_for_nobody_and_takes_nothing(evening: Evening) -> None:
    draft = await evening.server.event(phase=None)
    browser = await evening.browser()
    listed = [event["slug"] for event in (await browser.get("/api/v1/events")).json()["events"]]
    async with Evening(evening.server, draft) as unopened:
        person = await unopened.person()
        refused = await refusal(person.do("contribution.submit", kind="idea", text="Zu früh"))

    assert refused.code == "not_open"
    assert evening.slug in listed
    assert draft not in listed


async def comes_back(person: Person) -> None:
    """Connect again with the same cookie, as a page does after its connection was lost."""
    await person.__aexit__()
    await person.__aenter__()


async def numbers(moderator: Person) -> list[str]:
    """The keys of all contributions."""
    await moderator.watch("moderation")
    return [key for key in moderator.documents["moderation"] if key.startswith("contribution/")]


def everything_stored(server: Server, *tables: str) -> bytes:
    """All values of the database (of these tables), one after the other."""
    with sqlite3.connect(server.database) as database:
        names = tables or [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = [row for name in names for row in database.execute(f"SELECT * FROM {name}")]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
