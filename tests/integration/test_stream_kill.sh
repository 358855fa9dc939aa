#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real Kafka and Redis: the flights through the stream while the engine is killed with -9 again and again. Every row and every score must
# be there, bit for bit as an offline run computes them, and what came twice must have come the same.
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
tidemill=$build/tidemill
example=$root/examples/flights
work=$(mktemp -d)
pids=()
kafka_is_up=false
clean_up() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    ! $kafka_is_up || "$root/scripts/kafka" stop --dir "$work/kafka" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

KAFKA_BROKERS=$("$root/scripts/kafka" start --dir "$work/kafka") || exit $?
kafka_is_up=true
export KAFKA_BROKERS REDIS=$work/redis.sock TIDEMILL_STATE=$work/state MILL_SERVER_LISTEN='' MILL_ENGINE_FLUSH_INTERVAL=200ms
redis-server --port 0 --unixsocket "$REDIS" --save "" --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
pids+=($!)

# One partition a topic, so that the stream has one order and the offline run the same; rows go to a topic as well.
project=$work/flights.yaml
sed 's/^    source: .*/&\n    topic: flights.rows/' "$example/flights.yaml" >"$project"
ln -s "$example/models" "$work/models"
for topic in flights.departures flights.arrivals; do "$root/scripts/kafka" topic "$topic" 1 --dir "$work/kafka"; done
count=60000
for source in departures arrivals; do
    zstd -dcq "$example/$source.csv.zst" >"$work/$source.all"
    head -n $((count + 1)) "$work/$source.all" >"$work/$source.csv"
done
"$tidemill" run -c "$project" --output "$work/offline" --input "departures=$work/departures.csv" --input "arrivals=$work/arrivals.csv"
"$tidemill" replay -c "$project" "departures=$work/departures.csv" "arrivals=$work/arrivals.csv"

RANDOM=7
for kill in 1 2 3 4 5 6 7 8; do
    "$tidemill" run -c "$project" >"$work/engine.log" 2>&1 &
    engine=$!
    pids+=("$engine")
    for _ in $(seq 300); do
        ! grep -q "takes topic 'flights.departures'" "$work/engine.log" || break
        sleep 0.05
    done
    sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
    kill -9 "$engine"
    wait "$engine" 2>/dev/null || true
done
"$tidemill" run -c "$project" --until-end
for what in scores "rows --view aircraft_departures"; do
    # shellcheck disable=SC2086
    "$tidemill" tap $what -c "$project" --from-beginning --timeout 3 >"$work/${what%% *}.jsonl"
done
python3 "$root/tests/integration/compare_rows.py" "$work/offline/rows.jsonl" "$work/rows.jsonl"
python3 "$root/tests/integration/compare_rows.py" "$work/offline/scores.jsonl" "$work/scores.jsonl"

# What Redis serves is the last row that was computed of the entity.
python3 - "$work" "$tidemill" "$project" <<'PY'
import json, subprocess, sys
work, tidemill, project = sys.argv[1:]
last = {}
with open(f"{work}/offline/rows.jsonl") as lines:
    for line in lines:
        row = json.loads(line)
        last[row["view"], tuple(row["key"].values())] = row
picked = sorted(last)[:: max(1, len(last) // 60)]
for view, key in picked:
    out = subprocess.run([tidemill, "get", "-c", project, "--format", "json", view, *key], check=True, capture_output=True, text=True).stdout
    found, expected = json.loads(out), last[view, key]
    for name in ("event_time", "offset", "features"):
        if found[name] != expected[name]:
            sys.exit(f"{view} {key}: Redis has {found}, expected {expected}")
print(f"{len(picked)} entities read back from Redis, all equal to their last row")
PY
