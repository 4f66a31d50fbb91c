"""A download is whole and checked, or it is not there."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otgen.data import download

CONTENT = bytes(range(256)) * 9000  # more than two blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def mirror(folder: Path, content: bytes | None = CONTENT) -> str:
    folder.mkdir()
    if content is not None:
        (folder / "set.gz").write_bytes(content)
    return (folder / "set.gz").as_uri()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_first_mirror_that_has_the_file_gives_it(tmp_path):
    mirrors = mirror(tmp_path / "empty", None), mirror(tmp_path / "altered", CONTENT[:-1]), mirror(tmp_path / "good")
    path = download.fetch(mirrors, tmp_path / "cache/set", SHA256)
    assert path == tmp_path / "cache/set/set.gz" and path.read_bytes() == CONTENT
    assert names(tmp_path / "cache/set") == ["set.gz"]


def test_what_is_there_is_not_fetched_again(tmp_path):
    path = download.fetch((mirror(tmp_path / "good"),), tmp_path / "cache", SHA256)
    assert download.fetch((mirror(tmp_path / "empty", None),), tmp_path / "cache", SHA256) == path


def test_altered_bytes_are_refused_and_not_kept(tmp_path):
    mirrors = mirror(tmp_path / "altered", CONTENT[:-1]), mirror(tmp_path / "empty", None)
    with pytest.raises(ValueError, match=f"set.gz must have SHA-256 {SHA256}; file:.*altered.* has .*Fetch it by hand"):
        download.fetch(mirrors, tmp_path / "cache", SHA256)
    assert names(tmp_path / "cache") == []


def test_no_mirror_names_them_all_and_the_way_by_hand(tmp_path):
    mirrors = mirror(tmp_path / "one", None), mirror(tmp_path / "two", None)
    with pytest.raises(
        OSError, match="could not be downloaded; .*one/set.gz.*two/set.gz.*set OTGEN_DATA to the folder"
    ):
        download.fetch(mirrors, tmp_path / "cache/set", SHA256)
    assert names(tmp_path / "cache/set") == []


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(url, file):
        file.write(CONTENT[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.fetch((mirror(tmp_path / "good"),), tmp_path / "cache", SHA256)
    assert names(tmp_path / "cache") == []


def test_several_may_fetch_one_file_at_once(tmp_path):
    url = mirror(tmp_path / "good")
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: download.fetch((url,), tmp_path / "cache", SHA256), range(8)))
    assert {path.read_bytes() for path in paths} == {CONTENT} and names(tmp_path / "cache") == ["set.gz"]


def test_the_cache_is_where_the_system_keeps_caches(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert download.cache_folder() == Path("/elsewhere/otgen")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert download.cache_folder() == Path.home() / ".cache" / "otgen"
