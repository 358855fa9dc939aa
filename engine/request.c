/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a running engine that go through Kafka, so that they reach whichever process they are for. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/suggest.h"
#include "engine/engine_internal.h"

enum { ASK_TIMEOUT_MS = 10000 };

static int find_monitor(const struct mill_project *project, const char *name, struct mill_error *err)
{
    const char **names = mill_calloc(project->monitor_count, sizeof(const char *));
    bool found = false;

    for (uint32_t m = 0; m < project->monitor_count; m++) {
        names[m] = project->monitors[m].spec.name;
        found |= strcmp(names[m], name) == 0;
    }
    const char *near = found ? NULL : mill_suggest(mill_slice_of(name), names, project->monitor_count);
    free(names);
    if (found) {
        return MILL_OK;
    }
    return mill_fail(err, MILL_EUSAGE, "project '%s' has no monitor '%s'%s%s%s", project->name, name,
                     near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
}

static int send_request(const struct mill_kafka_options *kafka, const char *topic, int32_t partition,
                        struct mill_slice key, struct mill_slice value, struct mill_error *err)
{
    struct mill_producer *producer;

    MILL_TRY(mill_producer_open(kafka, NULL, NULL, &producer, err));
    int rc =
        mill_producer_send(producer, mill_producer_topic(producer, topic), partition, key, value, NULL, 0, -1, err);
    rc = rc == MILL_OK ? mill_producer_flush(producer, ASK_TIMEOUT_MS, err) : rc;
    mill_producer_close(producer, 0);
    return rc == MILL_ERETRY ? mill_fail(err, MILL_EUNAVAIL, "the broker does not take the request") : rc;
}

int mill_engine_request_trigger(const struct mill_project *project, const char *monitor, struct mill_error *err)
{
    const char *topic = project->output.drift_panes_topic;
    struct mill_kafka_options kafka = {.brokers = project->kafka.brokers,
                                       .group = project->kafka.group,
                                       .client_id = "tidemill",
                                       .librdkafka = project->kafka.librdkafka};
    struct mill_buffer key = {0}, value = {0};
    int32_t count = 0;

    MILL_TRY(find_monitor(project, monitor, err));
    MILL_TRY(mill_kafka_partition_count(&kafka, topic, ASK_TIMEOUT_MS, &count, err));
    mill_buffer_printf(&key, "%s|m", monitor);
    mill_buffer_add_zigzag(&value, mill_clock_wall_us());
    int rc = send_request(&kafka, topic, mill__panes_partition_of(monitor, count), mill_buffer_slice(&key),
                          mill_buffer_slice(&value), err);
    mill_buffer_clear(&key);
    mill_buffer_clear(&value);
    return rc;
}
