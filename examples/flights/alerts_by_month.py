#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""alerts_by_month.py DIR: alerts and triggers of an offline run (alerts.jsonl, drift_reports.jsonl, retrain.jsonl), by month and monitor, as a
table in Markdown. An alert counts when it begins or becomes more severe; repetitions and resolutions do not."""
import collections
import json
import sys


def lines(name: str):
    with open(f"{sys.argv[1]}/{name}.jsonl") as file:
        yield from map(json.loads, file)


months: dict = collections.defaultdict(collections.Counter)
monitors: list = []
for report in lines("drift_reports"):
    if report["monitor"] not in monitors:
        monitors.append(report["monitor"])
    months[report["window"]["end"][:7]][report["monitor"], "days"] += report["severity"] == "major"
for alert in lines("alerts"):
    if not alert["is_repeat"] and alert["status"] in ("firing", "escalated"):
        months[alert["window"]["end"][:7]][alert["monitor"], alert["severity"]] += 1
for trigger in lines("retrain"):
    months[trigger["data_window"]["end"][:7]][trigger["monitor"], "trigger"] += 1

columns = [(monitor, what) for monitor in monitors for what in ("minor", "major", "days", "trigger")]
titles = {"minor": "minor alerts", "major": "major alerts", "days": "days with a major feature", "trigger": "triggers"}
print("| month |" + "".join(f" {monitor}: {titles[what]} |" for monitor, what in columns))
print("|---|" + "---:|" * len(columns))
for month in sorted(months):
    print(f"| {month} |" + "".join(f" {months[month][column]} |" for column in columns))
print("| all |" + "".join(f" {sum(counts[column] for counts in months.values())} |" for column in columns))
