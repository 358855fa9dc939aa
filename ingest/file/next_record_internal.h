/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a file as records of the source's wire format, one at a time; for replay. */
#ifndef MILL_INGEST_FILE_NEXT_RECORD_INTERNAL_H
#define MILL_INGEST_FILE_NEXT_RECORD_INTERNAL_H

#include "ingest/file/file_internal.h"

struct mill__replay;

/* What the file's rows are as they stand. */
enum mill__file_wire { MILL__WIRE_NONE, MILL__WIRE_JSON, MILL__WIRE_AVRO };
/* For MILL__WIRE_AVRO *ret_fingerprint is that of their schema. */
enum mill__file_wire mill__file_wire(const struct mill_file_source *file, uint64_t *ret_fingerprint);

/* MILL_ECONFIG where the source's framing cannot be written without a registry. */
int mill__replay_new(const struct mill_source_spec *spec, const struct mill_file_source *file,
                     struct mill__replay **ret_replay, struct mill_error *err) MILL_MUST_CHECK;
void mill__replay_free(struct mill__replay *replay);
int mill__replay_next(struct mill__replay *replay, struct mill_file_source *file, uint32_t key_column,
                      struct mill_record *ret_record, int64_t *ret_event_time_us,
                      struct mill_error *err) MILL_MUST_CHECK;

#endif
