#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_rows.py EXPECTED_JSONL FOUND_JSONL [FOUND_JSONL...]: rows or scores of a stream against those of an offline run.

The stream delivers at least once: a line may come again, but must then say the same, and every expected line must have come. Lines are
known by view or model, source and offset (the topics have one partition); wall times and ids are left out.
"""
import json
import sys

IGNORED = ("partition", "event_id", "decision", "scored_at")


def read(paths):
    lines, repeated = {}, 0
    for path in paths:
        with open(path) as text:
            for line in text:
                # As text, so that numbers are compared to the last digit.
                record = json.loads(line, parse_float=str, parse_int=str)
                for name in IGNORED:
                    record.pop(name, None)
                key = (record.get("view") or record["model"], record["source"], record["offset"])
                if key in lines:
                    repeated += 1
                    if lines[key] != record:
                        sys.exit(f"{key} came twice and differs:\n  {lines[key]}\n  {record}")
                lines[key] = record
    return lines, repeated


def main():
    expected, _ = read(sys.argv[1:2])
    found, repeated = read(sys.argv[2:])
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    differ = [key for key in expected if key in found and expected[key] != found[key]]
    print(f"{len(expected)} expected, {len(found)} found, {repeated} repeated, {len(missing)} missing, {len(extra)} extra, {len(differ)} differ")
    for key in missing[:3]:
        print("missing", expected[key])
    for key in extra[:3]:
        print("extra", found[key])
    for key in differ[:3]:
        print("expected", expected[key], "\n   found", found[key])
    return 1 if missing or extra or differ or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
