#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes numpy_bins.txt: of random samples, a line each: values | bins | distinct numpy.quantile(values, i / bins,
method="inverted_cdf") | the edges of numpy.histogram(values, bins=10), or nothing where numpy raises."""
import pathlib

import numpy as np

assert np.__version__ == "2.4.6"
rng = np.random.default_rng(20261126)


def sample(kind, n):
    x = rng.normal(size=n)
    return [x, np.round(x * 3), np.exp(6 * x), np.round(x, 1), x * 1e-310, 1e15 + np.round(100 * x), np.full(n, x[0]),
            np.where(rng.random(n) < 0.6, 0.0, x), x * 5e307, 1e6 + x * 1e-7][kind]


def words(values):
    return " ".join(repr(float(v)) for v in values)


lines = []
for case in range(100):
    values = sample(case % 10, int(rng.integers(1, 60)))
    bins = int(rng.integers(2, 25))
    edges = np.unique(np.quantile(values, [i / bins for i in range(1, bins)], method="inverted_cdf"))
    try:
        density = np.histogram(values, bins=10)[1]
        density = density if np.isfinite(density).all() else []
    except ValueError:
        density = []
    lines.append(f"{words(values)} | {bins} | {words(edges)} | {words(density)}\n")
(pathlib.Path(__file__).parent / "numpy_bins.txt").write_text("".join(lines))
