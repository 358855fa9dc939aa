/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions in flow mappings: {name: weekend, expr: day_of_week(t) in (5, 6)}.
 *
 * To YAML the comma ends the value, and "6)" is a key without one. Nobody means that. So where a plain value leaves a
 * parenthesis open and what follows on the line are keys without values, the pieces are put together again. Called by
 * config_yaml.c as each flow mapping ends.
 */
#include "engine/config_internal.h"

#include <string.h>

/* Length of the text at p that ends at a comma or brace outside of parentheses and quotes; 0 where it does not end on
 * the line or holds a comment. */
static size_t balanced_length(const char *p, const char *end)
{
    int depth = 0;
    char quote = 0;
    for (const char *q = p; q < end && *q != '\n' && *q != '\r'; q++) {
        if (*q == '#' && q > p && (q[-1] == ' ' || q[-1] == '\t')) {
            return 0;
        }
        if (quote != 0) {
            quote = *q == quote ? 0 : quote;
        } else if (*q == '\'' || *q == '"') {
            quote = *q;
        } else if (*q == '(') {
            depth++;
        } else if (*q == ')') {
            depth--;
        } else if (depth <= 0 && (*q == ',' || *q == '}')) {
            return depth < 0 ? 0 : (size_t)(q - p);
        }
    }
    return 0;
}

static bool opens_parenthesis(const struct mill__node *node)
{
    int depth = 0;
    for (size_t i = 0; i < node->text.n; i++) {
        depth += (node->text.p[i] == '(') - (node->text.p[i] == ')');
    }
    return node->kind == MILL__SCALAR && node->style == MILL__PLAIN && depth > 0;
}

static bool is_lone_key(const struct mill__pair *pair)
{
    return pair->key->style == MILL__PLAIN && pair->value->kind == MILL__SCALAR && pair->value->style == MILL__PLAIN &&
           pair->value->text.n == 0;
}

static uint32_t characters(const char *p, size_t n)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ((unsigned char)p[i] & 0xc0) != 0x80;
    }
    return count;
}

void mill__flow_join(struct mill__config *c, struct mill__node *map)
{
    for (uint32_t i = 0; i + 1 < map->count; i++) {
        struct mill__node *value = map->pairs[i].value;
        if (!opens_parenthesis(value) || !is_lone_key(&map->pairs[i + 1])) {
            continue;
        }
        const char *p = mill__node_source(c, value);
        size_t n = balanced_length(p, c->source.p + c->source.n);
        unsigned end = value->col + characters(p, n);
        uint32_t next = i + 1;
        while (next < map->count && map->pairs[next].key->line == value->line && map->pairs[next].key->col < end) {
            if (!is_lone_key(&map->pairs[next])) {
                break;
            }
            next++;
        }
        bool whole =
            next == map->count || map->pairs[next].key->line != value->line || map->pairs[next].key->col >= end;
        if (n == 0 || next == i + 1 || !whole) {
            continue;
        }
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) {
            n--;
        }
        value->text = (struct mill_slice){mill_arena_strndup(c->arena, p, n), n};
        value->raw = value->text;
        memmove(&map->pairs[i + 1], &map->pairs[next], (map->count - next) * sizeof(*map->pairs));
        map->count -= next - (i + 1);
    }
}
