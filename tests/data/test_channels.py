"""Images of any number of channels: one file or several for each, through loader, training and prediction."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.data.augment import make_transform
from mxnetseg.data.datasets.loose import LoosePictures
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.pack import pack
from mxnetseg.data.reading import read_channels
from mxnetseg.data.transforms import scaled_window
from mxnetseg.errors import ConfigError, DatasetError
from mxnetseg.predict.evaluation import make_predictor, run
from mxnetseg.recipe import make_recipe
from mxnetseg.recipe.fields import AugmentGroup, InputGroup
from mxnetseg.report.visualize import error_map, overlay
from mxnetseg.train.setup import prepare
from tests.predict.stand_ins import picture

SIZE = (40, 56)


def planes(index, count):
    """Smooth pictures of one channel."""
    return [picture(*SIZE, seed=10 * index + k)[..., 0] for k in range(count)]


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def four_in_one(tmp_path):
    """Red, green, blue and infrared in one file: TIFF for training, PNG for validation."""
    for split, ending in (("train", "tif"), ("val", "png")):
        for i in range(3):
            red, green, blue, infrared = planes(i, 4)
            write(tmp_path / f"images/{split}/{i}.{ending}", np.dstack([blue, green, red, infrared]))
            write(tmp_path / f"labels/{split}/{i}.png", (red > 128).astype(np.uint8))
    return {"root": str(tmp_path), "options": {"classes": ["low", "high"], "channels": 4}}


@pytest.fixture
def five_files(tmp_path):
    """Five single-channel files for each image: three bands in one folder, two in another."""
    for split in ("train", "val"):
        for i in range(3):
            for k, plane in enumerate(planes(i, 5)):
                folder = "visible" if k < 3 else "radar"
                write(tmp_path / f"{folder}/{split}/{i}_b{k}.tif", plane)
            write(tmp_path / f"labels/{split}/{i}.png", (planes(i, 1)[0] > 128).astype(np.uint8))
    folders = ["visible/{split}"] * 3 + ["radar/{split}"] * 2
    suffixes = [f"_b{k}" for k in range(5)]
    options = {"classes": ["low", "high"], "images": folders, "image_suffix": suffixes}
    return {"root": str(tmp_path), "options": options}


def folder(described, split="train", **options):
    return create_dataset("folder", described["root"], split, **{**described["options"], **options})


def test_four_channels_of_png_and_tiff_are_read_in_the_order_red_green_blue_fourth(four_in_one):
    for split in ("train", "val"):
        data = folder(four_in_one, split)
        assert data.channels == 4 and len(data.mean) == 4
        assert (data[1].image == np.dstack(planes(1, 4))).all()


def test_several_files_of_one_channel_make_one_image(five_files):
    data = folder(five_files)
    assert len(data) == 3 and data.channels == 5
    assert (data[2].image == np.dstack(planes(2, 5))).all()
    assert data[2].name == "2_b0" and data[2].label.shape == SIZE


def test_a_list_file_names_images_of_several_files_too(five_files, tmp_path):
    (tmp_path / "some.txt").write_text("2\n0\n")
    data = folder(five_files, list="some.txt")
    assert [sample.name for sample in data] == ["2", "0"]
    assert (data[0].image == np.dstack(planes(2, 5))).all()


def test_sixteen_bits_are_scaled_to_eight_and_grey_with_opacity_has_two_channels(tmp_path):
    from PIL import Image

    write(tmp_path / "deep.png", np.full((4, 5), 0x80FF, np.uint16))
    assert (read_channels([str(tmp_path / "deep.png")], 1) == 0x80).all()
    two = np.dstack([np.full((4, 5), 7, np.uint8), np.full((4, 5), 9, np.uint8)])
    grey, opacity = (Image.fromarray(two[..., k]) for k in range(2))
    Image.merge("LA", (grey, opacity)).save(tmp_path / "two.png")
    assert (read_channels([str(tmp_path / "two.png")], 2) == two).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(channels=3, images=["images/{split}"] * 2),
            r"image has 4 \+ 4 channels, .* states 3",
        ),
        (dict(channels=5), "image has 4 channels, the data set states 5"),
        (dict(channels=0), "channels is 0"),
        (dict(mean=[0.5] * 3, std=[0.2] * 3), "need 4 values"),
        (dict(images=["a", "b"], image_suffix=["x"]), "lists of one length"),
    ],
)
def test_what_does_not_fit_is_one_line(four_in_one, change, message):
    with pytest.raises(DatasetError, match=message):
        folder(four_in_one, **change)[0]


def test_files_of_one_image_must_all_be_there_and_of_one_size(five_files, tmp_path):
    write(tmp_path / "radar/train/1_b4.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(DatasetError, match=r"1_b4\.tif: is 9x9 but .*1_b0\.tif is 56x40"):
        folder(five_files)[1]
    (tmp_path / "radar/train/1_b4.tif").unlink()
    with pytest.raises(DatasetError, match=r"1_b0\.tif: one of the 5 files of this image is not there"):
        folder(five_files)


@pytest.mark.parametrize("mode", ["none", "process"])
@pytest.mark.parametrize("described", ["four_in_one", "five_files"])
def test_batches_have_all_channels_in_every_mode_of_the_loader(described, mode, request):
    data = folder(request.getfixturevalue(described))
    transform = make_transform(AugmentGroup(crop=32, flip=0), data, InputGroup())
    loader = TrainLoader(data, transform, 2, seed=1, workers=1, mode=mode)
    try:
        images = next(loader.epoch(0)).images
        assert images.shape == (2, data.channels, 32, 32) and np.isfinite(images).all()
        assert len({float(images[0, c].sum()) for c in range(data.channels)}) == data.channels
    finally:
        loader.close()


def test_more_than_four_channels_are_scaled_like_each_alone():
    image = np.dstack(planes(0, 6))
    together = scaled_window(image, (60, 70), (-3, 5), (48, 48), True, [1, 2, 3, 4, 5, 6])
    for c in range(6):
        alone = scaled_window(image[..., c : c + 1], (60, 70), (-3, 5), (48, 48), True, [c + 1])
        assert (together[..., c] == alone[..., 0]).all()


def test_colour_changes_want_colours(four_in_one):
    with pytest.raises(ConfigError, match=r"augment\.color_jitter .* have 4 channels"):
        make_transform(AugmentGroup(crop=32, color_jitter=0.2), folder(four_in_one), InputGroup())
    with pytest.raises(ConfigError, match=r"input\.mean has 3 values"):
        InputGroup(mean=[0, 0, 0], std=[1, 1, 1]).of(folder(four_in_one))
    with pytest.raises(ConfigError, match="packs hold RGB"):
        pack(folder(four_in_one), four_in_one["root"])


def test_pictures_of_many_channels_are_shown_by_their_first_ones():
    image, label = np.dstack(planes(0, 4)), np.zeros(SIZE, np.int32)
    palette = np.array([[9, 9, 9]], np.uint8)
    assert (overlay(image, label, palette) == overlay(image[..., :3].copy(), label, palette)).all()
    assert error_map(label, label, 255, image[..., :1]).shape == (*SIZE, 3)


def test_single_pictures_have_the_channels_that_the_recipe_states(four_in_one, five_files):
    path = four_in_one["root"] + "/images/val/0.png"
    pictures = LoosePictures([path], "folder", four_in_one["options"])
    assert pictures[0].image.shape == (*SIZE, 4) and len(pictures.mean) == 4
    with pytest.raises(DatasetError, match="lie in several files each"):
        LoosePictures([path], "folder", five_files["options"])


@pytest.mark.parametrize(("described", "channels"), [("four_in_one", 4), ("five_files", 5)])
def test_a_network_of_as_many_channels_trains_validates_and_predicts(described, channels, request, tmp_path):
    data = request.getfixturevalue(described)
    values = {
        "model": {"name": "fcn", "backbone": "resnet18", "in_channels": channels, "aux": False},
        "data": {"name": "folder", **data, "batch_size": 2, "workers": 0},
        "augment": {"crop": 32},
        "schedule": {"iterations": 1},
    }
    setup = prepare(make_recipe(values), ["cpu"], quiet=True)
    try:
        batch = next(setup.loader.epoch(0))
        setup.engine.read(setup.engine.step(batch.images, batch.labels, 0.01, 1))
    finally:
        setup.loader.close()
    recipe = setup.recipe
    predictor = make_predictor(setup.engine.inference(), setup.val, recipe.evaluation, recipe.input)
    assert run(predictor, setup.val, progress=False)["images"] == 3
    values["model"]["in_channels"] = 3
    with pytest.raises(ConfigError, match=rf"model\.in_channels is 3, but .* have {channels}"):
        prepare(make_recipe(values), ["cpu"], quiet=True)
