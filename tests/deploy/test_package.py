"""What goes into a package, and what is said when one cannot be made."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from deploy.package import archive, contents
from deploy.package.__main__ import INCOMPLETE, main
from deploy.package.build import check_functions
from deploy.package.bytecode import source_of
from deploy.package.errors import InterpreterMissing, PackageError
from deploy.package.lock import Pinned, read_lock
from deploy.package.manifest import licence_of
from deploy.package.source import read_sources
from deploy.package.targets import TARGETS, Target, find_interpreter
from deploy.package.wheels import fetch, unpack

ROOT = Path(__file__).parents[2]
HASH = "0" * 64


@pytest.mark.parametrize("runtime", TARGETS)
@pytest.mark.parametrize("group", contents.GROUPS)
def test_every_locked_distribution_is_decided_about(runtime: str, group: str) -> None:
    """Each one is taken or left out by name, for each group, and never both."""
    locked = [each.name for each in read_lock(ROOT / "requirements.lock", TARGETS[runtime])]
    assert contents.unnamed(group, locked) == set()
    assert contents.DISTRIBUTIONS[group] & set(contents.LEFT_OUT[group]) == set()
    assert contents.unnamed(group, [*locked, "left-pad"]) == {"left-pad"}


@pytest.mark.parametrize("group", contents.GROUPS)
def test_nothing_is_decided_about_that_is_not_locked(group: str) -> None:
    """A dependency that is gone is gone from the lists as well."""
    text = (ROOT / "requirements.lock").read_text()
    named = contents.DISTRIBUTIONS[group] | set(contents.LEFT_OUT[group])
    assert [name for name in sorted(named) if f"\n{name}==" not in f"\n{text}"] == []


def test_the_sending_sdk_is_in_one_package_only() -> None:
    """The functions that do not send have no part of the DirectMail SDK with them."""
    plain = contents.DISTRIBUTIONS[contents.PLAIN]
    assert not [name for name in plain if name.startswith("alibabacloud")]
    assert "alibabacloud-dm20151123" in contents.DISTRIBUTIONS[contents.SENDER]


def test_the_lock_is_read_for_the_runtime(tmp_path: Path) -> None:
    """A marker decides by the runtime's Python, not by the one that builds."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"one==1.0 ; python_full_version < '3.11' \\\n    --hash=sha256:{HASH}\n"
        f"One==2.0 ; python_full_version >= '3.11' \\\n    --hash=sha256:{HASH}\n"
        f"# a comment\nelsewhere==1 ; sys_platform == 'win32' --hash=sha256:{HASH}\n"
    )
    read = {name: read_lock(lock, target) for name, target in TARGETS.items()}
    assert read["python3.10"] == [Pinned("one", "1.0", frozenset({HASH}))]
    assert read["python3.12"] == [Pinned("one", "2.0", frozenset({HASH}))]


@pytest.mark.parametrize("line", ["one==1.0", f"one>=1.0 --hash=sha256:{HASH}", "one two"])
def test_a_lock_without_versions_or_hashes_is_refused(line: str, tmp_path: Path) -> None:
    """What is not pinned to files is not packaged."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(line)
    with pytest.raises(PackageError, match=r"requirements\.lock: "):
        read_lock(lock, TARGETS["python3.12"])


def test_wheels_may_ask_for_no_newer_c_library_than_the_runtime_has() -> None:
    """Debian 10 has glibc 2.28, Debian 11 has 2.31."""
    older, newer = (TARGETS[name].platforms for name in ("python3.10", "python3.12"))
    assert older[0] == "manylinux_2_28_x86_64"
    assert newer[0] == "manylinux_2_31_x86_64"
    assert "manylinux2014_x86_64" in older
    assert all(name.endswith("x86_64") for name in newer)


def test_a_missing_interpreter_is_told_with_the_remedy() -> None:
    """Whoever lacks a Python reads which, and how to get it."""
    with pytest.raises(InterpreterMissing, match=r"no Python 3\.99.*uv python install 3\.99"):
        find_interpreter(Target("python3.99", "3.99", 31))


def test_a_runtime_without_interpreter_is_left_out_with_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The other runtimes are built; what was left out is said, and the code is not 0."""

    def find(target: Target) -> object:
        raise InterpreterMissing(f"{target.runtime}: none")

    assert main(["--output", str(tmp_path)], find) == INCOMPLETE
    assert capsys.readouterr().err == "left out: python3.10: none\nleft out: python3.12: none\n"


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("pydantic/main.py", True),
        ("pydantic_core/_pydantic_core.cpython-312-x86_64-linux-gnu.so", True),
        ("pydantic_core/_pydantic_core.pyi", False),
        ("pydantic/v1/main.py", False),
        ("mns/py.typed", False),
        ("some/tests/test_it.py", False),
        ("tests_of_nobody/it.py", True),
        ("tablestore/ots_sdk/ots_sdk.so", False),
        ("tablestore/ots_sdk/__init__.py", True),
        ("six-1.17.0.dist-info/LICENSE", True),
        ("six-1.17.0.dist-info/licenses/LICENSE.txt", True),
        ("six-1.17.0.dist-info/METADATA", True),
        ("six-1.17.0.dist-info/RECORD", False),
        ("six-1.17.0.dist-info/direct_url.json", False),
    ],
)
def test_what_of_a_distribution_is_taken(path: str, taken: bool) -> None:
    """Code and licences are; types, tests, sources in C and an installer's notes are not."""
    assert contents.wanted(path) is taken


