"""The example that runs an exported network without mxnetseg."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def test_the_example_gives_the_label_map_of_the_demo_and_imports_nothing_of_ours(
    repository, segmenter, tmp_path
):
    from mxnetseg.cli.export import main as export
    from mxnetseg.data.reading import read_image

    network, output = tmp_path / "labels.onnx", tmp_path / "classes.png"
    export(["--checkpoint", str(segmenter.SMALL_MODEL), str(network), "--uint8", "--argmax"])
    picture = tmp_path / "street.png"  # of the size that the network was trained for
    Image.open(segmenter.sample_pictures()[0]).resize((640, 320)).save(picture)
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[0], run_name='__main__');"
        "assert not any(name.startswith(('mxnet', 'cv2')) for name in sys.modules)"
    )
    script = repository / "demo" / "onnx_only.py"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.argv = sys.argv[1:]; {code}",
            script,
            network,
            picture,
            output,
        ],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = Image.open(output)
    segment = segmenter.Segmenter(segmenter.SMALL_MODEL, ["cpu"])
    labels, _ = segment(read_image(str(picture)))
    assert (np.asarray(found) == labels).mean() > 0.999
    first = segment.shares(labels)[0]
    assert done.stdout.splitlines()[0].split()[0] == segment.classes[first[0]].split()[0]
    colours = np.array(found.getpalette()[: 3 * len(segment.classes)]).reshape(-1, 3)
    assert (colours == segment.palette).all()
