"""Rounds prepared and people assigned as a browser without a script does it, and what an offline person finds who was moved."""

from __future__ import annotations

import csv as csv_files
import re
from io import StringIO
from typing import Any

import httpx

from tests.flow.evening import Evening, Person
from tests.flow.server import Server

ROOMS = [{"name": "Verkehr", "capacity": 4}, {"name": "Schule", "capacity": 4}]


class Desk:
    """A moderator's browser without a script, at the pages of a round."""

    def __init__(self, browser: httpx.AsyncClient, page: str) -> None:
        self.browser, self.page = browser, page

    async def sees(self, path: str = "/rooms/1") -> str:
        """A page."""
        answer = await self.browser.get(self.page + path, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def sends(self, path: str = "/rooms/1", status: int = 303, files: Any = None, **fields: Any) -> httpx.Response:
        """A form."""
        answer = await self.browser.post(self.page + path, data=fields, files=files)
        assert answer.status_code == status, answer.text
        return answer

    async def previews(self, **fields: Any) -> str:
        """A preview by its address."""
        query = httpx.QueryParams(fields)
        return await self.sees(f"/rooms/1/assign?{query}")


def hidden(page: str, button: str) -> dict[str, Any]:
    """What the form with this button sends."""
    form = next(part for part in page.split("<form") if f'value="{button}"' in part)
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def rooms_of(page: str) -> dict[str, list[str]]:
    """Room → names in a preview."""
    parts = re.split(r'<li class="group" data-drop="([^"]+)">', page.split('id="groups"')[1].split("</ol>")[0])[1:]
    names = [re.findall(r'<span dir="auto">([^<]+)</span></label>', part) for part in parts[1::2]]
    return dict(zip(parts[::2], names, strict=True))


def words(page: str) -> str:
    """What is to be read."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def tag_of(page: str, name: str) -> str:
    """The tag behind somebody's name."""
    found = re.search(rf'value="(\w+)" id="[^"]+"><span dir="auto">{name}<', page)
    assert found, page
    return found[1]


async def desk(evening: Evening, role: str = "moderator", **round: Any) -> Desk:
    """With a round that is prepared."""
    cookie = await evening.cookie(role)
    moderator = await evening.person(cookie)
    await moderator.do("round.create", **{"title": "Erste Runde", "rooms": ROOMS} | round)
    return Desk(await evening.browser(cookie, **{"accept-language": "en"}), evening.page)


async def takes_part(evening: Evening, name: str) -> Person:
    person = await evening.person()
    await person.do("person.join", name=name)
    await person.do("round.join")
    return person


async def test_a_round_is_changed_copied_and_removed(evening: Evening) -> None:
    moderator = await desk(evening)
    await takes_part(evening, "Nele Note")
    page = await moderator.sees()
    assert "Verkehr" in page
    assert '<option value="Nele Note">' in page
    given: dict[str, Any] = {"args.name": "Radwege", "set.question": "Wohin?", "set.materials": "Karte: <b>hier</b>"}
    given |= {"capacity": "5", "note_taker": "", "moderator[]": ["Nele Note", ""], "languages[]": ["de", "tr"]}
    await moderator.sends(name="room.edit", room="1-1", **given)
    page = await moderator.sees()
    assert 'value="Radwege"' in page
    assert "Karte: &lt;b&gt;hier&lt;/b&gt;" in page
    assert re.search(r'name="moderator\[\]"[^>]*value="Nele Note"', page)
    assert len(re.findall(r'name="languages\[\]" value="\w+" checked', page)) == 2

    refused = await moderator.sends(name="room.edit", room="1-1", status=422, **given | {"note_taker": "Niemand <b>"})
    assert "Nobody is known as “Niemand &lt;b&gt;”" in refused.text
    assert 'value="Niemand &lt;b&gt;"' in refused.text, "what was typed stays"
    await moderator.sends(name="room.add", round="1", rooms_text="Sport: Wo?\nMusik", capacity="9")
    await moderator.sends(name="room.remove", room="1-2")
    settings = {"title": "Welt-Café", "policy": "mixed", "come_and_go": "true", "grace": "30", "hold": "60"}
    await moderator.sends("/rooms/1", 303, None, name="round.edit", round="1", **settings)
    page = await moderator.sees()
    assert re.search(r'name="come_and_go" value="true" checked', page)
    assert [name for name in ("Radwege", "Schule", "Sport", "Musik", "Welt-Café") if name in page] == [
        "Radwege", "Sport", "Musik", "Welt-Café",
    ]  # fmt: skip
    answer = await moderator.sends(name="round.copy", round="1", title="Zweite")
    assert answer.headers["location"].startswith(f"{evening.page}/rooms/2")
    assert "Radwege" in await moderator.sees("/rooms/2")
    await moderator.sends("/rooms/2", name="round.remove", round="2")
    assert (await moderator.browser.get(f"{evening.page}/rooms/2")).status_code == 422
    await moderator.sends(name="event.advance", phase="closed", status=422)


async def test_the_pages_of_rounds_are_for_moderators(evening: Evening) -> None:
    await desk(evening)
    for cookie in (None, await evening.cookie("helper"), await evening.cookie("operator")):
        browser = await evening.browser(cookie)
        for path in ("", "/assign?seed=1", ".csv"):
            assert (await browser.get(f"{evening.page}/rooms/1{path}")).status_code == 403
        for path, fields in (("", {"name": "round.remove", "round": "1"}), ("/assign", {"do": "confirm", "seed": "1"})):
            assert (await browser.post(f"{evening.page}/rooms/1{path}", data=fields)).status_code == 403


async def test_a_preview_is_shuffled_changed_by_hand_and_confirmed_as_it_is(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem", "Dana"):
        await takes_part(evening, name)
    page = await moderator.previews(seed=7, places="mixed")
    before = rooms_of(page)
    assert sorted(len(there) for there in before.values()) == [2, 2]
    assert "Seed of the lot: <b>7</b>" in page
    assert rooms_of(await moderator.previews(seed=7, places="mixed")) == before
    again = await moderator.sends("/rooms/1/assign", 200, **hidden(page, "again"), do="again")
    assert hidden(again.text, "confirm")["seed"] != "7"

    moves: dict[str, Any] = {"people[]": tag_of(page, before["1-1"][0]), "to": "1-2", "do": "move"}
    page = (await moderator.sends("/rooms/1/assign", 200, **hidden(page, "move"), **moves)).text
    after = rooms_of(page)
    assert after == {"1-1": before["1-1"][1:], "1-2": sorted([*before["1-2"], before["1-1"][0]])}
    confirm = hidden(page, "confirm")
    await takes_part(evening, "Emil")
    refused = await moderator.sends("/rooms/1/assign", 422, **confirm, do="confirm")
    assert "People have come, gone or moved meanwhile." in refused.text
    assert "Emil" in refused.text
    page = refused.text
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    people = await evening.staff("moderator", "rooms")
    shown = await people.sees(lambda shown: shown["rooms"]["room/1-1"]["people"] and shown["rooms"])
    assert {id: sorted(one["name"] for one in shown[f"room/{id}"]["people"]) for id in ("1-1", "1-2")} == rooms_of(page)


async def test_what_cannot_be_met_is_said_with_names(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem"):
        person = await takes_part(evening, name)
        await person.do("round.join", apart="Streit")
    page = await moderator.previews(seed=1, apart="on", moderator="on")
    waits = next(name for name in ("Anna", "Bilal", "Cem") if all(name not in there for there in rooms_of(page).values()))
    told = words(page)
    assert f"They wait, or sit with somebody from whom they should be apart: 1 {waits}" in told
    assert "Nobody moderates there, because there are not enough moderators: 2 Verkehr Schule" in told
    seated = [tag_of(page, name) for there in rooms_of(page).values() for name in there]
    moves: dict[str, Any] = {"people[]": seated, "to": "1-1", "do": "move"}
    page = (await moderator.sends("/rooms/1/assign", 200, **hidden(page, "move"), **moves)).text
    assert "They wait, or sit with somebody from whom they should be apart: <span" in page


async def test_a_table_is_checked_line_by_line_and_nothing_is_half_done(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem", "Cem", "Dana"):
        await takes_part(evening, name)
    table = "Anna;Verkehr\nNiemand;Schule\nBilal;Sport\nCem;1\nAnna;2\n\nDana;\n"
    refused = (await moderator.sends("/rooms/1/assign", 422, table=table)).text
    told = re.sub(r"<[^>]+>", "", refused)
    for line, words in {
        2: "Nobody is known as “Niemand”.",
        3: "There is no small group “Sport” in this round.",
        4: "Several people are called “Cem”.",
        5: "Anna stands in the table twice.",
    }.items():
        assert f"Line {line}: {words}" in told
    assert "Line 1:" not in told
    assert table.strip() in refused.replace("\r\n", "\n")
    files = {"file": ("gruppen.csv", "\ufeffName;Kleingruppe\r\nAnna;Schule\r\nBilal;1\r\n".encode(), "text/csv")}
    page = (await moderator.sends("/rooms/1/assign", 200, files=files)).text
    assert rooms_of(page) == {"1-1": ["Bilal"], "1-2": ["Anna"]}
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    full = "\n".join(f"{name};1" for name in ("Anna", "Bilal", "Dana")) + "\n" + "Anna;1"
    assert "twice" in (await moderator.sends("/rooms/1/assign", 422, table=full)).text


async def test_the_exported_table_can_be_taken_back_and_holds_no_formula(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ('=HYPERLINK("http://x")', "Bilal", "Bilal"):
        await takes_part(evening, name)
    await moderator.sends("/rooms/1/assign", **hidden(await moderator.previews(seed=3), "confirm"), do="confirm")
    await takes_part(evening, "Später")
    answer = await moderator.browser.get(f"{evening.page}/rooms/1.csv")
    table = answer.content.decode("utf-8-sig")
    rows = list(csv_files.reader(StringIO(table), delimiter=";"))
    assert rows[0] == ["Small group", "Name", "No.", "Code", "State", "Kept together", "Kept apart"]
    assert sorted(row[1] for row in rows[1:]) == sorted(["'=HYPERLINK(\"http://x\")", "Bilal", "Bilal", "Später"])
    assert next(row for row in rows if row[1] == "Später")[:5:4] == ["", "has no small group"]
    turned = table.replace('"Verkehr"', '"?"').replace('"Schule"', '"Verkehr"').replace('"?"', '"Schule"')
    before = {row[3]: row[0] for row in rows[1:] if row[0]}
    page = (await moderator.sends("/rooms/1/assign", 200, table=turned)).text
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    after = (await moderator.browser.get(f"{evening.page}/rooms/1.csv")).content.decode("utf-8-sig")
    exchanged = {"Verkehr": "Schule", "Schule": "Verkehr"}
    moved = {row[3]: row[0] for row in csv_files.reader(StringIO(after), delimiter=";") if row[0] in exchanged}
    assert moved == {code: exchanged[room] for code, room in before.items()}


async def test_people_are_kept_together_and_apart_by_ticks_until_they_are_let_free(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem", "Dana"):
        await takes_part(evening, name)
    page = await moderator.sees()
    groups = ("Anna Bilal", "Bilal Cem", "Cem")
    chosen: list[dict[str, Any]] = [{"people[]": [tag_of(page, name) for name in names.split()]} for names in groups]
    anna, bilal, cem = chosen
    await moderator.sends(how="apart", to="1-1", back="/", **anna)
    await moderator.sends(how="together", to="1-1", **bilal)
    told = words(await moderator.sees())
    assert "Anna apart 1" in told
    assert "Bilal apart 1 together 2" in told
    assert "Cem together 2" in told
    refused = await moderator.sends(status=422, how="apart", **bilal)
    assert "kept together and apart at once" in refused.text
    assert "at least two" in (await moderator.sends(status=422, how="together", **cem)).text
    assert "at least two" in (await moderator.sends(status=422, how="free")).text
    for seed in range(4):
        rooms = rooms_of(await moderator.previews(seed=seed)).values()
        assert any({"Bilal", "Cem"} <= {*there} for there in rooms)
        assert not any({"Anna", "Bilal"} <= {*there} for there in rooms)
    await moderator.sends(how="free", **cem)
    assert "Cem together" not in words(await moderator.sees())
    helper = Desk(await evening.browser(await evening.cookie("helper")), evening.page)
    await helper.sends(status=403, how="apart", **anna)


async def test_bonds_are_in_the_table_that_goes_out_and_comes_in(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem", "Dana"):
        await takes_part(evening, name)
    table = "Name;Kleingruppe;Kept together;Kept apart\nAnna;Verkehr;;streit\nBilal;Schule;;Streit x\nCem;;;x\n"
    page = (await moderator.sends("/rooms/1/assign", 200, table=table)).text
    assert rooms_of(page) == {"1-1": ["Anna"], "1-2": ["Bilal"]}
    assert "apart 1" in page
    assert "Anna apart" not in words(await moderator.sees()), "nothing is done yet"
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    out = (await moderator.browser.get(f"{evening.page}/rooms/1.csv")).content.decode("utf-8-sig")
    rows = {row[1]: row[5:] for row in csv_files.reader(StringIO(out), delimiter=";")}
    assert rows == {
        "Name": ["Kept together", "Kept apart"], "Anna": ["", "1"], "Bilal": ["", "1, 2"], "Cem": ["", "2"], "Dana": ["", ""],
    }  # fmt: skip
    page = (await moderator.sends("/rooms/1/assign", 200, table=out)).text
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    assert (await moderator.browser.get(f"{evening.page}/rooms/1.csv")).content.decode("utf-8-sig") == out, "it takes no bond away"
    wrong = (await moderator.sends("/rooms/1/assign", 422, table="Name;Small group;Kept apart\nAnna;1;7\nCem;1;8\nDana;1;8\n")).text
    assert "“7” stands only once in the column “Kept apart”" in re.sub(r"<[^>]+>", "", wrong)
    both = "Name;Small group;Kept together\nAnna;1;7\nBilal;1;7\n"
    assert "kept together and apart at once" in (await moderator.sends("/rooms/1/assign", 422, table=both)).text


async def test_organisers_find_who_is_registered_by_name_mail_or_number_and_moderators_do_not(running: Server) -> None:
    later = {"starts": "2099-08-20T18:00:00+02:00", "ends": "2099-08-20T20:00:00+02:00"}
    facts = {"places": {"hall": {"seats": 9, "consents": []}}} | later
    async with Evening(running, await running.event(phase="registration", **facts)) as evening:
        organiser = await desk(evening, "organiser")
        for name in ("Anna Aal", "Bilal Bär", "Cem Can"):
            person = await evening.person()
            await person.do("registration.submit", place="hall", name=name, email=f"{name[:4].strip()}@example.org".lower())
        table = "anna  AAL,Verkehr\nbila@example.org,2\n3,Schule\n"
        page = (await organiser.sends("/rooms/1/assign", 200, table=table)).text
        assert rooms_of(page) == {"1-1": ["Anna Aal (No. 1)"], "1-2": ["Bilal Bär (No. 2)", "Cem Can (No. 3)"]}
        moderator = Desk(await evening.browser(await evening.cookie("moderator"), **{"accept-language": "en"}), evening.page)
        assert "Anna Aal" not in await moderator.sees()
        told = (await moderator.sends("/rooms/1/assign", 422, table=table)).text
        assert "Line 1: " in told
        assert "Line 2: " in told
        assert "Line 3: " not in told
        page = await organiser.previews(seed=1, who="registered", place="hall")
        assert sorted(name for there in rooms_of(page).values() for name in there) == [
            "Anna Aal (No. 1)", "Bilal Bär (No. 2)", "Cem Can (No. 3)",
        ]  # fmt: skip


async def test_groups_go_on_and_the_past_is_remembered(evening: Evening) -> None:
    moderator = await desk(evening)
    for name in ("Anna", "Bilal", "Cem", "Dana"):
        await takes_part(evening, name)
    page = await moderator.previews(seed=5)
    first = rooms_of(page)
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    await moderator.sends(name="round.open", round="1", minutes="20")
    staff = await evening.staff("moderator")
    await staff.do("summary.draft", room="1-1", proposed="Mehr Bänke")
    await staff.do("summary.confirm", room="1-1")
    await staff.do("round.close", round=1)
    await moderator.sends(name="round.copy", round="1", title="Zweite Runde")
    assert "groups go on to the next small group, after Erste Runde" in await moderator.sees("/rooms/2")
    page = await moderator.sees("/rooms/2/assign?seed=1&after=1")
    assert rooms_of(page) == {"2-1": first["1-2"], "2-2": first["1-1"]}
    page = await moderator.sees()
    assert "is over" in page
    assert "Mehr Bänke" in page
    assert "Anna" in page
    assert 'name="people[]"' not in page, "what is over is not moved"


async def test_several_are_moved_without_a_script_and_who_is_offline_finds_the_new_room(evening: Evening) -> None:
    moderator = await desk(evening)
    anna, bilal = await takes_part(evening, "Anna"), await takes_part(evening, "Bilal")
    table = "Anna;Verkehr\nBilal;Verkehr\n"
    page = (await moderator.sends("/rooms/1/assign", 200, table=table)).text
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
    await moderator.sends(name="round.open", round="1", minutes="20")
    await anna.do("room.enter", room="1-1")
    cookie = anna.cookie
    await anna.__aexit__()
    moved: dict[str, Any] = {"people[]": [tag_of(page, name) for name in ("Anna", "Bilal")], "back": f"{evening.page}/rooms/1"}
    await moderator.sends("/do", name="room.move", to="1-2", **moved)
    anna = await evening.person(cookie, "me")
    assert await anna.sees(lambda shown: shown["me"]["seat"]["room"]) == "1-2"
    assert (await anna.do("room.enter", room="1-2"))["role"] == "participant"
    page = (await (await evening.browser(bilal.cookie)).get(evening.page)).text
    assert 'name="room" value="1-2"' in page
    refused = await moderator.sends("/do", 422, name="room.move", to="9-9", **moved)
    assert "This small group is not there." in refused.text
    assert "Who is where" in refused.text


async def test_1500_people_are_previewed_and_taken_from_a_table(evening: Evening) -> None:
    rooms = [{"name": f"Gruppe {number}", "capacity": 75} for number in range(1, 21)]
    moderator = await desk(evening, rooms=rooms)
    staff = await evening.staff("moderator")
    by_hand = {f"gast-{number}": f"1-{number % 20 + 1}" for number in range(1500)}
    await staff.do("round.assign", round=1, who="named", by_hand=by_hand)
    answer = await moderator.browser.get(f"{evening.page}/rooms/1.csv")
    assert len(answer.text.splitlines()) == 1501
    page = (await moderator.sends("/rooms/1/assign", 200, files={"file": ("a.csv", answer.content, "text/csv")})).text
    assert sum(len(there) for there in rooms_of(page).values()) == 1500
    await moderator.sends("/rooms/1/assign", **hidden(page, "confirm"), do="confirm")
