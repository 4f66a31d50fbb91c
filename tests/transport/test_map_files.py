from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from full_disk import full_disk
from otgen.transport import map_files
from otgen.transport.map_files import Checkpoint, fingerprint, read, write

CONTENT = {
    "heights": np.array([0.0, -np.inf, 1e-300]), "rows": np.arange(6).reshape(2, 3), "empty": np.empty((0, 2)),
    "single": np.array([0.1], np.float32), "count": 3, "big": 2**60, "step": 0.1, "text": "größte\nZeile", "none": None,
    "yes": True, "history": {"error": [0.1, 1e-9], "step": [1.0, None]},
}  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "map.npz"
    write(path, "thing", CONTENT)
    found = read(str(path), "thing")
    assert found.keys() == CONTENT.keys()
    for name, value in CONTENT.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
        else:
            assert found[name] == value and type(found[name]) is type(value)
    assert os.listdir(tmp_path) == ["map.npz"]


def test_the_name_is_kept_as_it_is(tmp_path):
    write(tmp_path / "map", "thing", CONTENT)
    assert os.listdir(tmp_path) == ["map"] and read(tmp_path / "map", "thing")["count"] == 3


def test_writing_replaces(tmp_path):
    write(tmp_path / "map", "thing", CONTENT)
    write(tmp_path / "map", "thing", {"count": 4})
    assert read(tmp_path / "map", "thing") == {"count": 4}


