"""Procedurally drawn street scenes: what the `synthetic` data set shows.

`draw_scene(seed, index, size)` lays a street out in metres (layout.py), projects it through a camera and
paints image and label map together (canvas.py), far to near, so that what is nearer covers what is farther
in both. Everything random comes from (seed, index); the size only decides the pixels.
"""

from mxnetseg.scenes.layout import draw_scene

__all__ = ["draw_scene"]
