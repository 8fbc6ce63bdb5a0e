"""A zip whose bytes depend on names and contents alone."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

# The earliest that a zip can say.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644
# The highest takes twice as long for a hundredth of the bytes.
_LEVEL = 6


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents; unlike a zip's, it does not depend on the compressor.

    Args:
        files: path with `/` -> content.
    """
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n".encode())
    return whole.hexdigest()


def write_zip(files: Mapping[str, bytes], file: Path) -> dict[str, int]:
    """Pack files.

    Args:
        files: path with `/` -> content.
        file: the zip; it is there when it is whole.

    Returns:
        Path -> bytes in the zip.
    """
    unfinished = file.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _TIME)
            info.create_system = _UNIX
            info.external_attr = _MODE << 16
            archive.writestr(info, files[path], zipfile.ZIP_DEFLATED, _LEVEL)
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
    unfinished.replace(file)
    return sizes
