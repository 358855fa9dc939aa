/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars of the project file to C values: types, ranges, words, lists of text. Called by the binder and the resolvers.
 */
#include "engine/config_internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/suggest.h"

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
    if (text == NULL) {
        return false;
    }
    int64_t value;
    const char *end = mill_number_parse_int64(text, text + node->text.n, &value);
    if (end == NULL || *end != '\0' || !in_range(option, (double)value)) {
        mill__problem(c, node, "'%s': expected %s, found %s", what, expected, mill__node_found(c, node));
        return false;
    }
    *ret = value;
    return true;
}

static bool read_number(struct mill_slice text, double *ret)
{
    double value;
    const char *end = text.n == 0 ? NULL : mill_number_parse_double(text.p, text.p + text.n, &value);
    if (end != text.p + text.n || !isfinite(value)) {
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
    if (!read_number(node->text, ret_value)) {
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
    if (!read_number(node->text, &value) || !in_range(option, value)) {
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

const char *mill__hint_near(struct mill__config *c, const char *word, const char *const *names, size_t count)
{
    const char *near = count == 0 ? NULL : mill_suggest(mill_slice_of(word), names, count);
    return near == NULL ? "" : mill_arena_printf(c->arena, "; hint: did you mean '%s'?", near);
}

const char *mill__hint(struct mill__config *c, const char *word, const char *const *names, size_t count)
{
    enum { LISTED_MAX = 8 };
    const char *near = mill__hint_near(c, word, names, count);
    if (near[0] != '\0') {
        return near;
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
    mill__problem(c, node, "'%s': expected %s, found %s%s", what, expected, mill__node_found(c, node),
                  mill__hint_near(c, text, option->words, count));
    return false;
}

bool mill__parse_option(struct mill__config *c, const struct mill__node *node, const char *what,
                        const struct mill__option *option, void *slot)
{
    switch ((int)option->type) {
    case MILL__OPTION_BOOL:
        return parse_bool(c, node, what, slot);
    case MILL__OPTION_INTEGER:
        return parse_integer(c, node, what, option, slot);
    case MILL__OPTION_NUMBER:
        return parse_fraction(c, node, what, option, slot);
    case MILL__OPTION_SIZE:
        return parse_size(c, node, what, option, slot);
    case MILL__OPTION_DURATION:
        return mill__parse_duration(c, node, what, option->min == 0, slot);
    case MILL__OPTION_WORD:
        return parse_word(c, node, what, option, slot);
    default:
        return parse_text(c, node, what, option, slot);
    }
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

void mill__parse_texts(struct mill__config *c, const struct mill__node *node, const char *what, struct mill__texts *ret)
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

const char *mill__texts_shown(struct mill__config *c, const struct mill__texts *texts)
{
    const char *text = "";
    for (uint32_t i = 0; i < texts->count; i++) {
        text = mill_arena_printf(c->arena, "%s%s%s", text, i == 0 ? "" : ",", texts->at[i].s);
    }
    return text;
}
