#!/usr/bin/env bash
# The alerting rules of deploy/prometheus: promtool's check and its unit tests, and every metric that they name is one that the
# engine registers.
set -euo pipefail
cd "$(dirname "$0")/../.."
rules=deploy/prometheus/tidemill.rules.yml
command -v promtool >/dev/null || { echo "skipped: promtool is not installed"; exit 77; }
promtool check rules "$rules"
promtool test rules deploy/prometheus/tidemill.rules.test.yml
promtool check config deploy/prometheus/prometheus.yml
missing=0
for name in $(grep -oE 'mill_[a-z_]+' "$rules" | sort -u); do
    if ! grep -rqF "\"${name#mill_}\"" base engine server ingest featurestore --include='*.c'; then
        echo "no metric '$name' is registered" >&2
        missing=1
    fi
done
exit "$missing"
