#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the peers of bench_trees from PyPI into DIRECTORY/venv and prepares what it times (trees_prepare.py). Peers that
# cannot be installed are left out with a line; without xgboost and lightgbm there is nothing to compare: status 69.
# Usage: trees_prepare.sh DIRECTORY
set -eu
here=$(dirname "$0")
directory=$1
mkdir -p "$directory"
[ -x "$directory/venv/bin/python" ] || python3 -m venv "$directory/venv" || exit 69
pip="$directory/venv/bin/pip --disable-pip-version-check -q"
$pip install numpy xgboost lightgbm scikit-learn || exit 69
for peer in 'lleaves llvmlite<0.45' 'treelite tl2cgen' 'onnxmltools onnxruntime'; do
    # shellcheck disable=SC2086
    $pip install $peer || echo "trees: left out, PyPI does not give: $peer"
done
OMP_NUM_THREADS=1 "$directory/venv/bin/python" "$here/trees_prepare.py" "$directory"
