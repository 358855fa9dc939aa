/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to a tree of nodes with positions; the only file that knows libyaml.
 *
 * Reads libyaml's events, not its documents: so depth, size, duplicate keys and aliases are bounded before anything
 * is built. An alias shares the node of its anchor; `weight` counts what it would be if it were written out.
 */
#include "engine/config_internal.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct frame {
    struct mill__node *node;
    struct mill__node *key; /* of a mapping: read, its value not yet */
    uint32_t capacity;
    bool flow; /* written in braces */
};

struct anchor {
    const char *name;
    struct mill__node *node;
};

struct loader {
    struct mill__config *c;
    yaml_parser_t parser;
    struct frame frames[MILL__DEPTH_MAX];
    unsigned depth;
    struct mill__node *root;
    struct anchor *anchors;
    uint32_t anchor_count, node_count, document_count;
};

static bool fail_at(struct loader *l, yaml_mark_t mark, const char *what)
{
    mill__problem_at(l->c, (unsigned)mark.line + 1, (unsigned)mark.column + 1, "%s", what);
    return false;
}

/* libyaml's reader knows only the byte at which it stumbled. */
static void report_reader_error(struct loader *l)
{
    unsigned line = 1, col = 1;
    for (size_t i = 0; i < l->parser.problem_offset && i < l->c->source.n; i++) {
        unsigned char byte = (unsigned char)l->c->source.p[i];
        col = byte == '\n' ? 1 : col + ((byte & 0xc0) != 0x80);
        line += byte == '\n';
    }
    mill__problem_at(l->c, line, col, "not valid YAML: %s; expected printable text in UTF-8", l->parser.problem);
}

static void report_syntax_error(struct loader *l)
{
    yaml_parser_t *p = &l->parser;
    if (p->problem == NULL) {
        mill__problem_at(l->c, 1, 1, "not valid YAML");
        return;
    }
    if (p->error == YAML_READER_ERROR) {
        report_reader_error(l);
        return;
    }
    unsigned line = (unsigned)p->problem_mark.line + 1, col = (unsigned)p->problem_mark.column + 1;
    const char *hint = "";
    if (strstr(p->problem, "cannot start any token") != NULL) {
        hint = "; hint: indent with blanks, not tabs, and quote values that begin with % @ or `";
    } else if (strstr(p->problem, "mapping values are not allowed") != NULL) {
        hint = "; hint: check the indentation, and quote values that hold ': '";
    } else if (strstr(p->problem, "expected ',' or '") != NULL) {
        hint = "; hint: quote values that hold commas, quotes, braces or brackets";
    }
    if (p->context != NULL && p->context_mark.index != p->problem_mark.index) {
        mill__problem_at(l->c, line, col, "not valid YAML: %s %s that begins at %zu:%zu%s", p->problem, p->context,
                         p->context_mark.line + 1, p->context_mark.column + 1, hint);
    } else {
        mill__problem_at(l->c, line, col, "not valid YAML: %s%s", p->problem, hint);
    }
}

static bool push_item(struct loader *l, struct frame *frame, struct mill__node *node)
{
    struct mill__node *parent = frame->node;
    if (parent->kind == MILL__MAP && frame->key == NULL) {
        frame->key = node;
        return true;
    }
    if (parent->count == frame->capacity) {
        uint32_t capacity = frame->capacity == 0 ? 8 : 2 * frame->capacity;
        if (parent->kind == MILL__MAP) {
            struct mill__pair *pairs = mill_arena_array(l->c->arena, struct mill__pair, capacity);
            if (parent->count > 0) {
                memcpy(pairs, parent->pairs, parent->count * sizeof(*pairs));
            }
            parent->pairs = pairs;
        } else {
            struct mill__node **items = mill_arena_array(l->c->arena, struct mill__node *, capacity);
            if (parent->count > 0) {
                memcpy(items, parent->items, parent->count * sizeof(struct mill__node *));
            }
            parent->items = items;
        }
        frame->capacity = capacity;
    }
    if (parent->kind == MILL__MAP) {
        parent->pairs[parent->count++] = (struct mill__pair){frame->key, node};
        frame->key = NULL;
    } else {
        parent->items[parent->count++] = node;
    }
    return true;
}

