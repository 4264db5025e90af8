"""The whole pipeline with a network that changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.options import ConvertOptions
from i2itool.translator import Translator


class Identity(nn.Identity):
    multiple_of = 4


Convert = Callable[..., Path]


@pytest.fixture
def convert_as_it_is() -> Convert:
    """convert_as_it_is(path, "out.mkv", crf=10) -> the output; the keywords are those of ConvertOptions."""

    def run(source: Path, name: str | None = None, **options: Any) -> Path:  # Any: fields of ConvertOptions
        target = source.with_name(name or f"out_{source.name}")
        with Translator(Identity(), engine="eager") as translator:
            asked = ConvertOptions(**{"smooth": "off", **options})
            convert_video(source, target, translator, asked, SilentReporter())
        return target

    return run
