/* SPDX-License-Identifier: Apache-2.0 */
/* base/json.h: grammar, messages and layout by tables; acceptance and values against jansson on random
 * documents and on what is left of them after random damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_internal.h"
#include "json_oracle.h"
#include "random.h"

static struct mill_buffer scratch;

/* The tokens of a text in short: {} [] k:name "text" 1.5 t f n . (end) ! (error) */
static const char *tokens_of(const char *text, bool allow_bare_nan)
{
    static struct mill_buffer out;
    struct mill_json_reader r;
    static const char *const marks[] = {"{", "}", "[", "]", "k:", "s:", "", "t", "f", "n", ".", "!"};
    mill_buffer_reset(&out);
    mill_json_reader_init(&r, mill_slice_of(text), &scratch);
    r.allow_bare_nan = allow_bare_nan;
    enum mill_json_token token;
    do {
        token = mill_json_next(&r);
        mill_buffer_add_string(&out, marks[token]);
        if (token == MILL_JSON_KEY || token == MILL_JSON_STRING || token == MILL_JSON_NUMBER) {
            mill_buffer_add_slice(&out, r.text);
            mill_buffer_add_byte(&out, ' ');
        }
    } while (token != MILL_JSON_END && token != MILL_JSON_ERROR);
    assert_int_equal(mill_json_next(&r), token); /* both ends stay */
    return mill_buffer_cstr(&out);
}

static void token_streams(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"{}", "{}."},
        {" [ ] ", "[]."},
        {"1", "1 ."},
        {"\"\"", "s: ."},
        {"\t\r\n true \n", "t."},
        {"{\"a\":1,\"b\":[true,false,null],\"c\":{}}", "{k:a 1 k:b [tfn]k:c {}}."},
        {"{ \"a\" : -1.5e+10 , \"\" : \"x\" }", "{k:a -1.5e+10 k: s:x }."},
        {"[[[]],[]]", "[[[]][]]."},
        {"\"a\\nb\\u00e9\\ud83d\\ude00\\/\\\\\\\"\"", "s:a\nb\xc3\xa9\xf0\x9f\x98\x80/\\\" ."},
        {"{\"k\\u0065y\":\"plain\"}", "{k:key s:plain }."},
        {"[\"caf\xc3\xa9\",\"\x7f\"]", "[s:caf\xc3\xa9 s:\x7f ]."},
        {"[0,-0,0.0,1E5,1e-5]", "[0 -0 0.0 1E5 1e-5 ]."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(tokens_of(cases[i].text, false), cases[i].tokens);
    }
}

