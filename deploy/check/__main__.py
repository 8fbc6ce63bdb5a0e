"""The command: `python -m deploy.check [TEMPLATE]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.check.cases import REGIONS, cases, plain
from deploy.check.check import Code, Report, check_template
from deploy.check.definitions import DefinitionsMissing, load_spec
from deploy.check.extract import ExtractionError
from deploy.check.rendered import Case
from deploy.check.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "definitions"
TEMPLATES = (ROOT / "template.yml", ROOT / "bootstrap.yml")
FAULTY, BROKEN = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check templates; say what is wrong, line by line.

    Returns:
        0 if everything is right, 1 if a template is not, 2 if it could not be checked.
    """
    options = _parser().parse_args(arguments)
    try:
        spec = load_spec(CACHE)
    except (DefinitionsMissing, ExtractionError) as error:
        print(f"check-template: {error}", file=sys.stderr)  # noqa: T201  # a command's output
        return BROKEN
    files = options.template or list(TEMPLATES)
    return max(_check(file, spec, options) for file in files)


def _check(file: Path, spec: Spec, options: argparse.Namespace) -> int:
    started = time.monotonic()
    chosen = _cases(file, options)
    own = file.name == "template.yml" and not options.no_code
    code = Code(ROOT, options.packages) if own else None

    def progress(case: Case, problems: int) -> None:
        if options.verbose:
            said = f"{problems} problems" if problems else "right"
            print(f"  {file.name} for {case.name}: {said}", file=sys.stderr)  # noqa: T201  # likewise

    report = check_template(file, spec, chosen, code, progress)
    _print(file, report)
    seconds = time.monotonic() - started
    if report.problems:
        print(f"{file.name}: {len(report.problems)} problems", file=sys.stderr)  # noqa: T201  # likewise
        return FAULTY
    print(  # noqa: T201  # likewise
        f"{file.name}: right for {len(chosen)} deployments "
        f"({report.resources} resources at most, {report.properties} values checked, "
        f"{len(spec.resources)} resource types known, {seconds:.1f} s)"
    )
    return 0


def _print(file: Path, report: Report) -> None:
    for problem in report.problems:
        line = report.lines.of(problem.path) if report.lines else None
        place = f"{file.name}:{line}" if line else file.name
        print(f"{place}: {problem}")  # noqa: T201  # a command's output


def _cases(file: Path, options: argparse.Namespace) -> list[Case]:
    if options.parameter or options.region:
        given = dict(each.split("=", 1) for each in options.parameter)
        return [Case("the given parameters", options.region or REGIONS[0], given)]
    return [plain()] if file.name == "bootstrap.yml" else list(cases())


def _parameter(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not like NAME=VALUE")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.check",
        description="Proves, without an account, that a template can be deployed: every property "
        "against the vendor's published definitions, and the rules of this project.",
        epilog="Prints FILE:LINE: PATH: MESSAGE [RULE] for each problem and ends with 1.",
    )
    parser.add_argument(
        "template", nargs="*", type=Path, help="by default template.yml and bootstrap.yml"
    )
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], type=_parameter, metavar="NAME=VALUE",
        help="check for these parameters only, instead of for every environment",
    )  # fmt: skip
    parser.add_argument("--region", help=f"where, with --parameter; by default {REGIONS[0]}")
    parser.add_argument(
        "--packages", type=Path, help="import the handlers from the zips in this folder"
    )
    parser.add_argument("--no-code", action="store_true", help="leave the functions' code out")
    parser.add_argument("-v", "--verbose", action="store_true", help="say each deployment")
    return parser


if __name__ == "__main__":
    sys.exit(main())