/* Hangs a complete node where the document expects one. */
static bool place(struct loader *l, struct mill__node *node, yaml_mark_t mark)
{
    if (l->depth == 0) {
        l->root = node;
        return true;
    }
    struct frame *frame = &l->frames[l->depth - 1];
    if (frame->node->kind == MILL__MAP && frame->key == NULL && node->kind != MILL__SCALAR) {
        mill__problem(l->c, node, "a key must be plain text, not a list or mapping");
        return false;
    }
    frame->node->weight += node->weight;
    if (frame->node->weight > MILL__NODES_MAX) {
        return fail_at(l, mark, "too many values once aliases are written out; expected at most 200000");
    }
    return push_item(l, frame, node);
}

static struct mill__node *new_node(struct loader *l, enum mill__kind kind, yaml_mark_t mark)
{
    struct mill__node *node = mill_arena_zarray(l->c->arena, struct mill__node, 1);
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->col = (unsigned)mark.column + 1;
    node->weight = 1;
    return node;
}

static bool define_anchor(struct loader *l, const yaml_char_t *name, struct mill__node *node, yaml_mark_t mark)
{
    if (name == NULL) {
        return true;
    }
    if (l->anchor_count == MILL__ANCHORS_MAX) {
        return fail_at(l, mark, "too many anchors; expected at most 1000");
    }
    if (l->anchors == NULL) {
        l->anchors = mill_arena_array(l->c->arena, struct anchor, MILL__ANCHORS_MAX);
    }
    l->anchors[l->anchor_count++] = (struct anchor){mill_arena_strdup(l->c->arena, (const char *)name), node};
    return true;
}

/* Tags would be instructions (!include, !vault) that nobody carries out; only YAML's own type names may stand. */
static bool check_tag(struct loader *l, const yaml_char_t *tag, yaml_mark_t mark)
{
    static const char core[] = "tag:yaml.org,2002:";
    if (tag == NULL || strcmp((const char *)tag, "!") == 0 || strncmp((const char *)tag, core, sizeof(core) - 1) == 0) {
        return true;
    }
    mill__problem_at(l->c, (unsigned)mark.line + 1, (unsigned)mark.column + 1,
                     "tag '%s' is not known; expected a value without a tag", (const char *)tag);
    return false;
}

static enum mill__style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        return MILL__SINGLE_QUOTED;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return MILL__DOUBLE_QUOTED;
    case YAML_LITERAL_SCALAR_STYLE:
        return MILL__LITERAL;
    case YAML_FOLDED_SCALAR_STYLE:
        return MILL__FOLDED;
    case YAML_ANY_SCALAR_STYLE:
    case YAML_PLAIN_SCALAR_STYLE:
    default:
        return MILL__PLAIN;
    }
}

static bool on_scalar(struct loader *l, const yaml_event_t *event)
{
    struct mill__node *node = new_node(l, MILL__SCALAR, event->start_mark);
    size_t n = event->data.scalar.length;
    node->style = style_of(event->data.scalar.style);
    node->text.p = mill_arena_strndup(l->c->arena, (const char *)event->data.scalar.value, n);
    node->text.n = n;
    node->raw = node->text;
    if (memchr(node->text.p, 0, n) != NULL) {
        return fail_at(l, event->start_mark, "text holds a null character");
    }
    return check_tag(l, event->data.scalar.tag, event->start_mark) &&
           define_anchor(l, event->data.scalar.anchor, node, event->start_mark) && place(l, node, event->start_mark);
}

static bool on_alias(struct loader *l, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (uint32_t i = l->anchor_count; i-- > 0;) {
        if (strcmp(l->anchors[i].name, name) != 0) {
            continue;
        }
        for (unsigned d = 0; d < l->depth; d++) {
            if (l->frames[d].node == l->anchors[i].node) {
                return fail_at(l, event->start_mark, "alias stands inside its own anchor");
            }
        }
        return place(l, l->anchors[i].node, event->start_mark);
    }
    mill__problem_at(l->c, (unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1,
                     "alias '*%s' has no anchor '&%s' before it", name, name);
    return false;
}

static bool on_begin(struct loader *l, enum mill__kind kind, const yaml_char_t *anchor, const yaml_char_t *tag,
                     yaml_mark_t mark)
{
    if (l->depth == MILL__DEPTH_MAX) {
        return fail_at(l, mark, "lists and mappings are nested too deeply; expected at most 32 levels");
    }
    struct mill__node *node = new_node(l, kind, mark);
    if (!check_tag(l, tag, mark) || !define_anchor(l, anchor, node, mark)) {
        return false;
    }
    l->frames[l->depth++] = (struct frame){.node = node};
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const struct mill__node *const *x = a, *const *y = b;
    int c = mill_slice_compare((*x)->text, (*y)->text);
    if (c != 0) {
        return c;
    }
    return (*x)->line != (*y)->line ? ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line)
                                    : ((*x)->col > (*y)->col) - ((*x)->col < (*y)->col);
}

