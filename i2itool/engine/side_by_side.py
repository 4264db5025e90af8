"""Pictures through a compiled network of OpenVINO: one with all cores, or several with some cores each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2itool.device import num_cores


def num_side_by_side(batch_size: int) -> int:
    """How many pictures of a batch are at work at once: with a core each, there is nothing more to share."""
    return min(batch_size, num_cores())


def run(requests: Sequence[Any], pictures: NDArray[Any]) -> NDArray[Any]:  # Any: openvino's is not typed
    """What the network of some requests makes of pictures, N first; the same shape and dtype come back.

    requests: of openvino's InferRequest; as many pictures are at work at once. Raises what they raise.
    """
    if len(requests) == 1:
        return _run_one_by_one(requests[0], pictures)
    outputs = np.empty_like(pictures)
    try:
        for index in range(len(pictures) + len(requests)):
            request, done = requests[index % len(requests)], index - len(requests)
            if 0 <= done < len(pictures):
                request.wait()
                # The output is the request's own memory, which it fills again: copy it.
                outputs[done] = request.get_output_tensor().data[0]
            if index < len(pictures):
                request.start_async([pictures[index : index + 1]], share_inputs=True)
    except BaseException:
        # The others still read the pictures.
        for request in requests:
            with contextlib.suppress(RuntimeError):
                request.wait()
        raise
    return outputs


def _run_one_by_one(request: Any, pictures: NDArray[Any]) -> NDArray[Any]:
    outputs = np.empty_like(pictures)
    for index in range(len(pictures)):
        # In this very thread: another one would want memory of its own.
        picture = pictures[index : index + 1]
        outputs[index] = request.infer([picture], share_inputs=True, share_outputs=True)[0][0]
    return outputs
