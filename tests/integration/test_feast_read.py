# SPDX-License-Identifier: Apache-2.0
"""Reads what the feast layout wrote with Feast's own Redis client, and compares it with the formula of test_online_feast.c.
Called by test_feast_read.sh: python test_feast_read.py HOST:PORT"""
import math
import sys
from datetime import datetime, timedelta, timezone

from feast import Entity, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

FIELDS = [
    Field(name="conv_rate", dtype=Float64), Field(name="acc_rate", dtype=Float64), Field(name="avg_daily_trips", dtype=Int64),
    Field(name="name", dtype=String), Field(name="active", dtype=Bool), Field(name="seen", dtype=UnixTimestamp),
]
DRIVER = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
ZONE = Entity(name="zone", join_keys=["zone"], value_type=ValueType.STRING)


def view(name, entities, fields):
    return FeatureView(name=name, entities=entities, schema=fields, source=FileSource(path="none.parquet"), ttl=timedelta(0))


def expected(i, column):
    """The Value that Feast would have stored."""
    value = Value()
    if (i + column) % 5 == 0:
        return value
    if column == 0:
        value.double_val = i / 7.0
    elif column == 1:
        if i % 11 != 0:
            value.double_val = -1e300 * i
    elif column == 2:
        value.int64_val = 9007199254740993 * (i - 100)
    elif column == 3:
        value.string_val = f"Z\u00fcrich {i}"
    elif column == 4:
        value.bool_val = i % 2 == 1
    else:
        value.unix_timestamp_val = i * 10000000 - 1000000000
    return value


def driver_key(i):
    return EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=i - 100)])


def trip_key(i):
    return EntityKey(join_keys=["driver_id", "zone"], entity_values=[Value(int64_val=i), Value(string_val="zone")])


def check(store, config, feature_view, columns, make_key):
    names = [FIELDS[c].name for c in columns]
    answers = store.online_read(config, feature_view, [make_key(i) for i in range(200)], names)
    assert len(answers) == 200
    for i, (time, values) in enumerate(answers):
        want = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc) + i * timedelta(microseconds=1000001)
        assert time == want, (feature_view.name, i, time, want)
        for name, column in zip(names, columns):
            got, value = values[name], expected(i, column)
            assert got == value and got.WhichOneof("val") == value.WhichOneof("val"), (feature_view.name, i, name, got, value)
            assert not (got.WhichOneof("val") == "double_val" and math.isnan(got.double_val))
    print(f"{feature_view.name}: 200 rows of {len(columns)} features")


def main():
    online_store = RedisOnlineStoreConfig(type="redis", connection_string=sys.argv[1])
    config = RepoConfig(project="fraud", provider="local", registry="registry.db", online_store=online_store,
                        entity_key_serialization_version=3)
    store = RedisOnlineStore()
    check(store, config, view("driver_hourly_stats", [DRIVER], FIELDS[:3]), [0, 1, 2], driver_key)
    check(store, config, view("driver_more", [DRIVER], FIELDS[3:]), [3, 4, 5], driver_key)
    check(store, config, view("trip_stats", [ZONE, DRIVER], FIELDS), range(6), trip_key)

    # Feast's own writer must see our rows as its own: it skips what is not newer and replaces what is older.
    stats = view("driver_hourly_stats", [DRIVER], FIELDS[:3])
    row = {"conv_rate": Value(double_val=42.0), "acc_rate": Value(), "avg_daily_trips": Value(int64_val=7)}
    for seconds, is_written in ((0, False), (1, True)):
        at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc) + timedelta(seconds=seconds)
        store.online_write_batch(config, stats, [(driver_key(0), row, at, None)], None)
        time, values = store.online_read(config, stats, [driver_key(0)], ["conv_rate"])[0]
        assert (values["conv_rate"].double_val == 42.0) == is_written, (seconds, values)
    print("Feast's writer and ours agree on what is newer")


main()
