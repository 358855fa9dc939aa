/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill init: a commented starter project with sample data that runs offline as it is. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { SAMPLE_ORDERS = 500 };

static const struct mill_cli_command command = {
    .name = "init",
    .arguments = "DIR",
    .summary = "Writes a starter project into DIR: tidemill.yaml with comments and orders.jsonl with sample events.\n"
               "Existing files are not touched.",
    .examples = "  tidemill init shop\n",
    .arguments_min = 1,
    .arguments_max = 1,
};

static const char project_head[] =
    "# A Tidemill project. 'tidemill validate' checks it, docs/config.md names every key.\n"
    "\n";

static const char project_body[] =
    "\n"
    "# The brokers that events come from. Runs on files (--input) need none.\n"
    "kafka:\n"
    "  brokers: [\"${KAFKA_BROKERS:-127.0.0.1:9092}\"]\n"
    "\n"
    "# Where rows are served from. Uncomment to write them to Redis.\n"
    "# online_store: {type: redis, connection_string: \"127.0.0.1:6379\"}\n"
    "\n"
    "# Where the state of windows is kept between restarts.\n"
    "offline_store: {type: rocksdb, path: data}\n"
    "\n"
    "# What features describe. The join key is a field of the events.\n"
    "entities:\n"
    "  - {name: customer, join_keys: [customer_id]}\n"
    "\n"
    "# Topics of events (here <project>.orders), their fields and the field that holds the event time.\n"
    "sources:\n"
    "  - name: orders\n"
    "    key: customer_id\n"
    "    fields:\n"
    "      order_id: string\n"
    "      customer_id: string\n"
    "      amount: float64\n"
    "      items: int64\n"
    "      country: string\n"
    "      created_at: timestamp\n"
    "    timestamp_field: created_at\n"
    "    allowed_lateness: 10m\n"
    "    validate:                       # what breaks a rule goes to the dead letters with its reason\n"
    "      required: [customer_id, amount]\n"
    "      ranges: {amount: [0, 100000]}\n"
    "\n"
    "# Features of one entity from one source.\n"
    "feature_views:\n"
    "  - name: customer_orders\n"
    "    entities: [customer]\n"
    "    source: orders\n"
    "    ttl: 90d\n"
    "    features:                       # from one event\n"
    "      - {name: hour, expr: hour(created_at)}\n"
    "      - {name: amount_per_item, expr: \"safe_div(amount, items)\"}\n"
    "    aggregations:                   # over the customer's events: amount_sum_1h, amount_sum_7d, ...\n"
    "      - {column: amount, function: [count, sum, mean], time_window: [1h, 7d]}\n"
    "    derivations:                    # from all of the above\n"
    "      - {name: amount_ratio, expr: \"safe_div(amount, amount_mean_7d)\"}\n"
    "\n"
    "# A model's input, and the model that scores every event with it.\n"
    "feature_services:\n"
    "  - {name: order_risk_v1, features: [customer_orders]}\n"
    "# models:\n"
    "#   - {name: order_risk, feature_service: order_risk_v1, uri: models/order_risk.json, threshold: 0.5}\n";

/* Numbers that look like a shop's; the same on every machine. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void write_sample(struct mill_buffer *out)
{
    static const char *const countries[] = {"DE", "FR", "IT", "NL", "ES"};
    uint32_t state = 1;
    int64_t time_us = INT64_C(1735718400) * MILL_US_PER_SECOND; /* 2025-01-01T08:00:00Z */
    for (int i = 0; i < SAMPLE_ORDERS; i++) {
        char at[32];
        time_us += (int64_t)(30 + next_random(&state) % 1200) * MILL_US_PER_SECOND;
        size_t n = mill_timestamp_print(time_us, at);
        uint32_t customer = 1 + next_random(&state) % 40, items = 1 + next_random(&state) % 5;
        uint32_t cents = items * (499 + next_random(&state) % 4500);
        mill_buffer_printf(out,
                           "{\"order_id\":\"o%05d\",\"customer_id\":\"c%03u\",\"amount\":%u.%02u,\"items\":%u,"
                           "\"country\":\"%s\",\"created_at\":\"%.*s\"}\n",
                           i + 1, customer, cents / 100, cents % 100, items, countries[customer % 5], (int)n, at);
    }
    /* One that the rules refuse, to be seen among the dead letters. */
    mill_buffer_add_string(out, "{\"order_id\":\"o99999\",\"customer_id\":null,\"amount\":-1,\"items\":1,"
                                "\"country\":\"DE\",\"created_at\":\"2025-01-09T00:00:00Z\"}\n");
}

