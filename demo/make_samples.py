"""Draws the sample pictures of demo/images: `python demo/make_samples.py`.

They are scenes of the `test` split, which no recipe trains on.
"""
from __future__ import annotations

from segmenter import SAMPLES

from mxnetseg import visualize
from mxnetseg.data import create_dataset

SCENES = (0, 1, 4, 6)  # chosen for variety of light and things


def main():
    dataset = create_dataset("synthetic", split="test", size=(512, 1024))
    for number, index in enumerate(SCENES, 1):
        visualize.save_picture(str(SAMPLES / f"street{number}.jpg"), dataset[index].image)


if __name__ == "__main__":
    main()
