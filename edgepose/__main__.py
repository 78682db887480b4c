"""`python -m edgepose` is `edgepose`."""

from edgepose.cli import main

main()
