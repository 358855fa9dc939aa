/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A comparison for people: worst first, each feature with both histograms drawn over each other. A bar is as long as
 * the larger share; where both sides reach it is solid, then it shows which side goes on.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/drift.h"

enum { BAR_CELLS = 40, BINS = 12, LEVELS_SHOWN = 10, LABEL_WIDTH = 26 };

struct glyphs {
    const char *both, *reference, *current;
};

/* Block characters where the terminal (or what a pipe leads to) is set to UTF-8. */
static const struct glyphs *choose_glyphs(void)
{
    static const struct glyphs blocks = {"\xe2\x96\x88", "\xe2\x96\x91", "\xe2\x96\x92"}, plain = {"#", "r", "c"};
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0') {
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL ? &blocks : &plain;
        }
    }
    return &plain;
}

static void add_cells(struct mill_buffer *out, const char *glyph, int count)
{
    for (int i = 0; i < count; i++) {
        mill_buffer_add_string(out, glyph);
    }
}

static void draw_bar(struct mill_buffer *out, const char *label, double reference, double current, double scale)
{
    const struct glyphs *glyphs = choose_glyphs();
    int r = (int)lrint(reference / scale * BAR_CELLS), c = (int)lrint(current / scale * BAR_CELLS);
    int both = r < c ? r : c, longer = r < c ? c : r;
    const char *color = mill_cli_color(STDOUT_FILENO, r < c ? MILL_CLI_YELLOW : MILL_CLI_DIM);

    mill_buffer_printf(out, "  %*s  ", LABEL_WIDTH, label);
    add_cells(out, glyphs->both, both);
    mill_buffer_add_string(out, color);
    add_cells(out, r < c ? glyphs->current : glyphs->reference, longer - both);
    mill_buffer_add_string(out, mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN));
    mill_buffer_printf(out, "%*s  %5.1f %%  %5.1f %%\n", BAR_CELLS - longer, "", 100 * reference, 100 * current);
}

/* ---- numbers ---- */

