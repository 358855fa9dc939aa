/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1,000 random histories of windows: rows arrive in any order at one to three counters, in slices of any size; counters
 * hand out parts at any watermark, drive panes out, die and are loaded from what they saved, begin before there is a
 * profile or after; windows slide back and forth by adding and taking back. Oracle: a naive recount of the window's
 * rows from the definitions in drift.h, and of KS the two-sample statistic of the values themselves. The same bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/number.h"
#include "drift/counter_internal.h"
#include "tests/drift/drift_fixture.h"

enum { HISTORIES = 1000, FIELDS = 7, COUNTERS_MAX = 3, PARTS_MAX = 4000, PANE_US = 100, PANES = 12 };

static const struct mill_field fields[FIELDS] = {{"x", MILL_FLOAT64},   {"n", MILL_INT64}, {"at", MILL_TIMESTAMP},
                                                 {"name", MILL_STRING}, {"on", MILL_BOOL}, {"code", MILL_FLOAT64},
                                                 {"id", MILL_INT64}};
static const bool is_categorical[FIELDS] = {false, false, false, true, true, true, true};

struct kept {
    unsigned counter;
    int64_t start_us;
    uint32_t part;
    struct mill_buffer bytes;
};

struct history {
    struct mill_profile_spec spec;
    struct mill_profile *profile;
    struct rows *reference, *live;
    unsigned *owner; /* per live row: which counter gets it */
    struct kept parts[PARTS_MAX];
    uint32_t part_count;
    unsigned taking; /* the counter that is handing out */
};

static void fill_row(struct rows *rows, unsigned kind, int64_t time_us)
{
    static const char *const names[] = {"ewr", "jfk", "lga", "", "zz", "a longer name than others", "b", "c"};
    uint32_t row = rows_add(rows, time_us);
    char room[16];

    for (uint32_t f = 0; f <= FIELDS; f++) {
        if (random_below(12) == 0) {
            continue; /* null */
        }
        switch (f) {
        case 0:
            rows_set_double(rows, row, f, random_hard(kind));
            break;
        case 1:
            rows_set_int(rows, row, f, (int64_t)random_below(30) - 10);
            break;
        case 2:
            rows_set_int(rows, row, f, INT64_C(1700000000000000) + (int64_t)random_below(1000) * 1000000);
            break;
        case 3:
            if (random_below(10) == 0) {
                snprintf(room, sizeof(room), "rare%u", random_below(100));
            }
            rows_set_text(rows, row, f, random_below(10) == 0 ? room : names[random_below(8)]);
            break;
        case 4:
            rows_set_bool(rows, row, f, random_below(2) == 0);
            break;
        case 5:
            rows_set_double(rows, row, f, random_hard(random_below(2) == 0 ? 1 : 9));
            break;
        case 6:
            rows_set_int(rows, row, f, random_below(40));
            break;
        default:
            rows_set_text(rows, row, f, names[random_below(5)]);
            break;
        }
    }
}

static void make_spec(struct mill_profile_spec *spec)
{
    static const double edges[] = {0.5, -1.0, 0.0, 100.0};

    *spec = (struct mill_profile_spec){.fields = fields,
                                       .field_count = FIELDS,
                                       .is_categorical = is_categorical,
                                       .binning = {.kind = (enum mill_binning_kind)random_below(3),
                                                   .count = 2 + random_below(12),
                                                   .edges = edges,
                                                   .edge_count = 4,
                                                   .atoms = random_below(2) == 0},
                                       .breaks_max = random_below(2) == 0 ? 2 + random_below(50) : 0,
                                       .levels_max = 1 + random_below(12)};
    if (random_below(2) == 0) {
        spec->segment_by = "airport";
        spec->segments_max = random_below(5);
    }
}

static void history_open(struct history *h)
{
    unsigned kind = random_below(HARD_KINDS);

    memset(h, 0, sizeof(*h));
    make_spec(&h->spec);
    h->reference = rows_new(fields, FIELDS);
    h->live = rows_new(fields, FIELDS);
    for (uint32_t n = 1 + random_below(300); n > 0; n--) {
        fill_row(h->reference, kind, (int64_t)random_below(1000));
    }
    for (uint32_t n = random_below(random_below(4) == 0 ? 1500 : 300); n > 0; n--) {
        fill_row(h->live, random_below(4) == 0 ? random_below(HARD_KINDS) : kind,
                 (int64_t)random_below(PANES * PANE_US) - PANES / 2 * PANE_US);
    }
    h->owner = mill_malloc((h->live->count + 1) * sizeof(*h->owner));
    h->profile = rows_profile(h->reference, &h->spec);
}

