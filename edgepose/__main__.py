"""`python -m edgepose` is `edgepose`."""

from edgepose.cli import entry

entry()