static void messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line, col;
        const char *message;
    } cases[] = {
        {"", 1, 1, "not JSON: unexpected end of the text"},
        {"  ", 1, 3, "not JSON: unexpected end of the text"},
        {"{", 1, 2, "not JSON: unexpected end of the text"},
        {"{\"a\"", 1, 5, "not JSON: unexpected end of the text"},
        {"{\"a\":", 1, 6, "not JSON: unexpected end of the text"},
        {"{\"a\":1", 1, 7, "not JSON: unexpected end of the text"},
        {"{\"a\":1,", 1, 8, "not JSON: unexpected end of the text"},
        {"[1", 1, 3, "not JSON: unexpected end of the text"},
        {"\"abc", 1, 5, "not JSON: unexpected end of the text"},
        {"\"abc\\n", 1, 7, "not JSON: unexpected end of the text"},
        {"-", 1, 2, "not JSON: unexpected end of the text"},
        {"1.", 1, 3, "not JSON: unexpected end of the text"},
        {"1e+", 1, 4, "not JSON: unexpected end of the text"},
        {"x", 1, 1, "not JSON: expected a value, found 'x'"},
        {"tru", 1, 1, "not JSON: expected a value, found 't'"},
        {"nul!", 1, 1, "not JSON: expected a value, found 'n'"},
        {"NaN", 1, 1, "not JSON: expected a value, found 'N'"},
        {"-Infinity", 1, 2, "not JSON: expected a digit, found 'I'"},
        {"'a'", 1, 1, "not JSON: expected a value, found '''"},
        {"[1,]", 1, 4, "not JSON: expected a value, found ']'"},
        {"[,1]", 1, 2, "not JSON: expected a value, found ','"},
        {"[1 2]", 1, 4, "not JSON: expected ',' or ']', found '2'"},
        {"[1}", 1, 3, "not JSON: expected ',' or ']', found '}'"},
        {"{\"a\":1 \"b\":2}", 1, 8, "not JSON: expected ',' or '}', found '\"'"},
        {"{\"a\":1]", 1, 7, "not JSON: expected ',' or '}', found ']'"},
        {"{\"a\":1,}", 1, 8, "not JSON: expected a name in double quotes, found '}'"},
        {"{a:1}", 1, 2, "not JSON: expected a name in double quotes, found 'a'"},
        {"{\"a\" 1}", 1, 6, "not JSON: expected ':', found '1'"},
        {"{\"a\":}", 1, 6, "not JSON: expected a value, found '}'"},
        {"1 2", 1, 3, "not JSON: expected nothing behind the document, found '2'"},
        {"{}}", 1, 3, "not JSON: expected nothing behind the document, found '}'"},
        {"01", 1, 2, "not JSON: expected nothing behind the document, found '1'"},
        {"+1", 1, 1, "not JSON: expected a value, found '+'"},
        {".5", 1, 1, "not JSON: expected a value, found '.'"},
        {"1.e5", 1, 3, "not JSON: expected a digit, found 'e'"},
        {"[-a]", 1, 3, "not JSON: expected a digit, found 'a'"},
        {"1ex", 1, 3, "not JSON: expected a digit, found 'x'"},
        {"\"a\nb\"", 1, 3, "not JSON: a string has a control character that is not escaped"},
        {"\"\\n\x1f\"", 1, 4, "not JSON: a string has a control character that is not escaped"},
        {"\"a\\x\"", 1, 3, "not JSON: a string has an escape that is not one"},
        {"\"\\u12g4\"", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"\\u123", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"\\ud800\"", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"\\ud800\\u0041\"", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"\\ud800x\"", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"\\udc00\\ud800\"", 1, 2, "not JSON: a string has an escape that is not one"},
        {"\"a\xff\"", 1, 3, "not JSON: a string is not UTF-8"},
        {"\"caf\xc3\"", 1, 5, "not JSON: a string is not UTF-8"},
        {"\"\xed\xa0\x80\"", 1, 2, "not JSON: a string is not UTF-8"},
        {"{\n  \"caf\xc3\xa9\": 1,\n  \"b\" 2\n}", 3, 7, "not JSON: expected ':', found '2'"},
        {"{\"caf\xc3\xa9\" 2}", 1, 9, "not JSON: expected ':', found '2'"},
        {"\xef\xbb\xbf{}", 1, 1, "not JSON: expected a value, found the byte 0xef"},
        {"[1,\f2]", 1, 4, "not JSON: expected a value, found the byte 0x0c"},
        {"/* a */ 1", 1, 1, "not JSON: expected a value, found '/'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mill_json_reader r;
        struct mill_error err = {0};
        enum mill_json_token token;
        mill_json_reader_init(&r, mill_slice_of(cases[i].text), &scratch);
        while ((token = mill_json_next(&r)) != MILL_JSON_END && token != MILL_JSON_ERROR) {
        }
        assert_int_equal(token, MILL_JSON_ERROR);
        assert_int_equal(mill_json_next(&r), MILL_JSON_ERROR);
        assert_int_equal(mill_json_fail(&r, &err), MILL_EDATA);
        if (strcmp(err.msg, cases[i].message) != 0 || err.line != cases[i].line || err.col != cases[i].col) {
            fail_msg("'%s' gives %u:%u: %s", cases[i].text, err.line, err.col, err.msg);
        }
        assert_null(json_oracle_compare(mill_slice_of(cases[i].text), &scratch));
    }
}

static void bare_nan(void **state)
{
    (void)state;
    assert_string_equal(tokens_of("[NaN,Infinity,-Infinity,-1]", true), "[NaN Infinity -Infinity -1 ].");
    assert_string_equal(tokens_of("[NaN]", false), "[!");
    assert_string_equal(tokens_of("[-Infinity]", false), "[!");
    assert_string_equal(tokens_of("[Nan]", true), "[!");
    assert_string_equal(tokens_of("[-NaN]", true), "[!");
    assert_string_equal(tokens_of("[Inf]", true), "[!");
    assert_string_equal(tokens_of("[NaNa]", true), "[NaN !");
}

