/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schema registry client (Confluent's REST interface, as Apicurio, Karapace and Redpanda also serve it): a schema by
 * its id or GUID, with the schemas that it refers to. Answers are immutable, so they are kept in files; with those, a
 * restart works while the registry is down. Calls block for a few seconds at most. Called by writers.c when an id is
 * new.
 */
#ifndef MILL_INGEST_REGISTRY_INTERNAL_H
#define MILL_INGEST_REGISTRY_INTERNAL_H

#include "ingest/framing_internal.h"

struct mill__registry;

/* auth ("user:password") and cache_directory may be NULL. Nothing is asked yet. Not thread-safe; any number of them. */
int mill__registry_open(const char *url, const char *auth, const char *cache_directory,
                        struct mill__registry **ret_registry, struct mill_error *err) MILL_MUST_CHECK;
void mill__registry_close(struct mill__registry *registry);

/* The schema's text, behind those of the schemas that it refers to, in the order in which they must be read; memory
 * from arena. MILL_ENOINPUT: the registry says that there is none. MILL_EDATA: it is no Avro schema, or not one answer
 * that we understand. MILL_EUNAVAIL: no answer; the message says why. */
int mill__registry_fetch(struct mill__registry *registry, struct mill__schema_id id, struct mill_arena *arena,
                         const struct mill_slice **ret_texts, uint32_t *ret_count,
                         struct mill_error *err) MILL_MUST_CHECK;

#endif
