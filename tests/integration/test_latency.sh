#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An event's score and its row in Redis come at once, not seconds later: a real broker that has just started, real
# Redis, the engine with its defaults, 1,000 events/s. The limit is generous (scripts/bench latency has the real one):
# half a second at p99 beyond what the same records need through Kafka alone in the same run. Also: a broker that is
# silent for longer than the session time-out does not end the engine. Argument: the build directory.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

build=${1:?usage: test_latency.sh BUILD}
[ -x "$build/bench/bench_latency" ] || it_fail "'$build/bench/bench_latency' is not built"
it_kafka
it_redis
for topic in bench.latency floor floor.out; do $it_kafka_control topic $topic 4; done
project=$root/bench/stream/latency.yaml
STATE=$work/state it_background "$work/engine.log" "$build/tidemill" run -c "$project" --set server.listen=
engine=$it_pid

STATE=$work/none "$build/bench/bench_latency" "$project" floor 1000 9 5 | tee "$work/figures"

# p99 NAME: milliseconds, of a line that has all its samples
p99() {
    local line
    line=$(grep "^$1 " "$work/figures") || it_fail "no figures for '$1'"
    [[ $line != *"(of "* ]] || it_fail "some samples are missing: $line"
    sed 's/.*p99 *\([0-9.]*\) .*/\1/' <<<"$line"
}
limit=$(awk -v floor="$(p99 'kafka alone, two hops')" 'BEGIN { print 500 + floor }')
for name in 'produced -> score consumed' 'produced -> readable in Redis'; do
    awk -v ms="$(p99 "$name")" -v limit="$limit" 'BEGIN { exit !(ms < limit) }' ||
        it_fail "$name: p99 is $(p99 "$name") ms, expected less than $limit ms"
done

read -r broker <"$work/kafka/pid"
kill -STOP "$broker"
sleep 12
kill -CONT "$broker"
STATE=$work/none "$build/bench/bench_latency" "$project" floor 1000 3 1 | tee "$work/figures"
scored=$(sed -n 's/^produced -> score consumed *n *\([0-9]*\) .*/\1/p' "$work/figures")
[ "${scored:-0}" -ge 3000 ] || it_fail "${scored:-0} of 3000 scores came after the silence"
kill "$engine" 2>/dev/null || it_fail "the engine is gone: $(tail -n 3 "$work/engine.log")"
wait "$engine" || it_fail "the engine ended with status $?: $(tail -n 3 "$work/engine.log")"
