/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of the records that monitors send: CloudEvents 1.0, Kafka protocol binding, binary content mode. The value is
 * the event's data as it is; its attributes are headers.
 */
#ifndef MILL_ENGINE_CLOUD_EVENT_INTERNAL_H
#define MILL_ENGINE_CLOUD_EVENT_INTERNAL_H

#include "drift/drift.h"
#include "ingest/ingest.h"

struct mill__cloud_event {
    const char *id, *kind; /* "drift.alert": the middle of ce_type */
    int64_t time_us;       /* event time */
};

enum { MILL__CLOUD_HEADER_COUNT = 6 };
/* Zeroed is empty; belongs to one thread, which uses it for all its events. */
struct mill__cloud_headers {
    struct mill_header at[MILL__CLOUD_HEADER_COUNT];
    struct mill_buffer source, type;
    char time[32];
};
/* spec: the monitor that speaks; format: of the value. headers->at is valid until the next call, and borrows the
 * event's id. */
void mill__cloud_headers_set(struct mill__cloud_headers *headers, const struct mill__cloud_event *event,
                             const struct mill_drift_monitor_spec *spec, enum mill_format format);
void mill__cloud_headers_clear(struct mill__cloud_headers *headers);

#endif
