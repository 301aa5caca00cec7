"""`python -m pushcast`."""

from pushcast.cli import main

main()
