#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py DIR: CPU seconds that scipy with numpy, and Evidently's preset, take for the data that `bench_drift compare DIR` has left."""
import json
import pathlib
import sys
import time

import numpy as np
from scipy.stats import ks_2samp

FEATURES = 30
directory = pathlib.Path(sys.argv[1])
reference, current = (np.fromfile(directory / f"{name}.f64").reshape(FEATURES, -1) for name in ("reference", "current"))


def psi(r, c, bins=10):
    edges = np.unique(np.quantile(r, [i / bins for i in range(1, bins)], method="inverted_cdf"))
    shares = [np.maximum(np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) / len(x), 1e-4) for x in (r, c)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


begin = time.process_time()
total = sum(ks_2samp(r, c).statistic + 0 * psi(r, c) for r, c in zip(reference, current))
print(json.dumps({"bench": "scipy", "seconds": round(time.process_time() - begin, 3), "sum": round(total, 6)}))

try:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset
except ImportError:
    print(json.dumps({"bench": "evidently", "skipped": "cannot be imported"}))
    sys.exit()
frames = [pd.DataFrame({f"f{i:02}": x[i] for i in range(FEATURES)}) for x in (current, reference)]
begin = time.process_time()
Report([DataDriftPreset()]).run(*frames)
print(json.dumps({"bench": "evidently", "seconds": round(time.process_time() - begin, 3)}))