def test_nothing_is_pickled(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write(tmp_path / "map", "thing", {"a": np.array([object()])})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", [{"a": np.array([object()])}, {"a": {1, 2}}, {"a": object()}])
def test_an_error_while_writing_leaves_the_old_file(tmp_path, bad):
    write(tmp_path / "map", "thing", CONTENT)
    before = (tmp_path / "map").read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write(tmp_path / "map", "thing", bad)
    assert (tmp_path / "map").read_bytes() == before and os.listdir(tmp_path) == ["map"]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    write(tmp_path / "map", "thing", CONTENT)
    before = (tmp_path / "map").read_bytes()
    monkeypatch.setattr(map_files.np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "map", "thing", {"count": 4})
    assert (tmp_path / "map").read_bytes() == before and os.listdir(tmp_path) == ["map"]


def test_a_missing_folder_and_a_missing_file_are_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "map", "thing", CONTENT)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "map", "thing")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "map"
    write(path, "thing", {**CONTENT, "long": np.arange(5000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="map must be a file of otgen's thing; it is not, or it is truncated"):
        read(path, "thing")


@given(st.integers(0, 2**32 - 1))
def test_a_file_with_wrong_bytes_is_refused_or_still_what_it_was(seed):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map"
        write(path, "thing", {"long": np.arange(30), "count": 3})
        whole = np.frombuffer(path.read_bytes(), np.uint8).copy()
        whole[rng.integers(0, len(whole), rng.integers(1, 4))] = rng.integers(0, 256)
        path.write_bytes(whole.tobytes())
        try:
            found = read(path, "thing")
        except ValueError as error:
            assert str(path) in str(error)
        else:  # bytes that say nothing, as the dates, or the array's own name
            assert found.pop("count") == 3
            np.testing.assert_array_equal(list(found.values()), [np.arange(30)])


def text(value):
    return np.frombuffer(value.encode(), np.uint8)


@pytest.mark.parametrize("arrays", [
    {"a": np.arange(3)}, {}, {"json": text("no json")}, {"json": text("[1, 2]")}, {"json": text("{}")},
    {"json": text('{"otgen": "thing"}')}, {"json": text("3")}, {"json": np.arange(3.0)},
    {"json": np.frombuffer(b"\xff\xfe\xfa", np.uint8)}, {"json": text('{"otgen": "thing", "values": [1]}')},
])  # fmt: skip
def test_another_npz_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "map.npz", **arrays)
    with pytest.raises(ValueError, match="must be a file of otgen's thing; it is not, or it is truncated"):
        read(tmp_path / "map.npz", "thing")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "map.npz"
    for make in (
        lambda: path.write_text("not a map"), lambda: np.save(path.open("wb"), np.arange(3)),
        lambda: zipfile.ZipFile(path, "w").writestr("json.npy", "no array"),
        lambda: path.write_bytes(b"\x80\x04K\x01."), lambda: np.savez_compressed(path, a=np.arange(3)),
    ):  # fmt: skip
        make()
        with pytest.raises(ValueError, match="must be a file of otgen's thing"):
            read(path, "thing")
    with pytest.raises((ValueError, OSError), match="thing|directory"):
        read(tmp_path, "thing")


def test_a_pickled_array_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    notes = text(json.dumps({"otgen": "thing", "values": {}}))
    with (tmp_path / "map").open("wb") as file:
        np.savez(file, json=notes, a=np.array([Trap()]))
    with pytest.raises(ValueError, match="it is not, or it is truncated.*allow_pickle"):
        read(tmp_path / "map", "thing")
    assert not (tmp_path / "sprung").exists()


def test_another_kind_is_refused(tmp_path):
    write(tmp_path / "map", "thing", CONTENT)
    with pytest.raises(ValueError, match="must be a file of otgen's semi-discrete map; it holds a thing. Pass another"):
        read(tmp_path / "map", "semi-discrete map")


class TestCheckpoint:
    def test_a_state_is_kept_for_the_next_fit(self, tmp_path):
        first = Checkpoint(tmp_path / "state", "me")
        assert first.state is None
        first.write({"heights": np.arange(3.0), "step": 4}, now=True)
        state = Checkpoint(str(tmp_path / "state"), "me").state
        assert state is not None and state.keys() == {"heights", "step"} and state["step"] == 4
        np.testing.assert_array_equal(state["heights"], np.arange(3.0))

    def test_it_writes_once_a_minute(self, tmp_path, monkeypatch):
        now = 100.0
        monkeypatch.setattr(map_files.time, "monotonic", lambda: now)
        saved = Checkpoint(tmp_path / "state", "me")
        for now in (101.0, 159.0):
            saved.write({"step": now})
            assert not (tmp_path / "state").exists()
        now = 100.0 + map_files.EVERY
        saved.write({"step": now})
        now += 1.0
        saved.write({"step": now})
        assert read(tmp_path / "state", Checkpoint.KIND)["step"] == 160.0

    def test_another_fit_is_refused(self, tmp_path):
        Checkpoint(tmp_path / "state", "me").write({"step": 1}, now=True)
        with pytest.raises(ValueError, match="resume names .*state, the state of another fit: its targets, masses or"):
            Checkpoint(tmp_path / "state", "you")

    @pytest.mark.parametrize("content", [{"step": 1}, {"fingerprint": 3}])
    def test_a_state_without_its_fingerprint_is_refused(self, tmp_path, content):
        write(tmp_path / "state", Checkpoint.KIND, content)
        with pytest.raises(ValueError, match="resume names .*state"):
            Checkpoint(tmp_path / "state", "me")

    def test_no_folder_and_other_files_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="resume must name a file in a folder that exists; got .*no/state"):
            Checkpoint(tmp_path / "no" / "state", "me")
        write(tmp_path / "map", "semi-discrete map", CONTENT)
        with pytest.raises(ValueError, match="otgen's checkpoint; it holds a semi-discrete map"):
            Checkpoint(tmp_path / "map", "me")
        with pytest.raises((ValueError, OSError)):
            Checkpoint(tmp_path, "me")


def test_a_fingerprint_is_of_all_its_parts():
    parts = [np.arange(6.0), np.ones((2, 2)), "newton", 0, None]
    same = fingerprint(*parts)
    assert same == fingerprint(np.arange(6.0), np.ones((2, 2)), "newton", 0, None)
    changed = [
        (0, np.arange(6)), (0, np.arange(6.0).reshape(2, 3)), (0, np.nextafter(np.arange(6.0), 9.0)), (2, "auto"),
        (3, 1), (4, 0), (1, np.ones(4)),
    ]  # fmt: skip
    for place, value in changed:
        assert fingerprint(*parts[:place], value, *parts[place + 1 :]) != same
    a = np.arange(12.0).reshape(3, 4)
    assert fingerprint(a.T) == fingerprint(a.T.copy()) != fingerprint(a)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path):
    write(tmp_path / "map", "checkpoint", CONTENT)
    before = (tmp_path / "map").read_bytes()
    with full_disk(500), pytest.raises(OSError, match="map cannot be written: File too large. Free some space"):
        write(tmp_path / "map", "checkpoint", {"heights": np.arange(3000.0)})
    assert (tmp_path / "map").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
