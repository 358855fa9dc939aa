/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that the engine writes: rows, scores, dead letters. As JSON, or in topics as Avro where the project says
 * so (encode_avro_internal.h). One object a record, without a newline. The same text goes to topics and to the files of
 * offline runs; topics add what a stream reader needs (partition, wall time). Texts that do not change from record to
 * record are laid out once, in an encoder.
 */
#ifndef MILL_ENGINE_ENCODE_INTERNAL_H
#define MILL_ENGINE_ENCODE_INTERNAL_H

#include "engine/plan_internal.h"

struct mill__encoder; /* immutable after new; any thread */
struct mill__encoder *mill__encoder_new(const struct mill__plan *plan, bool for_topics);
void mill__encoder_free(struct mill__encoder *encoder);

/* {"view","key":{},"event_time","source","offset","features":{}} (topics: "partition" before "offset") */
void mill__encode_row(const struct mill__encoder *encoder, const struct mill__plan_use *use, uint32_t source,
                      const struct mill_batch *batch, uint32_t row, struct mill_buffer *out);
/* {"model","version","key":{},"event_time","source","offset","score"} (topics: also "event_id", "partition",
 * "decision", "scored_at"); several outputs: "score" is an array. */
void mill__encode_score(const struct mill__encoder *encoder, const struct mill__plan_model *model,
                        const struct mill_batch *batch, uint32_t row, const double *values, int64_t now_us,
                        struct mill_buffer *out);

struct mill__dead_letter {
    const char *source, *topic; /* topic NULL offline */
    int32_t partition;
    int64_t offset;
    enum mill_reject_reason reason;
    const char *detail;
    struct mill_slice key, value; /* the raw bytes */
    int64_t now_us;
};
/* {"source","topic","partition","offset","reason","detail","key","value"}: bytes that are UTF-8 as a string, others
 * under "key_base64" and "value_base64". */
void mill__encode_dead_letter(const struct mill__encoder *encoder, const struct mill__dead_letter *letter,
                              struct mill_buffer *out);

/* One value of a column as JSON; null where it has none. */
void mill__encode_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out);

#endif
