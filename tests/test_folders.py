"""Folders and files are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

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
