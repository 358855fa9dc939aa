/* SPDX-License-Identifier: Apache-2.0 */
/* Validation, lateness and null shares of an input; see admit_internal.h. */
#include "engine/admit_internal.h"

#include "base/log.h"

void mill__admission_init(struct mill__admission *admission, const struct mill_source_config *source, int64_t newest_us)
{
    *admission = (struct mill__admission){.source = source, .newest_us = newest_us};
    admission->nulls = mill_null_watch_new(&source->spec);
}

void mill__admission_clear(struct mill__admission *admission)
{
    mill_null_watch_free(admission->nulls);
    *admission = (struct mill__admission){0};
}

static void handle_late(struct mill__admission *admission, struct mill_batch *batch, uint32_t row, int64_t watermark_us,
                        struct mill_rejects *rejects)
{
    char at[32], limit[32];

    switch (admission->source->late_events) {
    case MILL_LATE_DEAD_LETTER: {
        int n = (int)mill_timestamp_print(batch->event_time_us[row], at);
        int m = (int)mill_timestamp_print(watermark_us, limit);
        mill_reject_row(rejects, batch, row, MILL_REJECT_LATE, "event time %.*s is before the watermark %.*s", n, at, m,
                        limit);
        break;
    }
    case MILL_LATE_DROP:
        mill_bit_clear(batch->live, row);
        admission->late_dropped++;
        break;
    case MILL_LATE_APPLY:
        admission->late_applied++;
        break;
    }
}

void mill__admit(struct mill__admission *admission, struct mill_batch *batch, struct mill_rejects *rejects,
                 int64_t *newest_before)
{
    mill_validate_batch(&admission->source->spec, batch, rejects);

    int64_t lateness = admission->source->allowed_lateness_us;
    for (uint32_t row = 0; row < batch->row_count; row++) {
        newest_before[row] = admission->newest_us;
        if (!mill_bit_get(batch->live, row)) {
            continue;
        }
        int64_t t = batch->event_time_us[row];
        if (admission->newest_us != INT64_MIN && t < admission->newest_us - lateness) {
            handle_late(admission, batch, row, admission->newest_us - lateness, rejects);
        } else if (t > admission->newest_us) {
            admission->newest_us = t;
        }
    }
    admission->warning_count = mill_null_watch_add(admission->nulls, batch, admission->warnings, 16);
}

void mill__admission_log(const struct mill__admission *admission)
{
    for (uint32_t i = 0; i < admission->warning_count; i++) {
        const struct mill_null_warning *w = &admission->warnings[i];
        mill_log(MILL_LOG_WARNING, "ingest",
                 "field '%s' of source '%s': %llu of %llu values are null, more than max_null_fraction %g",
                 admission->source->spec.schema.fields[w->column].name, admission->source->spec.name,
                 (unsigned long long)w->nulls, (unsigned long long)w->rows, admission->source->spec.max_null_fraction);
    }
}
