"""`python -m headrace`: the command line without its script."""

from headrace.cli.entry import main

main()
