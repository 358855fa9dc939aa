/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of monitors' records against the example of the CloudEvents Kafka binding (1.0.2, section 3.2.5): names, and
 * values of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/cloud_event_internal.h"

static void assert_header(const struct mill__cloud_headers *headers, const char *name, const char *value)
{
    unsigned found = 0;

    for (unsigned i = 0; i < MILL__CLOUD_HEADER_COUNT; i++) {
        if (strcmp(headers->at[i].name, name) == 0) {
            found++;
            assert_true(mill_slice_is(headers->at[i].value, value));
        }
    }
    assert_int_equal(found, 1);
}

static void test_headers(void **state)
{
    (void)state;
    struct mill__cloud_headers headers = {0};
    const struct mill_drift_monitor_spec spec = {.project = "shop", .name = "by_country"};
    const struct mill__cloud_event event = {.id = "0a1b", .kind = "drift.alert", .time_us = 1522904184000000};

    mill__cloud_headers_set(&headers, &event, &spec, MILL_FORMAT_JSON);
    assert_header(&headers, "ce_specversion", "1.0");
    assert_header(&headers, "ce_id", "0a1b");
    assert_header(&headers, "ce_source", "/tidemill/shop/monitors/by_country");
    assert_header(&headers, "ce_type", "io.shop.drift.alert.v1");
    assert_header(&headers, "ce_time", "2018-04-05T04:56:24Z");
    assert_header(&headers, "content-type", "application/json");
    mill__cloud_headers_set(&headers, &event, &spec, MILL_FORMAT_AVRO);
    assert_header(&headers, "ce_source", "/tidemill/shop/monitors/by_country");
    assert_header(&headers, "content-type", "application/avro");
    mill__cloud_headers_clear(&headers);
}

/* Names have no upper limit: none is cut. */
static void test_long_names(void **state)
{
    (void)state;
    struct mill__cloud_headers headers = {0};
    char name[2000];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    const struct mill_drift_monitor_spec spec = {.project = name, .name = name};
    mill__cloud_headers_set(&headers, &(struct mill__cloud_event){name, "retrain", 0}, &spec, MILL_FORMAT_JSON);
    assert_int_equal(headers.at[1].value.n, 1999);
    assert_int_equal(headers.at[2].value.n, strlen("/tidemill//monitors/") + 2 * 1999);
    assert_int_equal(headers.at[3].value.n, strlen("io..retrain.v1") + 1999);
    mill__cloud_headers_clear(&headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
