"""`python -m deploy.package`: make the packages of the functions (`make package`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.package.build import Package, Places, build
from deploy.package.errors import InterpreterMissing, PackageError
from deploy.package.targets import TARGETS, Target, find_interpreter

ROOT = Path(__file__).resolve().parents[2]
FAILED = 1
INCOMPLETE = 3

_EPILOGUE = f"""\
exit codes: 0 all packages are made; {FAILED} one cannot be made; {INCOMPLETE} those of a runtime \
are left out, because this machine has no Python of its version
"""


def main(
    arguments: list[str] | None = None, find: Callable[[Target], Any] = find_interpreter
) -> int:
    """Make the packages; gives the exit code.

    Args:
        arguments: of the command line.
        find: gives the interpreter of a runtime.
    """
    options = _parser().parse_args(arguments)
    places = Places(options.root, options.output, options.wheels)
    missing = []
    for runtime in options.runtime or list(TARGETS):
        try:
            for package in build(places, TARGETS[runtime], find(TARGETS[runtime]), _say):
                _say(_line(package))
        except InterpreterMissing as error:
            missing.append(str(error))
        except PackageError as error:
            sys.stderr.write(f"error: {error}\n")
            return FAILED
    for text in missing:
        sys.stderr.write(f"left out: {text}\n")
    return INCOMPLETE if missing else 0


def _line(package: Package) -> str:
    size = package.manifest["zip"]
    parts = ", ".join(f"{name} {_megabytes(part)}" for name, part in package.parts)
    return (
        f"{package.path}: {_megabytes(size['bytes'])} MB zipped, "
        f"{_megabytes(size['unpacked_bytes'])} MB unpacked; most of it: {parts}\n"
        f"  sha256 {size['sha256']}{' (uncommitted changes)' * package.manifest['dirty']}"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.package",
        description="Make the zips that Function Compute runs: two for each runtime, one with the "
        "DirectMail SDK and one without. The same commit gives the same bytes.",
        epilog=_EPILOGUE,
    )
    parser.add_argument(
        "--runtime",
        action="append",
        choices=list(TARGETS),
        help="only this one; may be repeated (default: all)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "build" / "package",
        help="the folder of the packages (default: build/package)",
    )
    parser.add_argument(
        "--wheels",
        type=Path,
        default=ROOT / "build" / "wheels",
        help="the folder that keeps what was fetched (default: build/wheels)",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
