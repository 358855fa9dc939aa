/* SPDX-License-Identifier: Apache-2.0 */
/* Counting scored rows for monitors; see contributor_internal.h. */
#include "engine/contributor_internal.h"

#include <stdlib.h>

void mill__contributors_init(struct mill__contributors *contributors, const struct mill__plan *plan,
                             const struct mill__stage *stage, int32_t partition)
{
    *contributors = (struct mill__contributors){.at = mill_calloc(plan->monitor_count, sizeof(*contributors->at))};
    for (uint32_t m = 0; m < plan->monitor_count; m++) {
        const struct mill__plan_monitor *monitor = &plan->monitors[m];
        uint32_t index;
        if (stage == monitor->join || !mill__monitor_contributor(monitor, stage, partition, &index)) {
            continue;
        }
        struct mill__contributor *contributor = &contributors->at[contributors->count++];
        contributor->monitor = monitor;
        contributor->index = index;
        contributor->columns = mill_calloc(monitor->spec.columns.field_count, sizeof(*contributor->columns));
        contributor->told.progress_us = INT64_MIN;
        mill__contributor_reset(contributor, monitor->profile);
    }
}

void mill__contributors_clear(struct mill__contributors *contributors)
{
    for (uint32_t i = 0; i < contributors->count; i++) {
        mill_drift_counter_free(contributors->at[i].counter);
        free(contributors->at[i].columns);
    }
    free(contributors->at);
    *contributors = (struct mill__contributors){0};
}

void mill__contributor_reset(struct mill__contributor *contributor, const struct mill_profile *profile)
{
    const struct mill_drift_monitor_spec *spec = &contributor->monitor->spec;
    struct mill_drift_counter_options options = {
        .profile = profile,
        .spec = &spec->columns,
        .pane_us = spec->every_us,
        .keep_us = spec->window_us + spec->every_us,
    };

    mill_drift_counter_free(contributor->counter);
    contributor->counter = mill_drift_counter_new(&options);
    contributor->profile = profile;
}

void mill__contributors_count(struct mill__contributors *contributors, const struct mill__plan_model *model,
                              const struct mill_batch *batch, const struct mill_column *score, uint32_t from,
                              uint32_t to)
{
    for (uint32_t i = 0; i < contributors->count; i++) {
        struct mill__contributor *contributor = &contributors->at[i];
        const struct mill__plan_monitor *monitor = contributor->monitor;
        const struct mill_column *segment = NULL;
        if (monitor->model != model) {
            continue;
        }
        for (uint32_t f = 0; f < monitor->spec.columns.field_count; f++) {
            uint32_t column = monitor->columns[f];
            contributor->columns[f] = column == UINT32_MAX ? score : &batch->columns[column];
        }
        if (monitor->segment_column != UINT32_MAX) {
            segment = &batch->columns[monitor->segment_column];
        }
        mill_drift_counter_add(contributor->counter, contributor->columns, segment, batch->event_time_us, batch->live,
                               from, to);
    }
}

int64_t mill__contributor_watermark(const struct mill__contributor *contributor, const struct mill_project *project,
                                    int64_t complete_us)
{
    const struct mill_source_config *source = &project->sources[contributor->monitor->model->config->source];

    return complete_us == INT64_MIN
               ? INT64_MIN
               : mill_timestamp_floor(complete_us - source->allowed_lateness_us, contributor->monitor->spec.every_us);
}
