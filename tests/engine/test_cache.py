"""Compiled networks kept from run to run: only what was written comes back, and only to its own key."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from i2itool.engine import open_engine
from i2itool.engine.base import Build
from i2itool.engine.cache import BlobCache, blob_key, build_identity, user_cache
from i2itool.networks import build

KEY = blob_key({"what": "a test"})


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "engines")


def make_build(**changes: Any) -> Build:
    torch.manual_seed(1)
    network = build("resnet", width=2, blocks=1)
    return replace(Build(network, (16, 24), 2, torch.device("cpu"), "fp32"), **changes)


def key_of(name: str = "inductor", **changes: Any) -> str:
    return blob_key(build_identity(name, make_build(**changes), is_any_size=False))


def test_what_is_stored_comes_back_until_it_is_discarded(cache: BlobCache) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, b"compiled")
    assert cache.load(KEY) == b"compiled"
    assert cache.load(blob_key({"what": "another"})) is None
    cache.discard(KEY)
    assert cache.load(KEY) is None


@pytest.mark.parametrize("damage", [b"", b"short", b"\x00" * 40])
def test_a_damaged_file_is_refused_and_removed(cache: BlobCache, damage: bytes) -> None:
    cache.store(KEY, b"compiled")
    (path,) = cache.folder.iterdir()
    path.write_bytes(damage)
    assert cache.load(KEY) is None
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_folder_that_others_may_write_to_is_not_believed(cache: BlobCache) -> None:
    cache.store(KEY, b"compiled")
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    cache.folder.chmod(0o777)
    assert cache.load(KEY) is None
    cache.store(blob_key({"what": "another"}), b"compiled")
    assert len(list(cache.folder.iterdir())) == 1


def test_the_least_recently_used_go_when_there_is_no_room(cache: BlobCache) -> None:
    small = BlobCache(cache.folder, max_bytes=250)
    keys = [blob_key({"number": number}) for number in range(3)]
    for age, key in enumerate(keys[:2]):
        small.store(key, bytes(64))
        (small.folder / f"{key}.blob").touch()
        os.utime(small.folder / f"{key}.blob", (age, age))
    small.load(keys[0])
    small.store(keys[2], bytes(64))
    assert [small.load(key) is not None for key in keys] == [True, False, True]


def test_a_folder_that_cannot_be_made_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = BlobCache(tmp_path / "file/engines")
    cache.store(KEY, b"compiled")
    assert cache.load(KEY) is None


@pytest.mark.parametrize(
    "changes",
    [{"size": (16, 28)}, {"batch_size": 3}, {"precision": "bf16"}, {"network": build("resnet", width=2)}],
)
def test_the_key_hangs_on_all_that_a_build_is_made_of(changes: dict[str, Any]) -> None:
    assert key_of() == key_of()
    assert key_of(**changes) != key_of()
    assert key_of("openvino") != key_of()


def test_other_weights_and_versions_give_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of()
    changed = make_build().network
    next(changed.parameters()).data[0] += 1
    assert key_of(network=changed) != before
    monkeypatch.setattr("i2itool.engine.cache.version", lambda _: "99")
    assert key_of() != before


def test_a_damaged_compiled_network_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2ITOOL_CACHE", str(tmp_path))
    network = make_build().network
    batch = torch.rand(1, 3, 16, 16)
    outputs = []
    for is_damaged in (False, False, True):
        for path in user_cache().folder.glob("*.blob") if is_damaged else ():
            path.write_bytes(path.read_bytes()[:-9])
        with open_engine("openvino", network, size=(16, 16), device="cpu") as engine:
            outputs.append(engine(batch))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_a_blob_that_openvino_refuses_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2ITOOL_CACHE", str(tmp_path))
    network = make_build().network
    batch = torch.rand(1, 3, 16, 16)
    with open_engine("openvino", network, size=(16, 16), device="cpu") as engine:
        expected = engine(batch)
    for path in user_cache().folder.glob("*.blob"):
        user_cache().store(path.stem, b"whole, but no network")
    with open_engine("openvino", network, size=(16, 16), device="cpu") as engine:
        assert torch.equal(engine(batch), expected)
