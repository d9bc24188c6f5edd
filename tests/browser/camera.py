"""Cameras for Chromium: one that sees a QR code in somebody's hand, one that may not be used, none at all."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import segno

SIZE = (1280, 720)
"""Pixels, both even. The film's size is the camera's: a page that asks for more does not get it. Upright films are cropped."""
FPS = 30
"""The film's speed is the camera's. Chromium plays it in a loop, so that three pictures last for ever."""
SHARE = 0.6
"""How much of the picture's shorter side the code fills; from 0.3 on, it is read from a film of this size."""
TREMOR = (11.0, 12.0, 13.5)
"""Degrees by which the code is turned in one picture after the other."""
QUIET = 4
"""Modules of white around a code (ISO/IEC 18004, 9.1)."""
GREY, PAPER, INK, NOISE = 96, 215, 45, 24
"""Luma of what is around the code, of the code itself, and by how much a pixel may be off."""

ALLOWED = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
"""Chromium's own test picture, and nobody is asked."""
DENIED = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"]
"""Somebody is asked and says no."""
MISSING = ["--use-fake-device-for-media-stream=device-count=0", "--use-fake-ui-for-media-stream"]
"""Whatever the machine has."""
_NOISY = bytes(GREY - NOISE + byte % (2 * NOISE + 1) for byte in range(256))
"""A random byte → the luma of a pixel around the code."""


def fake_camera(path: Path, text: str, *, size: tuple[int, int] = SIZE, share: float = SHARE) -> list[str]:
    """Writes a film to `path` (*.y4m) in which a code with this text fills a share of the picture's shorter side, and returns
    the options with which Chromium has a camera that shows it. Every page may use it, nobody is asked."""
    width, height = size
    chroma = b"\x80" * (width // 2 * (height // 2) * 2)
    with path.open("wb") as film:
        film.write(b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420\n" % (width, height, FPS))
        for seed, degrees in enumerate(TREMOR):
            film.write(b"FRAME\n" + _luma(text, size, share, degrees, Random(seed)) + chroma)
    return [*ALLOWED, f"--use-file-for-fake-video-capture={path}"]


def _luma(text: str, size: tuple[int, int], share: float, degrees: float, random: Random) -> bytes:
    """The picture's brightness, row by row: the code in its middle, turned and noisy."""
    width, height = size
    rows = [bytes(row) for row in segno.make(text, error="m", micro=False).matrix_iter(border=QUIET)]
    modules = len(rows)
    scale = modules / (min(size) * share)
    across, down = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    luma = bytearray(random.randbytes(width * height).translate(_NOISY))
    reach = min(min(size), math.ceil(min(size) * share * math.sqrt(2))) // 2
    for y in range(height // 2 - reach, height // 2 + reach):
        for x in range(width // 2 - reach, width // 2 + reach):
            right, below = x - width / 2, y - height / 2
            column = math.floor(right * across + below * down + modules / 2)
            row = math.floor(below * across - right * down + modules / 2)
            if 0 <= row < modules and 0 <= column < modules:
                luma[y * width + x] += (INK if rows[row][column] else PAPER) - GREY
    return bytes(luma)