static void report_duplicate_keys(struct loader *l, const struct mill__node *map)
{
    if (map->count < 2) {
        return;
    }
    struct mill__node **keys = mill_malloc(map->count * sizeof(struct mill__node *));
    for (uint32_t i = 0; i < map->count; i++) {
        keys[i] = map->pairs[i].key;
    }
    qsort(keys, map->count, sizeof(struct mill__node *), compare_keys);
    for (uint32_t i = 1; i < map->count; i++) {
        if (mill_slice_equal(keys[i - 1]->text, keys[i]->text)) {
            mill__problem(l->c, keys[i], "key '%s' is given twice; the first is at %u:%u", keys[i]->text.p,
                          keys[i - 1]->line, keys[i - 1]->col);
        }
    }
    free(keys);
}

static bool on_end(struct loader *l, const yaml_event_t *event)
{
    struct mill__node *node = l->frames[--l->depth].node;
    if (node->kind == MILL__MAP) {
        if (l->frames[l->depth].flow) {
            mill__flow_join(l->c, node);
        }
        report_duplicate_keys(l, node);
    }
    return place(l, node, event->start_mark);
}

static bool on_event(struct loader *l, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return l->document_count++ == 0 || fail_at(l, event->start_mark, "expected one YAML document, found a second");
    case YAML_SCALAR_EVENT:
        return on_scalar(l, event);
    case YAML_ALIAS_EVENT:
        return on_alias(l, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(l, MILL__LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                        event->start_mark);
    case YAML_MAPPING_START_EVENT:
        if (!on_begin(l, MILL__MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                      event->start_mark)) {
            return false;
        }
        l->frames[l->depth - 1].flow = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
        return true;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(l, event);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default:
        return true;
    }
}

struct mill__node *mill__yaml_load(struct mill__config *c)
{
    struct loader *l = mill_calloc(1, sizeof(*l));
    bool good = true, end = false;

    l->c = c;
    if (!yaml_parser_initialize(&l->parser)) {
        free(l);
        mill__problem_at(c, 1, 1, "no memory for the YAML parser");
        return NULL;
    }
    yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l->parser, (const unsigned char *)(c->source.p == NULL ? "" : c->source.p),
                                 c->source.n);
    while (good && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&l->parser, &event)) {
            report_syntax_error(l);
            good = false;
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        good = on_event(l, &event);
        yaml_event_delete(&event);
    }
    struct mill__node *root = good ? l->root : NULL;
    if (good && root == NULL) {
        mill__problem_at(c, 1, 1, "the file is empty; hint: 'tidemill init DIR' writes a project to begin with");
    }
    yaml_parser_delete(&l->parser);
    free(l);
    return root;
}

bool mill__node_is_null(const struct mill__node *node)
{
    return node->kind == MILL__SCALAR && node->style == MILL__PLAIN &&
           (node->text.n == 0 || mill_slice_is(node->text, "~") || mill_slice_is(node->text, "null"));
}

const char *mill__node_found(struct mill__config *c, const struct mill__node *node)
{
    if (node->kind != MILL__SCALAR) {
        return node->kind == MILL__LIST ? "a list" : "a mapping";
    }
    if (mill__node_is_null(node)) {
        return "nothing";
    }
    /* A value may be a page of text; its beginning says which one it is. */
    enum { SHOWN_MAX = 60 };
    size_t n = node->text.n < SHOWN_MAX ? node->text.n : SHOWN_MAX;
    while (n < node->text.n && n > 0 && ((unsigned char)node->text.p[n] & 0xc0) == 0x80) {
        n--;
    }
    const char *newline = memchr(node->text.p, '\n', n);
    if (newline != NULL) {
        n = (size_t)(newline - node->text.p);
    }
    return mill_arena_printf(c->arena, "'%.*s%s'", (int)n, node->text.p, n < node->text.n ? "..." : "");
}

struct mill__node *mill__node_get(const struct mill__node *map, const char *key)
{
    if (map == NULL || map->kind != MILL__MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        if (mill_slice_is(map->pairs[i].key->text, key)) {
            return map->pairs[i].value;
        }
    }
    return NULL;
}
