"""Every format the shell command reads, and every way a file can be wrong."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from otgen.readers import read_points, read_weights

POINTS = np.array([[0.0, 1.5], [2.0, -3.0], [4.0, 5.0]])


def save_npy(path: Path) -> str:
    np.save(path / "x.npy", POINTS)
    return str(path / "x.npy")


def save_npz(path: Path) -> str:
    np.savez(path / "x.npz", points=POINTS)
    return str(path / "x.npz")


def save_keyed(path: Path) -> str:
    np.savez(path / "two.npz", points=POINTS, other=POINTS + 1)
    return f"{path / 'two.npz'}:points"


def save_csv(path: Path) -> str:
    np.savetxt(path / "x.csv", POINTS, delimiter=",")
    return str(path / "x.csv")


def save_csv_with_header(path: Path) -> str:
    rows = "\n".join(",".join(map(str, row)) for row in POINTS)
    (path / "x.csv").write_text(f"left,right\n{rows}\n", encoding="utf-8-sig")
    return str(path / "x.csv")


def save_parquet(path: Path) -> str:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"left": POINTS[:, 0], "right": POINTS[:, 1]}), path / "x.parquet")
    return str(path / "x.parquet")


def save_feather(path: Path) -> str:
    pa, feather = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.feather")
    feather.write_feather(pa.table({"left": POINTS[:, 0], "right": POINTS[:, 1]}), path / "x.feather")
    return str(path / "x.feather")


@pytest.mark.parametrize(
    "save", [save_npy, save_npz, save_keyed, save_csv, save_csv_with_header, save_parquet, save_feather]
)
def test_points_come_back_as_saved(save, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_points(save(tmp_path)), POINTS)


def test_one_axis_is_points_on_the_line_and_one_column_is_weights(tmp_path: Path) -> None:
    np.save(tmp_path / "line.npy", np.arange(4.0))
    assert read_points(str(tmp_path / "line.npy")).shape == (4, 1)
    (tmp_path / "weights.csv").write_text("weight\n0.25\n0.75\n")
    np.testing.assert_array_equal(read_weights(str(tmp_path / "weights.csv")), [0.25, 0.75])


def test_dtype_is_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", POINTS.astype(np.float32))
    assert read_points(str(tmp_path / "x.npy")).dtype == np.float32


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "comma-separated numbers below an optional header; it is empty"),
        (" \n\n", "it is empty"),
        ("a,b\n", "only a header"),
        ("1,2\n3\n", "comma-separated numbers"),
        ("1,2\n3,four\n", "comma-separated numbers"),
        ("1,two\n3,4\n", "comma-separated numbers"),
        ("1;2\n3;4\n", "comma-separated numbers|only a header"),
        (",x,y\n0,1.5,2\n", "its first cell is empty.*pandas.*index=False"),
        (",0,1\n0,1.5,2\n", "its first cell is empty.*pandas.*index=False"),
    ],
)
def test_a_damaged_csv_says_what_is_wrong(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_points(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    "content",
    [
        "\n \nleft,right\n1,2\n3,4\n",
        '"left\nhand",right\n1,2\n3,4\n',
        '"1","2"\n"3","4"\n',
        "\ufeffleft,right\n1,2\n3,4\n",
    ],
    ids=["blank lines", "a line break in the header", "quoted numbers", "a byte order mark"],
)
def test_a_csv_as_other_programs_write_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    np.testing.assert_array_equal(read_points(str(tmp_path / "x.csv")), [[1, 2], [3, 4]])


def test_a_byte_order_mark_does_not_make_a_header(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1\n2\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(read_points(str(tmp_path / "x.csv")), [[1], [2]])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_csv_in_another_encoding_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("größe,y\n1,2\n", encoding=encoding)
    with pytest.raises(ValueError, match=r"x\.csv must be UTF-8 text; reading it failed: .*Save it as UTF-8"):
        read_points(str(tmp_path / "x.csv"))


def test_wrong_shapes_and_kinds(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"shape \(n, d\); got shape \(2, 2, 2\)"):
        read_points(str(tmp_path / "cube.npy"))
    np.save(tmp_path / "square.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"one weight a point.*got shape \(2, 2\)"):
        read_weights(str(tmp_path / "square.npy"))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    with pytest.raises(ValueError, match="must hold real numbers; its dtype is <U1"):
        read_points(str(tmp_path / "words.npy"))
    np.save(tmp_path / "complex.npy", np.zeros((2, 2), complex))
    with pytest.raises(ValueError, match="must hold real numbers; its dtype is complex128"):
        read_points(str(tmp_path / "complex.npy"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="plain numbers.*[Oo]bject arrays cannot be loaded"):
        read_points(str(tmp_path / "objects.npy"))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, []], dtype=object))
    with pytest.raises(ValueError, match="plain numbers.*[Oo]bject arrays cannot be loaded"):
        read_points(str(tmp_path / "objects.npz"))


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_points(str(tmp_path / "absent.npy"))
    with pytest.raises(ValueError, match=r"must end in one of \.npy, .*got '\.txt'"):
        read_points(str(tmp_path / "x.txt"))
    archive = save_keyed(tmp_path).removesuffix(":points")
    with pytest.raises(ValueError, match=r"must hold an array; it holds 2 arrays \(points, other\). Name one"):
        read_points(archive)
    with pytest.raises(ValueError, match="must hold an array 'third'; it holds points, other"):
        read_points(f"{archive}:third")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet", "x.feather"])
def test_a_file_of_noise_is_named(name: str, tmp_path: Path) -> None:
    if name.endswith(("parquet", "feather")):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"this is not an array")
    with pytest.raises(ValueError, match=f"{name} must be .*reading it failed"):
        read_points(str(tmp_path / name))


def test_a_damaged_npy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, POINTS)
    whole = path.read_bytes()
    for damaged in (
        whole[:-8],
        whole.replace(b"{'descr'", b"{'descr("),
        whole.replace(b"'shape': (3, 2), }           ", b"'shape': (300000000000, 2), }"),
    ):
        assert damaged != whole
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.npy must be a \.npy file of plain numbers; reading it failed"):
            read_points(str(path))


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, points=POINTS)
    flipped = bytearray(path.read_bytes())
    flipped[flipped.index(POINTS.tobytes())] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"x\.npz:points must be plain numbers; reading it failed: Bad CRC"):
        read_points(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(ValueError, match=r"x\.npz:notes\.txt must be an array; this member is not a \.npy file"):
        read_points(str(path))
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ValueError, match=r"x\.npz must hold an array; it holds no array\."):
        read_points(str(path))
    np.save(tmp_path / "y.npy", POINTS)
    (tmp_path / "y.npy").rename(path)
    with pytest.raises(
        ValueError, match=r"x\.npz must be an \.npz archive; it is a \.npy file\. Rename it to .*x\.npy"
    ):
        read_points(str(path))


def test_a_column_of_words_is_named(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"left": [1.0, 2.0], "name": ["a", "b"]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="column 'name' is object"):
        read_points(str(tmp_path / "x.parquet"))


def test_without_pyarrow_the_error_names_the_install_command(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="needs pyarrow.*-m pip install .pyarrow>="):
        read_points(str(tmp_path / "x.parquet"))
