"""What the repository contains, what hatch_build.py makes of it, and that a wheel of it stands on its own."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["requirements.lock", "requirements-build.lock", "requirements-test.lock"]
PACKAGES = {"live", "rooms", "moderation", "frontend"}
OF_THE_BUILD = re.compile(r"node_modules|package(-lock)?\.json|jsconfig|babel\.cfg|\.npmrc|\.(mjs|pot?|c|d\.ts)$|__pycache__")

# Put together from pieces, so that this file does not contain what it looks for.
HOSTS = ["registry." + "npmjs", "registry." + "yarnpkg", "files." + "pythonhosted", "pypi." + "org/simple"]
PATHS = ["/root" + "/", "/work" + "/", "/home" + "/", "/opt" + "/pypi", "/Users" + "/", "file:" + "//"]
OF_A_MACHINE = re.compile("|".join([*map(re.escape, HOSTS), *(rf"(?<![\w.*]){re.escape(path)}" for path in PATHS)]))


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = [
        f"{path}: {match[0]}"
        for path in repository_files()
        for match in OF_A_MACHINE.finditer((ROOT / path).read_text("utf-8", errors="replace"))
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        '"resolved": "https://registry.' + 'npmjs.org/esbuild/-/esbuild-0.28.2.tgz"',
        "--find-links /opt" + "/pypi/simple",
        "# via -r /work" + "/main/requirements.in",
        'HOME = "/root' + '/"',
        "--extra-index-url file:" + "///srv/simple",
    ],
)
def test_such_a_name_would_be_found(text: str) -> None:
    assert OF_A_MACHINE.search(text)


def test_npm_lock_leaves_the_registry_to_its_reader() -> None:
    packages = json.loads((ROOT / "frontend/package-lock.json").read_text())["packages"]
    del packages[""]

    assert packages
    assert [name for name, package in packages.items() if "resolved" in package or "integrity" not in package] == []


def test_locks_pin_everything_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, build, tests = (pins(ROOT / lock) for lock in LOCKS)
    wanted = [
        (runtime, project["project"]["dependencies"]),
        (build, project["build-system"]["requires"]),
        (tests, project["project"]["dependencies"] + project["project"]["optional-dependencies"]["test"]),
    ]

    for lock, requirements in wanted:
        for requirement in map(Requirement, requirements):
            assert lock[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: call `make lock`"
    assert {name: tests[name] for name in runtime} == runtime
    assert all(tests[name] == version for name, version in build.items() if name in tests)


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / lock).read_text())

    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_missing_programs_are_listed_where_they_cannot_be_installed() -> None:
    said = run(["env", "PATH=", sys.executable, "tests/prerequisites.py", "tests"], ROOT)

    assert said.startswith("Missing on this machine:\n")
    assert "on Debian: apt-get install chromium" in said


@pytest.mark.slow
def test_wheel_contains_what_the_program_needs(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    committed = {path for path in repository_files() if path.split("/")[0] in PACKAGES and not OF_THE_BUILD.search(path)}
    files = ("idiomorph.js", "hls.js", "qr.js", "kern.css", "fonts.css", "LICENSES.txt")
    bundled = {f"frontend/static/vendor/{file}" for file in files}
    catalogs = {path.removesuffix(".po") + ".mo" for path in repository_files() if path.endswith("/plenum.po")}

    assert sorted(committed - names) == []
    assert sorted(bundled - names) == []
    assert catalogs
    assert sorted(catalogs - names) == []
    assert len([name for name in names if name.endswith(".woff2")]) >= 2


@pytest.mark.slow
def test_wheel_leaves_out_what_only_the_build_needs(wheel: zipfile.ZipFile) -> None:
    folders = {name.split("/")[0] for name in wheel.namelist()}

    assert {folder for folder in folders if not folder.endswith(".dist-info")} == PACKAGES
    assert [name for name in wheel.namelist() if OF_THE_BUILD.search(name)] == []


@pytest.mark.slow
def test_wheel_with_the_extension_is_of_one_platform(wheel: zipfile.ZipFile) -> None:
    compiled = [name for name in wheel.namelist() if name.endswith(".so")]
    pure = str(wheel.filename).endswith("-py3-none-any.whl")

    assert pure is not bool(compiled)


@pytest.mark.slow
def test_wheel_stands_on_its_own(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    program = tmp_path / "venv" / "bin"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", program / "python", "-qq", "install", "--no-compile"]
    run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], tmp_path)
    run([*pip, "--no-deps", str(wheel.filename)], tmp_path)

    assert "plenum" in run([program / "plenum", "--help"], tmp_path)
    assert "the schema was not there and is" in run([program / "plenum", "migrate", "--data", tmp_path / "data"], tmp_path)
    where = run([program / "python", "-c", "import live, frontend; print(live.__file__, frontend.__file__)"], tmp_path)
    assert str(ROOT) not in where


@pytest.mark.slow
def test_build_does_nothing_twice(built: Path) -> None:
    assert run([sys.executable, "hatch_build.py"], built) == ""


@pytest.mark.slow
def test_build_bundles_anew_when_a_template_changes(built: Path) -> None:
    kern = built / "frontend/static/vendor/kern.css"
    assert "kern-progress" not in kern.read_text()

    (built / "frontend/templates/new.html").write_text('<progress class="kern-progress"></progress>')
    said = run([sys.executable, "hatch_build.py"], built)

    assert said == "frontend/static/vendor: bundling browser files\n"
    assert ".kern-progress" in kern.read_text()


@pytest.mark.slow
def test_build_goes_on_without_a_c_compiler(built: Path) -> None:
    (built / "live/_fanout.c").write_text("int unchanged;")

    said = run(["env", "CC=no-such-compiler", sys.executable, "hatch_build.py"], built)

    assert "live/_fanout.c: not compiled, no C compiler (no-such-compiler)" in said
    assert list(built.glob("live/_fanout.*.so")) == []


@pytest.mark.slow
def test_design_system_stays_small_and_in_its_layer(built: Path) -> None:
    css = (built / "frontend/static/vendor/kern.css").read_bytes()

    assert css.startswith(b"@layer kern{")
    assert b"--kern-color-action-default" in css
    assert b"kern-col-" not in css
    assert len(gzip.compress(css, 9)) < 20_000


EDITOR = [
    "yjs", "lib0", "y-protocols", "y-prosemirror", "prosemirror-commands", "prosemirror-inputrules", "prosemirror-keymap",
    "prosemirror-model", "prosemirror-schema-list", "prosemirror-state", "prosemirror-transform", "prosemirror-view", "orderedmap",
    "w3c-keyname",
]  # fmt: skip
"""What the editor of notes is made of."""


@pytest.mark.slow
def test_licences_of_what_is_bundled_come_along(built: Path) -> None:
    text = (built / "frontend/static/vendor/LICENSES.txt").read_text()

    assert re.findall(r"^(\S+) \d[\d.]*, (\S+|\(.+\))$", text, re.MULTILINE) == [
        ("idiomorph", "0BSD"),
        ("hls.js", "Apache-2.0"),
        ("qr", "(MIT OR Apache-2.0)"),
        ("@kern-ux/native", "EUPL-1.2"),
        ("@fontsource/fira-sans", "OFL-1.1"),
        *((name, "MIT") for name in EDITOR),
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built as from a fresh clone."""
    clone, out = fresh_clone(tmp_path_factory.mktemp("clone")), tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "-qq", "wheel", "--no-deps", "--no-build-isolation", "-w", out, clone], out)
    (made,) = out.iterdir()
    return zipfile.ZipFile(made)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with everything built in place, which nobody changes."""
    clone = fresh_clone(tmp_path_factory.mktemp("build") / "clone")
    run([sys.executable, "hatch_build.py"], clone)
    return clone


@pytest.fixture
def built(build: Path, tmp_path: Path) -> Path:
    """A copy of it with all its times, as its owner finds it later."""
    return Path(shutil.copytree(build, tmp_path / "clone", symlinks=True))


def fresh_clone(target: Path) -> Path:
    for path in repository_files():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)
    return target


def repository_files() -> list[str]:
    """What is committed, and what a commit of the working tree would add."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    return sorted(path for path in listed.split("\0") if path and (ROOT / path).is_file())


def pins(lock: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE)}


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
