"""Without JavaScript, and what every page carries: forms, languages, headers, weight, no third party, no open door."""

from __future__ import annotations

import re

import httpx
import pytest

from frontend.assets import STATIC
from live.admin import link
from live.app import open_log
from live.desks import Desks
from live.settings import Settings
from tests.flow.evening import Evening

MOST_COMPRESSED = 100_000
"""Bytes of the first load, without fonts and player."""


async def test_a_thought_is_sent_by_a_form_and_what_was_typed_is_kept_when_it_is_refused(evening: Evening) -> None:
    browser = await evening.browser(**{"accept-language": "de"})
    await browser.get(evening.page)
    fields = {"name": "contribution.submit", "kind": "wish", "text": "zu", "args.name": "Jule", "back": f"{evening.page}#write"}
    refused = await browser.post(f"{evening.page}/do", data=fields)
    assert refused.status_code == 422
    assert "mindestens 3 Zeichen" in refused.text
    assert ">zu</textarea>" in refused.text
    assert 'value="Jule"' in refused.text

    sent = await browser.post(f"{evening.page}/do", data={**fields, "text": "Ein Zebrastreifen"})
    assert sent.status_code == 303
    shown = await browser.get(sent.headers["location"])
    assert "Ihr Beitrag ist angekommen" in shown.text
    assert "Ein Zebrastreifen" in shown.text


async def test_the_console_filters_by_its_address(evening: Evening) -> None:
    moderator = await evening.browser(await evening.cookie("moderator"))
    await evening.said("Glasfaser für alle", kind="idea")
    await evening.said("Wann kommt der Bus", kind="question")

    async def shown(query: str) -> list[bool]:
        page = (await moderator.get(f"{evening.page}/moderation{query}")).text
        return [text in page for text in ("Glasfaser für alle", "Wann kommt der Bus")]

    assert await shown("") == [True, True]
    assert await shown("?kind=question") == [False, True]
    assert await shown("?q=glasfaser&topic=&origin=home") == [True, False]
    assert await shown("?origin=phone") == [False, False]


async def test_an_organiser_changes_the_phase_and_nobody_else(evening: Evening) -> None:
    form = {"name": "event.advance", "phase": "closed", "back": f"{evening.page}/moderation"}
    moderator, organiser = [await evening.browser(await evening.cookie(role)) for role in ("moderator", "organiser")]
    assert "event.advance" not in (await moderator.get(f"{evening.page}/moderation")).text
    assert (await moderator.post(f"{evening.page}/do", data=form)).status_code == 403
    assert "event.advance" in (await organiser.get(f"{evening.page}/moderation")).text
    assert (await organiser.post(f"{evening.page}/do", data=form)).status_code == 303

    late = await (await evening.browser()).post(
        f"{evening.page}/do", data={"name": "contribution.submit", "kind": "idea", "text": "Zu spät", "back": evening.page}
    )
    assert late.status_code == 409


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/e/another",
        "javascript:alert(1)",
        "/e/{slug}evil",
        "\r\nX: y",
    ],
)
async def test_a_form_leads_back_to_its_own_event_only(evening: Evening, back: str) -> None:
    browser = await evening.browser()
    answer = await browser.post(
        f"{evening.page}/do", data={"name": "person.join", "place": "home", "back": back.format(slug=evening.slug)}
    )
    assert answer.status_code == 303
    assert re.fullmatch(rf"/e/{evening.slug}(\?[^/]*)?", answer.headers["location"])


@pytest.mark.parametrize(
    ("header", "lang"), [("de-DE,de;q=0.9", "de"), ("en-GB", "en"), ("fr, en;q=0.5", "en"), ("tr", "de"), ("", "de")]
)
async def test_the_language_is_the_browsers_until_somebody_chooses(evening: Evening, header: str, lang: str) -> None:
    browser = await evening.browser(**{"accept-language": header})
    assert f'<html lang="{lang}"' in (await browser.get(evening.page)).text
    other = "en" if lang == "de" else "de"
    assert f'<html lang="{other}"' in (await browser.get(f"{evening.page}?lang={other}")).text
    assert f'<html lang="{other}"' in (await browser.get(evening.page)).text
    assert (await browser.get(f"{evening.page}?lang=xx")).status_code == 200


async def test_every_page_carries_its_protection(evening: Evening) -> None:
    staff = await evening.browser(await evening.cookie("moderator"))
    token = await evening.overlay()
    paths = ["/", "/e/nothing", *(evening.page + rest for rest in ("", "/hall", "/stage", "/moderation", "/receipt?code=x"))]
    for path in [*paths, f"/o/{token}", "/o/wrong.token", "/in/wrong.token"]:
        answer = await staff.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer"), path
        assert not re.search(r"<[^>]+\s(style|on\w+)=|<script(?![^>]*\ssrc=)", answer.text), path
        assert not re.search(r"(src|href)=.?https?://", answer.text.replace(evening.server.url, "")), path


