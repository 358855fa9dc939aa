/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidemill replay: rows of files as records of their topics, several files merged by event time.
 *
 * The next record of every file is held; the one with the oldest event time goes first (ties: in the order of the
 * arguments), each file in its own order.
 */
#include "cli/replay_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/suggest.h"

enum { KAFKA_TIMEOUT_MS = 30000, FLUSH_SLICE_MS = 200, POLL_EVERY = 256 };

static struct {
    double rate, speed;
    int64_t limit, partitions, max_ahead;
    const char *group;
} o = {.partitions = 4};

static const struct mill_cli_option options[] = {
    {"rate", 0, MILL_CLI_NUMBER, &o.rate, "N", "records a second (default: as fast as it goes)", 0.001, 1e9, NULL},
    {"speed", 0, MILL_CLI_NUMBER, &o.speed, "X", "X times as fast as the event times say", 1e-6, 1e12, NULL},
    {"limit", 0, MILL_CLI_INTEGER, &o.limit, "N", "stop after N records", 1, 9e15, NULL},
    {"partitions", 0, MILL_CLI_INTEGER, &o.partitions, "N", "of topics that are not there yet (default: 4)", 1, 10000,
     NULL},
    {"max-ahead", 0, MILL_CLI_INTEGER, &o.max_ahead, "N",
     "wait while a partition holds N records that the group has not committed; for brokers that keep little", 1, 1e12,
     NULL},
    {"follow-group", 0, MILL_CLI_STRING, &o.group, "GROUP", "the group of --max-ahead (default: kafka.group)", 0, 0,
     NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "replay",
    .arguments = "SOURCE=FILE...",
    .summary = "Sends the rows of files to the topics of their sources, merged by event time and keyed as the sources\n"
               "say. Files: .csv, .jsonl, .avro, each also with .zst behind. Topics that are not there are created.",
    .examples = "  tidemill replay -c flights.yaml departures=departures.csv arrivals=arrivals.csv\n"
                "  tidemill replay -c flights.yaml departures=departures.csv --speed 3600\n",
    .options = options,
    .project = true,
    .arguments_min = 1,
    .arguments_max = 64,
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* ------------------------------------------------------------------------------------------------
 * Files
 * --------------------------------------------------------------------------------------------- */

struct feed {
    const struct mill_source_config *source;
    const char *path;
    struct mill_file_source *file;
    uint32_t key_column;
    unsigned topic; /* of the producer */
    struct mill_record record;
    int64_t event_time_us;
    bool ready, ended;
    uint64_t sent, wrong;
    char first_wrong[512];
};

struct replay {
    struct mill_project *project;
    struct mill_kafka_options kafka;
    struct feed *feeds;
    uint32_t feed_count;
    struct mill_producer *producer;
    struct mill_pace pace;
    struct mill_pace_topic *topics;
    uint64_t sent, undelivered;
    char why_undelivered[512];
};

static int find_source(const struct mill_project *project, struct mill_slice name,
                       const struct mill_source_config **ret_source, struct mill_error *err)
{
    const char *names[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < project->source_count; i++) {
        if (mill_slice_is(name, project->sources[i].spec.name)) {
            *ret_source = &project->sources[i];
            return MILL_OK;
        }
        if (count < 64) {
            names[count++] = project->sources[i].spec.name;
        }
    }
    const char *near = mill_suggest(name, names, count);
    return mill_fail(err, MILL_EUSAGE, "project '%s' has no source '%.*s'%s%s%s", project->name, (int)name.n, name.p,
                     near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
}

static int open_feed(const struct replay *r, const char *argument, struct feed *feed, struct mill_error *err)
{
    const char *equals = strchr(argument, '=');
    if (equals == NULL || equals == argument || equals[1] == '\0') {
        return mill_fail(err, MILL_EUSAGE, "expected SOURCE=FILE, found '%s'", argument);
    }
    struct mill_slice name = {argument, (size_t)(equals - argument)};
    MILL_TRY(find_source(r->project, name, &feed->source, err));
    for (uint32_t i = 0; i < r->feed_count; i++) {
        if (&r->feeds[i] != feed && r->feeds[i].source == feed->source) {
            return mill_fail(err, MILL_EUSAGE, "source '%s' is given two files", feed->source->spec.name);
        }
    }
    /* Records with equal keys have equal first parts, so the first part alone already keeps them together. */
    feed->key_column = feed->source->key_count > 0 ? feed->source->key_columns[0] : UINT32_MAX;
    feed->path = equals + 1;
    return mill_file_source_open(&feed->source->spec, feed->path, &feed->file, err);
}

/* Holds the next record; rows that are no records of the format are counted and passed over. */
static int advance(struct feed *feed, struct mill_error *err)
{
    struct mill_error local;
    for (feed->ready = false; !feed->ready && !feed->ended;) {
        int rc =
            mill_file_source_next_record(feed->file, feed->key_column, &feed->record, &feed->event_time_us, &local);
        if (rc == MILL_EEND) {
            feed->ended = true;
        } else if (rc == MILL_EDATA) {
            if (feed->wrong++ == 0) {
                snprintf(feed->first_wrong, sizeof(feed->first_wrong), "%s", local.msg);
            }
        } else if (rc < 0) {
            mill_error_prefix(&local, "'%s'", feed->path);
            *err = local;
            return rc;
        } else {
            feed->ready = true;
        }
    }
    return MILL_OK;
}

static struct feed *oldest(struct replay *r)
{
    struct feed *found = NULL;
    for (uint32_t i = 0; i < r->feed_count; i++) {
        struct feed *feed = &r->feeds[i];
        if (feed->ready && (found == NULL || feed->event_time_us < found->event_time_us)) {
            found = feed;
        }
    }
    return found;
}

/* ------------------------------------------------------------------------------------------------
 * Kafka
 * --------------------------------------------------------------------------------------------- */

static void on_failure(void *context, const char *topic, struct mill_slice value, const char *why)
{
    struct replay *r = context;
    (void)value;
    if (r->undelivered++ == 0) {
        snprintf(r->why_undelivered, sizeof(r->why_undelivered), "topic '%s': %s", topic, why);
    }
}

static int open_kafka(struct replay *r, struct mill_error *err)
{
    MILL_TRY(mill_kafka_admin_open(&r->kafka, &r->pace.admin, err));
    MILL_TRY(mill_producer_open(&r->kafka, on_failure, r, &r->producer, err));
    for (uint32_t i = 0; i < r->feed_count; i++) {
        const char *topic = r->feeds[i].source->spec.topic;
        MILL_TRY(
            mill_kafka_admin_create_topic(r->pace.admin, topic, (int32_t)o.partitions, NULL, KAFKA_TIMEOUT_MS, err));
        r->feeds[i].topic = mill_producer_topic(r->producer, topic);
        r->topics[i].name = topic;
        MILL_TRY(mill_kafka_admin_partition_count(r->pace.admin, topic, KAFKA_TIMEOUT_MS, &r->topics[i].partition_count,
                                                  err));
    }
    return MILL_OK;
}

static int send_record(struct replay *r, const struct feed *feed, struct mill_error *err)
{
    for (;;) {
        int rc =
            mill_producer_send(r->producer, feed->topic, -1, feed->record.key, feed->record.value, NULL, 0, -1, err);
        if (rc != MILL_ERETRY) {
            return rc;
        }
        MILL_TRY(mill_producer_poll(r->producer, FLUSH_SLICE_MS, err));
        if (stopped) {
            return MILL_OK;
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * The replay
 * --------------------------------------------------------------------------------------------- */

static void show_progress(struct replay *r, struct mill_cli_progress *progress)
{
    uint64_t done = 0, total = 0;
    for (uint32_t i = 0; i < r->feed_count; i++) {
        uint64_t file_done, file_total;
        mill_file_source_progress(r->feeds[i].file, &file_done, &file_total);
        done += file_done;
        total += file_total;
    }
    if (o.limit > 0) {
        done = r->sent;
        total = (uint64_t)o.limit;
    }
    mill_cli_progress_update(progress, done, total, r->sent);
}

static int send_all(struct replay *r, struct mill_cli_progress *progress, struct mill_error *err)
{
    for (uint32_t i = 0; i < r->feed_count; i++) {
        MILL_TRY(advance(&r->feeds[i], err));
    }
    for (struct feed *feed; !stopped && (feed = oldest(r)) != NULL;) {
        if (o.limit > 0 && r->sent == (uint64_t)o.limit) {
            break;
        }
        MILL_TRY(mill_pace_wait(&r->pace, r->producer, (uint32_t)(feed - r->feeds), r->sent, feed->event_time_us, err));
        if (stopped) {
            break;
        }
        MILL_TRY(send_record(r, feed, err));
        feed->sent++;
        r->sent++;
        if (r->sent % POLL_EVERY == 0) {
            MILL_TRY(mill_producer_poll(r->producer, 0, err));
            show_progress(r, progress);
        }
        MILL_TRY(advance(feed, err));
    }
    for (int rc = MILL_ERETRY; rc == MILL_ERETRY;) {
        rc = mill_producer_flush(r->producer, FLUSH_SLICE_MS, err);
        if (rc < 0 && rc != MILL_ERETRY) {
            return rc;
        }
    }
    return MILL_OK;
}

static int print_summary(const struct mill_cli *cli, const struct replay *r, double seconds)
{
    struct mill_buffer out = {0};
    struct mill_json_writer w;
    mill_json_writer_init(&w, &out, false);
    if (cli->json) {
        mill_json_write_object_begin(&w);
        mill_json_write_key(&w, "records");
        mill_json_write_int64(&w, (int64_t)r->sent);
        mill_json_write_key(&w, "seconds");
        mill_json_write_double(&w, seconds);
        mill_json_write_key(&w, "sources");
        mill_json_write_object_begin(&w);
    }
    for (uint32_t i = 0; i < r->feed_count; i++) {
        const struct feed *feed = &r->feeds[i];
        if (cli->json) {
            mill_json_write_key(&w, feed->source->spec.name);
            mill_json_write_object_begin(&w);
            mill_json_write_key(&w, "topic");
            mill_json_write_cstr(&w, feed->source->spec.topic);
            mill_json_write_key(&w, "records");
            mill_json_write_int64(&w, (int64_t)feed->sent);
            mill_json_write_key(&w, "wrong_rows");
            mill_json_write_int64(&w, (int64_t)feed->wrong);
            mill_json_write_object_end(&w);
        } else {
            mill_buffer_printf(&out, "%s: %llu records to %s\n", feed->source->spec.name,
                               (unsigned long long)feed->sent, feed->source->spec.topic);
        }
        if (feed->wrong > 0) {
            fprintf(stderr, "tidemill: '%s': %llu rows are no records of the source, the first: %s\n", feed->path,
                    (unsigned long long)feed->wrong, feed->first_wrong);
        }
    }
    if (cli->json) {
        mill_json_write_object_end(&w);
        mill_json_write_object_end(&w);
        mill_buffer_add_byte(&out, '\n');
    } else {
        mill_buffer_printf(&out, "sent %llu records in %.1f s (%.0f/s)%s\n", (unsigned long long)r->sent, seconds,
                           seconds > 0 ? (double)r->sent / seconds : 0, stopped ? ", stopped before the end" : "");
    }
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}

static int run(const struct mill_cli *cli, struct replay *r, struct mill_error *err)
{
    struct mill_cli_progress progress;
    for (uint32_t i = 0; i < r->feed_count; i++) {
        MILL_TRY(open_feed(r, cli->arguments[i], &r->feeds[i], err));
    }
    MILL_TRY(open_kafka(r, err));
    int64_t begin_ns = mill_clock_mono_ns();
    mill_cli_progress_begin(&progress, "replay");
    int rc = send_all(r, &progress, err);
    mill_cli_progress_end(&progress);
    MILL_TRY(rc);
    if (r->undelivered > 0) {
        return mill_fail(err, MILL_EDATA, "%llu records were refused, the first for %s",
                         (unsigned long long)r->undelivered, r->why_undelivered);
    }
    return print_summary(cli, r, (double)(mill_clock_mono_ns() - begin_ns) / 1e9) == 0
               ? MILL_OK
               : mill_fail(err, MILL_EIO, "cannot write the summary");
}

static void close_all(struct replay *r)
{
    if (r->producer != NULL) {
        mill_producer_close(r->producer, FLUSH_SLICE_MS);
    }
    mill_kafka_admin_close(r->pace.admin);
    for (uint32_t i = 0; i < r->feed_count; i++) {
        if (r->feeds[i].file != NULL) {
            mill_file_source_close(r->feeds[i].file);
        }
    }
    free(r->feeds);
    free(r->topics);
    mill_project_free(r->project);
}

int mill_cmd_replay(int argc, char **argv)
{
    struct mill_cli cli;
    struct replay r = {.project = NULL};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* the second one kills */
    struct mill_error err;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_load(&cli, false, &r.project);
    if (status != 0) {
        return status;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    r.feed_count = cli.argument_count;
    r.feeds = mill_calloc(r.feed_count, sizeof(*r.feeds));
    r.topics = mill_calloc(r.feed_count, sizeof(*r.topics));
    r.kafka = (struct mill_kafka_options){
        .brokers = r.project->kafka.brokers,
        .group = o.group != NULL ? o.group : r.project->kafka.group,
        .client_id = "tidemill-replay",
        .librdkafka = r.project->kafka.librdkafka,
    };
    r.pace = (struct mill_pace){
        .rate = o.rate,
        .speed = o.speed,
        .ahead_max = o.max_ahead,
        .topics = r.topics,
        .topic_count = r.feed_count,
        .stopped = &stopped,
    };
    int rc = run(&cli, &r, &err);
    close_all(&r);
    return rc < 0 ? mill_cli_fail(&cli, &err) : 0;
}