static void history_close(struct history *h)
{
    for (uint32_t i = 0; i < h->part_count; i++) {
        mill_buffer_clear(&h->parts[i].bytes);
    }
    rows_free(h->reference);
    rows_free(h->live);
    mill_profile_free(h->profile);
    free(h->owner);
}

static void keep_part(void *context, const struct mill_drift_part *part)
{
    struct history *h = context;
    uint32_t i = 0;

    while (i < h->part_count && (h->parts[i].counter != h->taking || h->parts[i].start_us != part->start_us ||
                                 h->parts[i].part != part->part)) {
        i++;
    }
    if (i == h->part_count) {
        assert_true(h->part_count < PARTS_MAX);
        h->parts[h->part_count++] = (struct kept){.counter = h->taking, .start_us = part->start_us, .part = part->part};
    }
    mill_buffer_reset(&h->parts[i].bytes);
    mill_buffer_add_slice(&h->parts[i].bytes, part->bytes);
}

struct source {
    struct history *h;
    unsigned number;
    struct mill_drift_counter_options options;
    struct mill_drift_counter *counter;
    struct mill_buffer saved;
    uint32_t next, saved_next; /* rows 0 to next - 1 are counted */
};

static void source_save(struct source *s)
{
    mill_buffer_reset(&s->saved);
    mill_drift_counter_save(s->counter, &s->saved);
    s->saved_next = s->next;
    assert_false(mill_drift_counter_is_dirty(s->counter));
}

/* Sometimes one whose values wait as if the profile were large, and with any of the CPU's kernels. */
static struct mill_drift_counter *new_counter(const struct mill_drift_counter_options *options)
{
    struct mill_drift_counter_options without = *options;
    uint32_t k = random_below(mill__count_kernel_count);

    without.profile = NULL;
    struct mill_drift_counter *counter = mill_drift_counter_new(&without);
    counter->wait_breaks = random_below(2) == 0 ? 0 : MILL__WAIT_BREAKS;
    if (options->profile != NULL) {
        mill_drift_counter_set_profile(counter, options->profile);
        counter->slotter.kernel =
            mill__count_kernels[k]->supported() ? mill__count_kernels[k] : counter->slotter.kernel;
    }
    return counter;
}

/* Dies; what was counted since it was saved is counted again. */
static void source_restart(struct source *s)
{
    struct mill_error err;

    mill_drift_counter_free(s->counter);
    if (random_below(2) == 0) {
        s->options.profile = s->h->profile;
    }
    s->counter = new_counter(&s->options);
    if (s->saved.n > 0) {
        assert_int_equal(mill_drift_counter_load(s->counter, mill_buffer_slice(&s->saved), &err), MILL_OK);
    }
    s->next = s->saved_next;
}

static void source_add(struct source *s)
{
    const struct rows *live = s->h->live;
    uint32_t n = random_below(4) == 0 ? 2000 : random_below(60),
             to = live->count - s->next < n ? live->count : s->next + n;
    uint64_t mine[40] = {0};

    assert_true(live->count <= 40 * 64);
    for (uint32_t row = s->next; row < to; row++) {
        if (s->h->owner[row] == s->number) {
            mill_bit_set(mine, row);
        }
    }
    mill_drift_counter_add(s->counter, live->pointers,
                           random_below(100) == 0 && s->h->profile->segment_count == 0 ? NULL : rows_segment(live),
                           live->times, mine, s->next, to);
    s->next = to;
}

