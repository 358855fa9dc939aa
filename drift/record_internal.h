/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the drift topics in one of two formats. Each record is walked once (records.c), field by field in the
 * order of its schema (schemas/drift_report.avsc, drift_alert.avsc, retrain_trigger.avsc, label.avsc): JSON takes the
 * names, Avro the order, so the two cannot say different things.
 */
#ifndef MILL_DRIFT_RECORD_INTERNAL_H
#define MILL_DRIFT_RECORD_INTERNAL_H

#include "base/json.h"
#include "drift/drift.h"

/* CRC-64-AVRO of the canonical forms of the schemas; a test compares them with the files. */
#define MILL__AVRO_DRIFT_REPORT_FINGERPRINT    UINT64_C(0x330f32c45470e730)
#define MILL__AVRO_DRIFT_ALERT_FINGERPRINT     UINT64_C(0xadf83586065724fb)
#define MILL__AVRO_RETRAIN_TRIGGER_FINGERPRINT UINT64_C(0x554c109a0abd27bb)
#define MILL__AVRO_LABEL_FINGERPRINT           UINT64_C(0xe364551a19e3ebdd)

/* ------------------------------------------------------------------ values (record_writer.c) */

struct mill__record_writer {
    struct mill_buffer *out;
    bool is_avro;
    struct mill_json_writer json; /* where it is not Avro */
};
/* The record is appended to out; begin_avro: in single-object encoding. */
void mill__record_begin_json(struct mill__record_writer *w, struct mill_buffer *out);
void mill__record_begin_avro(struct mill__record_writer *w, struct mill_buffer *out, uint64_t fingerprint);

/* A field each. "optional" and numbers: a union of null and the type; null where the value (a slice: its p) is NULL
 * or not finite. */
void mill__record_text(struct mill__record_writer *w, const char *name, const char *value);
void mill__record_slice(struct mill__record_writer *w, const char *name, struct mill_slice value);
void mill__record_optional_slice(struct mill__record_writer *w, const char *name, struct mill_slice value);
void mill__record_optional_text(struct mill__record_writer *w, const char *name, const char *value);
/* symbol: the one that the schema has at index. */
void mill__record_enum(struct mill__record_writer *w, const char *name, int index, const char *symbol);
void mill__record_bool(struct mill__record_writer *w, const char *name, bool value);
void mill__record_int(struct mill__record_writer *w, const char *name, int64_t value); /* int or long */
void mill__record_count(struct mill__record_writer *w, const char *name, uint64_t value);
void mill__record_number(struct mill__record_writer *w, const char *name, double value);
void mill__record_time(struct mill__record_writer *w, const char *name, int64_t us);
/* "created_at": null (JSON: left out) where now_us is INT64_MIN. */
void mill__record_now(struct mill__record_writer *w, int64_t now_us);
/* A map of numbers with one entry; key NULL: with none. */
void mill__record_map(struct mill__record_writer *w, const char *name, const char *key, double value);

/* A record inside a record, up to its end(); the whole is ended by an end() too. */
void mill__record_object(struct mill__record_writer *w, const char *name);
/* A union of null and a record: returns has, and where that is true an end() must follow. */
bool mill__record_optional_object(struct mill__record_writer *w, const char *name, bool has);
void mill__record_end(struct mill__record_writer *w);
/* An array of count items, each an item() up to its end(), or an item_text(). */
void mill__record_array(struct mill__record_writer *w, const char *name, uint32_t count);
void mill__record_item(struct mill__record_writer *w);
void mill__record_item_text(struct mill__record_writer *w, const char *value);
void mill__record_array_end(struct mill__record_writer *w);

/* ------------------------------------------------------------------ what records have in common (record_parts.c) */

/* Fields "project" to "model_version". */
struct mill__speaker {
    const char *project, *monitor, *model, *model_version;
};
void mill__record_speaker(struct mill__record_writer *w, const struct mill__speaker *speaker);
/* Fields "window" and "reference". */
void mill__record_window(struct mill__record_writer *w, const struct mill_drift_report *report);
/* Field "segment"; result NULL: all rows. */
void mill__record_segment(struct mill__record_writer *w, const struct mill_profile *profile,
                          const struct mill_drift_result *result);
void mill__record_severity(struct mill__record_writer *w, const char *name, enum mill_severity severity);
/* Fields "reason", "value", "thresholds". */
void mill__record_reason(struct mill__record_writer *w, const char *reason, double value, double threshold);
/* Field "performance"; null where the report has none. */
void mill__record_performance(struct mill__record_writer *w, const struct mill_drift_report *report);

/* ------------------------------------------------------------------ results (record_metrics.c) */

/* The fields of "metrics". */
void mill__record_metrics(struct mill__record_writer *w, const struct mill_drift_result *result);
/* An item: subject, number of rows, conditions, severity, reason, metrics. */
void mill__record_result(struct mill__record_writer *w, const struct mill_drift_report *report,
                         const struct mill_drift_result *result);

#endif
