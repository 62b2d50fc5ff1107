"""Films and folders through the picture demo, with a network that has learned nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.demo.test_demo import predict

FRAMES = 12


@pytest.fixture(scope="module")
def films(segmenter):
    import films

    return films


@pytest.fixture
def film(films, tmp_path):
    """A bright square that moves over a dark ground, 64 x 96 at 10 frames a second."""
    path = tmp_path / "drive.mp4"
    with films.FilmWriter(path, 10) as writer:
        for k in range(FRAMES):
            frame = np.zeros((64, 96, 3), np.uint8)
            frame[20:40, 4 * k : 4 * k + 20] = (250, 120, 20)
            writer.add(frame)
    return path


def test_what_is_written_is_read_again_in_order_size_rate_and_colour(films, film):
    found = films.Film(film)
    frames = [frame.image for frame in found]
    assert (found.rate, found.count, len(frames)) == (10, FRAMES, FRAMES)
    for k, frame in enumerate(frames):
        assert frame.shape == (64, 96, 3) and frame.dtype == np.uint8
        red, green, blue = frame[25:35, 4 * k + 5 : 4 * k + 15].reshape(-1, 3).mean(0)
        assert red > green + 60 > blue + 100  # RGB, not BGR, where the square is now
        assert frame[:, 4 * k + 30 :].mean() < 30
    assert [p.name for p in film.parent.iterdir()] == ["drive.mp4"]


def test_a_film_gives_a_film_of_overlays_and_its_speed(repository, run_folder, film, tmp_path):
    out = tmp_path / "out"
    done = predict(repository, film, "--checkpoint", run_folder, "--out", out, "--ctx", "cpu")
    assert done.returncode == 0, done.stderr
    assert f"drive.mp4: {FRAMES} frames, " in done.stdout and " frames/s" in done.stdout
    assert "12/12 images" in done.stderr  # progress
    assert [p.name for p in out.iterdir()] == ["drive_overlay.mp4"]
    written = cv2.VideoCapture(str(out / "drive_overlay.mp4"))
    assert int(written.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    assert written.read()[1].shape == (64, 96, 3)


def test_a_folder_gives_every_picture_in_it(repository, run_folder, picture, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        (folder / name).write_bytes(picture.read_bytes())
    (folder / "notes.txt").write_text("no picture")
    out = tmp_path / "out"
    done = predict(repository, folder, "--checkpoint", run_folder, "--out", out, "--ctx", "cpu", "--tta")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == {f"{n}_{k}.png" for n in "ab" for k in ("overlay", "colour")}


def test_a_film_that_cannot_be_written_leaves_nothing(repository, run_folder, film, tmp_path):
    arguments = [film, "--checkpoint", run_folder, "--out", tmp_path / "out", "--ctx", "cpu"]
    done = predict(repository, *arguments, largest_file=1000)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: "), done.stderr
    assert "cannot be written" in done.stderr and list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "no film", "empty folder", "cut off"])
def test_what_is_no_film_is_one_line_before_anything_is_computed(
    kind, repository, run_folder, film, tmp_path
):
    given = tmp_path / "given.mp4"
    if kind == "no film":
        given.write_bytes(b"these are words" * 100)
    elif kind == "empty folder":
        given = tmp_path / "folder"
        given.mkdir()
    elif kind == "cut off":  # its index is at the end
        given.write_bytes(film.read_bytes()[:-500])
    done = predict(repository, given, "--checkpoint", run_folder, "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert str(given) in done.stderr and not (tmp_path / "out").exists() and done.stdout == ""


def test_a_film_broken_off_in_the_middle_of_writing_is_removed(films, tmp_path):
    path = tmp_path / "drive.mp4"
    with pytest.raises(KeyboardInterrupt), films.FilmWriter(path, 10) as writer:
        writer.add(np.zeros((32, 32, 3), np.uint8))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
