/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles that monitors make of the stream. The monitor's evaluator builds one and publishes it to the references
 * topic; the evaluator thread of each process reads that topic and hands the profile to the shards. Once there it stays
 * for the engine's life.
 */
#ifndef MILL_ENGINE_REFERENCE_INTERNAL_H
#define MILL_ENGINE_REFERENCE_INTERNAL_H

#include <stdatomic.h>

#include "engine/plan_internal.h"

struct mill__references {
    _Atomic(struct mill_profile *) *at; /* per monitor of the plan */
    uint32_t count;
};

void mill__references_init(struct mill__references *references, uint32_t count);
void mill__references_clear(struct mill__references *references);
/* The monitor's profile, loaded or made of the stream; NULL: there is none yet. Any thread. */
const struct mill_profile *mill__reference_of(struct mill__references *references, const struct mill__plan *plan,
                                              uint32_t monitor);
/* Reads the bytes of a profile; the first one stays. Any thread. */
int mill__reference_offer(struct mill__references *references, uint32_t monitor, struct mill_slice bytes,
                          struct mill_error *err) MILL_MUST_CHECK;

#endif
