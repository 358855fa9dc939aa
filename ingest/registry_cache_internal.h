/* SPDX-License-Identifier: Apache-2.0 */
/* Registry answers as files, one per schema: a JSON array of schema texts, those that are referred to first. */
#ifndef MILL_INGEST_REGISTRY_CACHE_INTERNAL_H
#define MILL_INGEST_REGISTRY_CACHE_INTERNAL_H

#include "ingest/framing_internal.h"

/* Appends the file's path: ids are unique only within one registry, so its URL is part of the name. */
void mill__registry_cache_path(const char *directory, const char *url, struct mill__schema_id id,
                               struct mill_buffer *out);
/* False where there is no such file or it cannot be understood: then it is as if it were not there. */
bool mill__registry_cache_read(const char *path, struct mill_arena *arena, const struct mill_slice **ret_texts,
                               uint32_t *ret_count);
int mill__registry_cache_write(const char *path, const struct mill_slice *texts, uint32_t count,
                               struct mill_error *err) MILL_MUST_CHECK;

#endif
