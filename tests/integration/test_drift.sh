#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Drift through real Kafka while the engine is killed with -9 at random moments: by id, the reports (with the rows of each window and what
# the labels measure), alerts, triggers and joined labels are those of an undisturbed run and of an offline run. Then two processes: the one that evaluates is killed, the other takes
# over and says nothing twice.
#   MILL_KILLS=20   how often the engine is killed (5)
#   MILL_EVENTS=N   departures that are taken, up to a noon (100000; the year has 328,521)
. "$(dirname "$0")/lib.sh"
tidemill=$1/tidemill
example=$root/examples/flights
kills=${MILL_KILLS:-5}
events=${MILL_EVENTS:-100000}
it_redis
export MILL_SERVER_LISTEN='' MILL_ENGINE_FLUSH_INTERVAL=200ms
outputs=(drift-reports:drift_reports drift-alerts:alerts retrain:retrain labels:labels)

ln -s "$example/models" "$work/models"
sed 's/^kafka:/kafka:\n  librdkafka: {session.timeout.ms: 6000, heartbeat.interval.ms: 1000}/; s/^  - model: late_arrival$/&\n    idle_timeout: 10s/' \
    "$example/flights.yaml" >"$work/flights.yaml"
# Both sources end at a noon, and are cut at one: no window waits for a source that has gone on further than the other.
noon() { zstd -dcq "$example/departures.csv.zst" | awk -F, -v n="$1" 'NR == n { print substr($2, 1, 10) "T12:00Z" }'; }
middle=$(noon $((events / 2)))
end=$(noon "$events")
for source in departures arrivals; do
    zstd -dcq "$example/$source.csv.zst" | awk -F, -v end="$end" 'NR == 1 || $2 < end' >"$work/$source.csv"
    awk -F, -v middle="$middle" 'NR == 1 || $2 < middle' "$work/$source.csv" >"$work/$source.first.csv"
    awk -F, -v middle="$middle" 'NR == 1 || $2 >= middle' "$work/$source.csv" >"$work/$source.second.csv"
done

# Ids are made of the project's name, so each part has the same project and a Kafka and a Redis of its own. One partition a topic, so that
# features do not depend on which was read first.
anew() {
    [ -z "${it_kafka_control:-}" ] || $it_kafka_control kill >/dev/null
    rm -rf "$work/kafka" "$work"/state*
    redis-cli -s "$REDIS" flushall >/dev/null
    it_kafka
    for topic in departures arrivals; do $it_kafka_control topic "flights.$topic" 1; done
}
run() { TIDEMILL_STATE=$work/state "$tidemill" run -c "$work/flights.yaml" --log-level warning "$@"; }
offline() { run --output "$work/$1" --input "departures=$work/departures$2.csv" --input "arrivals=$work/arrivals$2.csv" >"$work/$1.log"; }
replay() { "$tidemill" replay -c "$work/flights.yaml" "departures=$work/departures$1.csv" "arrivals=$work/arrivals$1.csv" >/dev/null; }
tap() { "$tidemill" tap "$1" -c "$work/flights.yaml" --from-beginning --timeout 3; }
# check NAME [--once]: what is in the topics is what the offline run says. Labels are joined by the shards, which may say again what they
# had not written when they were killed.
check() {
    local pair once=${2:-}
    for pair in "${outputs[@]}"; do
        [ "$pair" != labels:labels ] || [ "$1" = undisturbed ] || once=
        tap "${pair%%:*}" >"$work/${pair%%:*}.jsonl"
        python3 "$root/tests/integration/compare_drift.py" "$1" $once "$work/offline/${pair#*:}.jsonl" "$work/${pair%%:*}.jsonl"
    done
}
reported() { [ "$(tap drift-reports | wc -l)" -ge "$(wc -l <"$1/drift_reports.jsonl")" ]; }
joined() { [ "$(tap labels | wc -l)" -ge "$(wc -l <"$1/labels.jsonl")" ]; }

echo "offline: departures and arrivals before $end"
offline offline ""
offline offline.first .first

anew
replay ""
run --until-end >/dev/null
check undisturbed --once

anew
replay ""
RANDOM=${MILL_SEED:-11}
for _ in $(seq "$kills"); do
    it_background "$work/engine.log" env TIDEMILL_STATE="$work/state" "$tidemill" run -c "$work/flights.yaml"
    it_wait 60 grep -q "takes topic 'flights.departures'" "$work/engine.log" || it_fail "no partitions: $(tail -3 "$work/engine.log")"
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    it_kill "$it_pid"
done
run --until-end >/dev/null
check "after $kills kills"

anew
replay .first
engines=()
for n in 1 2; do
    it_background "$work/engine.$n.log" env TIDEMILL_STATE="$work/state.$n" "$tidemill" run -c "$work/flights.yaml"
    engines+=("$it_pid")
done
it_wait 120 reported "$work/offline.first" || it_fail "the first half is not evaluated: $(tail -3 "$work"/engine.?.log)"
evaluator=0
! grep -q "evaluates partition" "$work/engine.2.log" || evaluator=1
it_kill "${engines[$evaluator]}"
replay .second
it_wait 120 reported "$work/offline" || it_fail "nobody took over: $(tail -3 "$work"/engine.?.log)"
it_wait 120 joined "$work/offline" || it_fail "labels are missing: $(tail -3 "$work"/engine.?.log)" # the last ones once all sleep
check "taken over" --once