static void source_run(struct source *s)
{
    s->counter = new_counter(&s->options);
    while (s->next < s->h->live->count) {
        switch (random_below(8)) {
        case 0:
            mill_drift_counter_take(s->counter, (int64_t)random_below(PANES * PANE_US * 2) - PANES * PANE_US, keep_part,
                                    s->h);
            /* What was handed out and what was not must be known together: as in one write batch. */
            source_save(s);
            break;
        case 1:
            source_save(s);
            break;
        case 2:
            source_restart(s);
            break;
        case 3:
            if (s->options.profile == NULL && random_below(4) == 0) {
                s->options.profile = s->h->profile;
                mill_drift_counter_set_profile(s->counter, s->h->profile);
            }
            break;
        default:
            source_add(s);
            break;
        }
    }
    mill_drift_counter_take(s->counter, INT64_MAX, keep_part, s->h);
    assert_true(mill_drift_counter_rows_ignored(s->counter) == 0);
    mill_drift_counter_free(s->counter);
    mill_buffer_clear(&s->saved);
}

static void count_live(struct history *h)
{
    unsigned counters = 1 + random_below(COUNTERS_MAX);

    for (uint32_t row = 0; row < h->live->count; row++) {
        h->owner[row] = random_below(counters);
    }
    for (h->taking = 0; h->taking < counters; h->taking++) {
        struct source s = {.h = h, .number = h->taking};
        s.options = (struct mill_drift_counter_options){.profile = random_below(3) == 0 ? NULL : h->profile,
                                                        .spec = &h->spec,
                                                        .pane_us = PANE_US,
                                                        .panes_max = random_below(2) == 0 ? 1 + random_below(5) : 0};
        source_run(&s);
    }
}

/* ---- the oracle ---- */

static struct mill_slice naive_text(const struct mill_column *column, uint32_t row, char room[MILL_NUMBER_TEXT_MAX])
{
    switch (column->type) {
    case MILL_BOOL:
        return mill_slice_of(column->at.b[row] ? "true" : "false");
    case MILL_STRING:
        return column->at.s[row];
    case MILL_FLOAT64: {
        double x = column->at.f[row] == 0.0 ? 0.0 : column->at.f[row];
        return (struct mill_slice){room, mill_number_print_double(x, room)};
    }
    case MILL_INT64:
    case MILL_TIMESTAMP:
        break;
    }
    return (struct mill_slice){room, mill_number_print_int64(column->at.i[row], room)};
}

static bool naive_missing(const struct mill_column *column, uint32_t row)
{
    return !mill_bit_get(column->valid, row) || (column->type == MILL_FLOAT64 && isnan(column->at.f[row]));
}

static double naive_number(const struct mill_column *column, uint32_t row)
{
    return column->type == MILL_FLOAT64 ? column->at.f[row] : (double)column->at.i[row];
}

static bool in_reference(const struct history *h, uint32_t f, struct mill_slice text)
{
    char room[MILL_NUMBER_TEXT_MAX];

    for (uint32_t row = 0; row < h->reference->count; row++) {
        const struct mill_column *column = &h->reference->columns[f];
        if (!naive_missing(column, row) && mill_slice_equal(naive_text(column, row, room), text)) {
            return true;
        }
    }
    return false;
}

static uint32_t naive_slot(const struct history *h, uint32_t f, const struct mill_column *column, uint32_t row)
{
    const struct mill_profile_feature *feature = &h->profile->features[f];
    char room[MILL_NUMBER_TEXT_MAX];
    uint32_t i = 0;

    if (feature->kind == MILL_DRIFT_NUMERIC) {
        double x = naive_number(column, row);
        while (i < feature->break_count && feature->breaks[i] < x) {
            i++;
        }
        return 2 * i + (i < feature->break_count && feature->breaks[i] == x);
    }
    struct mill_slice text = naive_text(column, row, room);
    while (i < feature->level_count && !mill_slice_equal(feature->levels[i], text)) {
        i++;
    }
    return i < feature->level_count ? i : i + !in_reference(h, f, text);
}

static uint32_t naive_segment(const struct history *h, uint32_t row)
{
    const struct mill_column *segment = rows_segment(h->live);
    uint32_t s = 0;

    if (naive_missing(segment, row)) {
        return h->profile->segment_count;
    }
    while (s < h->profile->segment_count && !mill_slice_equal(h->profile->segments[s], segment->at.s[row])) {
        s++;
    }
    return s;
}

