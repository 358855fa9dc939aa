/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entity state against an oracle: random histories (disorder within the lateness, ties, nulls, several partitions and
 * entities, restarts, a tiny cache) are folded by tables of a random view, and every row and lookup is recomputed from
 * the plain list of all events folded so far, with its own windows and Python's fsum. All bits must be equal. Rows of
 * events behind the watermark are not exact; but then a second run of the history, whose table is never closed, flushed
 * or short of room, must give the same bits for these, too.
 *
 *   MILL_TEST_SEED=N   begins with history N (a failure prints it)
 *   MILL_TEST_COUNT=N  so many histories
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kv_memory.h"
#include "naive_fsum.h"

#define SECOND MILL_US_PER_SECOND
#define MINUTE MILL_US_PER_MINUTE
#define HOUR   MILL_US_PER_HOUR
#define DAY    MILL_US_PER_DAY

enum { KEY, X, N, B, TS, S, FLAG, SOURCE_COLUMNS };
enum { EVENTS_MAX = 140, AGGREGATES_MAX = 14, ENTITIES_MAX = 7 };

static struct mill_field source_fields[SOURCE_COLUMNS] = {
    {"key", MILL_STRING},   {"x", MILL_FLOAT64}, {"n", MILL_INT64},   {"b", MILL_BOOL},
    {"ts", MILL_TIMESTAMP}, {"s", MILL_STRING},  {"flag", MILL_BOOL},
};
static const struct mill_schema source_schema = {source_fields, SOURCE_COLUMNS};
static const struct mill_join_key join_keys[] = {{"key", MILL_STRING}};

/* ---- random numbers: splitmix64 ---- */

static uint64_t random_state;

static uint64_t advance_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t next_random(void)
{
    return advance_random(&random_state);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

static int64_t below64(int64_t n)
{
    return (int64_t)(next_random() % (uint64_t)n);
}

/* ---- one history ---- */

struct event {
    int64_t t, offset;
    int32_t partition;
    uint32_t entity;
    bool valid[SOURCE_COLUMNS];
    double x;
    int64_t n, ts;
    bool b, flag;
    uint32_t dropped_at; /* beyond events_max; the number of events folded when it went */
};

struct history {
    struct mill_aggregate_spec aggregates[AGGREGATES_MAX];
    char names[AGGREGATES_MAX][32];
    struct mill_view_spec spec;
    struct mill_view *view;
    struct event folded[EVENTS_MAX];
    uint32_t folded_count;
    int64_t newest, watermark, lateness, scale;
    bool applies_late; /* some events are behind the watermark */
    bool checks_raw_only, has_no_ties;
    int64_t raw_width; /* of raw windows; -1: there are none */
    uint64_t dropped_count;
    uint32_t entity_count;
    int64_t next_offset[3];
};

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t q = t / step;
    return (q * step > t ? q - 1 : q) * step;
}

static int64_t default_hop(int64_t w)
{
    int64_t k = 60;
    while (w % k != 0) {
        k++;
    }
    return w / k;
}

/* Is an event at time ts in the window as of t? */
static bool in_window(const struct mill_aggregate_spec *a, int64_t t, int64_t ts)
{
    int64_t w = a->window_us;
    enum mill_window_semantics semantics = a->semantics;

    if (w == 0) {
        return semantics == MILL_WINDOW_CHRONON ? ts < t : ts <= t;
    }
    if (semantics == MILL_WINDOW_DEFAULT) {
        semantics = w <= HOUR ? MILL_WINDOW_EXACT : MILL_WINDOW_HOP;
    }
    switch (semantics) {
    case MILL_WINDOW_EXACT:
        return t - w < ts && ts <= t;
    case MILL_WINDOW_OPENMLDB:
        return t - w <= ts && ts <= t;
    case MILL_WINDOW_HOP: {
        int64_t hop = a->semantics == MILL_WINDOW_DEFAULT ? default_hop(w) : a->hop_us;
        return floor_to(t - w, hop) <= ts && ts <= t;
    }
    case MILL_WINDOW_CHRONON: {
        int64_t hop = w >= 12 * DAY ? DAY : w >= 12 * HOUR ? HOUR : 5 * MINUTE;
        return floor_to(t - w, hop) <= ts && ts < t;
    }
    case MILL_WINDOW_FEAST: {
        int64_t hop = a->hop_us == 0 ? 5 * MINUTE : a->hop_us, end = floor_to(t, hop);
        return floor_to(end - w, hop) <= ts && ts < end;
    }
    case MILL_WINDOW_DEFAULT:
        break;
    }
    return false;
}

