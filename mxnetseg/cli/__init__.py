"""The commands. Each module parses arguments and calls the engine; none computes anything."""

from mxnetseg.compat import require_packages

# Before the imports of any command: where requirements are missing, one line and status 2.
require_packages()
