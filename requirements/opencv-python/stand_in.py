"""Build backend of the stand-in: writes a wheel that consists of metadata (PEP 517, PEP 427).

Needs nothing but Python, so that pip has nothing to download in order to build it.
"""

import base64
import hashlib
import zipfile
from pathlib import Path

OPENCV = "4.11.0.86"
NAME = "opencv_python"
VERSION = f"{OPENCV}+headless"

METADATA = f"""Metadata-Version: 2.1
Name: opencv-python
Version: {VERSION}
Summary: Stand-in without code: opencv-python-headless under the name that GluonCV requires
Requires-Python: >=3.9
Requires-Dist: opencv-python-headless=={OPENCV}
"""

WHEEL = """Wheel-Version: 1.0
Generator: mxnetseg
Root-Is-Purelib: true
Tag: py3-none-any
"""


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Write the wheel into `wheel_directory` and return its file name."""
    folder = f"{NAME}-{VERSION}.dist-info"
    files = {f"{folder}/METADATA": METADATA, f"{folder}/WHEEL": WHEEL}
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n"
    file_name = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / file_name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file_name
