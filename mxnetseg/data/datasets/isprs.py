"""What the ISPRS' benchmarks Potsdam and Vaihingen share: 6 classes in pictures of whole districts.

Rottensteiner et al., "The ISPRS Benchmark on Urban Object Classification and 3D Building Reconstruction",
ISPRS Annals 2012. Published as coloured TIFF files; `prepare` writes ids, 0 at the boundaries that are not
scored, and cuts tiles, as mmsegmentation's tools do.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import palette_array
from mxnetseg.data.datasets.layouts import TiledDataset, shifted_table

# The id in the files is the position + 1.
CLASSES = (
    ("impervious surface", (255, 255, 255)),
    ("building", (0, 0, 255)),
    ("low vegetation", (0, 255, 255)),
    ("tree", (0, 255, 0)),
    ("car", (255, 255, 0)),
    ("clutter", (255, 0, 0)),
)


class ISPRS(TiledDataset):
    paper = (
        "Rottensteiner et al., The ISPRS Benchmark on Urban Object Classification and 3D Building "
        "Reconstruction, ISPRS Annals 2012"
    )
    classes = tuple(name for name, _ in CLASSES)
    palette = palette_array([colour for _, colour in CLASSES])
    label_table = shifted_table(len(CLASSES))
    crop = 512
    base = 512