async def test_the_third_party_is_let_in_by_the_click_only(evening: Evening) -> None:
    browser = await evening.browser()
    before, after = await browser.get(evening.page), await browser.get(f"{evening.page}?stream=on")
    assert "video.example" not in before.headers["content-security-policy"]
    assert "<iframe" not in before.text
    assert "frame-src https://video.example" in after.headers["content-security-policy"]
    assert 'src="https://video.example/live"' in after.text


async def test_cookies_are_for_the_server_alone(evening: Evening) -> None:
    answer = await (await evening.browser()).get(evening.page)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    forged = await evening.browser("somebody-else.c2lnbmF0dXJl")
    assert "plenum_person=" in (await forged.get(evening.page)).headers["set-cookie"], "a forged cookie is nobody's"


async def test_a_form_of_another_site_acts_for_nobody(evening: Evening) -> None:
    moderator, number = await evening.cookie("moderator"), await evening.said()
    form = {"name": "contribution.approve", "contribution": str(number)}
    for headers, status in (({"sec-fetch-site": "cross-site"}, 403), ({"sec-fetch-site": "same-origin"}, 303)):
        browser = await evening.browser(moderator, **headers)
        assert (await browser.post(f"{evening.page}/do", data=form)).status_code == status


async def test_the_first_load_is_small(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "moderation")
    for number in range(70):
        await evening.said(f"Idee {number}: " + "mehr Bänke, Schatten und Wasser in der ganzen Stadt. " * 4)
        await moderator.do("contribution.approve", contribution=number + 1)
    browser = await evening.browser(**{"accept-encoding": "gzip"})
    page = await browser.get(evening.page)
    wanted, loaded, total = (
        re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js))"', page.text),
        set[str](),
        await weight(browser, evening.page),
    )
    while wanted:
        path = wanted.pop()
        if path in loaded or "fonts.css" in path or "hls" in path:
            continue
        loaded.add(path)
        total += await weight(browser, path)
        if path.endswith(".js"):
            imports = re.findall(r'from\s*"(\.[^"]+)"', (await browser.get(path)).text)
            wanted += [str(httpx.URL(path).join(one)) for one in imports]
    assert any("sync.js" in path for path in loaded)
    assert total < MOST_COMPRESSED


async def weight(browser: httpx.AsyncClient, path: str) -> int:
    """Bytes of the body on the line."""
    async with browser.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == "gzip"
        return len(b"".join([block async for block in answer.aiter_raw()]))


async def test_no_script_but_the_door_s_may_serve_pages_itself(evening: Evening) -> None:
    browser = await evening.browser()
    scripts = sorted(path.name for path in (STATIC / "js").glob("*.js"))
    allowed = [
        name for name in scripts if "service-worker-allowed" in (await browser.get(f"/static/any-version/js/{name}")).headers
    ]
    assert allowed == ["door_worker.js"]


async def test_a_preview_of_a_sign_in_link_does_not_use_it_up(evening: Evening) -> None:
    log = open_log(Settings(data=str(evening.server.data)))
    async with Desks(log, Settings()) as desks:
        path, late = await link(desks, evening.slug, "helper"), await link(desks, evening.slug, "helper", hours=-1)
    log.close()
    somebody = await evening.browser()
    for _ in range(3):
        assert (await somebody.get(path)).status_code == 200
    assert (await somebody.post(path)).headers["location"] == f"{evening.page}/moderation"
    assert (await (await evening.browser()).post(path)).status_code == 422
    assert (await (await evening.browser()).post(late)).status_code == 422


async def test_the_overlay_s_loader_is_a_file_that_names_this_server(evening: Evening) -> None:
    token, browser = await evening.overlay(), await evening.browser()
    answer = await browser.get(f"/o/{token}/loader.html")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="plenum-overlay.html"'
    assert f'"{evening.server.url}/o/{token}"' in answer.text
    assert "http" not in answer.text.replace(evening.server.url, ""), "no third party"
    assert (await browser.get("/o/wrong.token/loader.html")).status_code in (404, 409)
    hostile = await browser.get(f"/o/{token}/loader.html", headers={"Host": "</script><script>alert(1)"})
    assert "</script><script>" not in hostile.text
    assert (await browser.get("/healthz")).headers["access-control-allow-origin"] == "*"
