#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Kafka client against a real broker, which is killed on the way. Argument: the build directory.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

test=${1:?usage: test_kafka_client.sh BUILD}/tests/test_ingest_kafka_real
[ -x "$test" ] || it_fail "'$test' is not built"
it_kafka
MILL_KAFKA_BROKERS=$KAFKA_BROKERS MILL_KAFKA_CONTROL=$it_kafka_control "$test"
