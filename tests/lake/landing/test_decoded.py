"""What compressed files hold is bounded, at every door that reads one; the files here repeat one value, made as the test runs."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import BadInput
from lake.landing import child, decoded
from lake.landing.actual_pnl import ingest_pnl
from lake.landing.dated_values import FileOptions, read_source
from lake.landing.positions_file import read_positions_file
from lake.landing.rows import read_rows
from service.config import Settings

MIB = 1 << 20
HELD = r"^{} holds more than 1 MiB once decoded, which is the most that is read of it \(VARLAKE_DECODED_MIB\)"

Reader = Callable[[Path], object]
MARKET: Reader = lambda path: read_source(path, FileOptions(layout="wide"))  # noqa: E731
ARCHIVE: Reader = lambda path: read_source(path, FileOptions(layout="ecb_zip"))  # noqa: E731
POSITIONS: Reader = lambda path: read_positions_file(path, (), ("quantity",))  # noqa: E731
PNL: Reader = lambda path: ingest_pnl(None, path)  # type: ignore[arg-type]  # noqa: E731
ROWS: Reader = lambda path: read_rows(str(path))  # noqa: E731


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(decoded.SETTING, "1")


def refused(read: Reader, path: Path) -> None:
    with pytest.raises(BadInput, match=HELD.format(path.name)):
        read(path)


@pytest.mark.parametrize(
    ("name", "setting", "default"),
    [
        ("decoded_mib", child.SETTING, child.DEFAULT_MIB),
        ("decode_seconds", child.SECONDS_SETTING, child.DEFAULT_SECONDS),
    ],
)
def test_the_defaults_are_those_of_the_settings(name: str, setting: str, default: int) -> None:
    assert Settings.model_fields[name].default == default
    assert f"VARLAKE_{name.upper()}" == setting


@pytest.mark.parametrize("read", [MARKET, POSITIONS, PNL])
@pytest.mark.parametrize("text", ["positions_date,quantity\n" + "2020-03-16,1\n" * 200_000, "a,b\n" + "0" * 2 * MIB])
def test_gzip_is_decoded_up_to_the_bound(tmp_path: Path, read: Reader, text: str) -> None:
    path = tmp_path / "file.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert path.stat().st_size < MIB / 50
    refused(read, path)


@pytest.mark.parametrize("told", [None, 100])
def test_an_archive_is_decoded_up_to_the_bound_whatever_it_says_of_itself(tmp_path: Path, told: int | None) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file.csv", "Date,A\n" + "2020-03-16,1\n" * 200_000)
    path = tmp_path / "file.zip"
    data = packed.getvalue()
    if told is not None:  # other than it is: the size in the directory of the archive
        at = data.rindex(b"PK\x01\x02") + 24
        data = data[:at] + told.to_bytes(4, "little") + data[at + 4 :]
        path.write_bytes(data)
        with pytest.raises(BadInput, match=r"file\.zip cannot be unpacked"):
            ARCHIVE(path)
    path.write_bytes(packed.getvalue())
    refused(ARCHIVE, path)
    outer = tmp_path / "file.zip.gz"
    outer.write_bytes(gzip.compress(packed.getvalue()))
    refused(ARCHIVE, outer)


def test_an_archive_that_is_decoded_without_a_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("file.csv", "Date,A\n2020-03-16,1\n")
    with pytest.raises(BadInput, match=r"file\.csv is compressed otherwise than by deflate"):
        ARCHIVE(path)


def test_an_encrypted_archive_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("file.csv", "Date,A\n2020-03-16,1\n")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BadInput, match=r"cannot be unpacked.*encrypted"):
        ARCHIVE(path)


N = 300_000
PARQUET = {
    "numbers": pa.array([0.0] * N),
    "nulls": pa.nulls(2 * N, pa.float64()),
    "short text": pa.array(["x"] * N),
    "one long text": pa.array(["x" * 100_000] * 100),
    "dictionary": pa.array(["x" * 100_000] * 100).dictionary_encode(),
    "list of one long text": pa.array([["x" * 100_000]] * 100),
    "map": pa.array([[("k", "x" * 100_000)]] * 100, pa.map_(pa.string(), pa.string())),
    "struct": pa.array([{"k": "x" * 100_000}] * 100),
    "list of nothing": pa.array([[None] * 20_000], pa.list_(pa.int64())),
}


@pytest.mark.parametrize("read", [POSITIONS, PNL, ROWS])
@pytest.mark.parametrize("name", PARQUET)
def test_parquet_is_decoded_up_to_the_bound(tmp_path: Path, read: Reader, name: str) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"quantity": PARQUET[name]}), path, compression="zstd")
    assert path.stat().st_size < MIB / 10
    refused(read, path)


def test_parquet_within_the_bound_is_what_arrow_reads(tmp_path: Path) -> None:
    columns = {
        "attribute.a": pa.array(["x", None, "ä"] * 5),
        "text": pa.array(["x", "y", None] * 5).dictionary_encode(),
        "map": pa.array([[("k", "v")], None, []] * 5, pa.map_(pa.string(), pa.string())),
        "number": pa.array([1.5, None, float("nan")] * 5),
        "bytes": pa.array([b"1", None, b""] * 5),
        "exact": pa.array(range(15), pa.decimal128(38, 2)),
    }
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=4)
    read = decoded.read_parquet(path)
    assert {n: read[n].to_pylist() for n in columns if n != "number"} == {
        n: c.to_pylist() for n, c in columns.items() if n != "number"
    }
    assert str(read["number"].to_pylist()) == str(columns["number"].to_pylist())
    assert read["text"].type == pa.string()


@pytest.mark.parametrize("mib", ["3", "1024"])
def test_a_file_within_the_bound_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: str) -> None:
    monkeypatch.setenv(decoded.SETTING, mib)
    path = tmp_path / "file.csv.gz"
    path.write_bytes(gzip.compress(b"quantity,currency\n" + b"1,USD\n" * 100_000))
    read = read_positions_file(path, ("currency",), ("quantity",))
    assert (read.read, set(read.columns["currency"].to_pylist())) == (100_000, {"USD"})


def test_a_plain_file_is_never_too_large(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("quantity,currency\n" + "1,USD\n" * 300_000)
    assert read_positions_file(path, ("currency",), ("quantity",)).read == 300_000
    path.write_text("Date,A\n" + "2020-03-16,1\n" * 200_000)
    assert read_source(path, FileOptions(layout="wide")).rows.num_rows == 1


def test_empty_lines_below_a_wide_header_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("Date," + ",".join(f"S{i}" for i in range(2_000)) + "\n" * 2_000 + "2020-03-16" + "," * 2_000)
    refused(MARKET, path)
    path.write_text("quantity," + ",".join(f"attribute.{i}" for i in range(2_000)) + "\n" * 2_000)
    refused(POSITIONS, path)


@pytest.mark.parametrize("read", [MARKET, POSITIONS])
def test_a_file_of_uneven_lines_is_refused_before_all_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Reader
) -> None:
    monkeypatch.setattr("lake.landing.sheet.MOST_UNEVEN", 10)
    path = tmp_path / "file.csv"
    path.write_text("quantity,currency\n" + "1\n" * 11)
    with pytest.raises(BadInput, match=r"^file\.csv .*Expected 2 columns, got 1"):
        read(path)


@pytest.mark.parametrize("cut", [20, -9, -3])
def test_a_damaged_gzip_is_told_so(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "file.csv.gz"
    path.write_bytes(gzip.compress("".join(f"{i},{i * i}\n" for i in range(9_999)).encode())[:cut])
    for read in (MARKET, POSITIONS):
        with pytest.raises(BadInput, match=r"^file\.csv\.gz "):
            read(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read as Linux tells it")
def test_memory_stays_within_a_few_times_the_bound(tmp_path: Path) -> None:
    """192 MiB of lines in gzip and 500 MB of texts in Parquet, in a process of their own, whose peak is measured."""
    zipped, columns = tmp_path / "file.csv.gz", tmp_path / "file.parquet"
    with gzip.open(zipped, "wb", compresslevel=1) as file:
        file.write(b"quantity,currency\n")
        for _ in range(32):
            file.write(b"1,USD\n" * MIB)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"quantity": texts}), columns)
    assert zipped.stat().st_size + columns.stat().st_size < MIB
    code = (
        "import re, sys; from pathlib import Path\n"
        "from lake.errors import BadInput; from lake.landing.positions_file import read_positions_file\n"
        "from resource import RUSAGE_CHILDREN, getrusage; from lake.landing import child\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+([0-9]+)', Path('/proc/self/status').read_text())[1]) >> 10\n"
        "before = peak()\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        read_positions_file(Path(name), ('currency',), ('quantity',))\n"
        "    except BadInput as error:\n        print(error)\n"
        "child._children.end()\n"
        "print('peak', max(peak(), getrusage(RUSAGE_CHILDREN).ru_maxrss >> 10) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(zipped), str(columns)],
        env={decoded.SETTING: "16"},
        capture_output=True,
        text=True,
        check=True,
    )
    *told, peak = done.stdout.splitlines()
    assert ["holds more than 16 MiB once decoded" in line for line in told] == [True, True]

    assert int(peak.removeprefix("peak ")) < 8 * 16, peak