static bool in_window(const struct history *h, uint32_t row, int64_t from_us, int64_t to_us, uint32_t segment)
{
    int64_t t = h->live->times[row];
    return t >= from_us && t < to_us && (segment == UINT32_MAX || naive_segment(h, row) == segment);
}

static void add_moments(const struct mill_profile_feature *feature, double x, mill__i128 *sum, mill__i128 *square)
{
    double y = (x - feature->center) / feature->scale;
    y = y < -0x1p20 ? -0x1p20 : y > 0x1p20 ? 0x1p20 : y;
    int64_t q = llrint(y * 0x1p40);

    *sum += q;
    *square += (mill__i128)(q >> 20) * (q >> 20);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* max and min of c1 * n2 - c2 * n1 over all values of both. */
static void naive_extremes(const double *a, uint64_t n1, const double *b, uint64_t n2, int64_t *ret_high,
                           int64_t *ret_low)
{
    uint64_t i = 0, j = 0;

    *ret_high = *ret_low = 0;
    while (i < n1 || j < n2) {
        double x = j == n2 || (i < n1 && a[i] < b[j]) ? a[i] : b[j];
        for (; i < n1 && a[i] == x; i++) {
        }
        for (; j < n2 && b[j] == x; j++) {
        }
        int64_t d = (int64_t)(i * n2) - (int64_t)(j * n1);
        *ret_high = d > *ret_high ? d : *ret_high;
        *ret_low = d < *ret_low ? d : *ret_low;
    }
}

static uint64_t take_values(const struct history *h, const struct rows *rows, uint32_t f, int64_t from_us,
                            int64_t to_us, uint32_t segment, double *values)
{
    uint64_t n = 0;

    for (uint32_t row = 0; row < rows->count; row++) {
        bool is_in = rows == h->reference || in_window(h, row, from_us, to_us, segment);
        if (is_in && !naive_missing(&rows->columns[f], row)) {
            values[n++] = naive_number(&rows->columns[f], row);
        }
    }
    qsort(values, n, sizeof(*values), by_value);
    return n;
}

static void check_ks(const struct history *h, uint32_t f, const struct mill_drift_counts *counts, int64_t from_us,
                     int64_t to_us, uint32_t segment)
{
    const struct mill_profile_feature *feature = &h->profile->features[f];
    double *a = mill_malloc((h->reference->count + 1) * sizeof(*a)),
           *b = mill_malloc((h->live->count + 1) * sizeof(*b));
    uint64_t n1 = take_values(h, h->reference, f, 0, 0, 0, a),
             n2 = take_values(h, h->live, f, from_us, to_us, segment, b);
    struct mill_ks ks, other;

    mill__ks_of_slots(feature, feature->slots, n1, counts->slots, n2, &ks);
    mill_ks_2samp(a, n1, b, n2, &other);
    assert_int_equal(ks.reference_count, n1);
    assert_int_equal(ks.current_count, n2);
    if (n1 > 0 && n2 > 0) {
        int64_t high, low;
        naive_extremes(a, n1, b, n2, &high, &low);
        uint64_t exact = (uint64_t)(high > -low ? high : -low);
        assert_int_equal(other.numerator, exact);
        assert_true(ks.numerator <= exact);
        assert_true((double)(exact - ks.numerator) / (double)(n1 * n2) <= feature->gap_share_max * (1 + 1e-12));
        if (feature->is_exact) {
            assert_int_equal(ks.numerator, exact);
            assert_true(ks.statistic == other.statistic);
            assert_int_equal(ks.sign, other.sign);
        }
    } else {
        assert_true(isnan(ks.statistic));
    }
    free(a);
    free(b);
}

static void check_feature(const struct history *h, const struct mill_drift_window *window, uint32_t segment, uint32_t f,
                          int64_t from_us, int64_t to_us)
{
    const struct mill_profile_feature *feature = &h->profile->features[f];
    const struct mill_drift_counts *counts = mill_drift_window_counts(window, segment, f);
    uint64_t *slots = mill_calloc(feature->slot_count, sizeof(*slots)), rows = 0, nulls = 0;
    mill__i128 sum = 0, square = 0;

    for (uint32_t row = 0; row < h->live->count; row++) {
        if (!in_window(h, row, from_us, to_us, segment)) {
            continue;
        }
        rows++;
        if (naive_missing(&h->live->columns[f], row)) {
            nulls++;
            continue;
        }
        slots[naive_slot(h, f, &h->live->columns[f], row)]++;
        if (feature->kind == MILL_DRIFT_NUMERIC) {
            add_moments(feature, naive_number(&h->live->columns[f], row), &sum, &square);
        }
    }
    assert_int_equal(counts->row_count, rows);
    assert_int_equal(counts->null_count, nulls);
    assert_memory_equal(counts->slots, slots, feature->slot_count * sizeof(*slots));
    assert_memory_equal(counts->moments.sum, &sum, sizeof(sum));
    assert_memory_equal(counts->moments.square, &square, sizeof(square));
    free(slots);
    if (feature->kind == MILL_DRIFT_NUMERIC) {
        check_ks(h, f, counts, from_us, to_us, segment);
    }
}

static void check_window(const struct history *h, const struct mill_drift_window *window, int64_t from_us,
                         int64_t to_us)
{
    uint32_t segment = random_below(h->profile->segment_count + 2);

    segment = segment > h->profile->segment_count ? UINT32_MAX : segment;
    for (uint32_t f = 0; f < FIELDS; f++) {
        check_feature(h, window, segment, f, from_us, to_us);
    }
}

static void apply_panes(const struct history *h, struct mill_drift_window *window, int64_t from_us, int64_t to_us,
                        int sign)
{
    struct mill_error err;

    for (uint32_t i = 0; i < h->part_count; i++) {
        if (h->parts[i].start_us >= from_us && h->parts[i].start_us < to_us) {
            int rc = mill_drift_window_apply(window, mill_buffer_slice(&h->parts[i].bytes), sign, &err);
            if (rc != MILL_OK) {
                fail_msg("%s", err.msg);
            }
        }
    }
}

/* A part that ends early, with a checksum that says it does not: refused when most of it has been added or taken back,
 * and nothing of that may stay. */
static void refuse_cut(const struct history *h, struct mill_drift_window *window)
{
    if (h->part_count == 0) {
        return;
    }
    const struct mill_buffer *bytes = &h->parts[random_below(h->part_count)].bytes;
    struct mill_buffer cut = {0};
    struct mill_error err;
    enum { HEAD = 10, TAIL = 4 };

    if (bytes->p[1] != MILL__PART_COUNTS) {
        return;
    }
    size_t body = bytes->n - HEAD - TAIL;
    mill_buffer_add(&cut, bytes->p, HEAD + body - 1 - random_below((uint32_t)body));
    mill_buffer_add_u32(&cut, (uint32_t)mill_hash64(cut.p, cut.n));
    assert_int_equal(mill_drift_window_apply(window, mill_buffer_slice(&cut), 1, &err), MILL_EDATA);
    assert_int_equal(mill_drift_window_apply(window, mill_buffer_slice(&cut), -1, &err), MILL_EDATA);
    mill_buffer_clear(&cut);
}

/* A window slides over the panes, forwards and sometimes back. */
static void slide(const struct history *h)
{
    struct mill_drift_window *window = mill_drift_window_new(h->profile);
    int64_t from_us = -PANES / 2 * PANE_US, to_us = from_us;

    for (unsigned step = 0; step < 8; step++) {
        int64_t to = to_us + (int64_t)random_below(4) * PANE_US, from = from_us + (int64_t)random_below(4) * PANE_US;
        to = random_below(6) == 0 ? to_us - PANE_US : to;
        to = to < from_us ? from_us : to;
        from = from > to ? to : from;
        apply_panes(h, window, to_us, to, 1);
        apply_panes(h, window, to, to_us, -1);
        apply_panes(h, window, from_us, from, -1);
        from_us = from;
        to_us = to;
        refuse_cut(h, window);
        check_window(h, window, from_us, to_us);
    }
    apply_panes(h, window, from_us, to_us, -1);
    check_window(h, window, 0, 0);
    mill_drift_window_free(window);
}

static void test_histories(void **state)
{
    static struct history h;

    (void)state;
    random_seed("histories");
    for (unsigned i = 0; i < HISTORIES; i++) {
        history_open(&h);
        count_live(&h);
        slide(&h);
        history_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
