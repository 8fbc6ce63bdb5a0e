"""The code of the functions as zips: the same commit gives the same bytes.

contents.py   what goes in and what stays out, declared
targets.py    the platform's runtimes: Python, wheels that run there, the interpreter here
lock.py       requirements.lock, read for one runtime
wheels.py     the pinned files: fetched through pip, kept, unpacked
source.py     Postbus's own files and their commit
bytecode.py   compiled by the runtime's own Python
archive.py    a zip without times, owners or order of its own
manifest.py   what is in it: versions, hashes, licences
build.py      all of it together; `python -m deploy.package --help`
"""
