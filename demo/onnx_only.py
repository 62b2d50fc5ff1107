"""An exported network without mxnetseg: `python demo/onnx_only.py labels.onnx street.jpg street_classes.png`.

Needs onnxruntime, numpy and pillow, and a file of `python -m mxnetseg.export ... --uint8 --argmax`, which
takes RGB pictures of any size and gives their classes. Copy this into your own program.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main(network, picture, output):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    classes, palette = json.loads(facts["classes"]), json.loads(facts["palette"])

    image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
    base = json.loads(facts["protocol"])["base"]  # the long side that the network was trained for, if any
    scale = base / max(image.size) if base else 1
    scaled = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
    (labels,) = session.run(["labels"], {"image": np.asarray(scaled)[None]})

    coloured = Image.fromarray(labels[0].astype(np.uint8)).resize(image.size, Image.NEAREST)
    coloured.putpalette(np.asarray(palette, np.uint8).tobytes())
    coloured.save(output)
    for index, count in sorted(enumerate(np.bincount(labels.ravel())), key=lambda pair: -pair[1]):
        if count:
            print(f"{classes[index]:<20} {count / labels.size:6.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
