#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent recomputation of the flights example, compared bit for bit with what the engine wrote offline.

    flights_oracle.py EXAMPLE_DIR ROWS_JSONL SCORES_JSONL COUNT

Every window is recomputed from the list of events: no panes, no running sums, math.fsum for sums. Scores are recomputed by XGBoost's own
C library on vectors assembled here. Standard library only. Checks the first COUNT rows of each view and all their scores.
"""
import bisect
import ctypes
import ctypes.util
import datetime
import json
import math
import pathlib
import struct
import subprocess
import sys
import zoneinfo

HOUR = 3600
DAY = 24 * HOUR
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def read_csv(path):
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, text=True).stdout
    lines = text.split("\n")
    header = lines[0].split(",")
    return [dict(zip(header, line.split(","))) for line in lines[1:] if line]


def seconds(text):
    return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=datetime.timezone.utc).timestamp())


def number(text):
    return float(text) if text else None


class History:
    """The events of one entity in event order, as (time, value)."""

    def __init__(self):
        self.times, self.values = [], []

    def add(self, time, value):
        assert not self.times or time >= self.times[-1], "the files are in order of event time"
        self.times.append(time)
        self.values.append(value)

    def window(self, t, w):
        """Values with start < or <= ts <= t: exact up to an hour, else hops of w/60."""
        end = bisect.bisect_right(self.times, t)
        if w <= HOUR:
            begin = bisect.bisect_right(self.times, t - w)
        else:
            hop = w // 60
            begin = bisect.bisect_left(self.times, (t - w) // hop * hop)
        return [v for v in self.values[begin:end] if v is not None]


def mean(values):
    return math.fsum(values) / len(values) if values else None


def mean_and_count(history, t, column):
    out = {}
    for name, w in (("1h", HOUR), ("3h", 3 * HOUR), ("24h", DAY)):
        values = history.window(t, w)
        out[f"{column}_mean_{name}"] = mean(values)
        out[f"{column}_count_{name}"] = len(values)
    ordered = {k: v for k, v in out.items() if "_mean_" in k}
    ordered.update({k: v for k, v in out.items() if "_count_" in k})
    return ordered


def bits(value):
    if value is None:
        return None
    return struct.pack("<d", float(value))


def same(expected, found):
    return set(expected) == set(found) and all(bits(expected[k]) == bits(found[k]) for k in expected)


class Engine:
    """Lines of a view's rows in order, from rows.jsonl."""

    def __init__(self, path):
        self.rows = {}
        with open(path) as lines:
            for line in lines:
                row = json.loads(line)
                self.rows[row["view"], row["offset"]] = row


def expected_rows(example, count):
    """Yields (view, offset, features) and, per departure, its model vector."""
    departures = read_csv(example / "departures.csv.zst")[:count]
    limit = seconds(departures[-1]["departed_at"])
    arrivals = [a for a in read_csv(example / "arrivals.csv.zst") if seconds(a["arrived_at"]) <= limit]
    events = [(seconds(d["departed_at"]), 0, i) for i, d in enumerate(departures)]
    events += [(seconds(a["arrived_at"]), 1, i) for i, a in enumerate(arrivals)]
    aircraft, aircraft_arrivals, carriers, airports = {}, {}, {}, {}
    for t, source, i in sorted(events):
        if source == 1:
            a = arrivals[i]
            if a["tailnum"]:
                history = aircraft_arrivals.setdefault(a["tailnum"], History())
                history.add(t, number(a["arr_delay"]))
                yield "aircraft_arrivals", i, arrival_features(history, t), None
            continue
        d = departures[i]
        delay, distance = number(d["dep_delay"]), number(d["distance"])
        local = datetime.datetime.fromtimestamp(t, NEW_YORK)
        own = aircraft.setdefault(d["tailnum"], History()) if d["tailnum"] else None
        features = {
            "hour": local.hour, "day_of_week": local.weekday(), "month": local.month, "is_weekend": local.weekday() >= 5,
            "dep_delay": delay, "distance": distance, "delay_per_mile": delay / (distance + 1e-8),
        }
        features.update(departure_aggregates(own, t, delay))
        if own is not None:
            yield "aircraft_departures", i, features, None
        vector = dict(features)
        known = aircraft_arrivals.get(d["tailnum"]) if d["tailnum"] else None
        vector.update(arrival_features(known, t))
        for view, histories, key in (("carrier_stats", carriers, d["carrier"]), ("airport_stats", airports, d["origin"])):
            history = histories.setdefault(key, History())
            history.add(t, delay)
            features = mean_and_count(history, t, "dep_delay")
            if view == "carrier_stats":
                features["delay_trend"] = features["dep_delay_mean_1h"] - features["dep_delay_mean_24h"]
            yield view, i, features, None
            vector.update({f"{view}__{k}": v for k, v in features.items()})
        yield "scores", i, None, vector


