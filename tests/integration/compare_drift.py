# SPDX-License-Identifier: Apache-2.0
"""compare_drift.py NAME EXPECTED GOT: two files of drift reports, alerts, triggers or joined labels, by id: the same ids, each with the same record but for
the time of writing; what came twice must have come the same. --once: nothing may have come twice."""
import json
import sys


def load(path: str) -> tuple[dict, int]:
    records, repeated = {}, 0
    with open(path) as lines:
        for line in lines:
            record = json.loads(line)
            record.pop("created_at", None)
            key = record["id"]
            if key in records:
                repeated += 1
                if records[key] != record:
                    sys.exit(f"{path}: {key} came twice, and not the same")
            records[key] = record
    return records, repeated


def main() -> None:
    once = "--once" in sys.argv
    name, expected_path, got_path = [word for word in sys.argv[1:] if word != "--once"]
    expected, _ = load(expected_path)
    got, repeated = load(got_path)
    # Project and topics have other names, and ids are made of the project's.
    for missing in sorted(expected.keys() - got.keys())[:3]:
        print(f"{name}: missing {json.dumps(expected[missing])[:300]}", file=sys.stderr)
    for extra in sorted(got.keys() - expected.keys())[:3]:
        print(f"{name}: not expected {json.dumps(got[extra])[:300]}", file=sys.stderr)
    different = [key for key in expected if key in got and expected[key] != got[key]]
    for key in different[:3]:
        print(f"{name}: {key} differs: {json.dumps(expected[key])[:300]} {json.dumps(got[key])[:300]}", file=sys.stderr)
    if expected.keys() != got.keys() or different or not expected:
        sys.exit(f"{name}: {got_path} is not {expected_path}")
    if once and repeated:
        sys.exit(f"{name}: {repeated} of {got_path} came twice")
    print(f"{name}: {len(got)} records of {got_path.rsplit('/', 1)[-1]}, as expected; {repeated} came again")


main()
