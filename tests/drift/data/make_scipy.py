#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes scipy_*.txt: what scipy 1.17.1, numpy 2.4.6 and scikit-learn 1.9.1 make of some thousand points.

scipy_kstwo.txt    n x kstwo.sf(x, n)
scipy_exact.txt    n1 n2 h p: the exact p of ks_2samp at a statistic of h / lcm(n1, n2)
scipy_samples.txt  seed n1 n2 grid shift statistic location sign p wasserstein: ks_2samp and wasserstein_distance of the samples
                   sample(seed, n1, grid) and sample(seed + 1, n2, grid) + shift / 8 (statistics_fixture.c makes the same ones)
scipy_chi2.txt     dof x chi2.sf(x, dof)
scipy_outcomes.txt seed n grid power threshold and what sklearn.metrics make of scores sample(seed, n, grid) ** power (grid
                   above 0: grid values from 0 to 1) with labels sample(seed + 1, n, 0) < score: roc_auc_score,
                   log_loss, brier_score_loss, accuracy_score, the calibration error on calibration_curve's bins; then
                   the expectations over labels of probability score: AUC (roc_auc_score with every row twice, weighted),
                   accuracy, log loss, Brier score
"""
import math
import pathlib

import numpy as np
import scipy
import scipy.stats
import sklearn
import sklearn.metrics as metrics
from scipy.stats import _stats_py

assert sklearn.__version__ == "1.9.1" and scipy.__version__ == "1.17.1" and np.__version__ == "2.4.6"
HERE = pathlib.Path(__file__).parent
MASK = 2**64 - 1
rng = np.random.default_rng()


def write(name, rows):
    def text(v):
        return repr(float(v)) if isinstance(v, float) else str(int(v))
    (HERE / name).write_text("".join(" ".join(map(text, row)) + "\n" for row in rows))


def sample(seed, n, grid):
    """splitmix64; a value is one of grid multiples of 1/8 around 0, or (grid 0) any of 2^53 in [0, 1)."""
    values = []
    for _ in range(n):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        values.append((z % grid - grid // 2) / 8.0 if grid else (z >> 11) / 2.0**53)
    return values


def kstwo():
    for i in range(2400):
        n = int(10 ** rng.uniform(0, (2.2, 3.5, 4.3, 6.5)[i % 4]))
        x = math.sqrt(10 ** rng.uniform(-2, 2.2) / n) if i % 3 else rng.uniform(0.4 / n, 1)
        if x < 1 and not (n > 20000 and n * x**1.5 < 1.4):  # matrices of 100 rows: minutes in scipy
            yield n, x, float(scipy.stats.kstwo.sf(x, n))
    for n in (200000, 10**6, 10**6 + 1, 10**7, 5 * 10**8, 10**9):
        for q in (0.05, 0.3, 0.8, 2.1, 2.3, 5.0, 30.0, 300.0, 371.0):
            if n > 10**6 or q < 2.2 or q == 2.3:
                x = math.sqrt(q / n)
                yield n, x, float(scipy.stats.kstwo.sf(x, n))


def exact():
    for i in range(2000):
        n1, n2 = (int(10 ** rng.uniform(0, (1, 2, 3, 3.8)[i % 4])) for _ in range(2))
        n2 = n1 if i % 5 == 0 else n1 // 2 * 3 + 1 if i % 7 == 0 else n2
        g = math.gcd(n1, n2)
        lcm = n1 // g * n2
        near = int(lcm * math.sqrt(10 ** rng.uniform(-1.5, 1.3) * (n1 + n2) / n1 / n2))
        h = int(rng.integers(1, lcm + 1)) if i % 3 == 0 else min(max(near, 1), lcm)
        # As ks_2samp does: asymptotic where rounding took the exact p above 1.
        ok, d, p = _stats_py._attempt_exact_2kssamp(n1, n2, g, h / lcm, "two-sided")
        yield n1, n2, h, float(p if ok else scipy.stats.kstwo.sf(d, np.round(float(n1) * n2 / (n1 + n2))))


def samples():
    for i in range(1200):
        top = 4.3 if i % 100 == 0 else 2.7
        n1, n2 = (int(10 ** rng.uniform(0, top)) for _ in range(2))
        n2 = n1 if i % 6 == 0 else n2
        seed, grid = int(rng.integers(0, 2**62)), (0, 2, 3, 7, 40, 300)[i % 6 if i % 11 else 1]
        r, c = sample(seed, n1, grid), sample(seed + 1, n2, grid)
        if i % 4 == 1:
            c = [v + 0.125 for v in c]
        ks = scipy.stats.ks_2samp(r, c)
        yield (seed, n1, n2, grid, i % 4 == 1, float(ks.statistic), float(ks.statistic_location),
               int(ks.statistic_sign), float(ks.pvalue), float(scipy.stats.wasserstein_distance(r, c)))


def chi2():
    for i in range(3000):
        dof = int(10 ** rng.uniform(0, 4.01))
        x = abs(dof + math.sqrt(2 * dof) * rng.uniform(-8, 40)) if i % 4 else 10 ** rng.uniform(-6, 5)
        yield dof, x, float(scipy.stats.chi2.sf(x, dof))


def outcomes():
    for i in range(1100):
        n, grid, power = int(10 ** rng.uniform(0.7, 2.7)), (0, 0, 9, 0, 3)[i % 5], (1, 1, 1, 2, 1)[i % 5]
        seed, threshold = int(rng.integers(0, 2**62)), (0.5, 0.25, 0.75)[i % 3]
        s = np.array(sample(seed, n, grid))
        s = (s * 8 + grid // 2) / (grid - 1) if grid else s**power
        y = (np.array(sample(seed + 1, n, 0)) < s).astype(int)
        if y.min() == y.max():
            continue
        edge = np.searchsorted(np.linspace(0, 1, 11)[1:-1], s)
        error = sum(abs(s[edge == b].sum() - y[edge == b].sum()) for b in range(10)) / n
        clipped = np.clip(s, np.finfo(float).eps, 1 - np.finfo(float).eps)
        rest = np.clip(1 - s, np.finfo(float).eps, 1 - np.finfo(float).eps)
        yield (seed, n, grid, power, threshold,
               float(metrics.roc_auc_score(y, s)), float(metrics.log_loss(y, s)), float(metrics.brier_score_loss(y, s)),
               float(metrics.accuracy_score(y, s >= threshold)), float(error),
               float(metrics.roc_auc_score([1] * n + [0] * n, np.tile(s, 2),
                                           sample_weight=np.concatenate([s, 1 - s]))),
               float(np.where(s >= threshold, s, 1 - s).mean()),
               float(-(s * np.log(clipped) + (1 - s) * np.log(rest)).mean()), float((s * (1 - s)).mean()))


if __name__ == "__main__":
    for name, rows in {"exact": exact, "samples": samples, "chi2": chi2, "kstwo": kstwo, "outcomes": outcomes}.items():
        rng = np.random.default_rng(20260101)
        write(f"scipy_{name}.txt", rows())
