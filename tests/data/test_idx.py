"""IDX files as MNIST has them, and every way in which one can be wrong."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from idx_files import packed
from otgen.data import idx

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
LABELS = np.array([5, 0, 9], np.uint8)


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name, pack", [("file.gz", gzip.compress), ("file", gzip.compress), ("file", bytes)])
def test_images_and_labels_come_back_as_written(tmp_path, name, pack):
    images = idx.read_images(written(tmp_path, pack(packed(IMAGES)), name))
    np.testing.assert_array_equal(images, IMAGES[:, None])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(idx.read_labels(written(tmp_path, pack(packed(LABELS)), name)), LABELS)


def test_a_file_of_the_other_kind_is_named(tmp_path):
    with pytest.raises(ValueError, match="file must be an IDX file of labels, magic number 2049; it is one of images"):
        idx.read_labels(written(tmp_path, packed(IMAGES)))
    with pytest.raises(ValueError, match="of images, magic number 2051; it is one of labels, 2049.* Put the file"):
        idx.read_images(written(tmp_path, packed(LABELS)))


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"", b"\x00\x00\x08", packed(IMAGES)[1:]])
def test_another_kind_of_file_is_refused_with_what_it_begins_with(tmp_path, content):
    with pytest.raises(ValueError, match="must be an IDX file of images.*it begins with b'"):
        idx.read_images(written(tmp_path, content))


@pytest.mark.parametrize("cut", range(4, len(packed(IMAGES))))
def test_a_file_cut_off_anywhere_is_refused(tmp_path, cut):
    with pytest.raises(ValueError, match=f"must hold what its header says.*it holds {cut} bytes.*fetch it again"):
        idx.read_images(written(tmp_path, packed(IMAGES)[:cut]))


def test_bytes_too_many_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"header says, shape \(3, 2, 4\), 40 bytes; it holds 41 bytes"):
        idx.read_images(written(tmp_path, packed(IMAGES) + b"\x00"))


def test_sizes_beyond_any_memory_are_only_a_damaged_header(tmp_path):
    with pytest.raises(ValueError, match="must hold what its header says"):
        idx.read_images(written(tmp_path, struct.pack(">4I", 2051, *[2**32 - 1] * 3)))


def test_a_file_without_samples_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at least one sample; its header says shape \(0,\)"):
        idx.read_labels(written(tmp_path, packed(LABELS[:0])))


def test_a_damaged_gzip_file_is_refused(tmp_path):
    whole = gzip.compress(packed(IMAGES))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # its checksum
    for content in (whole[: len(whole) // 2], whole[:-1], bytes(flipped), whole + b"tail", packed(IMAGES)):
        with pytest.raises(ValueError, match="file.gz must be a whole gzip file; unpacking its .* bytes failed"):
            idx.read_images(written(tmp_path, content, "file.gz"))
