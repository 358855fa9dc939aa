/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, UTF-8 and suggestions. UTF-8 is judged by a table of well-formed sequences (Unicode, table 3-7) turned
 * into the set of all encodings of all code points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "base/suggest.h"
#include "random.h"

static size_t encode(uint32_t c, unsigned char *out)
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) {
        out[i] = (unsigned char)(0x80 | (c & 0x3f));
    }
    out[0] = (unsigned char)((0xf0 << (4 - n) & 0xf0) | (n == 2 ? 0xc0 : 0) | c);
    return n;
}

/* Slow and plain: decode, encode again, compare. */
static size_t naive_valid_prefix(const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t want = p[i] < 0x80 ? 1 : p[i] >= 0xf0 ? 4 : p[i] >= 0xe0 ? 3 : 2;
        uint32_t c = want == 1 ? p[i] : (uint32_t)(p[i] & (0xff >> (want + 1)));
        unsigned char again[4];
        if (i + want > n) {
            return i;
        }
        for (size_t j = 1; j < want; j++) {
            c = c << 6 | (p[i + j] & 0x3fU);
        }
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || encode(c, again) != want ||
            memcmp(again, p + i, want) != 0) {
            return i;
        }
        i += want;
    }
    return n;
}

static size_t valid_prefix(const unsigned char *p, size_t n)
{
    struct mill_slice s = {(const char *)p, n};
    size_t valid = mill_utf8_valid_prefix(s);
    assert_int_equal(mill_utf8_is_valid(s), valid == n);
    return valid;
}

static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        unsigned char bytes[4];
        size_t n = encode(c, bytes);
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if ((valid_prefix(bytes, n) == n) == surrogate || valid_prefix(bytes, n - 1) == n) {
            fail_msg("U+%04X", c);
        }
    }
}

/* All pairs of bytes, and all triples and quadruples whose bytes are at the edges of the table. */
static void every_short_sequence(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                          0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { EDGES = sizeof(edges) };
    unsigned char bytes[4];
    for (unsigned i = 0; i < 65536; i++) {
        bytes[0] = (unsigned char)(i >> 8);
        bytes[1] = (unsigned char)i;
        assert_int_equal(valid_prefix(bytes, 2), naive_valid_prefix(bytes, 2));
    }
    for (unsigned i = 0; i < EDGES * EDGES * EDGES * EDGES; i++) {
        bytes[0] = edges[i % EDGES];
        bytes[1] = edges[i / EDGES % EDGES];
        bytes[2] = edges[i / (EDGES * EDGES) % EDGES];
        bytes[3] = edges[i / (EDGES * EDGES * EDGES)];
        assert_int_equal(valid_prefix(bytes, 4), naive_valid_prefix(bytes, 4));
    }
}

/* Long texts at every alignment, so that the 16-byte steps and what lies between them meet. */
static void random_texts(void **state)
{
    (void)state;
    unsigned char bytes[160];
    for (unsigned i = 0; i < 300000; i++) {
        size_t begin = random_below(16), n = begin;
        unsigned rare = 1 + random_below(60);
        while (n < 120) {
            uint32_t c = random_below(rare) == 0 ? random_below(0x110000) : ' ' + random_below(90);
            n += encode(c, bytes + n);
        }
        if (i % 4 == 0) {
            bytes[random_below((uint32_t)n)] ^= (unsigned char)(1 << random_below(8));
        }
        assert_int_equal(valid_prefix(bytes + begin, n - begin), naive_valid_prefix(bytes + begin, n - begin));
    }
    assert_true(mill_utf8_is_valid((struct mill_slice){NULL, 0}));
}

static void comparisons(void **state)
{
    (void)state;
    struct mill_slice empty = {NULL, 0}, a = mill_slice_of("a"), ab = mill_slice_of("ab"), b = mill_slice_of("b");
    assert_true(mill_slice_equal(empty, mill_slice_of("")));
    assert_true(mill_slice_is(ab, "ab") && !mill_slice_is(ab, "a") && !mill_slice_is(ab, "abc"));
    assert_true(mill_slice_compare(empty, a) < 0 && mill_slice_compare(a, empty) > 0);
    assert_true(mill_slice_compare(a, ab) < 0 && mill_slice_compare(ab, b) < 0 && mill_slice_compare(b, ab) > 0);
    assert_true(mill_slice_compare(ab, ab) == 0 && mill_slice_compare(empty, empty) == 0);
    assert_true(mill_slice_compare(mill_slice_of("\xff"), a) > 0); /* bytes, not chars */
    char text[16];
    snprintf(text, sizeof(text), "%.*s|", MILL_SLICE_ARGS(ab));
    assert_string_equal(text, "ab|");
    snprintf(text, sizeof(text), "%.*s|", MILL_SLICE_ARGS(mill_slice_of("")));
    assert_string_equal(text, "|");
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"count", "sum", "mean", "min", "max", "stddev", "time_since_last", "user_id"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"count", "count"},
        {"cuont", "count"}, /* neighbours swapped are one mistake */
        {"coutn", "count"},
        {"conut", "count"},
        {"COUNT", "count"},
        {"counts", "count"},
        {"cnt", NULL}, /* two of five letters */
        {"summ", "sum"},
        {"su", "sum"},
        {"s", NULL},
        {"maen", "mean"},
        {"mix", "min"}, /* "max" is as near: the first one wins */
        {"std_dev", "stddev"},
        {"time_since_lst", "time_since_last"},
        {"userid", "user_id"},
        {"banana", NULL},
        {"", NULL},
        {"a_word_that_is_longer_than_anything_that_could_be_meant_here_or_anywhere", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *nearest = mill_suggest(mill_slice_of(cases[i].word), words, sizeof(words) / sizeof(words[0]));
        if (nearest != cases[i].nearest &&
            (nearest == NULL || cases[i].nearest == NULL || strcmp(nearest, cases[i].nearest) != 0)) {
            fail_msg("'%s' suggests '%s'", cases[i].word, nearest == NULL ? "(nothing)" : nearest);
        }
    }
    assert_null(mill_suggest(mill_slice_of("count"), NULL, 0));
    /* 64 letters are compared, 65 are not. */
    char long_word[66];
    memset(long_word, 'x', 65);
    long_word[65] = '\0';
    const char *list[] = {long_word};
    assert_null(mill_suggest((struct mill_slice){long_word, 64}, list, 1));
    long_word[64] = '\0';
    assert_non_null(mill_suggest((struct mill_slice){long_word, 64}, list, 1));
}

int main(void)
{
    random_seed("test_slice");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point), cmocka_unit_test(every_short_sequence), cmocka_unit_test(random_texts),
        cmocka_unit_test(comparisons),      cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests_name("base/slice", tests, NULL, NULL);
}
