#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Dependencies that are not there: Kafka and Redis down at the start, Redis stopped and killed midway, Kafka frozen, a disk that is full.
# The engine waits and says so (readiness 503), goes on by itself, and in the end every event is scored exactly as often as it was sent.
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
tidemill=$build/tidemill
example=$root/examples/flights
work=$(mktemp -d)
pids=()
kafka_is_up=false
clean_up() {
    local status=$?
    [ "$status" -eq 0 ] || tail -n 20 "$work/engine.log" 2>/dev/null || true
    for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null || true; kill -9 "$pid" 2>/dev/null || true; done
    ! $kafka_is_up || "$root/scripts/kafka" stop --dir "$work/kafka" >/dev/null 2>&1 || true
    mountpoint -q "$work/disk" 2>/dev/null && umount "$work/disk"
    rm -rf "$work"
}
trap clean_up EXIT

fail() { echo "FAILED: $1" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ready() { curl -s -o /dev/null -w '%{http_code}' "http://$MILL_SERVER_LISTEN/v2/health/ready"; }
why() { curl -s "http://$MILL_SERVER_LISTEN/v2/health/ready"; }
metric() { curl -s "http://$MILL_SERVER_LISTEN/metrics" | awk -v n="$1" 'index($1, n) == 1 { sum += $NF } END { printf "%.0f", sum }'; }
wait_for() { # what, seconds, command...
    local what=$1 tries=$(($2 * 10))
    shift 2
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what did not happen; ready says $(why)"
        sleep 0.1
    done
}
is_ready() { [ "$(ready)" = 200 ]; }
why_is() { case "$(why)" in *"$1"*) ;; *) return 1 ;; esac }
is_not_ready() { [ "$(ready)" = 503 ]; }
has_scored() { [ "$(metric mill_scores_total)" -ge "$1" ]; }
start_redis() {
    redis-server --port 0 --unixsocket "$REDIS" --save "" --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
    redis=$!
    pids+=("$redis")
    until [ -S "$REDIS" ] && redis-cli -s "$REDIS" ping >/dev/null 2>&1; do sleep 0.05; done
}
send() { # first, last departure
    { head -n 1 "$work/departures"; sed -n "$(($1 + 1)),$(($2 + 1))p" "$work/departures"; } >"$work/part.csv"
    "$tidemill" replay -c "$project" "departures=$work/part.csv" >/dev/null
}

project=$example/flights.yaml
zstd -dcq "$example/departures.csv.zst" >"$work/all"
head -n 30001 "$work/all" >"$work/departures"
export KAFKA_BROKERS REDIS=$work/redis.sock TIDEMILL_STATE=$work/state MILL_ENGINE_FLUSH_INTERVAL=200ms MILL_SERVER_LISTEN
MILL_SERVER_LISTEN=127.0.0.1:$(free_port)
KAFKA_BROKERS=$("$root/scripts/kafka" start --dir "$work/kafka") || exit $?
kafka_is_up=true
for topic in flights.departures flights.arrivals; do "$root/scripts/kafka" topic "$topic" 2 --dir "$work/kafka"; done
"$root/scripts/kafka" stop --dir "$work/kafka" >/dev/null

echo "- neither Kafka nor Redis at the start"
"$tidemill" run -c "$project" >"$work/engine.log" 2>&1 &
engine=$!
pids+=("$engine")
wait_for "waiting for Kafka" 10 is_not_ready
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$MILL_SERVER_LISTEN/v2/health/live")" = 200 ] || fail "not live while waiting"
"$root/scripts/kafka" start --dir "$work/kafka" >/dev/null
send 1 5000
wait_for "a look at Redis" 20 why_is "online store cannot be reached"
start_redis
wait_for "readiness" 40 is_ready
wait_for "5000 scores" 30 has_scored 5000

echo "- Redis frozen"
kill -STOP "$redis"
send 5001 10000
wait_for "noticing it" 20 is_not_ready
kill -CONT "$redis"
wait_for "readiness" 20 is_ready
wait_for "10000 scores" 30 has_scored 10000

echo "- Redis killed and started anew"
kill -9 "$redis"
send 10001 15000
wait_for "noticing it" 20 is_not_ready
start_redis
wait_for "readiness" 20 is_ready
wait_for "15000 scores" 30 has_scored 15000

echo "- Kafka frozen for 15 s"
broker=$(cat "$work"/kafka/*pid* | head -n 1)
send 15001 20000
kill -STOP "$broker"
sleep 15
kill -CONT "$broker"
wait_for "20000 scores" 60 has_scored 20000

echo "- SIGTERM drains"
kill -TERM "$engine"
wait "$engine" || fail "exit status $? after SIGTERM"
# Scores that came twice were counted above, so some events may still wait in the topics: the next start reads them.
"$tidemill" run -c "$project" --until-end
"$tidemill" tap scores -c "$project" --from-beginning --timeout 3 >"$work/scores"
python3 - "$work/scores" <<'PY'
import json, sys
ids = {}
with open(sys.argv[1]) as lines:
    for line in lines:
        record = json.loads(line)
        ids.setdefault(record["event_id"], set()).add(record["score"])
differ = [i for i, scores in ids.items() if len(scores) > 1]
print(f"{len(ids)} events scored, {len(differ)} with different scores")
sys.exit(len(ids) != 20000 or bool(differ))
PY

echo "- the disk of the state is full"
if [ "$(id -u)" -ne 0 ] || ! { mkdir "$work/disk" && mount -t tmpfs -o size=64m tmpfs "$work/disk"; } 2>/dev/null; then
    echo "  left out: no tmpfs can be mounted here"
    exit 0
fi
export TIDEMILL_STATE=$work/disk
"$tidemill" run -c "$project" --set kafka.group=flights-disk --set offline_store.write_buffer_size=1MiB >"$work/engine.log" 2>&1 &
engine=$!
pids+=("$engine")
wait_for "readiness" 60 is_ready
wait_for "20000 scores" 60 has_scored 20000
dd if=/dev/zero of="$work/disk/fill" bs=64k >/dev/null 2>&1 || true
send 20001 30000
wait_for "noticing the full disk" 30 is_not_ready
why | grep -q "state cannot be written" || fail "readiness does not name the disk: $(why)"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$MILL_SERVER_LISTEN/health")" = 200 ] || fail "health is gone"
rm "$work/disk/fill"
wait_for "readiness" 60 is_ready
wait_for "30000 scores" 60 has_scored 30000
kill -TERM "$engine"
wait "$engine" || fail "exit status $? after SIGTERM"
