/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every project file below tests/cases/config against the problems (or the project) that the .txt beside it says.
 *
 * First lines of a case: "# env: NAME=value" sets a variable, "# set: key=value" is a --set, "# offline" loads for a
 * run on files. UPDATE=1 in the environment rewrites the expectations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/engine.h"

enum { CASES_MAX = 512, SETS_MAX = 8, BROKEN_MIN = 60 };

struct setup {
    char *env[SETS_MAX];
    unsigned env_count;
    const char *sets[SETS_MAX + 1];
    unsigned set_count;
    bool offline;
};

/* The comments at the head of a case. */
static void read_setup(char *text, struct setup *setup)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] == '#';) {
        if (strncmp(line, "# env: ", 7) == 0) {
            assert_true(setup->env_count < SETS_MAX);
            setup->env[setup->env_count] = line + 7;
            char *equals = strchr(line, '=');
            assert_non_null(equals);
            *equals = '\0';
            setenv(line + 7, equals + 1, 1);
            setup->env_count++;
        } else if (strncmp(line, "# set: ", 7) == 0) {
            assert_true(setup->set_count < SETS_MAX);
            setup->sets[setup->set_count++] = line + 7;
        } else if (strcmp(line, "# offline") == 0) {
            setup->offline = true;
        }
    }
}

static void print_problems(const struct mill_problems *problems, struct mill_buffer *out)
{
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mill_problem *p = &problems->at[i];
        mill_buffer_printf(out, "%s:%u:%u: %s: %s\n", p->file, p->line, p->col, p->warning ? "warning" : "error",
                           p->message);
    }
}

static void print_view(const struct mill_view_config *view, const struct mill_project *p, struct mill_buffer *out)
{
    const struct mill_view_spec *s = &view->spec;
    mill_buffer_printf(out, "view %s: source %s, keys", s->name, p->sources[view->source].spec.name);
    for (uint32_t i = 0; i < s->entity.key_count; i++) {
        mill_buffer_printf(out, " %s:%s", s->entity.keys[i].name, mill_type_name(s->entity.keys[i].type));
    }
    mill_buffer_printf(out, ", ttl %lld, lateness %lld%s%s%s\n", (long long)s->ttl_us, (long long)s->lateness_us,
                       view->online ? "" : ", not online", view->topic == NULL ? "" : ", topic ",
                       view->topic == NULL ? "" : view->topic);
    for (uint32_t i = 0; i < s->feature_count; i++) {
        mill_buffer_printf(out, "  feature %s = %.*s\n", s->features[i].name, (int)s->features[i].expr.n,
                           s->features[i].expr.p);
    }
    for (uint32_t i = 0; i < s->aggregate_count; i++) {
        const struct mill_aggregate_spec *a = &s->aggregates[i];
        mill_buffer_printf(out, "  aggregate %s = %s(%s) window %lld semantics %d hop %lld where '%.*s'\n", a->name,
                           a->function, a->column, (long long)a->window_us, (int)a->semantics, (long long)a->hop_us,
                           (int)a->where.n, a->where.n == 0 ? "" : a->where.p);
    }
    for (uint32_t i = 0; i < s->derivation_count; i++) {
        mill_buffer_printf(out, "  derivation %s = %.*s\n", s->derivations[i].name, (int)s->derivations[i].expr.n,
                           s->derivations[i].expr.p);
    }
}

static void print_source(const struct mill_source_config *source, struct mill_buffer *out)
{
    const struct mill_source_spec *s = &source->spec;
    mill_buffer_printf(out, "source %s: topic %s, format %d, framing %d, time %s, late %d after %lld\n", s->name,
                       s->topic, (int)s->format, (int)s->framing, s->schema.fields[s->timestamp_column].name,
                       (int)source->late_events, (long long)source->allowed_lateness_us);
    for (uint32_t i = 0; i < s->schema.field_count; i++) {
        mill_buffer_printf(out, "  field %s %s %d\n", s->schema.fields[i].name,
                           mill_type_name(s->schema.fields[i].type), (int)s->time_unit[i]);
    }
    for (uint32_t i = 0; i < s->rule_count; i++) {
        const struct mill_field_rule *r = &s->rules[i];
        mill_buffer_printf(out, "  rule %s%s", s->schema.fields[r->column].name, r->required ? " required" : "");
        if (r->has_range) {
            mill_buffer_printf(out, " range %g %g", r->min, r->max);
        }
        for (uint32_t k = 0; k < r->allowed_count; k++) {
            mill_buffer_printf(out, " allowed %.*s", (int)r->allowed[k].n, r->allowed[k].p);
        }
        mill_buffer_add_byte(out, '\n');
    }
}

