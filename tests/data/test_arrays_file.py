"""The user's own arrays, in memory and in files."""

from __future__ import annotations

import numpy as np
import pytest

from otgen.data import from_array, load

GREY = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
COLOUR = np.arange(5 * 3 * 4 * 6).reshape(5, 3, 4, 6) / 360.0
VECTORS = np.random.default_rng(0).normal(size=(7, 2)) * 1e3


@pytest.mark.parametrize(
    "array, shape, expected",
    [
        (GREY, (1, 4, 6), GREY[:, None] / 255),
        (GREY[:, None], (1, 4, 6), GREY[:, None] / 255),
        (GREY[..., None], (1, 4, 6), GREY[:, None] / 255),
        (COLOUR, (3, 4, 6), COLOUR),
        (np.moveaxis(COLOUR, 1, 3), (3, 4, 6), COLOUR),
        (COLOUR.astype(np.float16), (3, 4, 6), COLOUR.astype(np.float16)),
        (np.asfortranarray(COLOUR), (3, 4, 6), COLOUR),
        (GREY > 7, (1, 4, 6), GREY[:, None] > 7),
    ],
)
def test_images_are_channels_first_in_the_unit_range(array, shape, expected):
    data = from_array(array)
    assert data.shape == shape and len(data) == 5 and data.range == (0, 1) and data.labels is data.classes is None
    batch = data.x[[3, 1]]
    assert batch.dtype == np.float32 and batch.flags.c_contiguous
    np.testing.assert_allclose(batch, np.asarray(expected, float)[[3, 1]], rtol=1e-6)


@pytest.mark.parametrize("vectors", [VECTORS, VECTORS.astype(np.float32), VECTORS.astype(int), GREY[0]])
def test_vectors_keep_their_numbers(vectors):
    data = from_array(vectors)
    assert data.shape == vectors.shape[1:] and data.range == (-np.inf, np.inf)
    np.testing.assert_array_equal(data.x[:], vectors.astype(np.float32))


def test_labels_name_their_classes():
    data = from_array(VECTORS, [0, 2, 0, 2, 2, 0, 0], name="mine")
    assert data.name == "mine" and data.classes == ("0", "1", "2") and data.labels is not None
    assert data.labels.dtype == np.int64
    with pytest.raises(ValueError, match="labels of mine must hold 7 labels"):
        from_array(VECTORS, [0], name="mine")


@pytest.mark.parametrize(
    "array, error, said",
    [
        (np.zeros((0, 2)), ValueError, r"x must hold images .* or vectors \(n, d\); got shape \(0, 2\)"),
        (np.zeros(3), ValueError, r"got shape \(3,\). Reshape it"),
        (np.zeros((2, 4, 5, 6)), ValueError, r"got shape \(2, 4, 5, 6\). Keep one channel, or three"),
        (np.zeros((2, 2), complex), TypeError, "must hold real numbers.*got dtype complex128"),
        (np.array([["a"]]), TypeError, "got dtype <U1. Convert it"),
        (GREY.astype(int), ValueError, r"values in \[0, 1\]; the value at \[0, 0, 0, 2\] is 2. Pass uint8"),
        (COLOUR * 2 - 1, ValueError, r"the value at \[0, 0, 0, 0\] is -1.0. .* or \(x \+ 1\) / 2 for -1 to 1"),
        (np.where(COLOUR == 1 / 360, np.nan, COLOUR), ValueError, r"the value at \[0, 0, 0, 1\] is nan"),
        ([[0.0, 1.0], [2.0, np.inf]], ValueError, r"x must hold finite values .*the value at \[1, 1\] is inf. Drop"),
        (np.array([[np.inf]], np.float16), ValueError, r"the value at \[0, 0\] is inf"),
        ([[1e39]], ValueError, r"in \[-3.40282e\+38, 3.40282e\+38\]; the value at \[0, 0\] is 1e\+39"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(array, error, said):
    with pytest.raises(error, match=said):
        from_array(array)


def test_a_bad_value_far_down_is_found_at_its_place(monkeypatch):
    monkeypatch.setattr("otgen.data.arrays_file.BLOCK", 4)
    bad = VECTORS.copy()
    bad[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"the value at \[5, 1\] is nan"):
        from_array(bad)


def test_an_npy_file_is_mapped_and_read_by_the_batch(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.moveaxis(COLOUR, 1, 3))
    data = load(path)
    assert isinstance(data.x.values, np.memmap)  # pyright: ignore[reportAttributeAccessIssue]
    assert data.name == str(path) and type(data.x[[0]]) is np.ndarray
    np.testing.assert_allclose(data.x[[4, 2]], COLOUR[[4, 2]], rtol=1e-6)


def test_an_archive_holds_one_array_or_named_splits(tmp_path):
    one, named, plain = tmp_path / "one.npz", tmp_path / "named.npz", tmp_path / "plain.npz"
    np.savez(one, anything=VECTORS)
    np.savez_compressed(named, x_train=GREY, y_train=np.arange(5), x_test=GREY[:2], y_test=np.array([7, 8]))
    np.savez(plain, x=VECTORS, y=np.zeros(7, int), other=GREY)
    assert len(load(str(one))) == 7
    train, test = load(named), load(named, split="test")
    assert train.labels is not None and train.labels.tolist() == [0, 1, 2, 3, 4] and train.shape == (1, 4, 6)
    assert test.labels is not None and test.labels.tolist() == [7, 8]
    assert load(plain).classes == ("0",) and load(f"{plain}:other").shape == (1, 4, 6)


def test_what_an_archive_lacks_is_named(tmp_path):
    path, empty = tmp_path / "two.npz", tmp_path / "empty.npz"
    np.savez(path, left=VECTORS, right=VECTORS)
    np.savez(empty)
    for source, split, said in [
        (path, "train", "two.npz must hold one array, or x, or x_train; it holds left, right. Name one: .*two.npz:KEY"),
        (f"{path}:middle", "train", "must hold an array 'middle'; it holds left, right"),
        (path, "test", "must hold x_test for split='test'; it holds left, right"),
        (f"{path}:left", "test", "must hold x_test for split='test'"),
        (empty, "train", "it holds no array"),
    ]:
        with pytest.raises(ValueError, match=said):
            load(source, split=split)
    np.save(tmp_path / "x.npy", VECTORS)
    with pytest.raises(ValueError, match="x.npy holds one array, which is split 'train'; got split='test'"):
        load(tmp_path / "x.npy", split="test")


def test_damaged_files_and_pickles_are_refused(tmp_path):
    np.save(tmp_path / "whole.npy", VECTORS)
    whole = (tmp_path / "whole.npy").read_bytes()
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for cut in (0, 5, 40, len(whole) - 1):
        (tmp_path / "cut.npy").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="cut.npy must be a whole .npy file of plain numbers; reading it failed"):
            load(tmp_path / "cut.npy")
    with pytest.raises(ValueError, match="objects.npy must be a whole .npy file of plain numbers"):
        load(tmp_path / "objects.npy")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "renamed.npz").write_bytes(whole)
    for name in ("objects", "bad", "renamed"):
        with pytest.raises(ValueError, match=f"{name}.npz must be an .npz archive of plain numbers; reading it failed"):
            load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError, match="none.npy is not a file. Check the path"):
        load(tmp_path / "none.npy")