def departure_aggregates(history, t, delay):
    if history is None:
        return {"dep_delay_mean_24h": None, "dep_delay_max_24h": None, "dep_delay_count_24h": 0,
                "dep_delay_time_since_last_7d": None}
    hop = 7 * DAY // 60
    last = history.times[-1] if history.times and history.times[-1] >= (t - 7 * DAY) // hop * hop else None
    history.add(t, delay)
    values = history.window(t, DAY)
    return {"dep_delay_mean_24h": mean(values), "dep_delay_max_24h": max(values), "dep_delay_count_24h": len(values),
            "dep_delay_time_since_last_7d": None if last is None else float(t - last)}


def arrival_features(history, t):
    values = history.window(t, DAY) if history is not None else []
    return {"arr_delay_last_24h": values[-1] if values else None, "arr_delay_mean_24h": mean(values),
            "arr_delay_max_24h": max(values) if values else None}


class XGBoost:
    """The few calls of libxgboost that a prediction needs."""

    def __init__(self, model):
        self.lib = ctypes.CDLL("libxgboost.so.0")
        self.booster = ctypes.c_void_p()
        self.call("XGBoosterCreate", None, 0, ctypes.byref(self.booster))
        self.call("XGBoosterLoadModel", self.booster, str(model).encode())
        learner = json.loads(pathlib.Path(model).read_text())["learner"]
        self.names = learner["feature_names"]

    def call(self, name, *arguments):
        if getattr(self.lib, name)(*arguments) != 0:
            self.lib.XGBGetLastError.restype = ctypes.c_char_p
            raise RuntimeError(self.lib.XGBGetLastError().decode())

    def predict(self, rows):
        flat = (ctypes.c_float * (len(rows) * len(self.names)))(*[math.nan if v is None else float(v) for r in rows for v in r])
        matrix, out, length = ctypes.c_void_p(), ctypes.POINTER(ctypes.c_float)(), ctypes.c_uint64()
        self.call("XGDMatrixCreateFromMat", flat, ctypes.c_uint64(len(rows)), ctypes.c_uint64(len(self.names)),
                  ctypes.c_float(math.nan), ctypes.byref(matrix))
        self.call("XGBoosterPredict", self.booster, matrix, 0, ctypes.c_uint(0), 0, ctypes.byref(length), ctypes.byref(out))
        return [out[i] for i in range(len(rows))]


def main():
    example, count = pathlib.Path(sys.argv[1]), int(sys.argv[4])
    engine = Engine(sys.argv[2])
    compared, wrong, vectors = {}, 0, []
    for view, offset, features, vector in expected_rows(example, count):
        if vector is not None:
            vectors.append((offset, vector))
            continue
        found = engine.rows.get((view, offset))
        compared[view] = compared.get(view, 0) + 1
        if found is None or not same(features, found["features"]):
            wrong += 1
            if wrong <= 5:
                print(f"{view} {offset}: expected {features}\n  found {found}")
    model = XGBoost(example / "models" / "late_arrival" / "1" / "model.json")
    scores = {}
    with open(sys.argv[3]) as lines:
        for line in lines:
            score = json.loads(line)
            scores[score["offset"]] = score["score"]
    predictions = model.predict([[lookup(vector, name) for name in model.names] for _, vector in vectors])
    for (offset, vector), expected in zip(vectors, predictions):
        if scores.get(offset) is None or bits(scores[offset]) != bits(expected):
            wrong += 1
            if wrong <= 5:
                print(f"score {offset}: expected {expected!r}, found {scores.get(offset)!r} for {vector}")
    compared["scores"] = len(vectors)
    print(", ".join(f"{n} {view}" for view, n in compared.items()), f": {wrong} differ")
    return 1 if wrong or not vectors else 0


def lookup(vector, name):
    """By the service's names: view__feature where two views share a name."""
    if name in vector:
        return vector[name]
    for view in ("aircraft_departures", "aircraft_arrivals"):
        if name.startswith(view + "__"):
            return vector[name[len(view) + 2:]]
    for view in ("carrier_stats", "airport_stats"):
        if f"{view}__{name}" in vector:
            return vector[f"{view}__{name}"]
    raise KeyError(name)


if __name__ == "__main__":
    sys.exit(main())
