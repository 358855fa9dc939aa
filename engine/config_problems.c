/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of a project file: collected, never thrown, so that one run shows all of them. */
#include "engine/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 1024 };

MILL_PRINTF(6, 0)
static void add(struct mill__config *c, const char *file, unsigned line, unsigned col, bool warning, const char *fmt,
                va_list args)
{
    struct mill_problems *problems = c->problems;
    char text[MESSAGE_MAX];

    if (problems->count > MILL__PROBLEMS_MAX) {
        problems->error_count += !warning;
        return;
    }
    vsnprintf(text, sizeof(text), fmt, args);
    if (problems->count == MILL__PROBLEMS_MAX) {
        snprintf(text, sizeof(text), "too many problems; the others are not shown");
        line = col = UINT32_MAX; /* stays last */
    }
    if (problems->count == problems->capacity) {
        problems->capacity = problems->capacity == 0 ? 16 : 2 * problems->capacity;
        problems->at = mill_realloc(problems->at, problems->capacity * sizeof(*problems->at));
    }
    problems->at[problems->count++] = (struct mill_problem){mill_arena_strdup(&problems->arena, file), line, col,
                                                            mill_arena_strdup(&problems->arena, text), warning};
    problems->error_count += !warning;
}

void mill__problem(struct mill__config *c, const struct mill__node *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (at == NULL) {
        add(c, c->path, 1, 1, false, fmt, args);
    } else {
        add(c, at->elsewhere != NULL ? at->elsewhere : c->path, at->line, at->col, false, fmt, args);
    }
    va_end(args);
}

void mill__problem_at(struct mill__config *c, unsigned line, unsigned col, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(c, c->path, line, col, false, fmt, args);
    va_end(args);
}

void mill__warning(struct mill__config *c, const struct mill__node *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(c, at != NULL && at->elsewhere != NULL ? at->elsewhere : c->path, at == NULL ? 1 : at->line,
        at == NULL ? 1 : at->col, true, fmt, args);
    va_end(args);
}

static int compare_problems(const void *a, const void *b)
{
    const struct mill_problem *x = a, *y = b;
    int c = strcmp(x->file, y->file);
    if (c != 0) {
        return c;
    }
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->col != y->col) {
        return x->col < y->col ? -1 : 1;
    }
    return strcmp(x->message, y->message);
}

void mill__problems_sort(struct mill_problems *problems)
{
    if (problems->count < 2) {
        return;
    }
    qsort(problems->at, problems->count, sizeof(*problems->at), compare_problems);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < problems->count; i++) {
        if (compare_problems(&problems->at[i], &problems->at[kept - 1]) == 0) {
            problems->error_count -= !problems->at[i].warning;
            continue;
        }
        problems->at[kept++] = problems->at[i];
    }
    problems->count = kept;
    /* The note that there are more has no place in the file. */
    if (problems->at[kept - 1].line == UINT32_MAX) {
        problems->at[kept - 1].line = problems->at[kept - 1].col = 0;
    }
}

void mill_problems_clear(struct mill_problems *problems)
{
    free(problems->at);
    mill_arena_clear(&problems->arena);
    memset(problems, 0, sizeof(*problems));
}
