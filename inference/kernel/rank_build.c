/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks: columns, thresholds and the tests of all nodes as codes (rank_internal.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

/* A node's test on its way to a column. */
struct entry {
    double threshold;
    uint32_t used, node, set;
    uint8_t kind;
};

static int compare_sets(const struct mill__forest *forest, uint32_t i, uint32_t j)
{
    const struct mill__set *a = &forest->sets.at[i], *b = &forest->sets.at[j];
    if (i == j) {
        return 0;
    }
    int keys[2][5] = {{a->kind, a->nan_left, a->members_left, a->listed, (int)a->count},
                      {b->kind, b->nan_left, b->members_left, b->listed, (int)b->count}};
    int c = memcmp(keys[0], keys[1], sizeof(keys[0]));
    if (c != 0 || a->count == 0) {
        return c;
    }
    return a->listed
               ? memcmp(forest->set_numbers.at + a->begin, forest->set_numbers.at + b->begin, a->count * sizeof(double))
               : memcmp(forest->set_words.at + a->begin, forest->set_words.at + b->begin, a->count * sizeof(uint32_t));
}

static int compare_entries(const void *pa, const void *pb, void *context)
{
    const struct entry *a = pa, *b = pb;
    if (a->used != b->used) {
        return a->used < b->used ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->kind == MILL__CELL_SET) {
        return compare_sets(context, a->set, b->set);
    }
    return (a->threshold > b->threshold) - (a->threshold < b->threshold);
}

static struct entry entry_of(const struct mill__tables *tables, const struct mill__node *node, uint32_t index)
{
    struct entry e = {.used = mill__used_index(tables, node->feature), .node = index};
    if (node->flags & MILL__SET) {
        e.kind = MILL__CELL_SET;
        e.set = node->test.set;
    } else if (node->flags & MILL__NEVER) {
        e.kind = MILL__CELL_MISSING;
    } else {
        e.kind = node->flags & MILL__ZERO_MISSING ? MILL__CELL_ZERO_VALUE : MILL__CELL_VALUE;
        e.threshold = node->test.threshold;
    }
    return e;
}

static struct mill__rank_test test_of(const struct mill__node *node, uint32_t column, uint32_t rank)
{
    struct mill__rank_test test = {.column = (uint16_t)column, .rank = (uint8_t)rank};
    if (node->flags & MILL__NEVER) {
        /* The code is 1 where the value is missing, else 2. */
        test.rank = node->flags & MILL__NAN_LEFT ? 1 : 0;
    } else if ((node->flags & (MILL__SET | MILL__NAN_LEFT)) == MILL__NAN_LEFT) {
        test.rank = (uint8_t)(rank + 1);
        test.bump = 1;
    }
    return test;
}

/* Walks over the sorted entries: a new column for each feature, kind and set, and where one is full. Thresholds are
 * collected in order; column->begin counts them until they are laid out. False where there are too many columns. */
static bool assign(struct mill__ranks *ranks, const struct mill__forest *forest, const struct entry *entries,
                   uint32_t n, double *thresholds)
{
    MILL__VECTOR(struct mill__rank_column) columns = {0};
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *e = &entries[i];
        struct mill__rank_column *last = columns.n == 0 ? NULL : &columns.at[columns.n - 1];
        bool same = last != NULL && last->used == e->used && last->kind == e->kind &&
                    (e->kind != MILL__CELL_SET || compare_sets(forest, last->set, e->set) == 0);
        bool numeric = e->kind == MILL__CELL_VALUE || e->kind == MILL__CELL_ZERO_VALUE;
        bool known = same && numeric && thresholds[total - 1] == e->threshold;
        if (!same || (numeric && !known && last->n == MILL__RANK_THRESHOLDS_MAX)) {
            struct mill__rank_column column = {.used = e->used, .kind = e->kind, .set = e->set, .begin = total};
            mill__push(&columns, column);
            last = &columns.at[columns.n - 1];
        }
        if (numeric && !known) {
            thresholds[total++] = e->threshold;
            last->n++;
        }
        ranks->tests[e->node] = test_of(&forest->nodes.at[e->node], columns.n - 1, numeric ? last->n - 1 : 0);
        ranks->any_bump |= ranks->tests[e->node].bump != 0;
    }
    ranks->columns = columns.at;
    ranks->column_count = columns.n;
    return columns.n <= MILL__RANK_COLUMNS_MAX;
}

void *mill__lines(size_t n)
{
    void *p = NULL;
    mill_assert(posix_memalign(&p, 64, (n + 127) / 64 * 64) == 0);
    return p;
}

bool mill__adds_numbers(const struct mill__forest *forest)
{
    return forest->vector_size == 1 && forest->linear_leaves.n == 0 &&
           (forest->combine == MILL__SUM || forest->combine == MILL__AVERAGE);
}

bool mill__codes_fit_row(const struct mill__ranks *ranks)
{
    uint32_t bumped = ranks->any_bump ? (ranks->column_count + 15) / 16 * 16 : 0;
    return bumped + ranks->column_count <= MILL__HOP_ROW_BYTES;
}

static void put_threshold(struct mill__ranks *ranks, size_t at, double value)
{
    if (ranks->thresholds64 != NULL) {
        ranks->thresholds64[at] = value;
    } else {
        ranks->thresholds32[at] = (float)value;
    }
}

