"""Columns beside the texts: whatever their type, they travel along, and faults in them are found early."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skprune import PerplexityFilter, RandomFilter
from skprune.files import prune
from tests.files.test_files import never

N = 300


def rows_in(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def write(table, path):
    if path.suffix == ".parquet":
        # pyarrow writes no part of a column of structs of views.
        pq.write_table(table, path, row_group_size=N if pa.types.is_struct(table["more"].type) else 40)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table, 40)


TYPES = {
    "views in lists": pa.array([["a", str(i)] for i in range(N)], pa.list_(pa.string_view())),
    "views in structs": pa.array([{"a": str(i)} for i in range(N)], pa.struct([("a", pa.string_view())])),
    "binary views": pa.array([str(i).encode() for i in range(N)], pa.binary_view()),
    "dictionaries in lists": pa.array(
        [[f"c{i % 7}"] for i in range(N)], pa.list_(pa.dictionary(pa.int32(), pa.string()))
    ),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([100, N], pa.int32()), pa.array(["a", "b"])),
}


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("kind", TYPES)
def test_rows_of_any_type_are_taken(kind, suffix, tmp_path):
    table = pa.table({"n": range(N), "text": [f"text {i}" for i in range(N)], "more": TYPES[kind]})
    path = tmp_path / f"pool.{suffix}"
    if kind == "runs" and suffix == "parquet":
        pytest.skip("Parquet has no such type")
    write(table, path)
    pruner = RandomFilter(0.3, random_state=0)
    prune(path, pruner, text="text", out=tmp_path / "out", removed=tmp_path / "gone")
    kept, gone = rows_in(tmp_path / "out" / path.name), rows_in(tmp_path / "gone" / path.name)
    assert kept.schema == rows_in(path).schema
    both = kept.to_pylist() + gone.select(kept.column_names).to_pylist()
    assert sorted(both, key=lambda row: row["n"]) == table.to_pylist()
    in_memory = RandomFilter(0.3, random_state=0, text="text").fit_transform(table)
    assert in_memory.schema == table.schema
    assert in_memory.to_pylist() == kept.to_pylist()


def test_a_dot_in_a_name_is_no_path(tmp_path):
    inner = pa.array([{"b": f"inner {i}"} for i in range(20)])
    table = pa.table({"a": inner, "n": range(20), "a.b": [f"outer {i}" for i in range(20)]})
    pq.write_table(table, tmp_path / "pool.parquet")
    prune(tmp_path / "pool.parquet", RandomFilter(5, random_state=0), text="a.b", out=tmp_path / "out")
    kept = rows_in(tmp_path / "out" / "pool.parquet")["n"].to_pylist()
    assert kept == np.flatnonzero(RandomFilter(5, random_state=0).fit(table["a.b"]).get_support()).tolist()


def bad_csv(path):
    path.write_bytes(b"text,other\n" + b"a,b\n" * 50 + "c,caf\xe9\n".encode("latin-1"))


def bad_parquet(path):
    digits = np.random.default_rng(0).random(5000)
    columns = {"text": [f"t{i}" for i in range(5000)], "other": [f"{digit:.16f}" for digit in digits]}
    pq.write_table(pa.table(columns), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(1).data_page_offset + 1000
    content[start : start + 10_000] = b"\x07" * 10_000
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "write"), [("b.csv", bad_csv), ("b.parquet", bad_parquet)])
def test_faults_in_other_columns_are_found_before_any_work(name, write, tmp_path):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        prune(tmp_path / name, PerplexityFilter(perplexity=never), text="text", out=tmp_path / "out")


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_names_may_be_as_long_as_the_disk_allows(suffix, tmp_path):
    path = tmp_path / ("x" * (255 - len(suffix)) + suffix)
    path.write_text("".join(json.dumps({"text": f"text {i}"}) + "\n" for i in range(9)))
    assert prune(path, RandomFilter(3), out=tmp_path / "out").kept == 3
    if suffix == ".txt":  # removed rows go to a longer name
        with pytest.raises(OSError, match=r"x.txt.jsonl is too long a name for a file in removed; rename"):
            prune(path, PerplexityFilter(perplexity=never), out=tmp_path / "out2", removed=tmp_path / "gone")
