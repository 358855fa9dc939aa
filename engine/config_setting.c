/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: values from outside the file (--set, the environment, files of secrets), where each value in effect came
 * from, and what of it may be shown.
 */
#include "engine/config_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

const char *mill__key_join(struct mill__config *c, const char *prefix, const char *key)
{
    return prefix[0] == '\0' ? key : mill_arena_printf(c->arena, "%s.%s", prefix, key);
}

/* ------------------------------------------------------------------------------------------------
 * Values from outside the file
 * --------------------------------------------------------------------------------------------- */

struct mill__node *mill__outside_node(struct mill__config *c, const char *elsewhere, const char *text)
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

bool mill__option_is_scalar(const struct mill__option *option)
{
    return option->type != MILL__OPTION_SECTION && option->type != MILL__OPTION_SECTIONS &&
           option->type != MILL__OPTION_ANY;
}

/* --set before the environment before the file. */
const struct mill__node *mill__override(struct mill__config *c, const struct mill__option *option, const char *key,
                                        const struct mill__node *in_file)
{
    if (!mill__option_is_scalar(option)) {
        return in_file;
    }
    const char *set = find_set(c, key);
    if (set != NULL) {
        return mill__outside_node(c, "--set", set);
    }
    const char *env = find_env(c, key);
    return env != NULL ? mill__outside_node(c, "environment", env) : in_file;
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

const char *mill__shown(struct mill__config *c, const struct mill__option *option, const char *text)
{
    if (option->flags & MILL__SECRET) {
        return "***";
    }
    return option->flags & MILL__HIDES_PASSWORD ? hide_passwords(c, text) : text;
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
        const char *key = mill__key_join(c, prefix, option->key);
        if (option->type == MILL__OPTION_SECTION) {
            count = list_keys(c, option->table, key, names, count, capacity);
        } else if (mill__option_is_scalar(option)) {
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
            mill__problem(c, mill__outside_node(c, "--set", set), "expected KEY=VALUE, found '%s'", set);
        } else if (k == count && strncmp(key, passed_on, sizeof(passed_on) - 1) != 0) {
            mill__problem(c, mill__outside_node(c, "--set", set), "'%s' is not a key that can be set%s", key,
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