/* Strings without escapes are the input's own bytes, and one with NUL inside keeps it. */
static void strings_are_borrowed(void **state)
{
    (void)state;
    static const char text[] = "[\"abc\",\"a\\u0000b\"]";
    struct mill_json_reader r;
    mill_json_reader_init(&r, mill_slice_of(text), &scratch);
    assert_int_equal(mill_json_next(&r), MILL_JSON_ARRAY_BEGIN);
    assert_int_equal(mill_json_next(&r), MILL_JSON_STRING);
    assert_true(r.text.p == text + 2 && r.text.n == 3);
    assert_int_equal(mill_json_next(&r), MILL_JSON_STRING);
    assert_int_equal(r.text.n, 3);
    assert_memory_equal(r.text.p, "a\0b", 3);
}

static void depth(void **state)
{
    (void)state;
    char text[200];
    for (unsigned n = 62; n <= 66; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        text[2 * n] = '\0';
        const char *tokens = tokens_of(text, false);
        assert_int_equal(tokens[strlen(tokens) - 1], n <= MILL_JSON_DEPTH_MAX ? '.' : '!');
    }
    /* Objects and arrays in turn: each level remembers what it is. */
    struct mill_buffer b = {0};
    for (unsigned i = 0; i < 32; i++) {
        mill_buffer_add_string(&b, "[{\"a\":");
    }
    mill_buffer_add_string(&b, "1");
    for (unsigned i = 0; i < 32; i++) {
        mill_buffer_add_string(&b, "}]");
    }
    const char *tokens = tokens_of(mill_buffer_cstr(&b), false);
    assert_int_equal(tokens[strlen(tokens) - 1], '.');
    mill_buffer_clear(&b);
}

static void skips(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":{\"x\":[1,{\"y\":\"}\"}]},\"b\":[[],[\"]\"]],\"c\":1,\"d\":\"last\"}";
    struct mill_json_reader r;
    mill_json_reader_init(&r, mill_slice_of(text), &scratch);
    assert_int_equal(mill_json_next(&r), MILL_JSON_OBJECT_BEGIN);
    assert_int_equal(mill_json_next(&r), MILL_JSON_KEY);
    assert_int_equal(mill_json_skip(&r, mill_json_next(&r)), MILL_OK); /* by the value's token */
    assert_int_equal(mill_json_next(&r), MILL_JSON_KEY);
    assert_true(mill_slice_is(r.text, "b"));
    assert_int_equal(mill_json_skip(&r, MILL_JSON_KEY), MILL_OK); /* by the key's */
    assert_int_equal(mill_json_next(&r), MILL_JSON_KEY);
    assert_true(mill_slice_is(r.text, "c"));
    assert_int_equal(mill_json_skip(&r, mill_json_next(&r)), MILL_OK); /* a scalar */
    assert_int_equal(mill_json_next(&r), MILL_JSON_KEY);
    assert_int_equal(mill_json_next(&r), MILL_JSON_STRING);
    assert_true(mill_slice_is(r.text, "last"));
    assert_int_equal(mill_json_next(&r), MILL_JSON_OBJECT_END);
    assert_int_equal(mill_json_next(&r), MILL_JSON_END);

    mill_json_reader_init(&r, mill_slice_of("[[1,2}]"), &scratch);
    assert_int_equal(mill_json_skip(&r, mill_json_next(&r)), MILL_EDATA);
    mill_json_reader_init(&r, mill_slice_of("[1,2]"), &scratch);
    assert_int_equal(mill_json_skip(&r, mill_json_next(&r)), MILL_OK);
    assert_int_equal(mill_json_next(&r), MILL_JSON_END);
}

/* Random text: ASCII mostly, some of everything else. */
static void random_string(struct mill_buffer *out, bool valid)
{
    unsigned n = random_below(random_below(4) == 0 ? 70 : 12);
    static const char *const pieces[] = {
        "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"", "\\", "\n", "\x01", "\x7f", "/", "\xed\x9f\xbf",
        "\t",       "\x1f"};
    static const char *const broken[] = {"\xff",     "\xc3",     "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                         "\xe2\x82", "\xc0\x80", "\x80",         "\xf0\x8f\xbf\xbf"};
    mill_buffer_reset(out);
    for (unsigned i = 0; i < n; i++) {
        if (random_below(8) == 0) {
            mill_buffer_add_string(out, pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))]);
        } else if (!valid && random_below(8) == 0) {
            mill_buffer_add_string(out, broken[random_below(sizeof(broken) / sizeof(broken[0]))]);
        } else {
            mill_buffer_add_byte(out, (unsigned char)(' ' + random_below(95)));
        }
    }
}

