/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a batch as Avro records of the source's schema: for replaying a file to a topic. */
#ifndef MILL_INGEST_AVRO_ENCODE_INTERNAL_H
#define MILL_INGEST_AVRO_ENCODE_INTERNAL_H

#include "ingest/avro/schema_internal.h"
#include "ingest/decode_internal.h"

/* Appends the record. Fields that are no columns get null or their default. MILL_EDATA names the field whose value the
 * schema cannot hold. */
int mill__avro_encode_record(const struct mill_source_spec *spec, const struct mill__avro_schema *schema,
                          const struct mill_batch *batch, uint32_t row, struct mill_buffer *out,
                          struct mill_error *err) MILL_MUST_CHECK;

#endif
