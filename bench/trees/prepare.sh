#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the peers of bench_trees from PyPI into DIRECTORY/venv and prepares what it times (prepare.py). Peers that cannot be
# installed are named in DIRECTORY/left-out; without xgboost and lightgbm there is nothing to compare: status 69.
# Usage: prepare.sh DIRECTORY
set -eu
here=$(dirname "$0")
directory=$1
mkdir -p "$directory"
: >"$directory/left-out"
[ -x "$directory/venv/bin/python" ] || python3 -m venv "$directory/venv" || exit 69
pip="$directory/venv/bin/pip --disable-pip-version-check -q"
$pip install numpy xgboost lightgbm scikit-learn || exit 69
for peer in 'lleaves llvmlite<0.45' 'treelite tl2cgen' 'onnxmltools onnxruntime'; do
    # shellcheck disable=SC2086
    $pip install $peer || echo "left out: PyPI does not give $peer" >>"$directory/left-out"
done
# XGBoost's newest release may ask for a newer Python; its C library does not.
$pip install --no-deps --ignore-requires-python --upgrade --target "$directory/newest" xgboost ||
    echo "left out: PyPI does not give the newest xgboost, the one that this Python can have is timed" >>"$directory/left-out"
OMP_NUM_THREADS=1 "$directory/venv/bin/python" "$here/prepare.py" "$directory"
