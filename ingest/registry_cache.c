/* SPDX-License-Identifier: Apache-2.0 */
/* Files of registry answers; see registry_cache_internal.h. */
#include "ingest/registry_cache_internal.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

enum { CACHE_FILE_MAX = 8 << 20, CACHE_TEXTS_MAX = 64 };

void mill__registry_cache_path(const char *directory, const char *url, struct mill__schema_id id,
                               struct mill_buffer *out)
{
    char text[MILL__SCHEMA_ID_SIZE];

    mill_buffer_printf(out, "%s/schema-%016" PRIx64 "-%s.json", directory, mill_hash64(url, strlen(url)),
                       mill__schema_id_print(id, text));
}

static bool read_texts(struct mill_slice json, struct mill_arena *arena, const struct mill_slice **ret_texts,
                       uint32_t *ret_count)
{
    struct mill_slice *texts = mill_arena_array(arena, struct mill_slice, CACHE_TEXTS_MAX);
    struct mill_buffer unescaped = {0};
    struct mill_json_reader r;
    enum mill_json_token token;
    uint32_t count = 0;

    mill_json_reader_init(&r, json, &unescaped);
    token = mill_json_next(&r);
    bool ok = token == MILL_JSON_ARRAY_BEGIN;
    while (ok && (token = mill_json_next(&r)) == MILL_JSON_STRING && count < CACHE_TEXTS_MAX) {
        texts[count++] = mill_arena_slice(arena, r.text);
    }
    ok = ok && token == MILL_JSON_ARRAY_END && mill_json_next(&r) == MILL_JSON_END && count > 0;
    mill_buffer_clear(&unescaped);
    if (ok) {
        *ret_texts = texts;
        *ret_count = count;
    }
    return ok;
}

bool mill__registry_cache_read(const char *path, struct mill_arena *arena, const struct mill_slice **ret_texts,
                               uint32_t *ret_count)
{
    struct mill_buffer file = {0};

    bool ok = mill_file_read(path, CACHE_FILE_MAX, &file, NULL) == 0 &&
              read_texts(mill_buffer_slice(&file), arena, ret_texts, ret_count);
    mill_buffer_clear(&file);
    return ok;
}

int mill__registry_cache_write(const char *path, const struct mill_slice *texts, uint32_t count, struct mill_error *err)
{
    struct mill_buffer json = {0};
    struct mill_json_writer w;
    char *copy = mill_strdup(path);

    mill_json_writer_init(&w, &json, false);
    mill_json_write_array_begin(&w);
    for (uint32_t i = 0; i < count; i++) {
        mill_json_write_string(&w, texts[i]);
    }
    mill_json_write_array_end(&w);
    int rc = mill_file_make_dirs(dirname(copy), err);
    if (rc == 0) {
        rc = mill_file_replace(path, mill_buffer_slice(&json), err);
    }
    free(copy);
    mill_buffer_clear(&json);
    return rc;
}