static void print_monitor(const struct mill_monitor_config *m, struct mill_buffer *out)
{
    const struct mill_drift_monitor_spec *s = &m->spec;
    mill_buffer_printf(out, "monitor %s: model %s %s, window %lld every %lld, idle %lld, by %s of %u, breaks %u\n",
                       s->name, s->model, s->model_version, (long long)s->window_us, (long long)s->every_us,
                       (long long)m->idle_timeout_us, s->columns.segment_by == NULL ? "-" : s->columns.segment_by,
                       s->columns.segments_max, s->columns.breaks_max);
    for (uint32_t i = 0; i < m->column_count; i++) {
        mill_buffer_printf(out, "  column %s kind %d index %u%s\n", m->columns[i].name, (int)m->columns[i].kind,
                           m->columns[i].index, m->columns[i].is_categorical ? " categorical" : "");
    }
    mill_buffer_printf(out, "  reference rows %llu from %lld to %lld, bins %d of %u, smoothing %d %g\n",
                       (unsigned long long)s->reference_rows, (long long)s->reference_from_us,
                       (long long)s->reference_to_us, (int)s->columns.binning.kind, s->columns.binning.count,
                       (int)s->rule.smoothing.kind, s->rule.smoothing.amount);
    mill_buffer_printf(out, "  rule %d psi %g %g samples %llu null bin %d, alerts %u %u %lld\n", (int)s->rule.kind,
                       s->rule.psi_minor, s->rule.psi_major, (unsigned long long)s->rule.samples_min, s->rule.null_bin,
                       s->alerts.fire_after, s->alerts.resolve_after, (long long)s->alerts.repeat_us);
    if (m->has_labels) {
        mill_buffer_printf(out, "  labels of source %u by %s (field %u, field %u): %s, horizon %lld, at most %u wait\n",
                           m->labels.source, m->labels.key, m->labels.score_field, m->labels.label_field,
                           m->labels.expr, (long long)m->labels.horizon_us, m->labels.pending_max);
        mill_buffer_printf(
            out, "  performance auc %g drop %g of %g loss %g brier %g accuracy %g calibration %g of %llu\n",
            s->rule.auc_min, s->rule.auc_drop_max, s->rule.auc_reference, s->rule.log_loss_max, s->rule.brier_max,
            s->rule.accuracy_min, s->rule.calibration_error_max, (unsigned long long)s->rule.labelled_min);
    }
    mill_buffer_printf(out, "  trigger %d: %u in %u, samples %llu, cooldown %lld, train %lld, schedule %lld\n",
                       s->trigger.enabled, s->trigger.features_min, s->trigger.consecutive_min,
                       (unsigned long long)s->trigger.samples_min, (long long)s->trigger.cooldown_us,
                       (long long)s->trigger.train_window_us, (long long)s->trigger.schedule_us);
}

