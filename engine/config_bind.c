/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binder: a mapping of the tree into a struct, by a table of options.
 *
 * Called for the whole project (tables in config_tables.c) and for manifests of models. It checks what a table can say:
 * unknown keys, missing keys, types, ranges, words. Names that refer to one another are the resolvers' business.
 */
#include "engine/config_internal.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/suggest.h"

enum { OPTIONS_MAX = 64 }; /* of one table */

struct binding {
    struct mill__config *c;
    const char *prefix;
    bool overridable;
};

static const char *join(struct mill__config *c, const char *prefix, const char *key)
{
    return prefix[0] == '\0' ? key : mill_arena_printf(c->arena, "%s.%s", prefix, key);
}

/* ------------------------------------------------------------------------------------------------
 * Values from outside the file
 * --------------------------------------------------------------------------------------------- */

static struct mill__node *outside_node(struct mill__config *c, const char *elsewhere, const char *text)
{
    struct mill__node *node = mill_arena_zarray(c->arena, struct mill__node, 1);
    node->kind = MILL__SCALAR;
    node->style = MILL__DOUBLE_QUOTED; /* an empty text is a text, not nothing */
    node->elsewhere = elsewhere;
    node->text = mill_slice_of(mill_arena_strdup(c->arena, text));
    node->raw = node->text;
    return node;
}

/* The last --set of that key, as its value. */
static const char *find_set(const struct mill__config *c, const char *key)
{
    const char *found = NULL;
    size_t n = strlen(key);
    if (c->options->sets == NULL) {
        return NULL;
    }
    for (size_t i = 0; c->options->sets[i] != NULL; i++) {
        const char *set = c->options->sets[i];
        if (strncmp(set, key, n) == 0 && set[n] == '=') {
            found = set + n + 1;
        }
    }
    return found;
}

static const char *find_env(struct mill__config *c, const char *key)
{
    char *name = mill_arena_printf(c->arena, "MILL_%s", key);
    for (char *p = name; *p != '\0'; p++) {
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    }
    return getenv(name);
}

static bool is_scalar_type(enum mill__option_type type)
{
    return type != MILL__OPTION_SECTION && type != MILL__OPTION_SECTIONS && type != MILL__OPTION_ANY &&
           type != MILL__OPTION_LATER;
}

/* --set before the environment before the file. */
static const struct mill__node * override(struct mill__config *c, const struct mill__option *option, const char *key,
                                          const struct mill__node *in_file)
{
    if (!is_scalar_type(option->type)) {
        return in_file;
    }
    const char *set = find_set(c, key);
    if (set != NULL) {
        return outside_node(c, "--set", set);
    }
    const char *env = find_env(c, key);
    return env != NULL ? outside_node(c, "environment", env) : in_file;
}

const char *mill__origin(struct mill__config *c, const struct mill__node *node)
{
    if (node == NULL) {
        return "default";
    }
    return node->elsewhere != NULL ? node->elsewhere
                                   : mill_arena_printf(c->arena, "%s:%u:%u", c->path, node->line, node->col);
}

struct mill__setting *mill__setting_add(struct mill__config *c, const char *key, const char *value, const char *origin)
{
    struct mill__setting *setting = mill_arena_zarray(c->arena, struct mill__setting, 1);
    *setting = (struct mill__setting){key, value, origin, NULL};
    *c->last_setting = setting;
    c->last_setting = &setting->next;
    return setting;
}

/* "...password=SECRET,..." and "//user:SECRET@host" with the secret out of sight. */
static const char *hide_passwords(struct mill__config *c, const char *text)
{
    char *copy = mill_arena_strdup(c->arena, text);
    char *p = strstr(copy, "password=");
    if (p != NULL) {
        p += strlen("password=");
        size_t n = strcspn(p, ",&; ");
        return mill_arena_printf(c->arena, "%.*s***%s", (int)(p - copy), copy, p + n);
    }
    char *scheme = strstr(copy, "://");
    char *host = scheme == NULL ? NULL : strchr(scheme, '@');
    return host == NULL ? copy : mill_arena_printf(c->arena, "%.*s***%s", (int)(scheme + 3 - copy), copy, host);
}

