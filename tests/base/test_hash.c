/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes against values of libxxhash 0.8.1, Python's hashlib and Kafka's own unit test: stored state and the
 * placement of keys depend on them, so they must never change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sha256_internal.h"

static void fill(unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)(i * 131 + 7);
    }
}

static void xxh3(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t plain, seed42;
    } cases[] = {
        {0, UINT64_C(0x2d06800538d394c2), UINT64_C(0xb029411ff43d84d2)},
        {1, UINT64_C(0x4c5cca45d0f4811f), UINT64_C(0xc72384329881f542)},
        {3, UINT64_C(0x6e3e2670e61106ac), UINT64_C(0x06be808a0f1e13d6)},
        {4, UINT64_C(0x5c4c63133443d03f), UINT64_C(0xcca1c5c31699ed91)},
        {8, UINT64_C(0xf9fd4dd0b04d78f5), UINT64_C(0x859ee438a590e13d)},
        {9, UINT64_C(0x7c20df9712c26edf), UINT64_C(0x18d8d7990efdce09)},
        {16, UINT64_C(0x86abf6baccea0858), UINT64_C(0x3dfb7c5ae85844fe)},
        {17, UINT64_C(0xb58bf5dc5022d071), UINT64_C(0x75bb843c3df21312)},
        {64, UINT64_C(0x1291d2d4042330dd), UINT64_C(0x5148db359644ee58)},
        {128, UINT64_C(0x10d17f72c0ccba41), UINT64_C(0xa80975a8e9c98d88)},
        {129, UINT64_C(0x1648bdc3db49d1a2), UINT64_C(0xb5978592da15b4c3)},
        {240, UINT64_C(0xb6cfaf343fab81e6), UINT64_C(0xd865d0b2178586a4)},
        {241, UINT64_C(0x956cae592c67279e), UINT64_C(0xf10c69779cba8524)},
        {1000, UINT64_C(0x571d5cbfef44331b), UINT64_C(0xd63ebcf17f51057b)},
    };
    unsigned char bytes[1000];
    fill(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(mill_hash64(bytes, cases[i].n) == cases[i].plain);
        assert_true(mill_hash64_seed(bytes, cases[i].n, 42) == cases[i].seed42);
    }
    assert_true(mill_hash64(NULL, 0) == cases[0].plain);
}

/* UtilsTest.testMurmur2 of Apache Kafka. */
static void murmur2(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
        {"", 275646681},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal((int32_t)mill_hash_murmur2(cases[i].text, strlen(cases[i].text)), cases[i].hash);
    }
}

static void sha256(void **state)
{
    (void)state;
    char hex[65], *all = malloc(200 * 64);
    unsigned char bytes[200];

    mill_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    mill_sha256_hex(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    mill_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

    /* Every length up to 199, so every place of the padding: the hash of all the hashes. */
    fill(bytes, sizeof(bytes));
    for (size_t n = 0; n < sizeof(bytes); n++) {
        mill_sha256_hex(bytes, n, hex);
        memcpy(all + n * 64, hex, 64);
    }
    mill_sha256_hex(all, sizeof(bytes) * 64, hex);
    assert_string_equal(hex, "dfdc8923baef40580ee9d3c578eb9af1d96fef8a86647ce21c6577279227b813");
    free(all);

    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    mill_sha256_hex(million, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* The CPU's own instructions against portable C, from many states and for every number of blocks. */
static void sha256_instructions(void **state)
{
    (void)state;
    if (!mill__sha256_has_instructions()) {
        skip();
    }
    enum { BLOCKS = 9 };
    unsigned char bytes[BLOCKS * MILL__SHA256_BLOCK_SIZE + 3];
    uint32_t a[MILL__SHA256_STATE_WORDS], b[MILL__SHA256_STATE_WORDS];

    fill(bytes, sizeof(bytes));
    for (unsigned start = 0; start < 100; start++) {
        memcpy(a, bytes + start, sizeof(a));
        memcpy(b, a, sizeof(b));
        mill__sha256_blocks_portable(a, bytes + start % 4, start % (BLOCKS + 1));
        mill__sha256_blocks_x86(b, bytes + start % 4, start % (BLOCKS + 1));
        assert_memory_equal(a, b, sizeof(a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh3),
        cmocka_unit_test(murmur2),
        cmocka_unit_test(sha256),
        cmocka_unit_test(sha256_instructions),
    };
    return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
