"""Parquet files as others write them, and what is in them as JSON lines. Needs pyarrow 26.0.1.

python make.py, in this folder.
"""

import datetime
import decimal
import json
import uuid

import pyarrow
import pyarrow.parquet as parquet

UTC = datetime.timezone.utc
D = decimal.Decimal

ROWS = 80


def row(i):
    none = i % 5 == 0
    return {
        "prompt": None if i % 7 == 3 else f"prompt {i} é\n" * (i % 4),
        "int8": i - 20,
        "uint32": 2**32 - 1 - i,
        "uint64": 2**64 - 1 - i,
        "int64": None if none else -(2**62) + i,
        "float": i / 4,
        "double": None if none else i / 3,
        "half": i / 8,
        "flag": None if none else i % 2 == 0,
        "day": datetime.date(1960, 1, 1) + datetime.timedelta(days=400 * i),
        "time": datetime.time(i % 24, 2, 3, 1000 * i),
        "millis": datetime.datetime(2024, 2, 29, 12, i // 60, i % 60, 5000, tzinfo=UTC),
        "local": datetime.datetime(1969, 12, 31, 23, 58 + i // 60, i % 60, 7),
        "price": D(i * 1001 - 7000).scaleb(-2),
        "large": None if none else D(-(10**30) - i).scaleb(-5),
        "nothing": None,
        "tags": None if none else [None if j == 2 else f"t{j}" for j in range(i % 4)],
        "nested": [[j] * (j % 3) for j in range(i % 3)] if i % 4 else None,
        "chat": [{"role": f"r{j}", "parts": None if j == 1 else [j, None][: i % 3]} for j in range(i % 3)],
        "meta": None if none else {"a": i, "b": None if i % 2 else {"c": [f"x{i}"], "d": {"e": None}}},
        "scores": None if i % 6 == 5 else {f"k{j}": [j * 0.5, None][: j] for j in range(i % 3)},
    }


SCHEMA = pyarrow.schema(
    [
        ("prompt", pyarrow.string()),
        pyarrow.field("int8", pyarrow.int8(), nullable=False),
        ("uint32", pyarrow.uint32()),
        ("uint64", pyarrow.uint64()),
        ("int64", pyarrow.int64()),
        ("float", pyarrow.float32()),
        ("double", pyarrow.float64()),
        ("half", pyarrow.float16()),
        ("flag", pyarrow.bool_()),
        ("day", pyarrow.date32()),
        ("time", pyarrow.time64("us")),
        ("millis", pyarrow.timestamp("ms", tz="UTC")),
        ("local", pyarrow.timestamp("us")),
        ("price", pyarrow.decimal128(9, 2)),
        ("large", pyarrow.decimal128(38, 5)),
        ("nothing", pyarrow.null()),
        ("tags", pyarrow.list_(pyarrow.string())),
        ("nested", pyarrow.list_(pyarrow.list_(pyarrow.int32()))),
        (
            "chat",
            pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("parts", pyarrow.list_(pyarrow.int64()))])),
        ),
        (
            "meta",
            pyarrow.struct(
                [
                    ("a", pyarrow.int32()),
                    (
                        "b",
                        pyarrow.struct(
                            [("c", pyarrow.list_(pyarrow.string())), ("d", pyarrow.struct([("e", pyarrow.int8())]))]
                        ),
                    ),
                ]
            ),
        ),
        ("scores", pyarrow.map_(pyarrow.string(), pyarrow.list_(pyarrow.float64()))),
    ]
)


def fraction(text):
    """As Rust's chrono writes a fraction: none, or 3, 6 or 9 digits."""
    whole, _, part = text.partition(".")
    if not part:
        return whole
    return f"{whole}.{part[:3]}" if part.endswith("000") else text


def plain(value):
    if isinstance(value, datetime.datetime):
        text = fraction(value.replace(tzinfo=None).isoformat())
        return text + ("Z" if value.tzinfo else "")
    if isinstance(value, datetime.time):
        return fraction(value.isoformat())
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, D):
        return format(value, "f")
    raise TypeError(type(value))


def main():
    rows = [row(i) for i in range(ROWS)]
    # Through Arrow, which rounds to the column's type.
    table = pyarrow.Table.from_pylist(rows, schema=SCHEMA)
    with open("rows.jsonl", "w", encoding="utf-8") as out:
        for read in table.to_pylist(maps_as_pydicts="strict"):
            out.write(json.dumps(read, default=plain, ensure_ascii=False) + "\n")
    small = {"row_group_size": 50, "write_batch_size": 9, "write_page_checksum": True}
    parquet.write_table(table, "v1_snappy.parquet", compression="snappy", data_page_size=64, **small)
    parquet.write_table(table, "v2_zstd.parquet", compression="zstd", data_page_version="2.0", data_page_size=64, **small)
    parquet.write_table(table, "plain_gzip.parquet", compression="gzip", use_dictionary=False, **small)
    parquet.write_table(table, "brotli.parquet", compression="brotli", store_decimal_as_integer=True, **small)
    parquet.write_table(table, "lz4.parquet", compression="lz4", version="1.0", use_deprecated_int96_timestamps=False, **small)


main()