static const char *shown(struct mill__config *c, const struct mill__option *option, const char *text)
{
    if (option->flags & MILL__SECRET) {
        return "***";
    }
    return option->flags & MILL__HIDES_PASSWORD ? hide_passwords(c, text) : text;
}

/* ------------------------------------------------------------------------------------------------
 * Scalars
 * --------------------------------------------------------------------------------------------- */

/* The scalar's text, or NULL after a problem. */
static const char *scalar_text(struct mill__config *c, const struct mill__node *node, const char *what,
                               const char *expected)
{
    if (node->bad) {
        return NULL;
    }
    if (node->kind != MILL__SCALAR || mill__node_is_null(node)) {
        mill__problem(c, node, "'%s': expected %s, found %s", what, expected, mill__node_found(c, node));
        return NULL;
    }
    return node->text.p;
}

bool mill__parse_text(struct mill__config *c, const struct mill__node *node, const char *what, const char **ret_text)
{
    const char *text = scalar_text(c, node, what, "text");
    if (text == NULL) {
        return false;
    }
    *ret_text = text;
    return true;
}

static bool parse_bool(struct mill__config *c, const struct mill__node *node, const char *what, bool *ret)
{
    const char *text = scalar_text(c, node, what, "true or false");
    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        mill__problem(c, node, "'%s': expected true or false, found %s", what, mill__node_found(c, node));
        return false;
    }
    *ret = text[0] == 't';
    return true;
}

static const char *range_text(struct mill__config *c, const struct mill__option *option)
{
    if (option->min == 0 && option->max == 0) {
        return "";
    }
    return mill_arena_printf(c->arena, " from %.15g to %.15g", option->min, option->max);
}

static bool in_range(const struct mill__option *option, double value)
{
    return (option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max);
}

static bool parse_integer(struct mill__config *c, const struct mill__node *node, const char *what,
                          const struct mill__option *option, int64_t *ret)
{
    const char *expected = mill_arena_printf(c->arena, "a whole number%s", range_text(c, option));
    const char *text = scalar_text(c, node, what, expected);
    char *end;
    if (text == NULL) {
        return false;
    }
    long long value = strtoll(text, &end, 10);
    bool digits = isdigit((unsigned char)text[0]) || (text[0] == '-' && isdigit((unsigned char)text[1]));
    if (!digits || *end != '\0' || value == LLONG_MAX || value == LLONG_MIN || !in_range(option, (double)value)) {
        mill__problem(c, node, "'%s': expected %s, found %s", what, expected, mill__node_found(c, node));
        return false;
    }
    *ret = value;
    return true;
}