static void print_project(const struct mill_project *p, struct mill_buffer *out)
{
    mill_buffer_printf(out, "ok %s\nkafka %s group %s", p->name, p->kafka.brokers, p->kafka.group);
    for (unsigned i = 0; p->kafka.librdkafka[i] != NULL; i += 2) {
        mill_buffer_printf(out, " %s=%s", p->kafka.librdkafka[i], p->kafka.librdkafka[i + 1]);
    }
    mill_buffer_printf(out, "\nredis %d %s password %s, rocksdb %d %s, shards %u, rows %u\n", p->online_store.redis,
                       p->online_store.options.connection_string == NULL ? "-"
                                                                         : p->online_store.options.connection_string,
                       p->online_store.options.password == NULL ? "-" : p->online_store.options.password,
                       p->offline_store.rocksdb, p->offline_store.options.path, p->engine.shards, p->engine.batch_rows);
    for (uint32_t i = 0; i < p->source_count; i++) {
        print_source(&p->sources[i], out);
    }
    for (uint32_t i = 0; i < p->view_count; i++) {
        print_view(&p->views[i], p, out);
    }
    for (uint32_t i = 0; i < p->service_count; i++) {
        mill_buffer_printf(out, "service %s:", p->services[i].name);
        for (uint32_t k = 0; k < p->services[i].feature_count; k++) {
            const struct mill_service_feature *f = &p->services[i].features[k];
            mill_buffer_printf(out, " %s=%u.%u", f->name, f->view, f->column);
        }
        mill_buffer_add_byte(out, '\n');
    }
    for (uint32_t i = 0; i < p->model_count; i++) {
        const struct mill_model_config *m = &p->models[i];
        mill_buffer_printf(out, "model %s: service %s, source %s, file %s, version %s, threshold %g\n", m->name,
                           p->services[m->service].name, p->sources[m->source].spec.name, m->file, m->version,
                           m->threshold);
    }
    for (uint32_t i = 0; i < p->monitor_count; i++) {
        print_monitor(&p->monitors[i], out);
    }
}

static void run_case(const char *name, struct mill_buffer *out)
{
    struct setup setup = {.env_count = 0};
    struct mill_project_options options = {.sets = setup.sets};
    struct mill_buffer text = {0};
    struct mill_project *project = NULL;
    struct mill_problems problems;
    struct mill_error err;

    assert_int_equal(mill_file_read(name, 1 << 20, &text, &err), 0);
    char *copy = mill_strdup(mill_buffer_cstr(&text));
    read_setup(copy, &setup);
    options.offline = setup.offline;
    int rc = mill_project_load(name, &options, &project, &problems, &err);
    assert_true(rc == MILL_OK || rc == MILL_ECONFIG);
    assert_int_equal(rc == MILL_OK, problems.error_count == 0);
    print_problems(&problems, out);
    if (rc == MILL_OK) {
        print_project(project, out);
    }
    for (unsigned i = 0; i < setup.env_count; i++) {
        unsetenv(setup.env[i]);
    }
    mill_problems_clear(&problems);
    mill_project_free(project);
    mill_buffer_clear(&text);
    free(copy);
}

static void check_case(const char *name, unsigned *failed, unsigned *broken)
{
    struct mill_buffer got = {0}, path = {0}, expected = {0};
    struct mill_error err;
    run_case(name, &got);
    *broken += strncmp(mill_buffer_cstr(&got), "ok ", 3) != 0;
    mill_buffer_printf(&path, "%.*s.txt", (int)(strlen(name) - strlen(".yaml")), name);
    if (getenv("UPDATE") != NULL) {
        assert_int_equal(mill_file_replace(mill_buffer_cstr(&path), mill_buffer_slice(&got), &err), 0);
    } else if (mill_file_read(mill_buffer_cstr(&path), 1 << 20, &expected, &err) < 0) {
        print_error("%s: %s\n", name, err.msg);
        (*failed)++;
    } else if (!mill_slice_equal(mill_buffer_slice(&got), mill_buffer_slice(&expected))) {
        print_error("%s: expected\n%s\nfound\n%s\n", name, mill_buffer_cstr(&expected), mill_buffer_cstr(&got));
        (*failed)++;
    }
    mill_buffer_clear(&got);
    mill_buffer_clear(&path);
    mill_buffer_clear(&expected);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_cases(void **state)
{
    char *names[CASES_MAX];
    unsigned count = 0, failed = 0, broken = 0;
    (void)state;

    assert_int_equal(chdir(MILL_TEST_DIR "/cases/config"), 0);
    DIR *dir = opendir(".");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t n = strlen(entry->d_name);
        if (n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0) {
            assert_true(count < CASES_MAX);
            names[count++] = mill_strdup(entry->d_name);
        }
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), compare_names);
    for (unsigned i = 0; i < count; i++) {
        check_case(names[i], &failed, &broken);
        free(names[i]);
    }
    print_message("%u project files, %u of them broken\n", count, broken);
    assert_int_equal(failed, 0);
    assert_true(broken >= BROKEN_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
