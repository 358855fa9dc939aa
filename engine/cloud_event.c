/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of CloudEvents as Kafka headers; see cloud_event_internal.h. */
#include "engine/cloud_event_internal.h"

#include "base/timestamp.h"

void mill__cloud_headers_set(struct mill__cloud_headers *headers, const struct mill__cloud_event *event,
                             const struct mill_drift_monitor_spec *spec, enum mill_format format)
{
    mill_buffer_reset(&headers->source);
    mill_buffer_printf(&headers->source, "/tidemill/%s/monitors/%s", spec->project, spec->name);
    mill_buffer_reset(&headers->type);
    mill_buffer_printf(&headers->type, "io.%s.%s.v1", spec->project, event->kind);
    const struct mill_slice time = {headers->time, mill_timestamp_print(event->time_us, headers->time)};
    const struct mill_header at[MILL__CLOUD_HEADER_COUNT] = {
        {"ce_specversion", mill_slice_of("1.0")},
        {"ce_id", mill_slice_of(event->id)},
        {"ce_source", mill_buffer_slice(&headers->source)},
        {"ce_type", mill_buffer_slice(&headers->type)},
        {"ce_time", time},
        {"content-type", mill_slice_of(format == MILL_FORMAT_AVRO ? "application/avro" : "application/json")},
    };
    memcpy(headers->at, at, sizeof(at));
}

void mill__cloud_headers_clear(struct mill__cloud_headers *headers)
{
    mill_buffer_clear(&headers->source);
    mill_buffer_clear(&headers->type);
}
