/* SPDX-License-Identifier: Apache-2.0 */
/* Reads Prometheus' text format as the engine writes it; for top and drift status. */
#include "cli/cli_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"

enum { HTTP_TIMEOUT_MS = 3000 };

static void add_sample(struct mill_cli_scrape *scrape, struct mill_slice name, struct mill_slice labels, double value)
{
    if (scrape->count == scrape->capacity) {
        scrape->capacity = scrape->capacity == 0 ? 256 : 2 * scrape->capacity;
        scrape->samples = mill_realloc(scrape->samples, scrape->capacity * sizeof(*scrape->samples));
    }
    scrape->samples[scrape->count++] = (struct mill_cli_sample){
        mill_arena_strndup(&scrape->arena, name.p, name.n),
        mill_arena_strndup(&scrape->arena, labels.p, labels.n),
        value,
    };
}

static double read_value(struct mill_slice text)
{
    double value;
    if (text.n > 0 && mill_number_parse_double(text.p, text.p + text.n, &value) != NULL) {
        return value;
    }
    return mill_slice_is(text, "+Inf") ? INFINITY : mill_slice_is(text, "-Inf") ? -INFINITY : NAN;
}

/* Where the labels end: a brace outside of quotes. */
static const char *labels_end(const char *p, const char *end)
{
    bool quoted = false;
    for (; p < end; p++) {
        if (quoted && *p == '\\' && p + 1 < end) {
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
        } else if (*p == '}' && !quoted) {
            return p;
        }
    }
    return NULL;
}

static void parse_line(struct mill_cli_scrape *scrape, const char *p, const char *end)
{
    const char *q = p;
    struct mill_slice labels = {"", 0};
    if (p == end || *p == '#') {
        return;
    }
    while (q < end && *q != '{' && *q != ' ') {
        q++;
    }
    struct mill_slice name = {p, (size_t)(q - p)};
    if (q < end && *q == '{') {
        const char *close = labels_end(q + 1, end);
        if (close == NULL) {
            return;
        }
        labels = (struct mill_slice){q + 1, (size_t)(close - q - 1)};
        q = close + 1;
    }
    while (q < end && *q == ' ') {
        q++;
    }
    const char *stop = q;
    while (stop < end && *stop != ' ' && *stop != '\r') {
        stop++;
    }
    add_sample(scrape, name, labels, read_value((struct mill_slice){q, (size_t)(stop - q)}));
}

void mill_cli_scrape_parse(struct mill_cli_scrape *scrape, struct mill_slice text)
{
    const char *p = text.p, *end = text.p + text.n;
    memset(scrape, 0, sizeof(*scrape));
    mill_arena_init(&scrape->arena, 0);
    scrape->at_ns = mill_clock_mono_ns();
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline == NULL ? end : newline;
        parse_line(scrape, p, stop);
        p = newline == NULL ? end : newline + 1;
    }
}

void mill_cli_scrape_clear(struct mill_cli_scrape *scrape)
{
    free(scrape->samples);
    mill_arena_clear(&scrape->arena);
    memset(scrape, 0, sizeof(*scrape));
}

struct mill_slice mill_cli_sample_label(const struct mill_cli_sample *sample, const char *label)
{
    size_t n = strlen(label);
    for (const char *p = sample->labels; *p != '\0';) {
        const char *name = p;
        p += strcspn(p, "=");
        bool found = (size_t)(p - name) == n && memcmp(name, label, n) == 0;
        if (p[0] != '=' || p[1] != '"') {
            break;
        }
        const char *value = p + 2;
        for (p = value; *p != '\0' && *p != '"'; p++) {
            p += *p == '\\' && p[1] != '\0';
        }
        if (found) {
            return (struct mill_slice){value, (size_t)(p - value)};
        }
        p += *p == '"';
        p += *p == ',';
    }
    return (struct mill_slice){"", 0};
}

double mill_cli_scrape_sum(const struct mill_cli_scrape *scrape, const char *name, const char *label,
                           struct mill_slice value)
{
    double sum = 0;
    for (uint32_t i = 0; i < scrape->count; i++) {
        const struct mill_cli_sample *s = &scrape->samples[i];
        if (strcmp(s->name, name) == 0 && (label == NULL || mill_slice_equal(mill_cli_sample_label(s, label), value))) {
            sum += s->value;
        }
    }
    return sum;
}

struct bucket {
    double bound, count;
};

static int compare_buckets(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    return (x->bound > y->bound) - (x->bound < y->bound);
}

double mill_cli_scrape_quantile(const struct mill_cli_scrape *before, const struct mill_cli_scrape *now,
                                const char *name, double q)
{
    enum { BUCKETS_MAX = 64 };
    struct bucket buckets[BUCKETS_MAX];
    char series[128];
    int count = 0;

    snprintf(series, sizeof(series), "%s_bucket", name);
    for (uint32_t i = 0; i < now->count && count < BUCKETS_MAX; i++) {
        const struct mill_cli_sample *s = &now->samples[i];
        if (strcmp(s->name, series) == 0) {
            struct mill_slice le = mill_cli_sample_label(s, "le");
            buckets[count++] =
                (struct bucket){read_value(le), s->value - mill_cli_scrape_sum(before, series, "le", le)};
        }
    }
    qsort(buckets, (size_t)count, sizeof(buckets[0]), compare_buckets);
    if (count == 0 || !(buckets[count - 1].count > 0)) {
        return NAN;
    }
    double wanted = q * buckets[count - 1].count;
    int i = 0;
    while (i < count - 1 && buckets[i].count < wanted) {
        i++;
    }
    double low = i == 0 ? 0 : buckets[i - 1].bound, below = i == 0 ? 0 : buckets[i - 1].count;
    if (isinf(buckets[i].bound) || buckets[i].count <= below) {
        return low;
    }
    return low + (buckets[i].bound - low) * (wanted - below) / (buckets[i].count - below);
}

int mill_cli_scrape_read(const char *base, struct mill_cli_scrape *ret_scrape, struct mill_error *err)
{
    struct mill_buffer url = {0}, body = {0};
    long status = 0;
    mill_buffer_printf(&url, "%s/metrics", base);
    int rc = mill_cli_http_get(mill_buffer_cstr(&url), HTTP_TIMEOUT_MS, &body, &status, err);
    if (rc == MILL_OK && status != 200) {
        rc = mill_fail(err, MILL_EUNAVAIL, "'%s' answers with status %ld", mill_buffer_cstr(&url), status);
    }
    if (rc == MILL_OK) {
        mill_cli_scrape_parse(ret_scrape, mill_buffer_slice(&body));
    }
    mill_buffer_clear(&url);
    mill_buffer_clear(&body);
    return rc;
}