/* The last part of the directory's name, with what a project's name cannot hold replaced. */
static void project_name(const char *dir, char *out, size_t size)
{
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/') {
        n--;
    }
    size_t begin = n;
    while (begin > 0 && dir[begin - 1] != '/') {
        begin--;
    }
    size_t used = 0;
    for (; begin < n && used + 1 < size; begin++) {
        unsigned char ch = (unsigned char)dir[begin];
        bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-';
        out[used++] = (char)(good ? ch : '_');
    }
    out[used] = '\0';
    if (used == 0 || strspn(out, "_") == used) {
        snprintf(out, size, "shop");
    }
}

static int write_file(const char *dir, const char *name, const struct mill_buffer *bytes, struct mill_error *err)
{
    struct mill_buffer path = {0};
    mill_buffer_printf(&path, "%s/%s", dir, name);
    int rc = MILL_OK;
    if (access(mill_buffer_cstr(&path), F_OK) == 0) {
        rc = mill_fail(err, MILL_EUSAGE, "file '%s' exists already; expected a new directory", mill_buffer_cstr(&path));
    } else {
        rc = mill_file_replace(mill_buffer_cstr(&path), mill_buffer_slice(bytes), err);
    }
    mill_buffer_clear(&path);
    return rc;
}

static int write_project(const char *dir, struct mill_error *err)
{
    char name[100];
    struct mill_buffer yaml = {0}, sample = {0};
    project_name(dir, name, sizeof(name));
    mill_buffer_printf(&yaml, "%sproject: %s\n%s", project_head, name, project_body);
    write_sample(&sample);
    int rc = mill_file_make_dirs(dir, err);
    if (rc == MILL_OK) {
        rc = write_file(dir, "tidemill.yaml", &yaml, err);
    }
    if (rc == MILL_OK) {
        rc = write_file(dir, "orders.jsonl", &sample, err);
    }
    mill_buffer_clear(&yaml);
    mill_buffer_clear(&sample);
    return rc;
}

/* The directory as a shell takes it. */
static void add_shell_word(struct mill_buffer *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:@%,";
    if (word[strspn(word, plain)] == '\0') {
        mill_buffer_add_string(out, word);
        return;
    }
    mill_buffer_add_byte(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            mill_buffer_add_string(out, "'\\'");
        }
        mill_buffer_add_byte(out, (unsigned char)*word);
    }
    mill_buffer_add_byte(out, '\'');
}

int mill_cmd_init(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err;
    int status;
    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    const char *dir = cli.arguments[0];
    if (write_project(dir, &err) < 0) {
        return mill_cli_fail(&cli, &err);
    }
    struct mill_buffer out = {0};
    if (cli.json) {
        struct mill_json_writer w;
        mill_json_writer_init(&w, &out, false);
        mill_json_write_object_begin(&w);
        mill_json_write_key(&w, "directory");
        mill_json_write_cstr(&w, dir);
        mill_json_write_key(&w, "files");
        mill_json_write_array_begin(&w);
        mill_json_write_cstr(&w, "tidemill.yaml");
        mill_json_write_cstr(&w, "orders.jsonl");
        mill_json_write_array_end(&w);
        mill_json_write_object_end(&w);
        mill_buffer_add_byte(&out, '\n');
    } else {
        mill_buffer_printf(&out, "wrote tidemill.yaml and orders.jsonl in '%s'\nnext: cd ", dir);
        add_shell_word(&out, dir);
        mill_buffer_add_string(&out, " && tidemill run --input orders=orders.jsonl --output out\n");
    }
    status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}
