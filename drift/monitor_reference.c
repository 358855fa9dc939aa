/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reference made of the stream: complete panes of raw rows in order of time, until a number of rows is reached or
 * the span is over. Whole panes, and only complete ones, so that it is the same whatever came first.
 */
#include "base/timestamp.h"
#include "drift/monitor_internal.h"

static int64_t ceiling(int64_t us, int64_t step)
{
    return mill_timestamp_floor(us + step - 1, step);
}

int64_t mill__monitor_reference_end(const struct mill_drift_monitor *monitor)
{
    const struct mill_drift_monitor_spec *spec = &monitor->spec;

    if (spec->reference_rows == 0) {
        return spec->reference_to_us == INT64_MIN ? INT64_MIN : ceiling(spec->reference_to_us, spec->every_us);
    }
    return monitor->profile->to_us == INT64_MIN ? INT64_MIN : ceiling(monitor->profile->to_us, spec->every_us);
}

static void add_pane(struct mill_drift_monitor *monitor, const struct mill__pane *pane)
{
    for (uint32_t i = 0; i < pane->count; i++) {
        const struct mill__part *part = &pane->parts[i];
        struct mill_slice bytes = {part->bytes, part->n};
        uint64_t rows = 0;
        if (part->kind == MILL_PART_COUNTS &&
            mill_drift_part_build(bytes, &monitor->spec.columns, monitor->builder, &rows, NULL) != MILL_OK) {
            monitor->skipped_parts++;
        }
    }
}

static bool is_reached(const struct mill_drift_monitor *monitor)
{
    uint64_t rows = mill_profile_builder_rows(monitor->builder);
    return monitor->spec.reference_rows > 0 && rows >= monitor->spec.reference_rows;
}

static void build(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink)
{
    if (mill_profile_builder_finish(monitor->builder, &monitor->made_profile, NULL) != MILL_OK) {
        monitor->is_reference_empty = true;
        return;
    }
    mill_profile_builder_free(monitor->builder);
    monitor->builder = NULL;
    mill__monitor_start(monitor, monitor->made_profile);
    sink->profile(sink->context, monitor->profile);
}

bool mill__monitor_gather(struct mill_drift_monitor *monitor, int64_t limit_us,
                          const struct mill_drift_monitor_sink *sink)
{
    const struct mill_drift_monitor_spec *spec = &monitor->spec;
    const struct mill__parts *parts = &monitor->parts;
    int64_t to_us = spec->reference_to_us == INT64_MIN ? INT64_MAX : ceiling(spec->reference_to_us, spec->every_us);

    if (spec->reference_from_us != INT64_MIN) {
        mill__monitor_expire(monitor, mill_timestamp_floor(spec->reference_from_us, spec->every_us), sink);
    }
    if (monitor->is_reference_empty) {
        /* Nothing will ever be judged; nothing is kept. */
        mill__monitor_expire(monitor, limit_us, sink);
        return false;
    }
    if (monitor->builder == NULL) {
        monitor->builder = mill_profile_builder_new(&spec->columns);
    }
    for (uint32_t i = mill__parts_lower_bound(parts, monitor->built_to_us); i < parts->count; i++) {
        int64_t end_us = parts->panes[i].start_us + spec->every_us;
        if (end_us > limit_us || end_us > to_us || is_reached(monitor)) {
            break;
        }
        add_pane(monitor, &parts->panes[i]);
        monitor->built_to_us = end_us;
    }
    if (is_reached(monitor) || limit_us >= to_us) {
        build(monitor, sink);
    }
    return monitor->profile != NULL;
}
