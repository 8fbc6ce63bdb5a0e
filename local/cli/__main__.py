"""`python -m local.cli`: the `postbus` command without its installed script."""

from local.cli import main

main()
