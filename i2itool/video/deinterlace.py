"""Interlaced pictures made whole: FFmpeg's bwdif, one picture for each, at its time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.filter import Graph

from i2itool.video.decoding import Picture

logger = logging.getLogger("i2itool.video")


def deinterlaced(pictures: Iterable[Picture], name: str) -> Iterator[Picture]:
    """The same pictures at the same times; those that are flagged as interlaced, deinterlaced.

    Until the first such one nothing is touched; from then on pictures come one later, for the filter looks
    at both neighbours. Of the video `name` the first is logged.
    """
    graph: Graph | None = None
    waiting: deque[Picture] = deque()
    for number, picture in enumerate(pictures):
        if graph is None:
            if not picture.image.interlaced_frame:
                yield picture
                continue
            logger.warning("%s: interlaced frames are deinterlaced (bwdif)", name)
            graph = _bwdif(picture.image)
        picture.image.pts = number
        waiting.append(picture)
        graph.vpush(picture.image)
        yield from _pulled(graph, waiting)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, waiting)


def _bwdif(image: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=image.width, height=image.height, format=image.format, time_base=Fraction(1, 25)
    )
    # Mixed material: only what is flagged.
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Graph, waiting: deque[Picture]) -> Iterator[Picture]:
    """What the filter has ready: its pictures come in order and none is left out."""
    while True:
        try:
            image = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield replace(waiting.popleft(), image=image)
