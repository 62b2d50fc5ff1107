"""mxnetseg: semantic segmentation networks on Apache MXNet 1.9.1 and GluonCV.

Importing the package repairs what MXNet needs from today's Python (see `compat`) and imports
nothing heavy: MXNet is loaded by the modules that compute.
"""

from . import compat

compat.install()

__version__ = "0.1.0"
