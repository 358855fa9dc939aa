/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two formats; see encode_drift_internal.h. */
#include "engine/encode_drift_internal.h"

void mill__encode_drift_report(enum mill_format format, const struct mill_drift_report *report, const char *project,
                               int64_t now_us, struct mill_buffer *out)
{
    if (format == MILL_FORMAT_AVRO) {
        mill_drift_report_write_avro(report, project, now_us, out);
    } else {
        mill_drift_report_write_json(report, project, now_us, out);
    }
}

void mill__encode_drift_alert(enum mill_format format, const struct mill_drift_alert *alert, const char *project,
                              int64_t now_us, struct mill_buffer *out)
{
    if (format == MILL_FORMAT_AVRO) {
        mill_drift_alert_write_avro(alert, project, now_us, out);
    } else {
        mill_drift_alert_write_json(alert, project, now_us, out);
    }
}

void mill__encode_retrain_trigger(enum mill_format format, const struct mill_retrain_trigger *trigger,
                                  const struct mill_drift_monitor_spec *spec, int64_t now_us, struct mill_buffer *out)
{
    if (format == MILL_FORMAT_AVRO) {
        mill_retrain_trigger_write_avro(trigger, spec, now_us, out);
    } else {
        mill_retrain_trigger_write_json(trigger, spec, now_us, out);
    }
}

void mill__encode_match(enum mill_format format, const struct mill_join_match *match,
                        const struct mill_drift_monitor_spec *spec, struct mill_buffer *out)
{
    if (format == MILL_FORMAT_AVRO) {
        mill_join_match_write_avro(match, spec, out);
    } else {
        mill_join_match_write_json(match, spec, out);
    }
}
