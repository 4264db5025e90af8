"""`i2itool doctor` and `i2itool compile`, as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from i2itool.cli import main
from i2itool.engine import ENGINES
from i2itool.engine.cache import user_cache
from i2itool.pictures import write_picture
from tests.conftest import picture


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_doctor_tells_of_every_engine_and_why_it_is_not_there() -> None:
    code, output = run("doctor", "--json")
    assert code == 0
    found = json.loads(output)
    engines = {(engine["name"], engine["device"]): engine for engine in found["engines"]}
    assert {name for name, _ in engines} == set(ENGINES)
    for engine in engines.values():
        assert bool(engine["precisions"]) != bool(engine["reason"])
    (chosen,) = [engine for engine in engines.values() if engine["is_chosen"]]
    assert chosen["name"] == ("openvino" if not torch.cuda.is_available() else chosen["name"])
    assert all(encoder["works"] for encoder in found["encoders"] if encoder["name"].startswith("lib"))
    assert found["cores"] >= 1
    assert found["versions"]["torch"] == torch.__version__


def test_doctor_prints_a_line_for_every_engine() -> None:
    code, output = run("doctor")
    assert code == 0
    for name in ENGINES:
        assert any(line.startswith(name) for line in output.splitlines())
    assert any(line.startswith("openvino") and "chosen by auto" in line for line in output.splitlines())


def test_compile_fills_the_cache_and_names_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_preset: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("I2ITOOL_CACHE", str(tmp_path / "cache"))
    write_picture(tmp_path / "photo.png", picture(60, 40))
    preset = make_preset("tiny")
    arguments = ("compile", preset, "--size", "60x40", "--engine", "openvino", "--precision", "fp32")
    code, output = run(*arguments, "--sample", tmp_path / "photo.png")
    assert code == 0
    assert "openvino fp32" in output
    # Bytes, floats, and the verdict on them.
    assert len(list(user_cache().folder.glob("*.blob"))) == 3


@pytest.mark.parametrize("size", ["60", "60x", "0x40", "60x40x3", "big"])
def test_a_size_that_is_none_is_refused(size: str, make_preset: Callable[[str], Path]) -> None:
    code, output = run("compile", make_preset("tiny"), "--size", size)
    assert code == 2
    assert f"--size {size} is no size" in output