static bool is_raw(const struct mill_aggregate_spec *a)
{
    return a->window_us > 0 && (a->semantics == MILL_WINDOW_EXACT || a->semantics == MILL_WINDOW_OPENMLDB ||
                                (a->semantics == MILL_WINDOW_DEFAULT && a->window_us <= HOUR));
}

static int compare_events(const struct event *a, const struct event *b)
{
    if (a->t != b->t) {
        return a->t < b->t ? -1 : 1;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Result bits as the column holds them. */
struct answer {
    bool valid;
    uint64_t bits;
};

static uint64_t double_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static uint64_t value_bits(const struct event *e, uint32_t column)
{
    switch (column) {
    case X:
        return double_bits(e->x);
    case N:
        return (uint64_t)e->n;
    case B:
        return e->b;
    case TS:
        return (uint64_t)e->ts;
    default:
        return 0;
    }
}

static bool less(uint64_t a, uint64_t b, enum mill_type type)
{
    if (type != MILL_FLOAT64) {
        return (int64_t)a < (int64_t)b;
    }
    double x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    return x < y || (x == y && signbit(x) && !signbit(y));
}

struct naive {
    uint64_t count;
    struct partials sum;
    bool has_nan, has_plus, has_minus;
    __int128 int_sum;
    uint64_t min, max;
    const struct event *first, *last;
};

static void naive_add(struct naive *s, const struct event *e, uint32_t column, enum mill_type type)
{
    uint64_t bits = value_bits(e, column);
    bool is_nan = column == X && isnan(e->x);

    if (column == X && isfinite(e->x)) {
        partials_add(&s->sum, e->x);
    }
    s->has_plus |= column == X && isinf(e->x) && e->x > 0;
    s->has_minus |= column == X && isinf(e->x) && e->x < 0;
    s->int_sum += (int64_t)bits;
    if (!is_nan) {
        bool is_first = s->count == 0 || (s->has_nan && s->min == UINT64_MAX);
        s->min = is_first || less(bits, s->min, type) ? bits : s->min;
        s->max = is_first || less(s->max, bits, type) ? bits : s->max;
    } else if (s->count == 0) {
        s->min = s->max = UINT64_MAX;
    }
    s->has_nan |= is_nan;
    s->count++;
    s->first = s->first == NULL || compare_events(e, s->first) < 0 ? e : s->first;
    s->last = s->last == NULL || compare_events(e, s->last) > 0 ? e : s->last;
}

static double naive_sum(const struct naive *s)
{
    if (s->has_nan || (s->has_plus && s->has_minus)) {
        return (double)NAN;
    }
    if (s->has_plus || s->has_minus) {
        return s->has_plus ? (double)INFINITY : -(double)INFINITY;
    }
    return partials_round(&s->sum);
}

static struct answer naive_answer(const struct naive *s, const char *function, uint32_t column, int64_t t)
{
    bool any = s->count > 0;
    enum mill_type type = source_fields[column].type;

    if (strcmp(function, "count") == 0) {
        return (struct answer){true, s->count};
    }
    if (!any) {
        return (struct answer){false, 0};
    }
    if (strcmp(function, "sum") == 0) {
        if (type == MILL_FLOAT64) {
            return (struct answer){true, double_bits(naive_sum(s))};
        }
        bool fits = s->int_sum >= INT64_MIN && s->int_sum <= INT64_MAX;
        return (struct answer){fits, fits ? (uint64_t)(int64_t)s->int_sum : 0};
    }
    if (strcmp(function, "mean") == 0) {
        double total = type == MILL_FLOAT64 ? naive_sum(s) : (double)s->int_sum;
        return (struct answer){true, double_bits(total / (double)s->count)};
    }
    if (strcmp(function, "min") == 0 || strcmp(function, "max") == 0) {
        uint64_t bits = function[1] == 'i' ? s->min : s->max;
        return (struct answer){true, s->has_nan ? double_bits((double)NAN) : bits};
    }
    if (strcmp(function, "first") == 0) {
        return (struct answer){true, value_bits(s->first, column)};
    }
    if (strcmp(function, "last") == 0) {
        return (struct answer){true, value_bits(s->last, column)};
    }
    assert_string_equal(function, "time_since_last");
    return (struct answer){true, double_bits((double)(t - s->last->t) / 1e6)};
}

/* own: the event whose row it is, or NULL for a lookup at t. */
static struct answer oracle(const struct history *h, const struct mill_aggregate_spec *a, uint32_t entity, int64_t t,
                            const struct event *own)
{
    struct naive s = {0};
    uint32_t column = (uint32_t)mill_schema_find(&source_schema, mill_slice_of(a->column));
    bool before = own != NULL && strcmp(a->function, "time_since_last") == 0;

    for (uint32_t i = 0; i < h->folded_count; i++) {
        const struct event *e = &h->folded[i];
        bool passes = a->where.n == 0 || (e->valid[FLAG] && e->flag);
        bool is_dropped = is_raw(a) && e->dropped_at < h->folded_count + !before;
        if (e->entity == entity && e->valid[column] && passes && in_window(a, t, e->t) && !is_dropped &&
            !(before && compare_events(e, own) >= 0)) {
            naive_add(&s, e, column, source_fields[column].type);
        }
    }
    return naive_answer(&s, a->function, column, t);
}

/* ---- making histories ---- */

static void random_window(struct mill_aggregate_spec *a, int64_t scale)
{
    static const int64_t widths[] = {10 * SECOND, 5 * MINUTE, HOUR, 2 * HOUR, 24 * HOUR, 13 * DAY};
    /* Hops that do not divide the window are allowed. */
    int64_t width = below(3) == 0 ? widths[below(6)] : scale * (1 + below(40));

    a->window_us = below(7) == 0 ? 0 : width;
    a->semantics = (enum mill_window_semantics)below(6);
    a->hop_us = 0;
    if (a->window_us == 0 && a->semantics == MILL_WINDOW_FEAST) {
        a->semantics = MILL_WINDOW_EXACT;
    }
    if (a->semantics == MILL_WINDOW_HOP || (a->semantics == MILL_WINDOW_FEAST && a->window_us < 5 * MINUTE)) {
        a->hop_us = a->window_us / (1 + below(20));
        a->hop_us = a->hop_us == 0 ? 1 : a->hop_us;
    }
}

static void make_view(struct history *h)
{
    static const char *const functions[] = {"count", "sum", "mean", "min", "max", "first", "last", "time_since_last"};
    static struct mill_feature_spec features[] = {
        {"x", {"x", 1}, 0, 0}, {"label", {"s", 1}, 0, 0}, {"flag", {"flag", 4}, 0, 0}};
    uint32_t count = 1 + below(AGGREGATES_MAX);
    struct mill_aggregate_spec window = {0};

    for (uint32_t i = 0; i < count; i++) {
        struct mill_aggregate_spec *a = &h->aggregates[i];
        uint32_t column, function;
        do { /* what is a load error elsewhere */
            column = 1 + below(5);
            function = below(8);
        } while ((column == S && function != 0 && function != 7) || (column == TS && (function == 1 || function == 2)));
        if (i == 0 || below(2) == 0) { /* else it shares the window of the one before */
            random_window(&window, h->scale);
        }
        *a = window;
        snprintf(h->names[i], sizeof(h->names[i]), "a%u", i);
        a->name = h->names[i];
        a->column = source_fields[column].name;
        a->function = functions[function];
        a->where = below(4) == 0 ? mill_slice_of("flag") : (struct mill_slice){0};
    }
    h->raw_width = -1;
    for (uint32_t i = 0; i < count; i++) {
        int64_t width = h->aggregates[i].window_us - (h->aggregates[i].semantics != MILL_WINDOW_OPENMLDB);
        if (is_raw(&h->aggregates[i]) && width > h->raw_width) {
            h->raw_width = width;
        }
    }
    h->spec = (struct mill_view_spec){
        .name = "v",
        .entity = {"e", join_keys, 1},
        .source_schema = &source_schema,
        .features = features,
        .feature_count = 3,
        .aggregates = h->aggregates,
        .aggregate_count = count,
        .lateness_us = h->lateness,
        .ttl_us = below(2) == 0 ? 0 : h->scale * (1 + below(30)),
    };
    struct mill_error err = {0};
    int rc = mill_view_compile(&h->spec, &h->view, &err);
    if (rc < 0) {
        print_error("%s\n", err.msg);
    }
    assert_int_equal(rc, MILL_OK);
}

static double random_double(void)
{
    static const double odd[] = {0.0, -0.0, 0.1, 1e300, -1e300, 5e-324, 1e-300, 3.0, -7.5, 1e16, 1.0};
    switch (below(12)) {
    case 0:
        return odd[below(11)];
    case 1:
        return below(12) == 0  ? (double)NAN
               : below(6) == 0 ? (double)INFINITY
               : below(5) == 0 ? -(double)INFINITY
                               : 2.5;
    case 2:
        return ldexp((double)(int64_t)next_random(), (int)below(200) - 160);
    default:
        return (double)(int64_t)(next_random() >> 20) / 1048576.0 - 8e6;
    }
}

static struct event random_event(struct history *h)
{
    struct event e = {.entity = below(h->entity_count), .partition = (int32_t)below(3), .dropped_at = UINT32_MAX};
    int64_t back = h->lateness > 0 && below(3) == 0 ? below64(h->lateness + 1) : 0;
    int64_t forward = below(3) == 0 ? 0 : below64(h->scale * (below(10) == 0 ? 50 : 2));

    e.t = h->newest == INT64_MIN ? (below(2) == 0 ? -3 * h->scale : INT64_C(1600000000000000)) + below64(h->scale)
                                 : h->newest + (back > 0 ? -back : forward);
    if (h->applies_late && h->watermark != INT64_MIN && below(6) == 0) {
        e.t = h->watermark - 1 - below64(h->scale * (1 + below(60)));
    }
    e.t += h->has_no_ties && e.t == h->newest;
    h->newest = e.t > h->newest ? e.t : h->newest;
    e.offset = h->next_offset[e.partition]++;
    for (uint32_t c = 0; c < SOURCE_COLUMNS; c++) {
        e.valid[c] = below(6) != 0;
    }
    e.x = random_double();
    e.n = below(20) == 0 ? (int64_t)next_random() : below64(2001) - 1000;
    e.ts = below64(1000000);
    e.b = below(2) == 0;
    e.flag = below(3) != 0;
    return e;
}

static const char *const key_texts[ENTITIES_MAX] = {
    "a", "bb", "c", "an entity whose name is longer than what is kept inline", "e", "", "g",
};

static void fill_row(struct mill_batch *batch, uint32_t row, const struct event *e)
{
    mill_bit_set(batch->live, row);
    batch->event_time_us[row] = e->t;
    batch->offset[row] = e->offset;
    batch->columns[KEY].at.s[row] = mill_slice_of(key_texts[e->entity]);
    mill_bit_set(batch->columns[KEY].valid, row);
    for (uint32_t c = X; c < SOURCE_COLUMNS; c++) {
        if (e->valid[c]) {
            mill_bit_set(batch->columns[c].valid, row);
        }
    }
    batch->columns[X].at.f[row] = e->valid[X] ? e->x : 0;
    batch->columns[N].at.i[row] = e->valid[N] ? e->n : 0;
    batch->columns[B].at.b[row] = e->valid[B] && e->b;
    batch->columns[TS].at.i[row] = e->valid[TS] ? e->ts : 0;
    batch->columns[S].at.s[row] = e->valid[S] ? mill_slice_of("text") : (struct mill_slice){0};
    batch->columns[FLAG].at.b[row] = e->valid[FLAG] && e->flag;
}

/* ---- running and checking ---- */

struct runner {
    struct history h;
    struct mill_kv kv;
    struct mill_kv_batch kv_batch;
    struct mill_view_table *table;
    uint32_t entities_max;
    bool disturbed;                /* restarts, flushes, evictions, failing reads */
    uint64_t disturbance, outputs; /* random numbers of that; hash of all that was answered */
    struct mill_arena arena;
    struct mill_schema own_schema;
};

static void open_table(struct runner *r)
{
    struct mill_view_table_options options = {
        .partition = 3, .view_id = 0x1234, .entities_max = r->entities_max, .kv = r->disturbed ? &r->kv : NULL};
    assert_int_equal(mill_view_table_open(r->h.view, &options, &r->table, NULL), MILL_OK);
    mill_view_table_advance(r->table, r->h.watermark);
}

static void write_batch(struct runner *r)
{
    assert_int_equal(mill_kv_write(&r->kv, &r->kv_batch, NULL), MILL_OK);
}

/* A batch is written as late as the contract allows: just before the next flush. */
static void flush(struct runner *r)
{
    write_batch(r);
    mill_view_table_flush(r->table, &r->kv_batch);
}

static struct mill_schema joined_schema(struct mill_arena *arena, const struct mill_schema *a,
                                        const struct mill_schema *b)
{
    struct mill_schema s = {mill_arena_array(arena, struct mill_field, a->field_count + b->field_count),
                            a->field_count + b->field_count};
    memcpy(s.fields, a->fields, a->field_count * sizeof(*s.fields));
    memcpy(s.fields + a->field_count, b->fields, b->field_count * sizeof(*s.fields));
    return s;
}

static void check_column(const struct mill_column *column, uint32_t row, struct answer want, const char *what)
{
    bool valid = mill_bit_get(column->valid, row);
    uint64_t bits = column->type == MILL_BOOL ? column->at.b[row] : (uint64_t)column->at.i[row];
    if (valid != want.valid || bits != (want.valid ? want.bits : 0)) {
        print_error("%s: got valid %d bits %016llx, want valid %d bits %016llx\n", what, valid,
                    (unsigned long long)bits, want.valid, (unsigned long long)want.bits);
    }
    assert_true(valid == want.valid && bits == (want.valid ? want.bits : 0));
}

static void check_aggregates(struct runner *r, const struct mill_batch *batch, uint32_t first, uint32_t row,
                             uint32_t entity, int64_t t, const struct event *own)
{
    for (uint32_t a = 0; a < r->h.spec.aggregate_count; a++) {
        const struct mill_aggregate_spec *spec = &r->h.aggregates[a];
        char what[200];
        if (r->h.checks_raw_only && !is_raw(spec)) {
            continue;
        }
        snprintf(what, sizeof(what), "%s %s(%s) window %lld semantics %d hop %lld where %zu at %lld of entity %u",
                 own == NULL ? "lookup" : "row", spec->function, spec->column, (long long)spec->window_us,
                 (int)spec->semantics, (long long)spec->hop_us, spec->where.n, (long long)t, entity);
        check_column(&batch->columns[first + 3 + a], row, oracle(&r->h, spec, entity, t, own), what);
    }
}

static const struct event *newest_at(const struct history *h, uint32_t entity, int64_t t)
{
    const struct event *newest = NULL;
    for (uint32_t i = 0; i < h->folded_count; i++) {
        const struct event *e = &h->folded[i];
        if (e->entity == entity && e->t <= t && (newest == NULL || compare_events(e, newest) > 0)) {
            newest = e;
        }
    }
    return newest;
}

/* events_max: the oldest event that raw windows still hold goes when there is one too many. */
static void drop_oldest(struct history *h, uint32_t entity)
{
    uint32_t count = 0;
    struct event *oldest = NULL;

    for (uint32_t i = 0; i < h->folded_count; i++) {
        struct event *e = &h->folded[i];
        bool is_kept = h->watermark == INT64_MIN || e->t >= h->watermark - h->raw_width;
        if (e->entity == entity && e->dropped_at == UINT32_MAX && is_kept) {
            count++;
            oldest = oldest == NULL || compare_events(e, oldest) < 0 ? e : oldest;
        }
    }
    if (h->spec.events_max > 0 && count > h->spec.events_max) {
        oldest->dropped_at = h->folded_count;
        h->dropped_count++;
    }
}

static void fold_row(struct runner *r, struct mill_view_rows *rows, uint32_t row, const struct event *e)
{
    struct mill_fold_result result;
    struct mill_error err = {0};
    const struct event *newest = newest_at(&r->h, e->entity, INT64_MAX);
    bool want_newest = newest == NULL || compare_events(e, newest) > 0;
    int rc = mill_view_fold(r->table, rows, row, &result, &err);

    while (rc == MILL_ERESOURCE || rc == MILL_EIO) {
        flush(r);
        flush(r);
        rc = mill_view_fold(r->table, rows, row, &result, &err);
    }
    if (rc < 0) {
        print_error("%s\n", err.msg);
    }
    assert_int_equal(rc, MILL_OK);
    assert_int_equal(result.newest, want_newest);
    r->h.folded[r->h.folded_count++] = *e;
    drop_oldest(&r->h, e->entity);
}

static void note_outputs(struct runner *r, const struct mill_batch *batch, uint32_t row)
{
    for (uint32_t c = SOURCE_COLUMNS; c < r->own_schema.field_count; c++) {
        const struct mill_column *column = &batch->columns[c];
        uint64_t bits = column->type == MILL_BOOL     ? column->at.b[row]
                        : column->type == MILL_STRING ? 0
                                                      : (uint64_t)column->at.i[row];
        r->outputs = (r->outputs ^ bits ^ ((uint64_t)mill_bit_get(column->valid, row) << 63)) * 0x100000001b3;
        r->outputs ^= r->outputs >> 29;
    }
}

static void run_batch(struct runner *r, uint32_t count)
{
    struct mill_batch batch;
    struct event events[EVENTS_MAX];
    struct mill_view_use use = {.view = r->h.view, .first_column = SOURCE_COLUMNS};

    mill_arena_reset(&r->arena);
    mill_batch_init(&batch, &r->own_schema, count, &r->arena);
    int32_t *partitions = mill_arena_array(&r->arena, int32_t, count);
    batch.row_count = count;
    batch.row_partition = partitions;
    for (uint32_t row = 0; row < count; row++) {
        events[row] = random_event(&r->h);
        partitions[row] = events[row].partition;
        fill_row(&batch, row, &events[row]);
    }
    struct mill_view_rows *rows = mill_view_prepare(&use, &batch);
    for (uint32_t row = 0; row < count; row++) {
        fold_row(r, rows, row, &events[row]);
        if (events[row].t >= r->h.watermark) {
            check_aggregates(r, &batch, SOURCE_COLUMNS, row, events[row].entity, events[row].t, &events[row]);
        }
        note_outputs(r, &batch, row);
    }
    mill_view_finish(rows, 0, count);
    int64_t watermark = r->h.newest - r->h.lateness;
    r->h.watermark = watermark;
    mill_view_table_advance(r->table, watermark);
}

static void run_lookups(struct runner *r, uint32_t count)
{
    struct mill_batch batch;
    uint32_t entities[8];
    struct mill_view_use use = {.view = r->h.view, .lookup = true, .first_column = SOURCE_COLUMNS};

    mill_arena_reset(&r->arena);
    mill_batch_init(&batch, &r->own_schema, count, &r->arena);
    batch.row_count = count;
    for (uint32_t row = 0; row < count; row++) {
        struct event e = {.entity = below(r->h.entity_count)};
        e.t = r->h.watermark + below64(r->h.lateness + r->h.scale * (below(4) == 0 ? 60 : 2));
        if (r->h.applies_late && below(4) == 0) {
            e.t = r->h.watermark - 1 - below64(r->h.scale * 20);
        }
        entities[row] = e.entity;
        fill_row(&batch, row, &e);
    }
    struct mill_view_rows *rows = mill_view_prepare(&use, &batch);
    for (uint32_t row = 0; row < count; row++) {
        int64_t t = batch.event_time_us[row];
        struct mill_error err = {0};
        int rc = mill_view_lookup(r->table, rows, row, &err);
        while (rc == MILL_ERESOURCE || rc == MILL_EIO) {
            flush(r);
            flush(r);
            rc = mill_view_lookup(r->table, rows, row, &err);
        }
        assert_int_equal(rc, MILL_OK);
        note_outputs(r, &batch, row);
        if (t < r->h.watermark) {
            continue;
        }
        const struct event *e = newest_at(&r->h, entities[row], t);
        bool known = e != NULL && (r->h.spec.ttl_us == 0 || e->t >= t - r->h.spec.ttl_us);
        struct answer null = {false, 0};
        struct mill_column *columns = &batch.columns[SOURCE_COLUMNS];
        check_column(&columns[0], row, known && e->valid[X] ? (struct answer){true, double_bits(e->x)} : null, "x");
        assert_false(mill_bit_get(columns[1].valid, row)); /* strings are not kept */
        check_column(&columns[2], row, known && e->valid[FLAG] ? (struct answer){true, e->flag} : null, "flag");
        if (known) {
            check_aggregates(r, &batch, SOURCE_COLUMNS, row, entities[row], t, NULL);
        } else {
            check_aggregates(r, &batch, SOURCE_COLUMNS, row, UINT32_MAX, t, NULL);
        }
    }
}

/* What befalls the table between two batches. */
static void disturb(struct runner *r)
{
    if (advance_random(&r->disturbance) % 3 == 0) {
        flush(r);
    }
    if (advance_random(&r->disturbance) % 10 == 0) {
        r->kv.fail_gets = 1 + (int)(advance_random(&r->disturbance) % 3);
    }
    if (advance_random(&r->disturbance) % 8 == 0) {
        flush(r);
        write_batch(r);
        mill_view_table_close(r->table);
        r->kv.fail_gets = 0;
        open_table(r);
    }
}

/* Returns the hash of all outputs. */
static uint64_t run_history(uint64_t seed, bool disturbed)
{
    static struct runner r;
    static const int64_t scales[] = {SECOND, 7 * SECOND, MINUTE, 20 * MINUTE, 6 * HOUR};

    memset(&r, 0, sizeof(r));
    random_state = seed;
    r.disturbed = disturbed;
    r.disturbance = seed;
    r.h.newest = r.h.watermark = INT64_MIN;
    r.h.scale = scales[below(5)];
    r.h.lateness = below(3) == 0 ? 0 : below64(r.h.scale * (below(2) == 0 ? 3 : 30)) + 1;
    r.h.applies_late = below(3) == 0;
    r.h.entity_count = 1 + below(ENTITIES_MAX);
    uint32_t events_max = below(4) == 0 ? 1 + below(12) : 0;
    if (events_max > 0) { /* panes may then hold open events, which shows in rows that are not the newest */
        r.h.lateness = 0;
        r.h.applies_late = false;
        r.h.checks_raw_only = below(2) == 0;
        r.h.has_no_ties = !r.h.checks_raw_only;
    }
    r.entities_max = !disturbed || seed % 2 == 0 ? 100 : 1 + (uint32_t)(advance_random(&r.disturbance) % 4);
    make_view(&r.h);
    r.h.spec.events_max = r.h.raw_width >= 0 ? events_max : 0;
    mill_arena_init(&r.arena, 0);
    struct mill_arena schemas;
    mill_arena_init(&schemas, 0);
    r.own_schema = joined_schema(&schemas, &source_schema, mill_view_schema(r.h.view));
    open_table(&r);
    uint32_t budget = 20 + below(EVENTS_MAX - 20);
    while (r.h.folded_count < budget) {
        uint32_t count = 1 + below(20), left = budget - r.h.folded_count;
        run_batch(&r, count < left ? count : left);
        run_lookups(&r, 1 + below(4));
        if (disturbed) {
            disturb(&r);
        }
    }
    if (!disturbed) {
        struct mill_view_table_stats stats;
        mill_view_table_stats(r.table, &stats);
        assert_int_equal(stats.events_dropped, r.h.dropped_count);
    }
    mill_view_table_close(r.table);
    mill_view_free(r.h.view);
    kv_clear(&r.kv.entries);
    kv_clear(&r.kv_batch.entries);
    mill_arena_clear(&r.arena);
    mill_arena_clear(&schemas);
    return r.outputs;
}

static uint64_t current_seed;

static void test_histories(void **state)
{
    (void)state;
    const char *seed = getenv("MILL_TEST_SEED"), *count = getenv("MILL_TEST_COUNT");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    uint64_t n = count != NULL ? strtoull(count, NULL, 10) : 1200;

    for (current_seed = first; current_seed < first + n; current_seed++) {
        uint64_t outputs = run_history(current_seed, true);
        assert_true(outputs == run_history(current_seed, false));
    }
}

static int print_seed(void **state)
{
    (void)state;
    print_message("last history: MILL_TEST_SEED=%llu\n", (unsigned long long)current_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_histories, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
