/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts coming in and the sums of the window that slides over them. Counts are integers and moments fixed point, so
 * adding new panes and taking old ones back gives the bits of a recount.
 */
#include "base/timestamp.h"
#include "drift/monitor_internal.h"

static struct mill_slice bytes_of(const struct mill__part *part)
{
    return (struct mill_slice){part->bytes, part->n};
}

static int apply(struct mill_drift_monitor *monitor, enum mill_part_kind kind, struct mill_slice bytes, int sign,
                 struct mill_error *err)
{
    if (kind == MILL_PART_COUNTS) {
        return mill_drift_window_apply(monitor->window, bytes, sign, err);
    }
    struct mill_outcomes *outcomes = kind == MILL_PART_SCORES ? monitor->scores : monitor->outcomes;
    return mill_outcomes_merge(outcomes, bytes, sign, err);
}

/* Whether it can be summed: tried, and taken back. */
static int try_part(struct mill_drift_monitor *monitor, enum mill_part_kind kind, struct mill_slice bytes,
                    struct mill_error *err)
{
    if (kind != MILL_PART_COUNTS) {
        mill_outcomes_reset(monitor->trial_outcomes);
        return mill_outcomes_merge(monitor->trial_outcomes, bytes, 1, err);
    }
    if (monitor->profile == NULL) {
        return MILL_OK;
    }
    MILL_TRY(mill_drift_window_apply(monitor->trial, bytes, 1, err));
    int rc = mill_drift_window_apply(monitor->trial, bytes, -1, err);
    mill_assert(rc == MILL_OK);
    return MILL_OK;
}

static void take_back(struct mill_drift_monitor *monitor, struct mill__part *part)
{
    if (part->is_summed) {
        int rc = apply(monitor, part->kind, bytes_of(part), -1, NULL);
        mill_assert(rc == MILL_OK);
        part->is_summed = false;
    }
}

/* The pane in which it is counted; MILL_EDATA where that is no time. */
static int find_pane(const struct mill_drift_monitor *monitor, enum mill_part_kind kind,
                     const struct mill_drift_part *part, int64_t *ret_pane_us, struct mill_error *err)
{
    int64_t every_us = monitor->spec.every_us;
    /* The pane of the first time may begin before it. */
    bool has_time = part->start_us > MILL_TIMESTAMP_MIN - every_us && part->start_us <= MILL_TIMESTAMP_MAX;
    int64_t panes = kind == MILL_PART_COUNTS ? 0 : part->part;

    if (!has_time || panes > (MILL_TIMESTAMP_MAX - part->start_us) / every_us) {
        return mill_fail(err, MILL_EDATA, "drift part at %lld: expected a time of the years %d to %d",
                         (long long)part->start_us, MILL_YEAR_MIN, MILL_YEAR_MAX);
    }
    *ret_pane_us = part->start_us + panes * every_us;
    return MILL_OK;
}

int mill_drift_monitor_part(struct mill_drift_monitor *monitor, enum mill_part_kind kind, uint32_t contributor,
                            const struct mill_drift_part *part, struct mill_error *err)
{
    int64_t pane_us = 0;
    int rc = find_pane(monitor, kind, part, &pane_us, err);

    if (rc == MILL_OK && (contributor >= monitor->contributor_count || part->start_us % monitor->spec.every_us != 0)) {
        rc = mill_fail(err, MILL_EDATA,
                       "drift part of contributor %u at %lld: expected one of %u, at a multiple of %lld", contributor,
                       (long long)part->start_us, monitor->contributor_count, (long long)monitor->spec.every_us);
    } else if (rc == MILL_OK) {
        rc = try_part(monitor, kind, part->bytes, err);
    }
    if (rc != MILL_OK) {
        monitor->skipped_parts++;
        return rc;
    }
    const struct mill__part wanted = {
        .kind = kind, .contributor = contributor, .part = part->part, .start_us = part->start_us};
    struct mill__part *entry = mill__parts_get(&monitor->parts, pane_us, &wanted);
    if (entry->bytes == NULL || !mill_slice_equal(bytes_of(entry), part->bytes)) {
        take_back(monitor, entry);
        mill__parts_set_bytes(&monitor->parts, entry, part->bytes);
    }
    return MILL_OK;
}

/* Parts that came before there was a profile may turn out to be of none. */
static void sum_pane(struct mill_drift_monitor *monitor, struct mill__pane *pane)
{
    for (uint32_t i = 0; i < pane->count; i++) {
        struct mill__part *part = &pane->parts[i];
        if (part->is_summed) {
            continue;
        }
        if (apply(monitor, part->kind, bytes_of(part), 1, NULL) == MILL_OK) {
            part->is_summed = true;
        } else {
            monitor->skipped_parts++;
        }
    }
}

void mill__monitor_sum_to(struct mill_drift_monitor *monitor, int64_t end_us)
{
    struct mill__parts *parts = &monitor->parts;

    for (uint32_t i = 0; i < parts->count && parts->panes[i].start_us < end_us; i++) {
        sum_pane(monitor, &parts->panes[i]);
    }
}

void mill__monitor_expire(struct mill_drift_monitor *monitor, int64_t start_us,
                          const struct mill_drift_monitor_sink *sink)
{
    uint32_t count = mill__parts_lower_bound(&monitor->parts, start_us);

    for (uint32_t i = 0; i < count; i++) {
        struct mill__pane *pane = &monitor->parts.panes[i];
        for (uint32_t k = 0; k < pane->count; k++) {
            struct mill__part *part = &pane->parts[k];
            take_back(monitor, part);
            sink->expired(sink->context, part->kind, part->contributor, part->start_us, part->part);
        }
    }
    mill__parts_drop(&monitor->parts, count);
}
