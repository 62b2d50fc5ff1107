"""Ctrl-C before a command has begun its work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# Python runs this first: Ctrl-C at the moment at which a module is about to be imported.
AT_IMPORT = """
import os, signal, sys

def hook(event, arguments):
    if event == "import" and arguments[0] == os.environ["SIGINT_AT"] and not struck:
        struck.append(True)
        os.kill(os.getpid(), signal.SIGINT)

struck = []
sys.addaudithook(hook)
"""


@pytest.mark.parametrize(
    "module", ["numpy.core.multiarray", "pydantic_core", "cv2", "mxnet.numpy", "gluoncv.utils"]
)
def test_ctrl_c_while_a_command_is_imported_ends_it_without_a_traceback(module, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(AT_IMPORT)
    environment = {**os.environ, "SIGINT_AT": module, "PYTHONPATH": str(tmp_path)}
    run = ["--model", "fcn", "--backbone", "mobilenetv2_0.25", "--data", "synthetic", "--ctx", "cpu"]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *run, "--output", str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (-signal.SIGINT, 130), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "last.state").exists()