static bool read_number(const char *text, double *ret)
{
    char *end;
    bool begins = isdigit((unsigned char)text[0]) || ((text[0] == '-' || text[0] == '+') && text[1] != '\0');
    double value = strtod(text, &end);
    if (!begins || *end != '\0' || !isfinite(value) || text[strspn(text, "+-0123456789.eE")] != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

bool mill__parse_number(struct mill__config *c, const struct mill__node *node, const char *what, double *ret_value)
{
    const char *text = scalar_text(c, node, what, "a number");
    if (text == NULL) {
        return false;
    }
    if (!read_number(text, ret_value)) {
        mill__problem(c, node, "'%s': expected a number, found %s", what, mill__node_found(c, node));
        return false;
    }
    return true;
}

static bool parse_fraction(struct mill__config *c, const struct mill__node *node, const char *what,
                           const struct mill__option *option, double *ret)
{
    const char *expected = mill_arena_printf(c->arena, "a number%s", range_text(c, option));
    const char *text = scalar_text(c, node, what, expected);
    double value;
    if (text == NULL) {
        return false;
    }
    if (!read_number(text, &value) || !in_range(option, value)) {
        mill__problem(c, node, "'%s': expected %s, found %s", what, expected, mill__node_found(c, node));
        return false;
    }
    *ret = value;
    return true;
}

static bool is_zero_duration(const char *text)
{
    return text[0] == '0' && text[1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

bool mill__parse_duration(struct mill__config *c, const struct mill__node *node, const char *what, bool may_be_zero,
                          int64_t *ret_us)
{
    struct mill_error err;
    const char *text = scalar_text(c, node, what, "a duration such as 10m");
    if (text == NULL) {
        return false;
    }
    if (may_be_zero && is_zero_duration(text)) {
        *ret_us = 0;
        return true;
    }
    if (mill_duration_parse(node->text, ret_us, &err) < 0) {
        mill__problem(c, node, "'%s': %s", what, err.msg);
        return false;
    }
    return true;
}

static bool parse_size(struct mill__config *c, const struct mill__node *node, const char *what,
                       const struct mill__option *option, uint64_t *ret)
{
    struct mill_error err;
    uint64_t bytes;
    if (scalar_text(c, node, what, "a size such as 64MiB") == NULL) {
        return false;
    }
    if (mill_size_parse(node->text, &bytes, &err) < 0) {
        mill__problem(c, node, "'%s': %s", what, err.msg);
        return false;
    }
    if (!in_range(option, (double)bytes)) {
        mill__problem(c, node, "'%s': expected a size from %.15g to %.15g bytes, found %s", what, option->min,
                      option->max, mill__node_found(c, node));
        return false;
    }
    *ret = bytes;
    return true;
}

bool mill__is_name(const char *s)
{
    bool good = isalpha((unsigned char)s[0]) || s[0] == '_';
    size_t n = 0;
    for (; s[n] != '\0'; n++) {
        good = good && (isalnum((unsigned char)s[n]) || s[n] == '_');
    }
    return good && n <= 100;
}

static bool is_label(const char *s)
{
    size_t n = 0;
    bool good = true;
    for (; s[n] != '\0'; n++) {
        good = good && (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '.' || s[n] == '-');
    }
    return good && n > 0 && n <= 249 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static const char *text_expected(enum mill__option_type type)
{
    switch ((int)type) {
    case MILL__OPTION_NAME:
        return "a name: a letter or _, then letters, digits and _, at most 100";
    case MILL__OPTION_LABEL:
        return "a name of letters, digits, '.', '_' and '-', at most 249";
    case MILL__OPTION_PATH:
        return "a path";
    case MILL__OPTION_EXPRESSION:
        return "an expression";
    default:
        return "text";
    }
}

static bool parse_text(struct mill__config *c, const struct mill__node *node, const char *what,
                       const struct mill__option *option, const char **ret)
{
    const char *expected = text_expected(option->type);
    const char *text = scalar_text(c, node, what, expected);
    if (text == NULL) {
        return false;
    }
    if ((option->type == MILL__OPTION_NAME && !mill__is_name(text)) ||
        (option->type == MILL__OPTION_LABEL && !is_label(text)) ||
        (text[0] == '\0' && (option->flags & MILL__MAY_BE_EMPTY) == 0)) {
        mill__problem(c, node, "'%s': expected %s, found %s", what, expected, mill__node_found(c, node));
        return false;
    }
    *ret = text;
    return true;
}

const char *mill__hint(struct mill__config *c, const char *word, const char *const *names, size_t count)
{
    enum { LISTED_MAX = 8 };
    const char *near = count == 0 ? NULL : mill_suggest(mill_slice_of(word), names, count);
    if (near != NULL) {
        return mill_arena_printf(c->arena, "; hint: did you mean '%s'?", near);
    }
    if (count == 0 || count > LISTED_MAX) {
        return "";
    }
    struct mill_buffer text = {0};
    mill_buffer_add_string(&text, "; hint: known here: ");
    for (size_t i = 0; i < count; i++) {
        mill_buffer_printf(&text, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    const char *hint = mill_arena_strdup(c->arena, mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
    return hint;
}

static const char *words_text(struct mill__config *c, const char *const *words)
{
    const char *text = words[0];
    for (size_t i = 1; words[i] != NULL; i++) {
        text = mill_arena_printf(c->arena, "%s%s%s", text, words[i + 1] == NULL ? " or " : ", ", words[i]);
    }
    return text;
}

static bool parse_word(struct mill__config *c, const struct mill__node *node, const char *what,
                       const struct mill__option *option, int *ret)
{
    const char *expected = words_text(c, option->words);
    const char *text = scalar_text(c, node, what, expected);
    size_t count = 0;
    if (text == NULL) {
        return false;
    }
    for (; option->words[count] != NULL; count++) {
        if (strcmp(text, option->words[count]) == 0) {
            *ret = (int)count;
            return true;
        }
    }
    const char *near = mill_suggest(node->text, option->words, count);
    mill__problem(c, node, "'%s': expected %s, found %s%s%s%s", what, expected, mill__node_found(c, node),
                  near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Lists of text
 * --------------------------------------------------------------------------------------------- */

static void add_text(struct mill__config *c, struct mill__texts *texts, const struct mill__node *node, const char *what)
{
    const char *text = scalar_text(c, node, what, "text");
    if (text == NULL) {
        return;
    }
    if (text[0] == '\0') {
        mill__problem(c, node, "'%s': expected text, found an empty one", what);
        return;
    }
    texts->at[texts->count++] = (struct mill__text){text, node, NULL};
}

/* "a,b" from outside the file is a list. */
static void split_text(struct mill__config *c, struct mill__texts *texts, const struct mill__node *node)
{
    const char *p = node->text.p;
    texts->at = mill_arena_array(c->arena, struct mill__text, node->text.n / 2 + 1);
    while (*p != '\0') {
        size_t n = strcspn(p, ",");
        if (n > 0) {
            texts->at[texts->count++] = (struct mill__text){mill_arena_strndup(c->arena, p, n), node, NULL};
        }
        p += n + (p[n] == ',');
    }
}

static void parse_texts(struct mill__config *c, const struct mill__node *node, const char *what,
                        struct mill__texts *ret)
{
    struct mill__texts texts = {.node = node};
    if (node->kind == MILL__LIST && node->count > 0 && node->count <= MILL__SECTIONS_MAX) {
        texts.at = mill_arena_array(c->arena, struct mill__text, node->count);
        for (uint32_t i = 0; i < node->count; i++) {
            add_text(c, &texts, node->items[i], what);
        }
    } else if (node->kind == MILL__LIST) {
        mill__problem(c, node, "'%s': expected at least one and at most %d values, found %u", what, MILL__SECTIONS_MAX,
                      node->count);
    } else if (node->elsewhere != NULL) {
        split_text(c, &texts, node);
    } else {
        texts.at = mill_arena_array(c->arena, struct mill__text, 1);
        const char *text = scalar_text(c, node, what, "text or a list of texts");
        if (text != NULL) {
            add_text(c, &texts, node, what);
        }
    }
    *ret = texts;
}

static const char *texts_shown(struct mill__config *c, const struct mill__texts *texts)
{
    const char *text = "";
    for (uint32_t i = 0; i < texts->count; i++) {
        text = mill_arena_printf(c->arena, "%s%s%s", text, i == 0 ? "" : ",", texts->at[i].s);
    }
    return text;
}

/* ------------------------------------------------------------------------------------------------
 * Options and mappings
 * --------------------------------------------------------------------------------------------- */

static void bind_text(struct binding *b, const struct mill__option *option, const struct mill__node *node, char *slot,
                      const char *key, bool is_default)
{
    struct mill__text text = {NULL, is_default ? NULL : node, NULL};
    if (!parse_text(b->c, node, key, option, &text.s)) {
        text.s = NULL; /* reported; resolvers leave it alone because it has a node */
    } else {
        text.setting = mill__setting_add(b->c, key, shown(b->c, option, text.s), mill__origin(b->c, text.node));
    }
    memcpy(slot, &text, sizeof(text));
}

static void bind_scalar(struct binding *b, const struct mill__option *option, const struct mill__node *node, char *slot,
                        const char *key, bool is_default)
{
    struct mill__config *c = b->c;
    bool good = false;
    switch ((int)option->type) {
    case MILL__OPTION_BOOL:
        good = parse_bool(c, node, key, (bool *)slot);
        break;
    case MILL__OPTION_INTEGER:
        good = parse_integer(c, node, key, option, (int64_t *)(void *)slot);
        break;
    case MILL__OPTION_NUMBER:
        good = parse_fraction(c, node, key, option, (double *)(void *)slot);
        break;
    case MILL__OPTION_SIZE:
        good = parse_size(c, node, key, option, (uint64_t *)(void *)slot);
        break;
    case MILL__OPTION_DURATION:
        good = mill__parse_duration(c, node, key, option->min == 0, (int64_t *)(void *)slot);
        break;
    case MILL__OPTION_WORD:
        good = parse_word(c, node, key, option, (int *)(void *)slot);
        break;
    default:
        mill_assert(!"an option type without a parser");
    }
    if (good) {
        mill__setting_add(c, key, shown(c, option, node->text.p), mill__origin(c, is_default ? NULL : node));
    }
}

static void bind_sections(struct binding *b, const struct mill__option *option, const struct mill__node *node,
                          struct mill__sections *ret, const char *key)
{
    struct mill__config *c = b->c;
    struct mill__sections sections = {.node = node};
    if (node->kind != MILL__LIST) {
        mill__problem(c, node, "'%s': expected a list of mappings, each a %s, found %s", key, option->table->what,
                      mill__node_found(c, node));
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
        parse_texts(b->c, node, key, texts);
        if (texts->count > 0) {
            mill__setting_add(b->c, key, texts_shown(b->c, texts), mill__origin(b->c, is_default ? NULL : node));
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
    case MILL__OPTION_LATER:
        mill__problem(b->c, node, "'%s': %s", key, option->help);
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
    if (option->flags & MILL__REQUIRED && !((option->flags & MILL__NOT_OFFLINE) && c->options->offline)) {
        if (!is_misspelt(table, parent, option->key)) {
            mill__problem(c, parent, "%s lacks the required key '%s': %s", table->what, option->key, option->help);
        }
    } else if (option->type == MILL__OPTION_SECTION) {
        mill__bind(c, option->table, NULL, slot, key, b->overridable);
    } else if (option->fallback != NULL) {
        bind_given(b, option, outside_node(c, "default", option->fallback), slot, key, true);
    } else if (option->shown_fallback != NULL && is_scalar_type(option->type) && option->type >= MILL__OPTION_STRING &&
               option->type <= MILL__OPTION_EXPRESSION) {
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
    const char *key = join(b->c, b->prefix, option->key);
    char *slot = (char *)target + option->offset;
    const struct mill__node *node = mill__node_get(map, option->key);
    if (b->overridable) {
        node = override(b->c, option, key, node);
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
        mill__problem(c, node, "'%s': expected a mapping, found %s", prefix[0] == '\0' ? "the file" : prefix,
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

/* ------------------------------------------------------------------------------------------------
 * --set
 * --------------------------------------------------------------------------------------------- */

/* Adds the keys that --set takes to names. */
static size_t list_keys(struct mill__config *c, const struct mill__table *table, const char *prefix, const char **names,
                        size_t count, size_t capacity)
{
    for (uint32_t i = 0; i < table->count && count < capacity; i++) {
        const struct mill__option *option = &table->options[i];
        const char *key = join(c, prefix, option->key);
        if (option->type == MILL__OPTION_SECTION) {
            count = list_keys(c, option->table, key, names, count, capacity);
        } else if (is_scalar_type(option->type)) {
            names[count++] = key;
        }
    }
    return count;
}

void mill__bind_check_sets(struct mill__config *c, const struct mill__table *root)
{
    static const char passed_on[] = "kafka.librdkafka.";
    const char *names[128];
    size_t count = list_keys(c, root, "", names, 0, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; c->options->sets != NULL && c->options->sets[i] != NULL; i++) {
        const char *set = c->options->sets[i];
        size_t n = strcspn(set, "=");
        const char *key = mill_arena_strndup(c->arena, set, n);
        size_t k = 0;
        while (k < count && strcmp(names[k], key) != 0) {
            k++;
        }
        if (set[n] != '=') {
            mill__problem(c, outside_node(c, "--set", set), "expected KEY=VALUE, found '%s'", set);
        } else if (k == count && strncmp(key, passed_on, sizeof(passed_on) - 1) != 0) {
            mill__problem(c, outside_node(c, "--set", set), "'%s' is not a key that can be set%s", key,
                          mill__hint(c, key, names, count));
        }
    }
}

void mill__bind_each_set(struct mill__config *c, const char *prefix,
                         void (*each)(struct mill__config *c, const char *key, const char *value, void *context),
                         void *context)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; c->options->sets != NULL && c->options->sets[i] != NULL; i++) {
        const char *set = c->options->sets[i];
        const char *equals = strchr(set, '=');
        if (equals != NULL && strncmp(set, prefix, n) == 0 && set[n] == '.') {
            each(c, mill_arena_strndup(c->arena, set + n + 1, (size_t)(equals - set) - n - 1), equals + 1, context);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * Text helpers of the resolvers
 * --------------------------------------------------------------------------------------------- */

void mill__text_default(struct mill__text *text, const char *value)
{
    if (text->s == NULL && text->node == NULL) {
        text->s = value;
        if (text->setting != NULL) {
            text->setting->value = value;
        }
    }
}

const char *mill__path_beside(struct mill__config *c, const char *name)
{
    struct mill_buffer path = {0};
    mill_file_beside(c->path, name, &path);
    const char *copy = mill_arena_strdup(c->arena, mill_buffer_cstr(&path));
    mill_buffer_clear(&path);
    return copy;
}

const char *mill__secret(struct mill__config *c, const struct mill__text *direct, const struct mill__text *file)
{
    enum { SECRET_BYTES_MAX = 1 << 16 };
    struct mill_buffer bytes = {0};
    struct mill_error err;
    if (direct->s != NULL && file->s != NULL) {
        mill__problem(c, file->node, "expected either the secret or the file that holds it, found both");
        return direct->s;
    }
    if (file->s == NULL) {
        return direct->s;
    }
    const char *secret = "";
    if (mill_file_read(mill__path_beside(c, file->s), SECRET_BYTES_MAX, &bytes, &err) < 0) {
        mill__problem(c, file->node, "%s", err.msg);
    } else {
        while (bytes.n > 0 && (bytes.p[bytes.n - 1] == '\n' || bytes.p[bytes.n - 1] == '\r')) {
            bytes.n--;
        }
        if (bytes.n == 0 || memchr(bytes.p, 0, bytes.n) != NULL) {
            mill__problem(c, file->node, "'%s': expected a secret, found %s", file->s,
                          bytes.n == 0 ? "an empty file" : "null bytes");
        } else {
            secret = mill_arena_strndup(c->arena, bytes.p, bytes.n);
        }
    }
    mill_buffer_clear(&bytes);
    return secret;
}
