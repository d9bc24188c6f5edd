"""The camera as a reader of QR codes: what is in sight is reported once, and a page learns why there is no picture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, Route

from frontend.asked import policy
from tests.browser.camera import DENIED, MISSING, fake_camera
from tests.browser.cast import WITHIN
from tests.browser.conftest import launched
from tests.flow.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TICKET = "https://dialog.example/r/abend.17.K7QF3MVX2AK7QF3MVX2A"
OTHER = "https://dialog.example/r/abend.18.M4XQ7T2PBDM4XQ7T2PBD"
PAGE = '<!doctype html><html lang="en"><title>Camera</title><link rel="icon" href="data:,"><video></video>'

SCAN = """async () => {
    const { scan } = await import("/static/any/js/camera.js");
    window.codes = [];
    try {
        window.stop = await scan(document.querySelector("video"), (text) => codes.push(text));
    } catch (problem) {
        return problem.name;
    }
}"""
"""Returns the name of what it rejects with; `codes` are those that it has reported, `stop` ends it."""

WATCH = """
window.looks = [];
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...args) {
    looks.push({ at: performance.now(), size: args.slice(3) });
    return draw.apply(this, args);
};
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.wanted = wanted;
    return (window.stream = await open(wanted));
};
"""
DETECTOR = """
window.inSight = [];
window.BarcodeDetector = class {
    static async getSupportedFormats() { return ["ean_13", "qr_code"]; }
    async detect(image) { return inSight.map((rawValue) => ({ rawValue })); }
};
"""
"""A browser with a detector of its own, to which the test says what is in sight; Chromium has none on Linux."""
FAILING = """
window.BarcodeDetector = class {
    static async getSupportedFormats() { return ["qr_code"]; }
    async detect(image) { throw new DOMException("Barcode detection service unavailable.", "NotSupportedError"); }
};
"""

Opens = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def opens(browser: Browser, running: Server) -> AsyncIterator[Opens]:
    """Opens an empty page of the server, in a Chromium of its own if there are options; nothing must appear on its console but
    `expected`."""
    faults: list[str] = []
    async with AsyncExitStack() as closing:

        async def opened(
            *options: str, script: str = "", url: str = running.url, camera: str = "(self)", expected: str | None = None
        ) -> Page:
            chromium = browser
            if options:
                chromium = await launched(browser.browser_type, *options)
                closing.push_async_callback(chromium.close)
            page = await chromium.new_page()
            closing.push_async_callback(page.close)
            page.set_default_timeout(WITHIN)
            page.on("console", lambda message: None if message.text == expected else faults.append(message.text))
            page.on("pageerror", lambda error: faults.append(str(error)))
            await page.add_init_script(WATCH + script)
            headers = {"Content-Security-Policy": policy({}), "Permissions-Policy": f"camera={camera}"}

            async def serve(route: Route) -> None:
                await route.fulfill(body=PAGE, content_type="text/html", headers=headers)

            await page.route(f"{url}/camera", serve)
            await page.goto(f"{url}/camera")
            return page

        yield opened
    assert not faults, "\n".join(faults)


def asked(page: Page) -> list[str]:
    """The modules that the page asks for from now on."""
    names: list[str] = []

    def note(request: Request) -> None:
        names.append(request.url.rsplit("/", 1)[1])

    page.on("request", note)
    return names


async def shows(page: Page, *codes: str) -> None:
    """These codes are in the picture now, and two looks have begun since, so that one of them is over."""
    await page.evaluate("(codes) => { window.inSight = codes; window.since = looks.length; }", list(codes))
    await page.wait_for_function("() => looks.length >= since + 2")


async def test_a_code_is_reported_once_while_it_is_in_sight(opens: Opens, tmp_path: Path) -> None:
    page = await opens(*fake_camera(tmp_path / "ticket.y4m", TICKET))
    modules = asked(page)

    assert await page.evaluate(SCAN) is None
    await page.wait_for_function("() => codes.length > 0 && looks.length >= 25")  # three seconds of looking

    assert await page.evaluate("codes") == [TICKET]
    assert modules == ["camera.js", "qr.js"]
    assert await page.evaluate("wanted.video.facingMode") == "environment"


async def test_it_looks_at_small_pictures_and_not_at_all_of_them(opens: Opens, tmp_path: Path) -> None:
    page = await opens(*fake_camera(tmp_path / "ticket.y4m", TICKET, size=(1280, 720)))

    await page.evaluate(SCAN)
    await page.wait_for_function("() => looks.length >= 10")

    looks = await page.evaluate("looks")
    assert {tuple(look["size"]) for look in looks} == {(640, 360)}
    pauses = [later["at"] - look["at"] for look, later in pairwise(looks)]
    assert min(pauses) > 120, pauses


async def test_stop_switches_the_camera_off(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    await page.evaluate(SCAN)
    await shows(page, TICKET)
    assert await page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["live"]

    await page.evaluate("stop()")

    assert await page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
    assert await page.evaluate("document.querySelector('video').srcObject") is None


async def test_a_code_is_new_again_after_two_seconds_out_of_sight(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    await page.clock.install(time=0)
    await page.clock.pause_at(1)
    await page.evaluate(SCAN)

    async def after(milliseconds: int, *codes: str) -> list[str]:
        """What has been reported when it looks next, so much later, and these codes are in the picture."""
        await page.evaluate("(codes) => { window.inSight = codes; window.since = looks.length; }", codes)
        await page.clock.run_for(milliseconds)
        await page.wait_for_function("() => looks.length > since")
        return list(await page.evaluate("codes"))

    assert await after(1_000, TICKET) == [TICKET]
    assert await after(9_000, TICKET) == [TICKET]
    assert await after(1_000) == [TICKET]
    assert await after(1_000) == [TICKET]
    assert await after(999, TICKET) == [TICKET]
    assert await after(9_000, TICKET) == [TICKET]
    assert await after(1_000) == [TICKET]
    assert await after(1_000) == [TICKET]
    assert await after(1_000, TICKET) == [TICKET, TICKET]


async def test_a_code_is_new_again_after_another_one(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    await page.evaluate(SCAN)

    for code in (TICKET, OTHER, TICKET):
        await shows(page, code)

    assert await page.evaluate("codes") == [TICKET, OTHER, TICKET]


async def test_of_two_codes_in_sight_the_second_waits_for_the_first_to_go(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    await page.evaluate(SCAN)

    for codes in ((TICKET, OTHER), (OTHER, TICKET), (TICKET, OTHER)):
        await shows(page, *codes)
    assert await page.evaluate("codes") == [TICKET]

    await shows(page, OTHER)
    assert await page.evaluate("codes") == [TICKET, OTHER]


async def test_a_browser_with_a_detector_of_its_own_loads_no_other(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    modules = asked(page)

    await page.evaluate(SCAN)
    await shows(page, TICKET)

    assert await page.evaluate("codes") == [TICKET]
    assert modules == ["camera.js"]


async def test_a_detector_that_does_not_work_is_replaced(opens: Opens, tmp_path: Path) -> None:
    page = await opens(*fake_camera(tmp_path / "ticket.y4m", TICKET), script=FAILING)

    await page.evaluate(SCAN)
    await page.wait_for_function("() => codes.length > 0")

    assert await page.evaluate("codes") == [TICKET]


async def test_the_camera_rests_while_the_page_is_hidden(opens: Opens) -> None:
    page = await opens(script=DETECTOR)
    await page.evaluate(SCAN)
    await shows(page, TICKET)

    # Chromium without a window never hides a page, so the page is told that it is.
    await page.evaluate("""() => {
        Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    assert await page.evaluate("document.querySelector('video').paused")
    assert await page.evaluate("stream.getTracks().map((track) => track.enabled)") == [False]

    await page.evaluate("""() => {
        delete document.visibilityState;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    await shows(page, OTHER)
    assert await page.evaluate("codes") == [TICKET, OTHER]


@pytest.mark.parametrize(("options", "name"), [(DENIED, "NotAllowedError"), (MISSING, "NotFoundError")])
async def test_without_a_camera_the_page_learns_why(opens: Opens, options: list[str], name: str) -> None:
    page = await opens(*options)
    modules = asked(page)

    assert await page.evaluate(SCAN) == name
    assert modules == ["camera.js"]


async def test_a_page_that_may_not_use_the_camera_learns_it(opens: Opens) -> None:
    page = await opens(camera="()", expected="Permissions policy violation: camera is not allowed in this document.")

    assert await page.evaluate(SCAN) == "NotAllowedError"


async def test_without_tls_there_is_no_camera(opens: Opens, running: Server) -> None:
    page = await opens(url="http://dialog.example")

    async def fetch(route: Route) -> None:
        path = route.request.url.removeprefix("http://dialog.example")
        await route.fulfill(response=await route.fetch(url=f"{running.url}{path}"))

    await page.route("**/static/**", fetch)

    assert await page.evaluate(SCAN) == "SecurityError"


async def test_without_a_detector_the_camera_does_not_stay_on(opens: Opens) -> None:
    page = await opens(expected="Failed to load resource: net::ERR_FAILED")
    await page.route("**/qr.js", lambda route: route.abort())

    assert await page.evaluate(SCAN) == "TypeError"
    assert await page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
