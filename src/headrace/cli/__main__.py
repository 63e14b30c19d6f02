"""`python -m headrace.cli`: the command line without its script."""

from headrace.cli.entry import main

main()
