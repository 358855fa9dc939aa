/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's schemas of one Avro source: its own, those of the project file, and those that a registry knows, each
 * with its decode plan. Called by decoder.c, once per record; only an id that was never seen costs more than a
 * comparison.
 */
#ifndef MILL_INGEST_WRITERS_INTERNAL_H
#define MILL_INGEST_WRITERS_INTERNAL_H

#include "ingest/avro/plan_internal.h"
#include "ingest/framing_internal.h"

struct mill__writers;

/* One schema id and what came of it. */
struct mill__writer {
    struct mill__schema_id id;
    const struct mill__avro_plan *plan; /* NULL: records of this id are rejected with reason and detail */
    enum mill_reject_reason reason;
    const char *detail;
    int64_t ask_again_ns; /* monotonic: an unknown id is asked for again then; 0: never */
    struct mill__avro_schema *schema;
};

/* spec must outlive it. Not thread-safe. */
int mill__writers_open(const struct mill_source_spec *spec, struct mill__writers **ret_writers,
                       struct mill_error *err) MILL_MUST_CHECK;
void mill__writers_close(struct mill__writers *writers);

/* To be called before the ids of a batch are looked up: forgets what is too much, and what is to be asked for again.
 * Pointers from earlier calls become invalid. */
void mill__writers_begin_batch(struct mill__writers *writers);
/* The entry of an id; valid until the next begin_batch. MILL_EUNAVAIL: not known here, and the registry cannot be
 * asked. */
int mill__writers_find(struct mill__writers *writers, struct mill__schema_id id, const struct mill__writer **ret_writer,
                       struct mill_error *err) MILL_MUST_CHECK;

/* The source's own plan, for bare records. */
const struct mill__avro_plan *mill__writers_own_plan(const struct mill__writers *writers);

#endif
