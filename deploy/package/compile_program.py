"""Compiles a folder of Python files: run by the runtime's Python, with nothing but its library.

    python -s -S compile_program.py FOLDER PREFIX

The .pyc are of the kind that is never compared with the source: a zip keeps times to two seconds
only, so a .pyc that is compared by time would be thrown away at every start. PREFIX is where the
folder will be (`/code`); the paths in tracebacks begin with it.
https://docs.python.org/3/reference/import.html#pyc-invalidation
"""

from __future__ import annotations

import os
import py_compile
import sys


def main(folder: str, prefix: str) -> int:
    """Compile all files in the order of their paths, so that each run makes the same bytes."""
    paths = sorted(
        os.path.join(where, name)  # noqa: PTH118  # nothing is imported that the result could depend on
        for where, _, names in os.walk(folder)
        for name in names
        if name.endswith(".py")
    )
    failed = 0
    for path in paths:
        shown = prefix + path[len(folder) :]
        try:
            py_compile.compile(
                path,
                dfile=shown,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            sys.stderr.write(f"{shown}: {error.exc_value}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
