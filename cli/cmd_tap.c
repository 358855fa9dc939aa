/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill tap: records of the output topics as they come, one a line; those in Avro as JSON. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
    const char *view;
    int64_t limit, timeout_s;
    bool from_beginning;
} o;

static const struct mill_cli_option options[] = {
    {"view", 0, MILL_CLI_STRING, &o.view, "VIEW", "rows: of this feature view (needed where several have a topic)", 0,
     0, NULL},
    {"limit", 'n', MILL_CLI_INTEGER, &o.limit, "N", "leave after N records", 1, 1e15, NULL},
    {"timeout", 0, MILL_CLI_INTEGER, &o.timeout_s, "SECONDS", "leave when nothing has come for so long", 1, 1e9, NULL},
    {"from-beginning", 0, MILL_CLI_FLAG, &o.from_beginning, NULL,
     "begin with the oldest record instead of the next new one", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "tap",
    .arguments = "rows|scores|dead-letter|drift-reports|drift-alerts|retrain",
    .summary = "Prints the records of an output topic as they come, one a line, until Ctrl-C.\n"
               "Records in Avro are shown as JSON. Rows go to Kafka only for feature views with a `topic:`.",
    .examples = "  tidemill tap scores -c flights.yaml --limit 10\n"
                "  tidemill tap drift-alerts -c flights.yaml --from-beginning --timeout 5\n"
                "  tidemill tap dead-letter -c flights.yaml --from-beginning --timeout 5\n",
    .options = options,
    .project = true,
    .arguments_min = 1,
    .arguments_max = 1,
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
    (void)number;
    is_stopped = 1;
}

static int find_rows_topic(const struct mill_project *project, const char **ret_topic, struct mill_error *err)
{
    const char *topic = NULL;

    for (uint32_t v = 0; v < project->view_count; v++) {
        const struct mill_view_config *view = &project->views[v];
        if (o.view != NULL && strcmp(o.view, view->spec.name) != 0) {
            continue;
        }
        if (view->topic == NULL && o.view != NULL) {
            return mill_fail(err, MILL_EUSAGE, "feature view '%s' has no topic; hint: give it `topic: %s.%s`", o.view,
                             project->name, o.view);
        }
        if (view->topic != NULL && topic != NULL) {
            return mill_fail(err, MILL_EUSAGE, "several feature views have a topic; hint: choose one with --view");
        }
        topic = view->topic != NULL ? view->topic : topic;
    }
    if (topic == NULL) {
        return mill_fail(err, MILL_EUSAGE, "no feature view of that kind has a topic; hint: give one `topic: %s.rows`",
                         project->name);
    }
    *ret_topic = topic;
    return MILL_OK;
}

static int find_topic(const struct mill_project *project, const char *what, const char **ret_topic,
                      struct mill_error *err)
{
    const struct mill_output_config *output = &project->output;
    const struct {
        const char *what, *topic;
    } known[] = {{"scores", output->scores_topic},
                 {"dead-letter", output->dead_letter_topic},
                 {"drift-reports", output->drift_reports_topic},
                 {"drift-alerts", output->drift_alerts_topic},
                 {"retrain", output->retrain_topic},
                 {"labels", output->labels_topic}};

    if (strcmp(what, "rows") == 0) {
        return find_rows_topic(project, ret_topic, err);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(what, known[i].what) == 0) {
            *ret_topic = known[i].topic;
            return MILL_OK;
        }
    }
    return mill_fail(
        err, MILL_EUSAGE,
        "'%s' is none of 'rows', 'scores', 'dead-letter', 'drift-reports', 'drift-alerts', 'retrain', 'labels'", what);
}

/* A topic may have records of both formats: a project changes its mind. */
static void add_line(const struct mill_avro_printer *printer, struct mill_slice value, struct mill_buffer *out)
{
    if (!mill_avro_print(printer, value, out)) {
        mill_buffer_add_slice(out, value);
    }
    mill_buffer_add_byte(out, '\n');
}

static int follow(struct mill_tail *tail, const struct mill_avro_printer *printer, struct mill_error *err)
{
    struct mill_record records[256];
    int32_t partitions[256];
    struct mill_buffer out = {0};
    int64_t left = o.limit > 0 ? o.limit : INT64_MAX;
    int64_t last_ns = mill_clock_mono_ns();
    int rc = MILL_OK;

    while (rc >= 0 && left > 0 && !is_stopped) {
        rc = mill_tail_next(tail, 200, records, partitions, left < 256 ? (uint32_t)left : 256, err);
        if (rc == MILL_EUNAVAIL) {
            rc = 0; /* a broker that is down is waited for */
        }
        for (int i = 0; i < rc; i++) {
            add_line(printer, records[i].value, &out);
        }
        if (rc > 0) {
            left -= rc;
            last_ns = mill_clock_mono_ns();
            if (mill_cli_write(&out) != 0) {
                break; /* nobody reads on */
            }
        } else if (o.timeout_s > 0 && mill_clock_mono_ns() - last_ns > o.timeout_s * 1000000000) {
            break;
        }
    }
    mill_buffer_clear(&out);
    return rc < 0 ? rc : MILL_OK;
}

int mill_cmd_tap(int argc, char **argv)
{
    struct mill_project *project;
    struct mill_avro_printer *printer = NULL;
    struct mill_tail *tail = NULL;
    const char *topic = NULL;
    struct mill_cli cli;
    struct mill_error err;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_load(&cli, false, &project);
    if (status != 0) {
        return status;
    }
    struct mill_kafka_options kafka = {.brokers = project->kafka.brokers,
                                       .group = project->kafka.group,
                                       .client_id = "tidemill-tap",
                                       .librdkafka = project->kafka.librdkafka};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int rc = find_topic(project, cli.arguments[0], &topic, &err);
    if (rc == MILL_OK) {
        rc = mill_tail_open(&kafka, topic, o.from_beginning, &tail, &err);
    }
    if (rc == MILL_OK) {
        rc = mill_avro_printer_new(mill_cli_schemas, mill_cli_schema_count, &printer, &err);
    }
    if (rc == MILL_OK) {
        rc = follow(tail, printer, &err);
    }
    mill_avro_printer_free(printer);
    mill_tail_close(tail);
    mill_project_free(project);
    return rc < 0 ? mill_cli_fail(&cli, &err) : 0;
}
