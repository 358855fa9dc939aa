#!/usr/bin/env python3
"""Measures the example's model with labels from the arrivals, and checks every number against scikit-learn.

Runs the project with a monitor that joins labels, joins scores.jsonl and arrivals.csv once more in Python, and compares
each report's numbers with scikit-learn's over the rows whose label came in its window. Prints the first of each month.
Needs scikit-learn and zstandard.

    python3 examples/flights/performance.py build/release/tidemill
"""
import collections
import csv
import datetime
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import zstandard
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

HERE = pathlib.Path(__file__).resolve().parent
HORIZON = 2 * 86400
MONITOR = """
monitors:
  - model: late_arrival
    window: 30d
    every: 1d
    reference: {from: 2013-01-01, to: 2013-02-01}
    labels: {source: arrivals, key: flight_id, label: arr_delay > 15, horizon: 2d}
    rule: {auc_min: 0.85, min_labelled: 1000}
"""


def seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def events(name: str):
    with open(HERE / f"{name}.csv.zst", "rb") as file:
        yield from csv.DictReader(io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file)))


def lines(path: pathlib.Path):
    with open(path) as file:
        yield from map(json.loads, file)


def run(tidemill: str, out: pathlib.Path) -> None:
    project = HERE / "flights_with_labels.tmp.yaml"  # beside the models
    text = (HERE / "flights.yaml").read_text()
    project.write_text(text[: text.index("\nmonitors:")] + MONITOR)
    try:
        subprocess.run([tidemill, "run", "-c", project, "--output", out, "--input", f"departures={HERE}/departures.csv.zst",
                        "--input", f"arrivals={HERE}/arrivals.csv.zst"], check=True)
    finally:
        project.unlink()


def joined(out: pathlib.Path) -> list:
    """(time of the score, time of the label or None, score, label) of every departure."""
    labels = collections.defaultdict(list)
    for event in events("arrivals"):
        labels[event["flight_id"]].append((seconds(event["arrived_at"]), float(event["arr_delay"]) > 15))
    flights = [event["flight_id"] for event in events("departures")]
    rows = []
    for line in lines(out / "scores.jsonl"):
        at = seconds(line["event_time"])
        first = min((x for x in labels[flights[line["offset"]]] if at <= x[0] <= at + HORIZON), default=(None, None))
        rows.append((at, first[0], line["score"], first[1]))
    return rows


def check(report: dict, rows: list, worst: dict) -> None:
    start, end = (seconds(report["window"][name]) for name in ("start", "end"))
    known = [row for row in rows if row[1] is not None and start <= row[1] < end]
    scores, labels = [row[2] for row in known], [row[3] for row in known]
    found = report["performance"]
    assert found["scored"] == sum(start <= row[0] < end for row in rows)
    assert found["labelled"] == len(known)
    expected = {
        "auc": roc_auc_score(labels, scores),
        "log_loss": log_loss(labels, scores),
        "brier": brier_score_loss(labels, scores),
        "accuracy": accuracy_score(labels, [score >= 0.5 for score in scores]),
    }
    for name, value in expected.items():
        difference = abs(found[name] - value)
        assert difference <= (found["auc_error_max"] if name == "auc" else 0) + 1e-12, (report["id"], name)
        worst[name] = max(worst[name], difference)
    worst["auc_error_max"] = max(worst["auc_error_max"], found["auc_error_max"])


def main() -> None:
    worst = collections.defaultdict(float)
    names = ("labelled", "auc", "estimated_auc", "log_loss", "brier", "accuracy", "calibration_error")
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory)
        run(sys.argv[1], out)
        rows = joined(out)
        reports = list(lines(out / "drift_reports.jsonl"))
    print("| window of 30 d until |", " | ".join(names), "|")
    for report in reports:
        check(report, rows, worst)
        end = report["window"]["end"][:10]
        if end.endswith("-01"):
            cells = [report["performance"][name] for name in names]
            print("|", end, "|", " | ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in cells), "|")
    print(f"{len(reports)} reports; largest differences:", {name: f"{value:.1e}" for name, value in worst.items()})


if __name__ == "__main__":
    main()
