"""The page that a run leaves: complete, self-contained, and standing on hostile input."""

from __future__ import annotations

import html.parser
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mxnetseg.errors import MxnetsegError
from mxnetseg.report.charts import Line, _ticks, bar_chart, heat_map, line_chart, smooth
from mxnetseg.report.page import write_report
from mxnetseg.report.tracking import Tracker
from tests.predict.stand_ins import picture


def make_run(folder, classes=("road", "sky"), validations=3):
    label = np.zeros((20, 30), np.int32)
    with Tracker(str(folder), classes=list(classes)) as tracker:
        for epoch in range(validations):
            for i in range(10):
                values = {"loss": 2 / (1 + i), "lr": 0.01, "images_per_second": 3.0}
                tracker.log(10 * epoch + i, values, epoch=epoch)
            iou = [0.25 * (epoch + 1)] * (len(classes) - 1) + [None]
            scores = {
                "miou": iou[0],
                "class_iou": iou,
                "classes": list(classes),
                "protocol": "whole images",
                "pixel_accuracy": 0.9,
                "mean_accuracy": 0.5,
                "confusion": np.eye(len(classes), dtype=int).tolist(),
            }
            tracker.log_scores(10 * epoch + 9, scores, epoch=epoch)
        tracker.log_images(9, [("frame", picture(20, 30), label, label.astype(np.uint8))], 255)
    (folder / "recipe.yaml").write_text("model: {name: sfnet, backbone: resnet18}\ndata: {name: camvid}\n")
    return folder


class Checker(html.parser.HTMLParser):
    """Fails on tags that are not closed."""

    empty = {"meta", "img"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in self.empty:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def test_a_report_has_curves_bars_matrix_examples_recipe_and_protocol(tmp_path):
    page = open(write_report(str(make_run(tmp_path))), encoding="utf-8").read()
    for wanted in (
        "Training loss",
        "Validation",
        "Learning rate",
        "images/s",
        "IoU by class",
        "Confusion",
        "data:image/jpeg;base64,",
        "recipe.yaml",
        "whole images",
        "75.00 %",
        "absent",
    ):
        assert wanted in page, wanted
    assert "<h1>sfnet <span>·</span> resnet18 <span>·</span> camvid</h1>" in page
    Checker().feed(page)


def test_a_report_loads_nothing_from_anywhere(tmp_path):
    page = open(write_report(str(make_run(tmp_path))), encoding="utf-8").read()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in page and "@import" not in page


def test_class_names_cannot_inject_markup(tmp_path):
    names = ("<script>alert(1)</script>", "a&b\"'")
    page = open(write_report(str(make_run(tmp_path, names))), encoding="utf-8").read()
    assert "<script>alert" not in page
    Checker().feed(page)


def test_a_run_without_validation_or_with_one_line_has_a_report(tmp_path):
    with Tracker(str(tmp_path)) as tracker:
        tracker.log(1, {"loss": float("nan")})
    Checker().feed(open(write_report(str(tmp_path)), encoding="utf-8").read())


def test_an_evaluation_without_training_has_a_report_of_its_scores(tmp_path):
    scores = {
        "model": "fcn",
        "backbone": "resnet18",
        "dataset": "camvid",
        "split": "val",
        "images": 3,
        "miou": 0.5,
        "class_iou": [0.5, None],
        "classes": ["a", "b"],
        "confusion": [[4, 0], [0, 0]],
        "protocol": "whole images",
    }
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    page = open(write_report(str(tmp_path)), encoding="utf-8").read()
    assert "3 images of val" in page and "50.00 %" in page and "Curves" not in page


def test_an_empty_folder_is_one_line_saying_what_is_missing(tmp_path):
    with pytest.raises(MxnetsegError, match=r"neither metrics\.jsonl nor scores\.json"):
        write_report(str(tmp_path))


def test_charts_are_well_formed_and_keep_their_curves_inside():
    chart = line_chart("a <title>", [Line("x", range(9), [1, None, float("nan"), 5, 4, 4, 4, 4, 1e9])])
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", chart, re.S)[0])
    points = svg.find(".//polyline").get("points").split()
    assert len(points) == 7
    assert all(0 <= float(v) <= 600 for point in points for v in point.split(","))
    ElementTree.fromstring(heat_map(["a", "b&"], [[1, 0], [0, 0]]))
    ElementTree.fromstring(heat_map([str(i) for i in range(150)], np.eye(150, dtype=int).tolist()))
    assert line_chart("empty", [Line("x", [1], [None])]) == ""
    assert "absent" in bar_chart(["a"], [None])


def test_a_long_curve_is_thinned_without_losing_its_ends():
    chart = line_chart("long", [Line("x", range(100000), [float(i) for i in range(100000)])])
    data = json.loads(re.search(r'data-chart="([^"]*)"', chart)[1].replace("&quot;", '"'))["lines"][0]
    assert len(data["x"]) == 500 and data["x"][-1] == 99999


def test_axis_ticks_are_round_and_enclose_the_values():
    for low, high in ((0, 1), (0.013, 0.094), (-3, 7), (0, 0), (5, 5), (1e-8, 2e-8), (1, 123456)):
        ticks = _ticks(low, high, 5)
        assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-12 * abs(high) and 2 <= len(ticks) <= 9


def test_smoothing_is_the_mean_of_neighbours_and_keeps_out_gaps():
    assert smooth([0, 3, 6, None, 6], 3) == [1.5, 3, 4.5, 6, 6]
    assert smooth([None, None], 3) == [None, None]
