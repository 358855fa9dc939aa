/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same records as encode_internal.h in Avro, by schemas/score.avsc, row.avsc and dead_letter.avsc, in single-object
 * encoding (C3 01, fingerprint of the schema, body; Avro specification, "Single-object encoding").
 */
#ifndef MILL_ENGINE_ENCODE_AVRO_INTERNAL_H
#define MILL_ENGINE_ENCODE_AVRO_INTERNAL_H

#include "engine/encode_internal.h"

/* CRC-64-AVRO of the canonical forms of the three schemas; a test compares them with the files. */
#define MILL__AVRO_SCORE_FINGERPRINT       UINT64_C(0xefa2a4056bd5a945)
#define MILL__AVRO_ROW_FINGERPRINT         UINT64_C(0x33e2e21d2aad2528)
#define MILL__AVRO_DEAD_LETTER_FINGERPRINT UINT64_C(0x53a105ac05eb33d4)

void mill__avro_encode_row(const struct mill__plan *plan, const struct mill__plan_use *use,
                           const struct mill_batch *batch, uint32_t row, struct mill_buffer *out);
void mill__avro_encode_score(const struct mill__plan *plan, const struct mill__plan_model *model,
                             const struct mill_batch *batch, uint32_t row, const double *values, int64_t now_us,
                             struct mill_buffer *out);
void mill__avro_encode_dead_letter(const struct mill__dead_letter *letter, struct mill_buffer *out);

#endif
