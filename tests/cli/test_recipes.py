"""`python -m mxnetseg.recipes` as people type it."""

from __future__ import annotations

import pytest

from mxnetseg.cli.recipes import main


def output(capsys, *arguments):
    main(list(arguments))
    return capsys.readouterr().out


def error(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_list_shows_score_cost_and_source_of_the_rows_asked_for(capsys):
    lines = output(
        capsys, "list", "--model", "sfnet", "--data", "cityscapes", "--source", "sfsegnets"
    ).splitlines()
    assert lines[0].split()[:4] == ["row", "data", "mIoU", "ms"]
    row = next(line for line in lines if line.startswith("cityscapes_sfnet_res18 "))
    assert row.split()[1:] == ["cityscapes", "79", "-", "12.87", *row.split()[5:7], "SFSegNets"]
    assert row.split()[6] == "1024x1024" and float(row.split()[5]) > 100
    assert all("cityscapes" in line for line in lines[1:])


def test_list_without_filters_shows_every_row(capsys):
    assert len(output(capsys, "list").splitlines()) > 500


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["list", "--model", "sfnett"], "no model is named 'sfnett'; did you mean sfnet"),
        (["list", "--data", "citiscapes"], "cityscapes"),
        (["list", "--source", "mmsegg"], "no published table is named 'mmsegg'; there are mmseg"),
        (["list", "--model", "sfnet", "--source", "ace"], "no published row has model sfnet and source ace"),
        (["diff", "cityscapes_sfnet_res19"], "no published row; nearest: cityscapes_sfnet_res18"),
        (["diff", "configs/fcn/camvid.yaml"], "no published row has fcn in form"),
        (["record", "/nowhere", "--machine", "x", "--row", "y"], "/nowhere"),
        (["write", "--now"], "--help lists the options"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_right_thing(arguments, expected, capsys):
    assert expected in error(capsys, *arguments)


def test_diff_says_that_nothing_differs_or_what_does(capsys):
    same = output(capsys, "diff", "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024")
    assert "nothing differs from pspnet_r50-d8_4xb2-40k_cityscapes-512x1024 of mmsegmentation 1.2.2" in same
    changed = output(capsys, "diff", "cityscapes_sfnet_res18", "--set", "optimizer.lr=0.02").splitlines()
    assert changed[1:] == [
        "  optimizer.lr: 0.02 here, 0.01 published",
        "  the rate falls by epoch there, by iteration here",
    ]
