/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ${VAR}, ${VAR:-default} and ${VAR:?message} inside scalar values, after parsing: what a variable holds can change a
 * value, never the structure around it. All missing variables of a file are reported in one run.
 */
#include "engine/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFERENCES_MAX = 64, VARIABLE_NAME_MAX = 128, EXPANDED_BYTES_MAX = 1 << 16 };

struct reference {
    size_t begin, end; /* "${" to behind "}" */
    struct mill_slice name, rest;
    char kind; /* 0, '-', '?' */
};

MILL_PRINTF(4, 5)
static void problem_inside(struct mill__config *c, struct mill__node *node, size_t offset, const char *fmt, ...)
{
    char text[512];
    unsigned line, col;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    node->bad = true;
    uint32_t splices = node->splice_count;
    node->splice_count = 0; /* the offset is one of the text as it was written */
    mill__node_position(c, node, offset, &line, &col);
    node->splice_count = splices;
    mill__problem_at(c, line, col, "%s", text);
}

static bool is_name_char(char ch, bool first)
{
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_' || (!first && ch >= '0' && ch <= '9');
}

/* Reads the reference whose "${" is at `begin`; false after a problem. */
static bool read_reference(struct mill__config *c, struct mill__node *node, size_t begin,
                           struct reference *ret_reference)
{
    struct mill_slice raw = node->raw;
    struct reference r = {.begin = begin};
    size_t i = begin + 2;
    while (i < raw.n && is_name_char(raw.p[i], i == begin + 2)) {
        i++;
    }
    r.name = (struct mill_slice){raw.p + begin + 2, i - begin - 2};
    const char *close = memchr(raw.p + i, '}', raw.n - i);
    if (close == NULL || r.name.n == 0 || r.name.n > VARIABLE_NAME_MAX) {
        problem_inside(c, node, begin,
                       "'%.*s' is not a variable; expected ${NAME}, ${NAME:-default} or ${NAME:?message}; hint: $${ "
                       "stands for ${ itself",
                       (int)(raw.n - begin < 20 ? raw.n - begin : 20), raw.p + begin);
        return false;
    }
    r.end = (size_t)(close - raw.p) + 1;
    if (raw.p[i] == ':' && (raw.p[i + 1] == '-' || raw.p[i + 1] == '?')) {
        r.kind = raw.p[i + 1];
        r.rest = (struct mill_slice){raw.p + i + 2, r.end - 1 - (i + 2)};
    } else if (raw.p[i] != '}') {
        problem_inside(c, node, begin, "'${%.*s' goes on with something unknown; expected }, :-default} or :?message}",
                       (int)r.name.n, r.name.p);
        return false;
    }
    *ret_reference = r;
    return true;
}

/* What the variable stands for; p NULL after a problem. */
static struct mill_slice value_of(struct mill__config *c, struct mill__node *node, const struct reference *r)
{
    char name[VARIABLE_NAME_MAX + 1];
    memcpy(name, r->name.p, r->name.n);
    name[r->name.n] = '\0';
    const char *value = getenv(name);
    if (value != NULL && (value[0] != '\0' || r->kind == 0)) {
        if (!mill_utf8_is_valid(mill_slice_of(value))) {
            problem_inside(c, node, r->begin, "environment variable '%s' is not UTF-8", name);
            return (struct mill_slice){NULL, 0};
        }
        return mill_slice_of(value);
    }
    if (r->kind == '-') {
        return r->rest;
    }
    if (r->kind == '?' && r->rest.n > 0) {
        problem_inside(c, node, r->begin, "environment variable '%s' is not set: %.*s", name,
                       (int)(r->rest.n < 200 ? r->rest.n : 200), r->rest.p);
    } else {
        problem_inside(c, node, r->begin,
                       "environment variable '%s' is not set; hint: ${%s:-default} gives it a default", name, name);
    }
    return (struct mill_slice){NULL, 0};
}

static void add_splice(struct mill__node *node, struct mill__splice *splices, size_t to, size_t from, bool verbatim)
{
    splices[node->splice_count++] = (struct mill__splice){to, from, verbatim};
}

static void expand(struct mill__config *c, struct mill__node *node)
{
    struct mill_slice raw = node->raw;
    struct mill_buffer out = {0};
    struct mill__splice splices[2 * REFERENCES_MAX + 2];
    unsigned references = 0;
    size_t i = 0;

    node->splice_count = 0;
    add_splice(node, splices, 0, 0, true);
    while (i < raw.n) {
        bool escaped = i + 2 < raw.n && memcmp(raw.p + i, "$${", 3) == 0;
        bool reference = i + 1 < raw.n && raw.p[i] == '$' && raw.p[i + 1] == '{';
        if (!escaped && !reference) {
            mill_buffer_add_byte(&out, (unsigned char)raw.p[i++]);
            continue;
        }
        if (++references > REFERENCES_MAX) {
            node->bad = true;
            mill__problem(c, node, "more than 64 variables in one value");
            break;
        }
        if (escaped) {
            mill_buffer_add(&out, "${", 2);
            i += 3;
        } else {
            struct reference r;
            struct mill_slice value;
            if (!read_reference(c, node, i, &r)) {
                break;
            }
            value = value_of(c, node, &r);
            if (out.n + value.n > EXPANDED_BYTES_MAX) {
                node->bad = true;
                mill__problem(c, node, "value is longer than 64 KiB once its variables are filled in");
                break;
            }
            add_splice(node, splices, out.n, i, false);
            mill_buffer_add_slice(&out, value);
            i = r.end;
        }
        add_splice(node, splices, out.n, i, true);
    }
    node->text.p = mill_arena_strndup(c->arena, out.n == 0 ? "" : out.p, out.n);
    node->text.n = out.n;
    struct mill__splice *kept = mill_arena_array(c->arena, struct mill__splice, node->splice_count);
    memcpy(kept, splices, node->splice_count * sizeof(*kept));
    node->splices = kept;
    mill_buffer_clear(&out);
}

void mill__interpolate(struct mill__config *c, struct mill__node *node)
{
    if (node->interpolated) {
        return;
    }
    node->interpolated = true;
    for (uint32_t i = 0; i < node->count; i++) {
        mill__interpolate(c, node->kind == MILL__MAP ? node->pairs[i].value : node->items[i]);
    }
    if (node->kind == MILL__SCALAR && memmem(node->raw.p, node->raw.n, "${", 2) != NULL) {
        expand(c, node);
    }
}