static void write_random(struct mill_json_writer *w, unsigned levels)
{
    static struct mill_buffer text;
    switch (random_below(levels > 0 ? 9 : 6)) {
    case 0:
        mill_json_write_null(w);
        break;
    case 1:
        mill_json_write_bool(w, random_below(2) == 0);
        break;
    case 2:
        mill_json_write_int64(w, (int64_t)random_u64() >> random_below(64));
        break;
    case 3: {
        uint64_t bits = random_u64();
        double v;
        memcpy(&v, &bits, sizeof(v));
        mill_json_write_double(w, isfinite(v) ? v : 0.5);
        break;
    }
    case 4:
    case 5:
        random_string(&text, true);
        mill_json_write_string(w, mill_buffer_slice(&text));
        break;
    case 6:
        mill_json_write_array_begin(w);
        for (unsigned i = random_below(5); i > 0; i--) {
            write_random(w, levels - 1);
        }
        mill_json_write_array_end(w);
        break;
    default:
        mill_json_write_object_begin(w);
        for (unsigned i = random_below(5); i > 0; i--) {
            random_string(&text, true);
            mill_json_write_key(w, mill_buffer_cstr(&text));
            write_random(w, levels - 1);
        }
        mill_json_write_object_end(w);
        break;
    }
}

static void random_document(struct mill_buffer *out, bool indent)
{
    struct mill_json_writer w;
    mill_buffer_reset(out);
    mill_json_writer_init(&w, out, indent);
    write_random(&w, 5);
}

static void random_documents_agree_with_jansson(void **state)
{
    (void)state;
    struct mill_buffer text = {0};
    for (unsigned i = 0; i < 20000; i++) {
        random_document(&text, i % 2 == 0);
        json_t *theirs = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        const char *verdict = json_oracle_compare(mill_buffer_slice(&text), &scratch);
        if (theirs == NULL || verdict != NULL) {
            fail_msg("%s: %s", verdict, mill_buffer_cstr(&text));
        }
        json_decref(theirs);
    }
    mill_buffer_clear(&text);
}

static void damage(struct mill_buffer *text)
{
    static const char bytes[] = "{}[]\",:\\0123456789.eE+-tfn \n\x01\xc3\xff";
    unsigned at = random_below((uint32_t)text->n);
    unsigned char byte = (unsigned char)bytes[random_below(sizeof(bytes) - 1)];
    switch (random_below(5)) {
    case 0:
        text->p[at] = (char)byte;
        break;
    case 1:
        text->p[at] = (char)(text->p[at] ^ (1 << random_below(8)));
        break;
    case 2: /* one byte less */
        memmove(text->p + at, text->p + at + 1, text->n - at - 1);
        text->n--;
        break;
    case 3: /* one more */
        mill_buffer_add_byte(text, 0);
        memmove(text->p + at + 1, text->p + at, text->n - at - 1);
        text->p[at] = (char)byte;
        break;
    default:
        text->n = at;
        break;
    }
}

static void damaged_documents_agree_with_jansson(void **state)
{
    (void)state;
    struct mill_buffer text = {0};
    for (unsigned i = 0; i < 60000; i++) {
        if (i % 4 == 0 || text.n == 0) {
            random_document(&text, i % 8 == 0);
        }
        damage(&text);
        /* An exact copy: reading past its end is a sanitizer's error. */
        char *copy = malloc(text.n > 0 ? text.n : 1);
        memcpy(copy, text.p, text.n);
        const char *verdict = json_oracle_compare((struct mill_slice){copy, text.n}, &scratch);
        if (verdict != NULL) {
            fail_msg("%s: %s", verdict, mill_buffer_cstr(&text));
        }
        free(copy);
    }
    mill_buffer_clear(&text);
}

/* Both ways to find the end of plain bytes, against a loop, at every length and alignment. */
static void plain_ends(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        char bytes[80];
        unsigned n = random_below(80), begin = random_below(n + 1), rare = 1 + random_below(40);
        for (unsigned j = 0; j < n; j++) {
            bytes[j] = (char)(random_below(rare) == 0 ? random_below(256) : 'a' + random_below(26));
        }
        const char *end = bytes + n, *p = bytes + begin;
        uint64_t expected_high = 0, high = 0, high_swar = 0;
        while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') {
            expected_high |= (unsigned char)*p++ & 0x80;
        }
        assert_true(mill__json_plain_end(bytes + begin, end, &high) == p);
        assert_true(mill__json_plain_end_swar(bytes + begin, end, &high_swar) == p);
        assert_int_equal(high != 0, expected_high != 0);
        assert_int_equal(high_swar != 0, expected_high != 0);
    }
}

