/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binder: a mapping of the tree into a struct, by a table of options.
 *
 * Called for the whole project (tables in config_tables*.c) and for manifests of models. It checks what a table can
 * say: unknown keys, missing keys, types, ranges, words. Names that refer to one another are the resolvers' business.
 */
#include "engine/config_internal.h"

#include <math.h>
#include <string.h>

#include "base/suggest.h"

enum { OPTIONS_MAX = 64 }; /* of one table */

struct binding {
    struct mill__config *c;
    const char *prefix;
    bool overridable;
};

static void bind_text(struct binding *b, const struct mill__option *option, const struct mill__node *node, char *slot,
                      const char *key, bool is_default)
{
    struct mill__text text = {NULL, is_default ? NULL : node, NULL};
    if (!mill__parse_option(b->c, node, key, option, &text.s)) {
        text.s = NULL; /* reported; resolvers leave it alone because it has a node */
    } else {
        text.setting = mill__setting_add(b->c, key, mill__shown(b->c, option, text.s), mill__origin(b->c, text.node));
    }
    memcpy(slot, &text, sizeof(text));
}

static void bind_scalar(struct binding *b, const struct mill__option *option, const struct mill__node *node, char *slot,
                        const char *key, bool is_default)
{
    struct mill__config *c = b->c;
    if (mill__parse_option(c, node, key, option, slot)) {
        mill__setting_add(c, key, mill__shown(c, option, node->text.p), mill__origin(c, is_default ? NULL : node));
    } else if (option->type == MILL__OPTION_WORD) {
        int none = -1; /* none of the words: nothing that depends on one of them is asked for */
        memcpy(slot, &none, sizeof(none));
    }
}

static void bind_sections(struct binding *b, const struct mill__option *option, const struct mill__node *node,
                          struct mill__sections *ret, const char *key)
{
    struct mill__config *c = b->c;
    struct mill__sections sections = {.node = node};
    if (node->kind != MILL__LIST) {
        mill__problem(c, node, "'%s': expected a list of mappings, found %s", key, mill__node_found(c, node));
    } else if (node->count > MILL__SECTIONS_MAX) {
        mill__problem(c, node, "'%s': expected at most %d elements, found %u", key, MILL__SECTIONS_MAX, node->count);
    } else {
        sections.at = mill_arena_zalloc(c->arena, option->table->size * node->count);
        sections.count = node->count;
        for (uint32_t i = 0; i < node->count; i++) {
            mill__bind(c, option->table, node->items[i], (char *)sections.at + i * option->table->size,
                       mill_arena_printf(c->arena, "%s[%u]", key, i), false);
        }
    }
    *ret = sections;
}

static void bind_given(struct binding *b, const struct mill__option *option, const struct mill__node *node, char *slot,
                       const char *key, bool is_default)
{
    switch (option->type) {
    case MILL__OPTION_STRING:
    case MILL__OPTION_NAME:
    case MILL__OPTION_LABEL:
    case MILL__OPTION_PATH:
    case MILL__OPTION_EXPRESSION:
        bind_text(b, option, node, slot, key, is_default);
        return;
    case MILL__OPTION_STRINGS: {
        struct mill__texts *texts = (struct mill__texts *)(void *)slot;
        mill__parse_texts(b->c, node, key, texts);
        if (texts->count > 0) {
            mill__setting_add(b->c, key, mill__texts_shown(b->c, texts), mill__origin(b->c, is_default ? NULL : node));
        }
        return;
    }
    case MILL__OPTION_SECTION:
        mill__bind(b->c, option->table, node, slot, key, b->overridable);
        return;
    case MILL__OPTION_SECTIONS:
        bind_sections(b, option, node, (struct mill__sections *)(void *)slot, key);
        return;
    case MILL__OPTION_ANY:
        if (mill__node_is_null(node)) {
            mill__problem(b->c, node, "'%s': expected %s, found nothing", key, option->expected);
        } else {
            memcpy(slot, &node, sizeof(node));
        }
        return;
    case MILL__OPTION_BOOL:
    case MILL__OPTION_INTEGER:
    case MILL__OPTION_NUMBER:
    case MILL__OPTION_SIZE:
    case MILL__OPTION_DURATION:
    case MILL__OPTION_WORD:
    default:
        bind_scalar(b, option, node, slot, key, is_default);
    }
}

