/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines as columns: rows.jsonl, scores.jsonl, or anybody's objects; see drift.h. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/drift.h"

#define FILE_BYTES_MAX ((size_t)8 << 30)
enum { NAME_MAX_BYTES = 256 };

/* "features.hour" is hour; "key.tailnum" stays. */
static bool join_name(const char *object, size_t object_length, struct mill_slice key, char *name, size_t *ret_length)
{
    bool prefixed = object_length > 0 && !(object_length == 8 && memcmp(object, "features", 8) == 0);
    size_t prefix = prefixed ? object_length + 1 : 0;

    if (prefix + key.n > NAME_MAX_BYTES) {
        return false;
    }
    if (prefixed) {
        memcpy(name, object, object_length);
        name[object_length] = '.';
    }
    memcpy(name + prefix, key.p, key.n);
    *ret_length = prefix + key.n;
    return true;
}

static bool is_scalar(enum mill_json_token token)
{
    return token == MILL_JSON_STRING || token == MILL_JSON_NUMBER || token == MILL_JSON_TRUE ||
           token == MILL_JSON_FALSE || token == MILL_JSON_NULL;
}

static struct mill_slice scalar_text(const struct mill_json_reader *r, enum mill_json_token token)
{
    if (token == MILL_JSON_TRUE || token == MILL_JSON_FALSE) {
        return mill_slice_of(token == MILL_JSON_TRUE ? "true" : "false");
    }
    if (token == MILL_JSON_STRING || token == MILL_JSON_NUMBER) {
        return r->text.n > 0 ? r->text : mill_slice_of("");
    }
    return (struct mill_slice){0};
}

/* The rest of an object whose beginning was read. */
static int read_object(struct mill_json_reader *r, const char *object, size_t object_length,
                       struct mill_cli_table *table)
{
    char name[2 * NAME_MAX_BYTES];

    for (;;) {
        enum mill_json_token token = mill_json_next(r);
        if (token == MILL_JSON_OBJECT_END) {
            return MILL_OK;
        }
        size_t length = 0;
        if (token != MILL_JSON_KEY || !join_name(object, object_length, r->text, name, &length)) {
            return MILL_EDATA;
        }
        token = mill_json_next(r);
        if (is_scalar(token)) {
            mill_cli_table_put(table, (struct mill_slice){name, length}, scalar_text(r, token));
        } else if (token == MILL_JSON_OBJECT_BEGIN && object_length == 0) {
            MILL_TRY(read_object(r, name, length, table));
        } else if (token == MILL_JSON_ERROR || mill_json_skip(r, token) < 0) {
            return MILL_EDATA;
        }
    }
}

static int read_line(struct mill_slice line, struct mill_buffer *unescaped, struct mill_cli_table *table,
                     struct mill_error *err)
{
    struct mill_json_reader r;

    mill_json_reader_init(&r, line, unescaped);
    r.allow_bare_nan = true;
    if (mill_json_next(&r) != MILL_JSON_OBJECT_BEGIN || read_object(&r, "", 0, table) < 0 ||
        mill_json_next(&r) != MILL_JSON_END) {
        return r.what != NULL ? mill_json_fail(&r, err) : mill_fail(err, MILL_EDATA, "expected one JSON object a line");
    }
    mill_cli_table_end_row(table);
    return MILL_OK;
}

/* Rows of other views are passed over before they make columns. */
static bool is_of_view(struct mill_slice line, const char *view)
{
    char text[NAME_MAX_BYTES + 16];
    int n = view == NULL ? 0 : snprintf(text, sizeof(text), "{\"view\":\"%s\"", view);

    return view == NULL || (line.n > (size_t)n && memcmp(line.p, text, (size_t)n) == 0);
}

int mill_cli_table_read_json(const char *path, const struct mill_cli_table_options *options,
                             struct mill_cli_table *table, struct mill_error *err)
{
    struct mill_buffer bytes = {0}, unescaped = {0};
    int rc = mill_file_read(path, FILE_BYTES_MAX, &bytes, err);
    unsigned number = 0;

    for (const char *p = bytes.p, *end = bytes.p + bytes.n; rc == MILL_OK && p < end; number++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        struct mill_slice line = {p, (size_t)((newline == NULL ? end : newline) - p)};
        if (line.n > 0 && is_of_view(line, options->view)) {
            rc = read_line(line, &unescaped, table, err);
        }
        p += line.n + 1;
    }
    if (rc < 0 && number > 0) {
        mill_error_prefix(err, "'%s': line %u", path, number);
    }
    mill_buffer_clear(&bytes);
    mill_buffer_clear(&unescaped);
    return rc;
}
