"""Standard input as a file of YUV4MPEG2, which must be whole."""

from __future__ import annotations

import os
import re

from i2itool.errors import InputError

_STDIN = 0
# A frame's line, without parameters: nobody writes any.
_FRAME_LINE_BYTES = len(b"FRAME\n")
# Samples of chroma for so many columns and rows of luma.
_SUBSAMPLING = {"420": (2, 2), "411": (4, 1), "422": (2, 1), "444": (1, 1)}


class WholePipe:
    """What PyAV reads from, in place of a file; raises InputError at the end if the last frame is cut."""

    def __init__(self) -> None:
        self._num_bytes = 0
        self._head = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        data = os.read(_STDIN, size)
        if b"\n" not in self._head:
            self._head += data
        self._num_bytes += len(data)
        if not data and self._is_cut():
            raise InputError("standard input is truncated: its last frame is not whole")
        return data

    def _is_cut(self) -> bool:
        line = self._head.partition(b"\n")[0]
        frame_bytes = bytes_of_frame(line.decode("ascii", "replace"))
        return frame_bytes is not None and (self._num_bytes - len(line) - 1) % frame_bytes != 0


def bytes_of_frame(header: str) -> int | None:
    """How many bytes each frame takes behind a header of YUV4MPEG2; None if that is not known."""
    tokens = {token[0]: token[1:] for token in header.split()[1:] if token[0] != "X"}
    chroma = re.match(r"(\d{3}|mono)(?:p(\d+)|jpeg|mpeg2|paldv)?$", tokens.get("C", "420"))
    if chroma is None or not (tokens.get("W", "").isdigit() and tokens.get("H", "").isdigit()):
        return None
    width, height = int(tokens["W"]), int(tokens["H"])
    samples = width * height
    if chroma[1] in _SUBSAMPLING:
        columns, rows = _SUBSAMPLING[chroma[1]]
        samples += 2 * -(-width // columns) * -(-height // rows)
    elif chroma[1] != "mono":
        return None
    return _FRAME_LINE_BYTES + samples * (2 if int(chroma[2] or 8) > 8 else 1)
