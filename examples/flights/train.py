#!/usr/bin/env python3
"""Trains the example's model on rows that Tidemill computed, and registers it beside the project file.

The feature vectors come from `tidemill run --vectors`, so training sees the very bits that the stream scores. The label is in
the arrivals: more than 15 minutes late. Split by time: to the end of August for training, September for early stopping,
October to December to report. Needs xgboost, numpy, pandas and zstandard.

    python3 examples/flights/train.py build/release/tidemill
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import xgboost as xgb

HERE = pathlib.Path(__file__).resolve().parent
SERVICE = "late_arrival_v1"
VERSION = 1


def vectors(tidemill: str) -> pd.DataFrame:
    """One row a departure: event_time, offset and the service's features, as the engine computes them."""
    project = (HERE / "flights.yaml").read_text()
    with tempfile.TemporaryDirectory() as out:
        # The model that is about to be made cannot be asked for yet.
        bare = pathlib.Path(out) / "flights.yaml"
        bare.write_text(project[: project.index("\nmodels:")] + "\n")
        subprocess.run(
            [tidemill, "run", "-c", bare, "--vectors", SERVICE, "--output", out,
             "--input", f"departures={HERE}/departures.csv.zst", "--input", f"arrivals={HERE}/arrivals.csv.zst"],
            check=True)
        frame = pd.read_csv(pathlib.Path(out) / f"{SERVICE}.csv", low_memory=False)
    return frame.replace({"true": 1, "false": 0, True: 1, False: 0})


def auc(label: np.ndarray, score: np.ndarray) -> float:
    ranks = pd.Series(score).rank().to_numpy()
    positive = label == 1
    n1, n0 = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def main() -> None:
    frame = vectors(sys.argv[1])
    departures = pd.read_csv(HERE / "departures.csv.zst", usecols=["flight_id", "departed_at"])
    arrivals = pd.read_csv(HERE / "arrivals.csv.zst", usecols=["flight_id", "arr_delay"]).set_index("flight_id")
    delay = departures["flight_id"].map(arrivals["arr_delay"][~arrivals.index.duplicated()]).to_numpy()
    delay = delay[frame["offset"].to_numpy()]

    known = ~np.isnan(delay)
    label = (delay > 15).astype(np.float32)
    time = pd.to_datetime(frame["event_time"]).dt.tz_localize(None)
    names = [c for c in frame.columns if c not in ("event_time", "offset")]
    x = frame[names].astype(np.float64).to_numpy(np.float32)
    train = known & (time < "2013-09-01")
    valid = known & (time >= "2013-09-01") & (time < "2013-10-01")
    test = known & (time >= "2013-10-01")

    def matrix(rows):
        return xgb.DMatrix(x[rows], label[rows], feature_names=names)

    booster = xgb.train(
        {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1, "subsample": 0.8, "seed": 7,
         "eval_metric": "auc", "nthread": 2},
        matrix(train), num_boost_round=200, evals=[(matrix(valid), "september")], early_stopping_rounds=20, verbose_eval=50)
    booster = booster[: booster.best_iteration + 1]
    test_auc = auc(label[test], booster.predict(matrix(test)))
    valid_auc = auc(label[valid], booster.predict(matrix(valid)))

    target = HERE / "models" / "late_arrival" / str(VERSION)
    target.mkdir(parents=True, exist_ok=True)
    booster.save_model(target / "model.json")
    digest = hashlib.sha256((target / "model.json").read_bytes()).hexdigest()
    (target / "manifest.yaml").write_text(f"""\
# Written by train.py. AUC on departures of October to December 2013, which the training never saw.
model: model.json
sha256: {digest}
aliases: [champion]
source: examples/flights/train.py, xgboost {xgb.__version__}
training_window: {{start: "2013-01-01", end: "2013-09-01"}}
metrics: {{test_auc: {test_auc:.4f}, validation_auc: {valid_auc:.4f}, test_rows: {int(test.sum())}}}
features: [{", ".join(names)}]
""")
    print(f"trees {booster.num_boosted_rounds()}  AUC September {valid_auc:.4f}  AUC October to December {test_auc:.4f}")
    print(f"registered {target.relative_to(HERE)}")


if __name__ == "__main__":
    main()
