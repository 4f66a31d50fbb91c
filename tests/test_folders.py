"""Folders and files are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from full_disk import full_disk
from otgen import folders


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    for text in ("old", "new"):
        with folders.written(target) as partial:
            (partial / "a").write_text(text)
            (partial / text).touch()
    assert sorted(path.name for path in target.iterdir()) == ["a", "new"] and (target / "a").read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_an_error_within_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with folders.written(target) as partial:
        (partial / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), folders.written(target) as partial:
        (partial / "a").write_text("new")
        raise KeyboardInterrupt
    assert (target / "a").read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_process_left_is_no_hindrance(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for left in (".model.partial", ".model.deleted", "model"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "rest").touch()
    with folders.written(target) as partial:
        (partial / "a").touch()
    assert [path.name for path in target.iterdir()] == ["a"] and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_text_and_digests(tmp_path: Path) -> None:
    folders.write_text(tmp_path / "a.json", "old")
    folders.write_text(tmp_path / "a.json", "abc")
    assert (tmp_path / "a.json").read_text() == "abc" and len(list(tmp_path.iterdir())) == 1
    assert folders.sha256(tmp_path / "a.json").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path: Path) -> None:
    old, new = np.arange(10.0), np.arange(5000.0)
    folders.save_array(tmp_path / "x.npy", old)
    folders.write_text(tmp_path / "a.json", "old")
    with folders.written(tmp_path / "model") as partial:
        (partial / "a").write_text("old")
    before = sorted(path.name for path in tmp_path.iterdir())

    def save_folder() -> None:
        with folders.written(tmp_path / "model") as partial:
            (partial / "a").write_text("new" * 5000)

    for name, save in (
        ("x.npy", lambda: folders.save_array(tmp_path / "x.npy", new)),
        ("a.json", lambda: folders.write_text(tmp_path / "a.json", "new" * 5000)),
        ("model", save_folder),
    ):
        with full_disk(3000), pytest.raises(OSError, match=f"{name} cannot be written: File too large. Free some spa"):
            save()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), old)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "model" / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_link_keeps_pointing_where_it_does(tmp_path: Path) -> None:
    (tmp_path / "link.npy").symlink_to(tmp_path / "x.npy")
    folders.save_array(tmp_path / "link.npy", np.arange(3.0))
    assert (tmp_path / "link.npy").is_symlink() and len(np.load(tmp_path / "x.npy")) == 3


def test_an_error_of_another_kind_keeps_its_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), folders.replacing(tmp_path / "a") as file:
        file.write(b"some")
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []
