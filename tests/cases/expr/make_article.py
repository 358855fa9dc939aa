#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes article.case: the features of a churn model as its pandas code computes them, as expected values for our
expressions. Needs pandas and numpy (written with pandas 3.1.1, numpy 2.4.6):

    python3 make_article.py > article.case
"""
import math

import numpy as np
import pandas as pd


def build_features(df: pd.DataFrame) -> pd.DataFrame:
    """The article's function, as published."""
    df = df.copy()
    # Temporal features
    df['event_date'] = pd.to_datetime(df['event_date'])
    df['day_of_week'] = df['event_date'].dt.dayofweek
    df['hour'] = df['event_date'].dt.hour
    df['is_weekend'] = df['day_of_week'].isin([5, 6]).astype(int)
    # Derived features
    df['feature_ratio'] = df['feature_1'] / (df['feature_2'] + 1e-8)
    df['feature_log'] = np.log1p(df['feature_1'].clip(lower=0))
    # Encodings
    df['day_of_week_sin'] = np.sin(2 * np.pi * df['day_of_week'] / 7)
    df['day_of_week_cos'] = np.cos(2 * np.pi * df['day_of_week'] / 7)
    return df


# Our expression of each column, and whether numpy's and the C library's last bit may differ.
EXPRESSIONS = [
    ('day_of_week', 'day_of_week(event_date)', 'int64', '='),
    ('hour', 'hour(event_date)', 'int64', '='),
    ('is_weekend', 'if(day_of_week(event_date) in (5, 6), 1, 0)', 'int64', '='),
    ('is_weekend', 'if(is_weekend(event_date), 1, 0)', 'int64', '='),
    ('feature_ratio', 'feature_1 / (feature_2 + 1e-8)', 'float64', '='),
    ('feature_log', 'log1p(clip(feature_1, lower=0))', 'float64', '~'),
    ('day_of_week_sin', 'sin(2 * pi * day_of_week(event_date) / 7)', 'float64', '~'),
    ('day_of_week_cos', 'cos(2 * pi * day_of_week(event_date) / 7)', 'float64', '~'),
]


def events(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(20130101)
    start = np.datetime64('1969-12-25T00:00:00', 's')
    seconds = np.sort(rng.integers(0, 60 * 365 * 86400, count))
    feature_1 = rng.normal(0, 100, count).round(rng.integers(0, 9))
    feature_2 = np.where(rng.random(count) < 0.2, 0.0, rng.exponential(10, count))
    feature_1[:12] = [0.0, -0.0, 1e-8, -1e-8, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan, 1.0, 0.1]
    feature_2[10:14] = [-1e-8, 1e-8, math.inf, math.nan]
    return pd.DataFrame({'event_date': start + seconds, 'feature_1': feature_1, 'feature_2': feature_2})


def text(value) -> str:
    if isinstance(value, pd.Timestamp):
        return value.strftime('%Y-%m-%dT%H:%M:%SZ')
    if isinstance(value, float):
        return 'NaN' if math.isnan(value) else repr(value)
    return str(int(value))


def values(column: pd.Series) -> str:
    return ' '.join(text(value) for value in column.tolist())


def main() -> None:
    df = events(120)
    features = build_features(df)
    print('# Written by make_article.py: the features of a churn model as pandas computes them.')
    print('# = means equal to the last bit; ~ allows one unit in the last place: log1p, sin and cos are')
    print('# numpy\'s here and the C library\'s there, each with variants per processor (on x86-64 with FMA all bits agreed).')
    print('column event_date timestamp', values(df['event_date']))
    print('column feature_1 float64', values(df['feature_1']))
    print('column feature_2 float64', values(df['feature_2']))
    for column, expression, kind, sign in EXPRESSIONS:
        print()
        print('>', expression)
        print(sign, kind, values(features[column]))


main()
