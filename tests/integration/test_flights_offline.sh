#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The flights example offline, against an independent recomputation of 40,000 departures, and twice for the same bytes.
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
example=$root/examples/flights

for out in one two; do
    "$build/tidemill" run -c "$example/flights.yaml" --output "$work/$out" \
        --input "departures=$example/departures.csv.zst" --input "arrivals=$example/arrivals.csv.zst"
done
for file in rows.jsonl scores.jsonl dead_letter.jsonl; do
    cmp "$work/one/$file" "$work/two/$file"
done
[ "$(wc -l <"$work/one/scores.jsonl")" -eq $((328521 - $(grep -c '"source":"departures"' "$work/one/dead_letter.jsonl" || true))) ]
python3 "$root/tests/integration/flights_oracle.py" "$example" "$work/one/rows.jsonl" "$work/one/scores.jsonl" 40000