static uint64_t count_below(const double *sorted, uint64_t n, double limit)
{
    uint64_t low = 0, high = n;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sorted[middle] < limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t count_upto(const double *sorted, uint64_t n, double limit)
{
    return isinf(limit) && limit > 0 ? n : count_below(sorted, n, nextafter(limit, (double)INFINITY));
}

/* Share of values with from <= value < to; to may be NaN: no upper end, not even below infinity. */
static double share_between(const double *sorted, uint64_t n, double from, double to)
{
    uint64_t below = isnan(to) ? n : count_below(sorted, n, to);

    return n == 0 ? 0 : (double)(below - count_below(sorted, n, from)) / (double)n;
}

static double finite_or(double value, double otherwise)
{
    return isfinite(value) ? value : otherwise;
}

/* The middle 98 % of both sides together; what lies outside is in the first and last bar. */
static bool choose_range(const struct mill_cli_comparison *c, double *ret_low, double *ret_high)
{
    const double *r = c->reference_sorted, *k = c->current_sorted;
    uint64_t n = c->reference_count, m = c->current_count;

    if (n == 0 && m == 0) {
        return false;
    }
    double low = n > 0 ? r[n / 100] : k[m / 100], high = n > 0 ? r[n - 1 - n / 100] : k[m - 1 - m / 100];
    if (m > 0) {
        low = k[m / 100] < low ? k[m / 100] : low;
        high = k[m - 1 - m / 100] > high ? k[m - 1 - m / 100] : high;
    }
    *ret_low = finite_or(low, -1e300);
    *ret_high = finite_or(high, 1e300);
    return true;
}

/* BINS + 1 edges, or none. */
static int choose_edges(const struct mill_cli_comparison *c, double *edges)
{
    double low, high;

    if (!choose_range(c, &low, &high)) {
        return 0;
    }
    for (int i = 0; i <= BINS; i++) {
        edges[i] = low + (high - low) * i / BINS;
    }
    edges[BINS] = nextafter(edges[BINS], (double)INFINITY);
    return BINS + 1;
}

/* The distinct values of both sides where there are at most BINS of them, else 0. */
static int few_values(const struct mill_cli_comparison *c, double *values)
{
    int count = 0;

    for (uint64_t i = 0, j = 0; i < c->reference_count || j < c->current_count;) {
        double r = i < c->reference_count ? c->reference_sorted[i] : (double)INFINITY;
        double k = j < c->current_count ? c->current_sorted[j] : (double)INFINITY;
        double value = r < k ? r : k;
        if (count == BINS) {
            return 0;
        }
        values[count++] = value;
        i += count_upto(c->reference_sorted + i, c->reference_count - i, value);
        j += count_upto(c->current_sorted + j, c->current_count - j, value);
    }
    return count;
}

static void draw_values(const struct mill_cli_comparison *c, const double *values, int count, struct mill_buffer *out)
{
    double shares[BINS][2], scale = 0;
    char label[32];

    for (int i = 0; i < count; i++) {
        double next = nextafter(values[i], (double)INFINITY);
        next = isinf(values[i]) && values[i] > 0 ? (double)NAN : next;
        shares[i][0] = share_between(c->reference_sorted, c->reference_count, values[i], next);
        shares[i][1] = share_between(c->current_sorted, c->current_count, values[i], next);
        scale = fmax(scale, fmax(shares[i][0], shares[i][1]));
    }
    for (int i = 0; i < count; i++) {
        snprintf(label, sizeof(label), "%.9g", values[i]);
        draw_bar(out, label, shares[i][0], shares[i][1], scale);
    }
}

static void draw_ranges(const struct mill_cli_comparison *c, struct mill_buffer *out)
{
    double edges[BINS + 1], shares[BINS + 2][2], scale = 0;
    int count = choose_edges(c, edges);
    char label[64];

    for (int i = 0; i <= count && count > 0; i++) {
        double from = i == 0 ? -(double)INFINITY : edges[i - 1], to = i == count ? (double)NAN : edges[i];
        shares[i][0] = share_between(c->reference_sorted, c->reference_count, from, to);
        shares[i][1] = share_between(c->current_sorted, c->current_count, from, to);
        scale = fmax(scale, fmax(shares[i][0], shares[i][1]));
    }
    for (int i = 0; i <= count && count > 0 && scale > 0; i++) {
        bool outer = i == 0 || i == count;
        if (outer && shares[i][0] + shares[i][1] == 0) {
            continue;
        }
        if (outer) {
            snprintf(label, sizeof(label), "%s %.5g", i == 0 ? "below" : "above", edges[i == 0 ? 0 : count - 1]);
        } else {
            snprintf(label, sizeof(label), "%.5g to %.5g", edges[i - 1], edges[i]);
        }
        draw_bar(out, label, shares[i][0], shares[i][1], scale);
    }
}

static void draw_numbers(const struct mill_cli_comparison *c, struct mill_buffer *out)
{
    double values[BINS];
    int count = few_values(c, values);

    if (count > 0) {
        draw_values(c, values, count, out);
    } else {
        draw_ranges(c, out);
    }
}

/* ---- categories ---- */

static int by_count(const void *a, const void *b)
{
    const struct mill_cli_level *x = a, *y = b;
    uint64_t n = x->reference + x->current, m = y->reference + y->current;
    return n != m ? (n < m) - (n > m) : mill_slice_compare(x->name, y->name);
}

static void draw_levels(const struct mill_cli_comparison *c, struct mill_buffer *out)
{
    uint64_t rest[2] = {0}, n = c->reference_count, m = c->current_count;
    struct mill_cli_level *levels = mill_malloc((c->level_count + 1) * sizeof(*levels));
    double scale = 0, per_reference = n > 0 ? 1.0 / (double)n : 0, per_current = m > 0 ? 1.0 / (double)m : 0;
    char label[64];

    memcpy(levels, c->levels, c->level_count * sizeof(*levels));
    qsort(levels, c->level_count, sizeof(*levels), by_count);
    for (uint32_t i = 0; i < c->level_count; i++) {
        rest[0] += i >= LEVELS_SHOWN ? levels[i].reference : 0;
        rest[1] += i >= LEVELS_SHOWN ? levels[i].current : 0;
        scale = fmax(scale, fmax((double)levels[i].reference * per_reference, (double)levels[i].current * per_current));
    }
    for (uint32_t i = 0; i < c->level_count && i < LEVELS_SHOWN; i++) {
        snprintf(label, sizeof(label), "%.*s", levels[i].name.n < LABEL_WIDTH ? (int)levels[i].name.n : LABEL_WIDTH,
                 levels[i].name.p);
        draw_bar(out, label, (double)levels[i].reference * per_reference, (double)levels[i].current * per_current,
                 scale);
    }
    if (c->level_count > LEVELS_SHOWN) {
        snprintf(label, sizeof(label), "%u others", c->level_count - LEVELS_SHOWN);
        double reference = (double)rest[0] * per_reference, current = (double)rest[1] * per_current;
        draw_bar(out, label, reference, current, fmax(scale, fmax(reference, current)));
    }
    free(levels);
}

/* ---- a feature ---- */

static void add_value(struct mill_buffer *out, const char *label, double value)
{
    if (!isnan(value)) {
        mill_buffer_printf(out, "   %s %.4g", label, value);
    }
}

static void write_head(const struct mill_cli_comparison *c, struct mill_buffer *out)
{
    static const enum mill_cli_color colors[] = {MILL_CLI_GREEN, MILL_CLI_YELLOW, MILL_CLI_RED};
    const struct mill_drift_result *r = c->result;
    char verdict[96];

    mill_buffer_printf(
        out, "%s%s%s  %s%s%s", mill_cli_color(STDOUT_FILENO, MILL_CLI_BOLD), c->reference->name,
        mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN), mill_cli_color(STDOUT_FILENO, colors[r->severity]),
        mill_cli_drift_verdict(r, verdict, sizeof(verdict)), mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN));
    if (r->reason != NULL) {
        mill_buffer_printf(out, ": %s %.4g, threshold %.4g", r->reason, r->value, r->threshold);
    }
    if (c->current == NULL) {
        mill_buffer_add_string(out, "; the current file has no such column");
    } else if (c->type_changed) {
        mill_buffer_add_string(out, "; numbers in one file, text in the other");
    }
    mill_buffer_add_byte(out, '\n');
}