/* Blocks of 16, one more than needed so that a search past the last threshold still reads +inf; and behind all what a
 * search for a NaN may touch, to which every comparison is true: pivots, 16 blocks and one more. */
static void lay_out(struct mill__ranks *ranks, const struct mill__forest *forest, const double *thresholds)
{
    size_t total = 0;
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        total += (size_t)(ranks->columns[c].n / MILL__RANK_BLOCK + 2) * MILL__RANK_BLOCK;
    }
    size_t room = total + (size_t)(MILL__RANK_BLOCK + 2) * MILL__RANK_BLOCK;
    if (forest->cells_f64) {
        ranks->thresholds64 = mill__lines(room * sizeof(double));
    } else {
        ranks->thresholds32 = mill__lines(room * sizeof(float));
    }
    size_t at = 0;
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        struct mill__rank_column *column = &ranks->columns[c];
        const double *from = thresholds + column->begin;
        uint32_t blocks = column->n / MILL__RANK_BLOCK + 1;
        column->begin = (uint32_t)at;
        for (uint32_t b = 0; b < MILL__RANK_BLOCK; b++) {
            uint32_t last = (b + 1) * MILL__RANK_BLOCK - 1;
            put_threshold(ranks, at++, last < column->n ? from[last] : (double)INFINITY);
        }
        for (uint32_t i = 0; i < blocks * MILL__RANK_BLOCK; i++) {
            put_threshold(ranks, at++, i < column->n ? from[i] : (double)INFINITY);
        }
    }
    while (at < room) {
        put_threshold(ranks, at++, (double)INFINITY);
    }
}

/* Plain columns by themselves, so that the loop over most values has no cases. */
static void list_columns(struct mill__ranks *ranks)
{
    ranks->plain = mill_malloc((size_t)ranks->column_count * sizeof(*ranks->plain));
    ranks->others = mill_malloc((size_t)ranks->column_count * sizeof(*ranks->others));
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        const struct mill__rank_column *column = &ranks->columns[c];
        if (column->kind == MILL__CELL_VALUE) {
            ranks->plain[ranks->plain_count++] =
                (struct mill__rank_plain){column->used, column->begin, (uint16_t)c, (uint16_t)column->n};
        } else if (column->table == 0 || column->at == 0) {
            ranks->others[ranks->other_count++] = (uint16_t)c;
        }
    }
}

/* Entries by feature first, counted, then each feature's by themselves: many short sorts instead of a long one. */
static void sort_entries(const struct mill__tables *tables, const struct mill__forest *forest, struct entry *entries)
{
    uint32_t n = forest->nodes.n;
    uint32_t *end = mill_calloc((size_t)tables->used_count + 1, sizeof(*end));
    for (uint32_t i = 0; i < n; i++) {
        end[mill__used_index(tables, forest->nodes.at[i].feature) + 1]++;
    }
    for (uint32_t u = 0; u < tables->used_count; u++) {
        end[u + 1] += end[u];
    }
    for (uint32_t i = 0; i < n; i++) {
        struct entry e = entry_of(tables, &forest->nodes.at[i], i);
        entries[end[e.used]++] = e;
    }
    union {
        const struct mill__forest *in;
        void *out;
    } context = {.in = forest};
    uint32_t begin = 0;
    for (uint32_t u = 0; u < tables->used_count; u++) {
        qsort_r(entries + begin, end[u] - begin, sizeof(*entries), compare_entries, context.out);
        begin = end[u];
    }
    free(end);
}

void mill__ranks_build(struct mill__ranks *ranks, const struct mill__tables *tables, const struct mill__forest *forest)
{
    uint32_t n = forest->nodes.n;
    memset(ranks, 0, sizeof(*ranks));
    if (n == 0) {
        return;
    }
    struct entry *entries = mill_malloc((size_t)n * sizeof(*entries));
    double *thresholds = mill_malloc((size_t)n * sizeof(*thresholds));
    ranks->tests = mill_malloc((size_t)n * sizeof(*ranks->tests));
    sort_entries(tables, forest, entries);
    ranks->built = assign(ranks, forest, entries, n, thresholds);
    if (ranks->built) {
        lay_out(ranks, forest, thresholds);
        mill__categories_build(ranks, forest);
        list_columns(ranks);
        mill__scan_build(ranks, forest);
        mill__perfect_build(ranks, forest);
        if (ranks->perfect.depth == 0) {
            mill__hop_build(ranks, forest);
        }
    }
    free(thresholds);
    free(entries);
}

void mill__ranks_clear(struct mill__ranks *ranks)
{
    for (uint32_t t = 0; t < ranks->table_count; t++) {
        free(ranks->tables[t].codes);
    }
    free(ranks->tables);
    free(ranks->columns);
    free(ranks->thresholds32);
    free(ranks->thresholds64);
    free(ranks->tests);
    free(ranks->leaves32);
    free(ranks->groups);
    free(ranks->slots);
    free(ranks->picks);
    free(ranks->block);
    free(ranks->plain);
    free(ranks->others);
    free(ranks->hop.nodes);
    free(ranks->hop.roots);
    free(ranks->hop.values32);
    free(ranks->hop.values64);
    free(ranks->perfect.slots);
    free(ranks->perfect.heap);
    free(ranks->perfect.values32);
    free(ranks->perfect.values64);
}
