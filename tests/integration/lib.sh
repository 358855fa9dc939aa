# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the integration tests share: a private directory, a private redis-server and a real Kafka, all gone when the
# test ends, however it ends. Source it first; it sets `root` and `work`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
it_pids=()
it_kafkas=()

it_clean_up() {
    local status=$? pid dir
    trap - EXIT
    for pid in "${it_pids[@]}"; do it_kill "$pid"; done
    for dir in "${it_kafkas[@]}"; do "$root/scripts/kafka" --dir "$dir" kill >/dev/null 2>&1 || true; done
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ -n "${MILL_TEST_KEEP:-}" ]; then
        echo "kept: $work" >&2
    else
        rm -rf "$work"
    fi
    exit "$status"
}
trap it_clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

it_fail() { echo "failed: $*" >&2; exit 1; }
it_skip() { echo "skipped: $*" >&2; exit 77; }

# it_kill PID: kill -9 of a child, without the shell's word about it.
it_kill() {
    kill -9 "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# it_wait SECONDS COMMAND...: until the command succeeds; fails after that time.
it_wait() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ $((tries--)) -gt 0 ] || return 1
        sleep 0.05
    done
}

# it_background LOG COMMAND...: started, and killed at the end; its pid in `it_pid`.
it_background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    it_pid=$!
    it_pids+=("$it_pid")
}

# it_redis: a redis-server that listens on the socket $REDIS only. Called again after the server was killed, it starts
# a new one (with nothing in it) at the same place.
it_redis() {
    command -v redis-server >/dev/null || it_skip "redis-server is not installed"
    export REDIS=$work/redis.sock
    rm -f "$REDIS"
    it_background "$work/redis.log" redis-server --port 0 --unixsocket "$REDIS" --save '' --appendonly no --dir "$work"
    it_wait 10 redis-cli -s "$REDIS" ping || it_fail "redis-server does not answer: $(tail -1 "$work/redis.log")"
}

# it_kafka: a broker at $KAFKA_BROKERS; `$it_kafka_control stop|start|kill|topic NAME PARTITIONS` steers it. Skips the
# test where Kafka cannot be had.
it_kafka() {
    it_kafkas+=("$work/kafka")
    it_kafka_control="$root/scripts/kafka --dir $work/kafka"
    KAFKA_BROKERS=$("$root/scripts/kafka" --dir "$work/kafka" start) || exit $?
    export KAFKA_BROKERS
}
