"""The ground that all packages stand on: errors with a hint, and files that land whole.

Standard library only, and pydantic for records. `edgepose`, `export` and `android_harness` import it;
it imports none of them.
"""

from edgeio.ahead import cores
from edgeio.errors import UnknownName, UserError, lookup
from edgeio.files import deflated_bytes, leftovers, read_json, replacing, sha256_file, write_json
from edgeio.progress import Progress

__all__ = [
    "Progress",
    "UnknownName",
    "UserError",
    "cores",
    "deflated_bytes",
    "leftovers",
    "lookup",
    "read_json",
    "replacing",
    "sha256_file",
    "write_json",
]