/* A required key that is there, but misspelt, is one problem, not two. */
static bool is_misspelt(const struct mill__table *table, const struct mill__node *map, const char *key)
{
    const char *names[OPTIONS_MAX];
    for (uint32_t i = 0; i < table->count; i++) {
        names[i] = table->options[i].key;
    }
    for (uint32_t i = 0; map != NULL && i < map->count && i < OPTIONS_MAX; i++) {
        const char *near = mill_suggest(map->pairs[i].key->text, names, table->count);
        if (near != NULL && strcmp(near, key) == 0) {
            return true;
        }
    }
    return false;
}

static void bind_absent(struct binding *b, const struct mill__table *table, const struct mill__option *option,
                        const struct mill__node *parent, char *slot, const char *key)
{
    struct mill__config *c = b->c;
    bool wanted = option->flags & MILL__NOT_OFFLINE ? !c->options->offline : parent != NULL;
    if (option->flags & MILL__REQUIRED && wanted) {
        if (!is_misspelt(table, parent, option->key)) {
            mill__problem(c, parent, "%s lacks the required key '%s': %s", table->what, option->key, option->help);
        }
    } else if (option->type == MILL__OPTION_SECTION) {
        mill__bind(c, option->table, NULL, slot, key, b->overridable);
    } else if (option->fallback != NULL) {
        bind_given(b, option, mill__outside_node(c, "default", option->fallback), slot, key, true);
    } else if (option->shown_fallback != NULL && mill__option_is_scalar(option) &&
               option->type >= MILL__OPTION_STRING && option->type <= MILL__OPTION_EXPRESSION) {
        struct mill__text text = {NULL, NULL, mill__setting_add(c, key, option->shown_fallback, "default")};
        memcpy(slot, &text, sizeof(text));
    } else if (option->type == MILL__OPTION_NUMBER) {
        double absent = NAN;
        memcpy(slot, &absent, sizeof(absent));
    }
}

static void bind_option(struct binding *b, const struct mill__table *table, const struct mill__option *option,
                        const struct mill__node *map, void *target)
{
    const char *key = mill__key_join(b->c, b->prefix, option->key);
    char *slot = (char *)target + option->offset;
    const struct mill__node *node = mill__node_get(map, option->key);
    if (b->overridable) {
        node = mill__override(b->c, option, key, node);
    }
    if (node != NULL) {
        bind_given(b, option, node, slot, key, false);
    } else {
        bind_absent(b, table, option, map, slot, key);
    }
}

static void report_unknown_keys(struct binding *b, const struct mill__table *table, const struct mill__node *map)
{
    const char *names[OPTIONS_MAX];
    mill_assert(table->count <= OPTIONS_MAX);
    for (uint32_t i = 0; i < table->count; i++) {
        names[i] = table->options[i].key;
    }
    for (uint32_t i = 0; i < map->count && b->c->problems->count <= MILL__PROBLEMS_MAX; i++) {
        const struct mill__node *key = map->pairs[i].key;
        uint32_t k = 0;
        while (k < table->count && !mill_slice_is(key->text, names[k])) {
            k++;
        }
        if (k < table->count) {
            continue;
        }
        if (mill_slice_is(key->text, "<<")) {
            mill__problem(b->c, key, "merge keys are not supported; expected the keys themselves");
        } else {
            mill__problem(b->c, key, "%s has no key %s%s", table->what, mill__node_found(b->c, key),
                          mill__hint(b->c, key->text.p, names, table->count));
        }
    }
}

void mill__bind(struct mill__config *c, const struct mill__table *table, const struct mill__node *node, void *target,
                const char *prefix, bool overridable)
{
    struct binding b = {c, prefix, overridable};
    if (node != NULL && node->kind != MILL__MAP) {
        mill__problem(c, node, "%s%s%s: expected a mapping, found %s", prefix[0] == '\0' ? "" : "'",
                      prefix[0] == '\0' ? "top of the file" : prefix, prefix[0] == '\0' ? "" : "'",
                      mill__node_found(c, node));
        return;
    }
    memcpy(target, &node, sizeof(node)); /* the struct's first member */
    if (node != NULL) {
        report_unknown_keys(&b, table, node);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        bind_option(&b, table, &table->options[i], node, target);
    }
}