static void write_values(const struct mill_cli_comparison *c, struct mill_buffer *out)
{
    const struct mill_drift_result *r = c->result;

    mill_buffer_printf(out, "    n %llu / %llu   missing %.1f %% / %.1f %%",
                       (unsigned long long)(r->feature->row_count - r->feature->null_count),
                       (unsigned long long)(r->row_count - r->null_count), 100 * r->null_share_reference,
                       100 * r->null_share_current);
    if (r->feature->kind == MILL_DRIFT_NUMERIC && !isnan(r->mean)) {
        mill_buffer_printf(out, "   mean %.5g / %.5g   sd %.4g / %.4g", r->feature->mean, r->mean, r->feature->stddev,
                           r->stddev);
    }
    mill_buffer_add_string(out, "\n ");
    if (r->feature->kind == MILL_DRIFT_NUMERIC) {
        add_value(out, "KS", r->ks.statistic);
        add_value(out, "at", r->ks.location);
        add_value(out, "p", r->ks_pvalue);
    } else {
        add_value(out, "chi2", r->chi2.statistic);
        add_value(out, "p", r->chi2.pvalue);
    }
    add_value(out, "PSI", r->psi);
    add_value(out, "article's PSI", r->psi_density);
    add_value(out, "Wasserstein", c->wasserstein);
    add_value(out, "Jensen-Shannon", r->jensen_shannon);
    add_value(out, "Hellinger", r->hellinger);
    if (r->feature->kind == MILL_DRIFT_CATEGORICAL) {
        add_value(out, "unseen", r->unseen_share);
    }
    mill_buffer_add_byte(out, '\n');
}

static int by_severity(const void *a, const void *b)
{
    const struct mill_drift_result *x = (*(const struct mill_cli_comparison *const *)a)->result,
                                   *y = (*(const struct mill_cli_comparison *const *)b)->result;
    if (x->severity != y->severity) {
        return (x->severity < y->severity) - (x->severity > y->severity);
    }
    double p = isnan(x->psi) ? -1 : x->psi, q = isnan(y->psi) ? -1 : y->psi;
    return p != q ? (p < q) - (p > q) : strcmp(x->feature->name, y->feature->name);
}

static void write_summary(const struct mill_cli_comparisons *all, struct mill_buffer *out)
{
    uint32_t minor = 0, major = 0;

    for (uint32_t i = 0; i < all->count; i++) {
        minor += all->at[i].result->severity == MILL_SEVERITY_MINOR;
        major += all->at[i].result->severity == MILL_SEVERITY_MAJOR;
    }
    if (all->extra_count > 0) {
        mill_buffer_add_string(out, "only in the current file:");
        for (uint32_t i = 0; i < all->extra_count; i++) {
            mill_buffer_printf(out, " %s", all->extra[i]);
        }
        mill_buffer_add_byte(out, '\n');
    }
    mill_buffer_printf(out, "%u of %u features drifted by the %s rule: %u major, %u minor\n", minor + major, all->count,
                       all->rule, major, minor);
}

void mill_cli_compare_write_text(const struct mill_cli_comparisons *all, struct mill_buffer *out)
{
    const struct mill_cli_comparison **sorted = mill_calloc(all->count, sizeof(const struct mill_cli_comparison *));
    const struct glyphs *glyphs = choose_glyphs();

    for (uint32_t i = 0; i < all->count; i++) {
        sorted[i] = &all->at[i];
    }
    qsort(sorted, all->count, sizeof(const struct mill_cli_comparison *), by_severity);
    mill_buffer_printf(
        out, "reference %s (%zu rows), current %s (%zu rows); %s both, %s reference only, %s current only\n\n",
        all->reference_path, all->reference->row_count, all->current_path, all->current->row_count, glyphs->both,
        glyphs->reference, glyphs->current);
    for (uint32_t i = 0; i < all->count; i++) {
        write_head(sorted[i], out);
        write_values(sorted[i], out);
        if (sorted[i]->result->feature->kind == MILL_DRIFT_NUMERIC) {
            draw_numbers(sorted[i], out);
        } else {
            draw_levels(sorted[i], out);
        }
        mill_buffer_add_byte(out, '\n');
    }
    write_summary(all, out);
    free(sorted);
}
