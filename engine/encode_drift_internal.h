/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the drift topics in the format of the project's output: JSON, or Avro in single-object encoding as
 * scores are (schemas/drift_report.avsc, drift_alert.avsc, retrain_trigger.avsc, label.avsc). Any thread. */
#ifndef MILL_ENGINE_ENCODE_DRIFT_INTERNAL_H
#define MILL_ENGINE_ENCODE_DRIFT_INTERNAL_H

#include "drift/drift.h"
#include "ingest/ingest.h"

void mill__encode_drift_report(enum mill_format format, const struct mill_drift_report *report, const char *project,
                               int64_t now_us, struct mill_buffer *out);
void mill__encode_drift_alert(enum mill_format format, const struct mill_drift_alert *alert, const char *project,
                              int64_t now_us, struct mill_buffer *out);
void mill__encode_retrain_trigger(enum mill_format format, const struct mill_retrain_trigger *trigger,
                                  const struct mill_drift_monitor_spec *spec, int64_t now_us, struct mill_buffer *out);
void mill__encode_match(enum mill_format format, const struct mill_join_match *match,
                        const struct mill_drift_monitor_spec *spec, struct mill_buffer *out);

#endif
