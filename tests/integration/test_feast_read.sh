#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Feast's own client reads what we write in the feast layout. Feast comes from PyPI into a virtual environment in the user's cache;
# without PyPI the test is skipped.   test_feast_read.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
feast_version=0.67.0
venv=${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/venv-feast-$feast_version
work=$(mktemp -d)
redis_pid=
clean_up() {
    [ -z "$redis_pid" ] || { kill -9 "$redis_pid" && wait "$redis_pid"; } 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

command -v redis-server >/dev/null || { echo "skipped: redis-server is not installed"; exit 77; }
if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    if ! { /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install -q "feast[redis]==$feast_version"; } >"$work/pip.log" 2>&1; then
        rm -rf "$venv"
        echo "skipped: Feast $feast_version could not be installed from PyPI: $(tail -n 1 "$work/pip.log")"
        exit 77
    fi
    touch "$venv/complete"
fi

# Redis on a port that is free: it says so itself by staying alive.
for attempt in $(seq 20); do
    port=$((20000 + RANDOM % 20000))
    redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
    redis_pid=$!
    for _ in $(seq 100); do
        kill -0 "$redis_pid" 2>/dev/null || break
        grep -q "Ready to accept connections" "$work/redis.log" 2>/dev/null && break 2
        sleep 0.05
    done
    { kill -9 "$redis_pid" && wait "$redis_pid"; } 2>/dev/null || true
    redis_pid=
    [ "$attempt" -lt 20 ] || { cat "$work/redis.log"; exit 1; }
done

"$build/tests/test_featurestore_online_feast" write "127.0.0.1:$port"
cd "$work"
FEAST_USAGE=False "$venv/bin/python" -W ignore "$here/test_feast_read.py" "127.0.0.1:$port"