def test_a_zip_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    """The order of arrival does not show, and each file has the same time and mode."""
    files = {"b/two.py": b"2", "a.py": b"1", "a/one.py": b"0"}
    archive.write_zip(files, tmp_path / "one.zip")
    archive.write_zip(dict(reversed(files.items())), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert packed.namelist() == ["a.py", "a/one.py", "b/two.py"]
        assert {(info.date_time, info.external_attr >> 16) for info in packed.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644)
        }
    assert archive.digest_of(files) != archive.digest_of({**files, "a.py": b"3"})
    assert archive.digest_of(files) != archive.digest_of({"b/2.py": b"2", **files})


def test_a_group_has_its_own_functions_and_what_all_share() -> None:
    """The sender's doors are not in the other package, nor the other way round."""
    sender, plain = (set(read_sources(ROOT, group)) for group in contents.GROUPS)
    assert "functions/send_mail.py" in sender - plain
    assert "functions/delivery_events.py" in plain - sender
    assert {"shared/app.py", "functions/__init__.py"} <= sender & plain
    assert all(path.endswith(".py") for path in sender | plain)


def _template(tmp_path: Path, *modules: str) -> Path:
    line = "  %s: {Type: 'ALIYUN::FC3::Function', Properties: {Handler: functions.%s.handler}}\n"
    file = tmp_path / "template.yml"
    file.write_text("Resources:\n" + "".join(line % (name, name) for name in modules))
    return file


def test_every_function_of_the_template_is_in_a_package(tmp_path: Path) -> None:
    """A function without a package is an error before anything is built, and the reverse."""
    check_functions(ROOT / "template.yml")
    check_functions(_template(tmp_path, *contents.FUNCTIONS))
    with pytest.raises(PackageError, match="the function extra"):
        check_functions(_template(tmp_path, *contents.FUNCTIONS, "extra"))
    with pytest.raises(PackageError, match="clock"):
        check_functions(_template(tmp_path, *sorted(set(contents.FUNCTIONS) - {"clock"})))


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil.py", "a/../../evil.py"])
def test_a_wheel_that_writes_elsewhere_is_refused(path: str, tmp_path: Path) -> None:
    """A path in a wheel stays inside the package."""
    file = tmp_path / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(path, "")
    with pytest.raises(PackageError, match="no path inside a package"):
        unpack(Pinned("evil", "1.0", frozenset({HASH})), file)


def test_of_a_wheels_data_only_the_libraries_are_taken(tmp_path: Path) -> None:
    """Scripts and data files go where nothing of a function looks."""
    file = tmp_path / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for path in ("purelib/some.py", "scripts/run", "data/share/doc"):
            wheel.writestr(f"some-1.0.data/{path}", path)
    found = unpack(Pinned("some", "1.0", frozenset({HASH})), file)
    assert found == {"some.py": b"purelib/some.py"}


def test_a_distribution_of_source_only_is_copied_as_it_is(tmp_path: Path) -> None:
    """Its packages and licences are; its setup.py is neither run nor taken."""
    file = tmp_path / "alibabacloud_tea-0.4.3.tar.gz"
    with tarfile.open(file, "w:gz") as source:
        for path in ("Tea/core.py", "setup.py", "PKG-INFO", "LICENSE", "tests/test_it.py"):
            member = tarfile.TarInfo(f"alibabacloud_tea-0.4.3/{path}")
            member.size = len(path)
            source.addfile(member, io.BytesIO(path.encode()))
    records = "alibabacloud_tea-0.4.3.dist-info"
    assert unpack(Pinned("alibabacloud-tea", "0.4.3", frozenset({HASH})), file) == {
        "Tea/core.py": b"Tea/core.py",
        f"{records}/METADATA": b"PKG-INFO",
        f"{records}/LICENSE": b"LICENSE",
    }


def test_a_kept_file_with_another_hash_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the folder of wheels is taken only with a hash of the lock."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    target = TARGETS["python3.12"]
    (tmp_path / "six-1.17.0-py2.py3-none-any.whl").write_bytes(b"not what was locked")
    wrong = Pinned("six", "1.17.0", frozenset({HASH}))
    with pytest.raises(PackageError, match="pip could not fetch six"):
        fetch([wrong], target, tmp_path, lambda _text: None)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: x", "MIT OR Apache-2.0"),
        ("License: Apache-2.0", "Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Name: x", "unknown"),
    ],
)
def test_a_licence_is_the_one_that_the_metadata_names(metadata: str, licence: str) -> None:
    """In its three forms: an expression, free text, a classifier."""
    assert licence_of({"x-1.dist-info/METADATA": metadata.encode()}) == licence


def test_a_pyc_belongs_to_its_source() -> None:
    """What a compiled file was compiled from decides which package it is in."""
    assert source_of("a/__pycache__/b.cpython-312.pyc") == "a/b.py"
    assert source_of("__pycache__/six.cpython-310.pyc") == "six.py"
    assert source_of("a/b.so") == "a/b.so"


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names the choices and the exit codes."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert "python3.10" in text
    assert "exit codes:" in text


def test_an_error_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What cannot be built says why, without a traceback."""
    _template(tmp_path, "nobody")
    assert main(["--root", str(tmp_path), "--runtime", "python3.12"], _any_interpreter) == 1
    assert capsys.readouterr().err.startswith("error: the template has the function nobody")


def _any_interpreter(_target: Target) -> object:
    return object()
