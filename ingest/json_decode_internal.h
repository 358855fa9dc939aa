/* SPDX-License-Identifier: Apache-2.0 */
/* Decode plans for JSON records: one object per record, its top-level members into columns. Called by decoder.c and by
 * the JSON lines reader. */
#ifndef MILL_INGEST_JSON_DECODE_INTERNAL_H
#define MILL_INGEST_JSON_DECODE_INTERNAL_H

#include "ingest/decode_internal.h"

struct mill__json_plan;

/* spec must outlive the plan. Not thread-safe: a plan learns the order of keys. */
struct mill__json_plan *mill__json_plan_new(const struct mill_source_spec *spec);
void mill__json_plan_free(struct mill__json_plan *plan);
const struct mill_source_spec *mill__json_plan_spec(const struct mill__json_plan *plan);

/* Decodes one record into an empty row. Strings point into text, or into the batch's arena where they were escaped. Of
 * a key that comes twice the last value counts. False: *fault says why; the row may be half written. */
bool mill__json_plan_run(struct mill__json_plan *plan, struct mill_slice text, struct mill_batch *batch, uint32_t row,
                         struct mill__fault *fault);

#endif
