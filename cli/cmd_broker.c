/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill broker: librdkafka's mock broker as a process, for demos and tests where no Kafka is at hand. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static struct {
    struct mill_cli_texts topics;
    const char *address_file;
} o;

static const struct mill_cli_option options[] = {
    {"topic", 't', MILL_CLI_STRINGS, &o.topics, "NAME:PARTITIONS", "create a topic", 0, 0, NULL},
    {"address-file", 0, MILL_CLI_STRING, &o.address_file, "FILE", "write host:port there once it answers", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "broker",
    .arguments = "",
    .summary = "Runs an embedded Kafka broker (librdkafka's mock) on a free port of 127.0.0.1 until SIGTERM. For demos "
               "and tests: it keeps\n"
               "5 MiB a partition, in memory, and knows no transactions.",
    .examples = "  tidemill broker --topic flights.departures:4 --topic flights.arrivals:4\n",
    .options = options,
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
    (void)number;
    is_stopped = 1;
}

static int create_topics(struct mill_mock_kafka *mock, struct mill_error *err)
{
    for (uint32_t i = 0; i < o.topics.count; i++) {
        const char *colon = strrchr(o.topics.at[i], ':');
        char *end;
        long count = colon == NULL ? 0 : strtol(colon + 1, &end, 10);
        if (colon == NULL || *end != '\0' || count < 1 || count > 1000) {
            return mill_fail(err, MILL_EUSAGE, "--topic '%s' is not NAME:PARTITIONS", o.topics.at[i]);
        }
        struct mill_buffer name = {0};
        mill_buffer_add(&name, o.topics.at[i], (size_t)(colon - o.topics.at[i]));
        int rc = mill_mock_kafka_create_topic(mock, mill_buffer_cstr(&name), (int32_t)count, err);
        mill_buffer_clear(&name);
        MILL_TRY(rc);
    }
    return MILL_OK;
}

static int serve(struct mill_mock_kafka *mock, struct mill_error *err)
{
    sigset_t wanted, before;

    MILL_TRY(create_topics(mock, err));
    if (o.address_file != NULL) {
        MILL_TRY(mill_file_replace(o.address_file, mill_slice_of(mill_mock_kafka_brokers(mock)), err));
    }
    printf("%s\n", mill_mock_kafka_brokers(mock));
    fflush(stdout);
    /* Blocked between the test and the wait, so that a signal cannot slip through. */
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    while (!is_stopped) {
        sigsuspend(&before);
    }
    return MILL_OK;
}

int mill_cmd_broker(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct mill_mock_kafka *mock;
    struct mill_cli cli;
    struct mill_error err;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int rc = mill_mock_kafka_open(&mock, &err);
    if (rc == MILL_OK) {
        rc = serve(mock, &err);
        mill_mock_kafka_close(mock);
    }
    return rc < 0 ? mill_cli_fail(&cli, &err) : 0;
}
