"""Configurations of mmsegmentation, made up here, as rows of the table."""

from __future__ import annotations

import pytest

from mxnetseg.cli.recipes import main
from mxnetseg.errors import ConfigError
from mxnetseg.recipes import extract

BASE = """
steps = [
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='PhotoMetricDistortion'),
]
train_dataloader = dict(batch_size=4, dataset=dict(type='ADE20KDataset', pipeline=steps))
test_dataloader = dict(dataset=dict(
    type='ADE20KDataset', pipeline=[dict(type='Resize', scale=(2048, 512), keep_ratio=True)]))
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='ResNet'),
    decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4)]
train_cfg = dict(max_iters=80000)
"""
CHILD = """
_base_ = '../_base_/all.py'
model = dict(
    decode_head=dict(loss_decode=[
        dict(type='CrossEntropyLoss'), dict(type='DiceLoss', loss_weight=3.0)]),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
optim_wrapper = dict(
    _delete_=True, type='AmpOptimWrapper', clip_grad=dict(max_norm=1),
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys=dict(
        head=dict(lr_mult=10.0), norm=dict(decay_mult=0.0), pos_block=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0)]
"""
META = """
Models:
- Name: net_8xb4-80k_ade20k-512x512
  Config: configs/net/net_8xb4-80k_ade20k-512x512.py
  Results: {Dataset: ADE20K, Metrics: {mIoU: 40.5, mIoU(ms+flip): 41.25}}
  Weights: https://example.org/net/net.pth
"""


@pytest.fixture
def checkout(tmp_path):
    for name, text in (
        ("_base_/all.py", BASE),
        ("net/net_8xb4-80k_ade20k-512x512.py", CHILD),
        ("net/metafile.yaml", META),
    ):
        file = tmp_path / "configs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_base_joins_key_by_key_and_a_deleted_group_is_replaced_whole(checkout):
    config = extract.read_config(checkout / "configs/net/net_8xb4-80k_ade20k-512x512.py")
    assert config["model"]["backbone"] == {"type": "ResNet"}
    assert config["model"]["test_cfg"]["stride"] == (341, 341)
    assert "momentum" not in config["optim_wrapper"]["optimizer"]
    assert config["train_cfg"] == {"max_iters": 80000}


def test_what_is_usual_is_left_out_and_the_rest_is_in_the_tables_terms(checkout):
    (one,) = extract.published(checkout)
    assert (one.miou, one.miou_ms, one.other) == (40.5, 41.25, None)
    assert extract.facts(one.name, extract.read_config(one.file)) == {
        "data": "ade20k",
        "crop": [512, 512],
        "gpus": 8,
        "images": 4,
        "iterations": 80000,
        "optimizer": {
            "type": "AdamW",
            "lr": 1e-4,
            "weight_decay": 0.05,
            "head_lr_mult": 10.0,
            "norm_decay_mult": 0,
            "clip": 1,
        },
        "precision": "half",
        "schedule": {"warmup": 1500, "warmup_factor": 1e-6, "power": 1.0, "eta_min": 0.0},
        "window": 512,
        "step": 341,
        "dice": 3.0,
    }
    usual = extract.facts(one.name, extract.read_config(checkout / "configs/_base_/all.py"))
    assert usual.keys() == {"data", "crop", "gpus", "images", "iterations"}


def test_the_command_names_rows_that_differ_and_rows_that_the_table_lacks(checkout, capsys):
    row = "ann_r50-d8_4xb4-80k_ade20k-512x512"  # whose table says what BASE does
    folder = checkout / "configs/ann"
    folder.mkdir()
    (folder / f"{row}.py").write_text("_base_ = '../_base_/all.py'\ntrain_cfg = dict(max_iters=70000)\n")
    (folder / "metafile.yaml").write_text(META.replace("net_8xb4-80k_ade20k-512x512", row))
    assert main(["extract", str(checkout)]) == 0
    out = capsys.readouterr().out
    assert f"{row}: iterations is 80000 in the table, 70000 in its files" in out
    assert f"{row}: miou is 41.01 in the table, 40.5 in its files" in out
    assert "net_8xb4-80k_ade20k-512x512: {" in out
    assert "0 rows are as their files state, 1 differ, 1 are not in the table" in out


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as status:
        main(["extract", str(tmp_path)])
    assert status.value.code == 2
    assert "no configs/*/metafile.yaml is below it" in capsys.readouterr().err
    broken = tmp_path / "broken.py"
    broken.write_text("model = dict(")
    with pytest.raises(ConfigError, match="not readable as a configuration"):
        extract.read_config(broken)


def test_a_data_set_that_is_not_here_is_named(checkout):
    text = (checkout / "configs/_base_/all.py").read_text().replace("ADE20KDataset", "MoonDataset")
    file = checkout / "configs/moon.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match="moon_4xb2: its data set MoonDataset is not here"):
        extract.facts("moon_4xb2", extract.read_config(file))