/* What the writer escapes the reader gives back; what is not UTF-8 becomes U+FFFD and still is JSON. */
static void strings_round_trip(void **state)
{
    (void)state;
    struct mill_buffer text = {0}, json = {0};
    for (unsigned i = 0; i < 60000; i++) {
        struct mill_json_reader r;
        bool valid = i % 2 == 0;
        random_string(&text, valid);
        mill_buffer_reset(&json);
        mill_json_append_string(&json, mill_buffer_slice(&text));
        mill_json_reader_init(&r, mill_buffer_slice(&json), &scratch);
        assert_int_equal(mill_json_next(&r), MILL_JSON_STRING);
        assert_true(!valid || mill_slice_equal(r.text, mill_buffer_slice(&text)));
        assert_int_equal(mill_json_next(&r), MILL_JSON_END);
    }
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc3\n\xa9z", "\"a\xef\xbf\xbd\\n\xef\xbf\xbdz\""},
        {"\xe2\x82\xac\xe2\x82", "\"\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mill_buffer_reset(&json);
        mill_json_append_string(&json, mill_slice_of(cases[i].text));
        assert_string_equal(mill_buffer_cstr(&json), cases[i].json);
    }
    mill_buffer_clear(&text);
    mill_buffer_clear(&json);
}

static void write_sample(struct mill_buffer *out, bool indent)
{
    struct mill_json_writer w;
    mill_buffer_reset(out);
    mill_json_writer_init(&w, out, indent);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "view");
    mill_json_write_cstr(&w, "user_stats");
    mill_json_write_key(&w, "empty");
    mill_json_write_object_begin(&w);
    mill_json_write_object_end(&w);
    mill_json_write_key(&w, "list");
    mill_json_write_array_begin(&w);
    mill_json_write_int64(&w, INT64_MIN);
    mill_json_write_double(&w, 2);
    mill_json_write_double(&w, -0.0);
    mill_json_write_double(&w, 1e-7);
    mill_json_write_double(&w, NAN);
    mill_json_write_double(&w, INFINITY);
    mill_json_write_double(&w, -INFINITY);
    mill_json_write_bool(&w, true);
    mill_json_write_null(&w);
    mill_json_write_array_begin(&w);
    mill_json_write_array_end(&w);
    mill_json_write_array_end(&w);
    mill_json_write_object_end(&w);
}

static void layouts(void **state)
{
    (void)state;
    struct mill_buffer out = {0};
    write_sample(&out, false);
    assert_string_equal(mill_buffer_cstr(&out),
                        "{\"view\":\"user_stats\",\"empty\":{},\"list\":[-9223372036854775808,2.0,-0.0,1e-07,\"NaN\","
                        "\"Infinity\",\"-Infinity\",true,null,[]]}");
    write_sample(&out, true);
    assert_string_equal(mill_buffer_cstr(&out), "{\n"
                                                "  \"view\": \"user_stats\",\n"
                                                "  \"empty\": {},\n"
                                                "  \"list\": [\n"
                                                "    -9223372036854775808,\n"
                                                "    2.0,\n"
                                                "    -0.0,\n"
                                                "    1e-07,\n"
                                                "    \"NaN\",\n"
                                                "    \"Infinity\",\n"
                                                "    \"-Infinity\",\n"
                                                "    true,\n"
                                                "    null,\n"
                                                "    []\n"
                                                "  ]\n"
                                                "}");
    mill_buffer_clear(&out);
}

int main(void)
{
    random_seed("test_json");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_streams),
        cmocka_unit_test(messages),
        cmocka_unit_test(bare_nan),
        cmocka_unit_test(strings_are_borrowed),
        cmocka_unit_test(depth),
        cmocka_unit_test(skips),
        cmocka_unit_test(random_documents_agree_with_jansson),
        cmocka_unit_test(damaged_documents_agree_with_jansson),
        cmocka_unit_test(plain_ends),
        cmocka_unit_test(strings_round_trip),
        cmocka_unit_test(layouts),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
