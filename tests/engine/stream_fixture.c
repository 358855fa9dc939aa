/* SPDX-License-Identifier: Apache-2.0 */
/* See stream_fixture.h. */
#include "stream_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

struct stream *stream_open(const char *const *topics, int32_t partitions)
{
    struct stream *s = calloc(1, sizeof(*s));
    struct mill_error err;
    char path[96];

    mill_log_setup(&(struct mill_log_options){.level = MILL_LOG_ERROR});
    snprintf(s->dir, sizeof(s->dir), "/tmp/mill_stream_XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->project_file, sizeof(s->project_file), "%s/project.yaml", s->dir);
    assert_int_equal(mill_mock_kafka_open(&s->mock, &err), MILL_OK);
    for (size_t i = 0; topics[i] != NULL; i++) {
        stream_create_topic(s, topics[i], partitions);
    }
    setenv("SHOP_BROKERS", mill_mock_kafka_brokers(s->mock), 1);
    snprintf(path, sizeof(path), "%s/state", s->dir);
    setenv("SHOP_STATE", path, 1);
    s->kafka =
        (struct mill_kafka_options){.brokers = mill_mock_kafka_brokers(s->mock), .group = "test", .client_id = "test"};
    assert_int_equal(mill_producer_open(&s->kafka, NULL, NULL, &s->producer, &err), MILL_OK);
    return s;
}

void stream_close(struct stream *s)
{
    char command[128];
    mill_producer_close(s->producer, 1000);
    mill_mock_kafka_close(s->mock);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
    assert_int_equal(system(command), 0);
    free(s);
}

void stream_create_topic(struct stream *s, const char *topic, int32_t partitions)
{
    struct mill_error err;
    assert_int_equal(mill_mock_kafka_create_topic(s->mock, topic, partitions, &err), MILL_OK);
}

void stream_write_project(struct stream *s, const char *text)
{
    FILE *file = fopen(s->project_file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

void stream_send(struct stream *s, const char *topic, int32_t partition, const char *key, const char *text)
{
    struct mill_error err;
    unsigned number = mill_producer_topic(s->producer, topic);
    int rc =
        mill_producer_send(s->producer, number, partition, mill_slice_of(key), mill_slice_of(text), NULL, 0, -1, &err);
    assert_int_equal(rc, MILL_OK);
}

void stream_sync(struct stream *s)
{
    struct mill_error err;
    assert_int_equal(mill_producer_flush(s->producer, 10000, &err), MILL_OK);
}

int stream_run(struct stream *s, struct mill_engine_summary *ret_summary, struct mill_error *err)
{
    struct mill_project_options options = {0};
    struct mill_engine_options engine_options = {.until_end = true};
    struct mill_problems problems = {0};
    struct mill_project *project = NULL;
    struct mill_engine *engine = NULL;

    int rc = mill_project_load(s->project_file, &options, &project, &problems, err);
    for (uint32_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "%u:%u: %s\n", problems.at[i].line, problems.at[i].col, problems.at[i].message);
    }
    mill_problems_clear(&problems);
    assert_int_equal(rc, MILL_OK);
    rc = mill_engine_open(project, &engine_options, &engine, err);
    assert_int_equal(rc, MILL_OK);
    rc = mill_engine_run(engine, err);
    mill_engine_summarize(engine, ret_summary);
    mill_engine_close(engine);
    mill_project_free(project);
    return rc;
}

void stream_read(struct stream *s, const char *topic,
                 void (*each)(void *context, int32_t partition, const struct mill_record *record), void *context)
{
    struct mill_record records[500];
    int32_t partitions[500];
    struct mill_tail *tail;
    struct mill_error err;
    int n;

    assert_int_equal(mill_tail_open(&s->kafka, topic, true, &tail, &err), MILL_OK);
    while ((n = mill_tail_next(tail, 1500, records, partitions, 500, &err)) > 0) {
        for (int i = 0; i < n; i++) {
            each(context, partitions[i], &records[i]);
        }
    }
    assert_int_equal(n, 0);
    mill_tail_close(tail);
}

struct counting {
    const char *text;
    int64_t count, matching;
};

static void count_one(void *context, int32_t partition, const struct mill_record *record)
{
    struct counting *c = context;
    (void)partition;
    c->count++;
    c->matching += memmem(record->value.p, record->value.n, c->text, strlen(c->text)) != NULL;
}

int64_t stream_count(struct stream *s, const char *topic, const char *text, int64_t *ret_matching)
{
    struct counting c = {.text = text};
    stream_read(s, topic, count_one, &c);
    *ret_matching = c.matching;
    return c.count;
}

void stream_write_model(const struct stream *s)
{
    json_error_t error;
    char path[96];
    json_t *model = json_load_file(MILL_SOURCE_DIR "/bench/stream/model.json", 0, &error);
    assert_non_null(model);
    json_t *names = json_object_get(json_object_get(model, "learner"), "feature_names");
    json_array_set_new(names, 7, json_string("amount_half"));
    json_array_set_new(names, 8, json_string("amount_double"));
    snprintf(path, sizeof(path), "%s/model.json", s->dir);
    assert_int_equal(json_dump_file(model, path, JSON_COMPACT), 0);
    json_decref(model);
    setenv("SHOP_MODEL", path, 1);
}
