"""Pickles of CIFAR-10 are read, and no other: nothing that a file names is ever called."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cifar_files
from otgen.data.pickled import byte_array, read_dict

IMAGES = np.arange(300 * 4, dtype=np.int64).astype(np.uint8).reshape(300, 4)
WHOLE = cifar_files.batch(IMAGES[:3], [6, 9, 300])


def written(folder: Path, content: bytes) -> Path:
    path = folder / "data_batch_1"
    path.write_bytes(content)
    return path


class Harm:
    """What a hostile file does to a reader that unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_the_files_we_write_are_pickles_to_python_and_numpy():
    theirs = pickle.loads(cifar_files.batch(IMAGES, [6, 9, 300]), encoding="bytes")
    np.testing.assert_array_equal(theirs[b"data"], IMAGES)
    assert theirs[b"labels"] == [6, 9, 300] and theirs[b"filenames"][1] == theirs[b"batch_label"]


@pytest.mark.parametrize("by_column", [False, True])
def test_the_dict_comes_back_as_python_would_read_it(tmp_path, by_column):
    path = written(tmp_path, cifar_files.batch(IMAGES, [6, 9, 300], by_column=by_column))
    found, theirs = read_dict(path), pickle.loads(path.read_bytes(), encoding="bytes")
    np.testing.assert_array_equal(byte_array(found["data"], path), theirs[b"data"])
    assert [key.encode() for key in found] == list(theirs)
    assert found["labels"] == theirs[b"labels"]
    assert [name.encode() for name in found["filenames"]] == theirs[b"filenames"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_that_calls_something_is_refused_and_calls_nothing(tmp_path, protocol):
    content = pickle.dumps({"data": Harm(tmp_path / "harmed"), "labels": [0]}, protocol)
    with pytest.raises(
        ValueError, match="data_batch_1 must be a pickle of CIFAR-10.*It was not executed. Fetch it again"
    ):
        read_dict(written(tmp_path, content))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "instructions, said",
    [
        (b"cos\nsystem\nU\x01x\x85R.", "the instruction GLOBAL 'os system'"),
        (b"cbuiltins\neval\nU\x01x\x85R.", "the instruction GLOBAL 'builtins eval'"),
        (b"(U\x01xios\nsystem\n.", "the instruction INST"),
        (b"(cnumpy\nndarray\nK\x01o.", "the instruction OBJ"),
        (b"cnumpy\nndarray\nK\x01\x85\x81.", "the instruction NEWOBJ"),
        (b"U\x01xQ.", "the instruction BINPERSID"),
        (b"\x82\x01.", "the instruction EXT1"),
        (b"\x8c\x02os\x8c\x06system\x93.", "the instruction SHORT_BINUNICODE 'os'"),
        (b"K\x01K\x02.", "too many values"),
        (b"h\x07.", "7"),
        (b"}K\x01K\x02K\x03u.", "finds no mark"),
        (b"K\x01s.", "too few values"),
        (b"K\x01K\x02a.", "for a list finds none"),
        (b"}(K\x01u.", "argument 2"),
        (b"}]K\x01s.", "unhashable"),
        (b"", "."),
    ],
)
def test_other_instructions_are_refused_by_name(tmp_path, instructions, said):
    with pytest.raises(ValueError, match="must be a pickle of CIFAR-10.*reading it failed: .*" + said):
        read_dict(written(tmp_path, b"\x80\x02" + instructions))


def test_another_content_than_a_dict_of_strings_is_refused(tmp_path):
    for content in (b"\x80\x02].", b"\x80\x02}K\x01K\x02s."):
        with pytest.raises(ValueError, match="must hold a dict with strings for keys"):
            read_dict(written(tmp_path, content))


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    for cut in range(len(WHOLE)):
        with pytest.raises(ValueError, match="must be a pickle of CIFAR-10"):
            read_dict(written(tmp_path, WHOLE[:cut]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_give_an_array_of_bytes_or_a_clear_error(tmp_path_factory, changes):
    content = bytearray(WHOLE)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "data_batch_1"
    path.write_bytes(content)
    try:
        found = byte_array(read_dict(path).get("data"), path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert found.dtype == np.uint8 and found.size <= len(content)


def test_an_array_of_another_kind_is_refused(tmp_path):
    floats, cut = np.zeros((3, 4)), IMAGES.tobytes()[:-1]
    for content, said in [
        (cifar_files.batch(floats, []), "its dtype is 'f8'"),
        (cifar_files.batch(IMAGES, [], code=b"O8"), "its dtype is 'O8'"),
        (cifar_files.batch(IMAGES, [], raw=cut), r"of shape \(300, 4\); it holds 1199 bytes. It is cut off"),
        (b"\x80\x02}U\x04dataU\x01xs.", "it holds a str"),
        (b"\x80\x02}U\x04datacnumpy\ndtype\nU\x02u1\x85Rs.", "it holds a Call"),
        (b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)RNbs.", "its description is of another kind"),
    ]:
        path = written(tmp_path, content)
        with pytest.raises(ValueError, match=r"must hold its images as an array of bytes \(uint8\).*" + said):
            byte_array(read_dict(path)["data"], path)
