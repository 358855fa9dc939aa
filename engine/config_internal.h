/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The project file, inside: what config_*.c share.
 *
 *   bytes --config_yaml.c--> tree of nodes with positions --config_interpolate.c--> ${VAR} filled in
 *         --config_bind.c, by the tables of config_tables.c--> struct mill__raw_project: typed, still by name
 *         --config_source.c, config_view.c, config_service.c, config_project.c--> struct mill_project: names resolved
 *
 * Every step goes on after a problem, so that one run reports all of them.
 */
#ifndef MILL_ENGINE_CONFIG_INTERNAL_H
#define MILL_ENGINE_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "engine/engine.h"

enum {
    MILL__FILE_BYTES_MAX = 1 << 20,
    MILL__DEPTH_MAX = 32,     /* of mappings and lists inside one another */
    MILL__NODES_MAX = 200000, /* after aliases are counted as often as they are used */
    MILL__ANCHORS_MAX = 1000,
    MILL__PROBLEMS_MAX = 200,  /* then one more says that there are others */
    MILL__SECTIONS_MAX = 4096, /* elements of one list */
    MILL__OUTPUTS_MAX = 4096,  /* features, aggregates and derivations of one view */
};

/* ------------------------------------------------------------------------------------------------
 * The tree (config_yaml.c)
 * --------------------------------------------------------------------------------------------- */

enum mill__kind { MILL__SCALAR, MILL__LIST, MILL__MAP };
enum mill__style { MILL__PLAIN, MILL__SINGLE_QUOTED, MILL__DOUBLE_QUOTED, MILL__LITERAL, MILL__FOLDED };

/* A piece of an interpolated scalar: bytes from `to` on came from the scalar's byte `from` on; a verbatim piece
 * advances on both sides, the text of a variable stays at its "${". */
struct mill__splice {
    size_t to, from;
    bool verbatim;
};

struct mill__node;
struct mill__pair {
    struct mill__node *key, *value;
};
struct mill__node {
    enum mill__kind kind;
    enum mill__style style;
    unsigned line, col;     /* from 1, in characters; 0 for values from elsewhere */
    const char *elsewhere;  /* "--set", "environment": the value is not of the file; else NULL */
    struct mill_slice text; /* of a scalar, null-terminated */
    struct mill_slice raw;  /* of a scalar before interpolation */
    const struct mill__splice *splices;
    uint32_t splice_count;
    bool interpolated; /* aliases share nodes */
    bool bad;          /* its text has been reported already */
    uint32_t count;    /* of a list or map */
    struct mill__node **items;
    struct mill__pair *pairs;
    uint32_t weight; /* nodes below, itself included, aliases counted in full */
};

struct mill__setting {
    const char *key, *value, *origin;
    struct mill__setting *next;
};

/* One file that is being read. A manifest gets its own, with the arena and the problems of the project. */
struct mill__config {
    const char *path;
    struct mill_slice source;
    struct mill_arena *arena;
    struct mill_problems *problems;
    const struct mill_project_options *options;
    struct mill__setting *first_setting, **last_setting;
    struct mill_timezone **zones; /* to be closed with the project */
    uint32_t zone_count;
    bool *broken_views; /* per view: it has problems, so a feature that is not there may be one of them */
};

void mill__problem(struct mill__config *c, const struct mill__node *at, const char *fmt, ...) MILL_PRINTF(3, 4);
void mill__problem_at(struct mill__config *c, unsigned line, unsigned col, const char *fmt, ...) MILL_PRINTF(4, 5);
void mill__warning(struct mill__config *c, const struct mill__node *at, const char *fmt, ...) MILL_PRINTF(3, 4);
/* By position, warnings among them, repetitions removed. */
void mill__problems_sort(struct mill_problems *problems);

/* NULL where the text is not one document of YAML within the limits; the problems say why. */
struct mill__node *mill__yaml_load(struct mill__config *c);
/* Line and column of byte `offset` of the scalar's text in the file, through quotes, escapes, folding and variables. */
void mill__node_position(const struct mill__config *c, const struct mill__node *node, size_t offset, unsigned *ret_line,
                         unsigned *ret_col);
/* Where in the source the scalar begins. */
const char *mill__node_source(const struct mill__config *c, const struct mill__node *node);
/* Puts values that a comma inside parentheses has split together again (config_flow.c). */
void mill__flow_join(struct mill__config *c, struct mill__node *map);
/* "a list", "a mapping", "nothing", "'text'": for messages. */
const char *mill__node_found(struct mill__config *c, const struct mill__node *node);
bool mill__node_is_null(const struct mill__node *node);
/* The value under that key, or NULL. */
struct mill__node *mill__node_get(const struct mill__node *map, const char *key);

/* Fills ${VAR}, ${VAR:-default}, ${VAR:?message} in every scalar value below; $${ gives ${. */
void mill__interpolate(struct mill__config *c, struct mill__node *node);

/* ------------------------------------------------------------------------------------------------
 * Binding (config_bind.c, config_scalar.c, config_setting.c, config_tables*.c)
 * --------------------------------------------------------------------------------------------- */

/* What a key takes, and the C type that it is bound to. */
enum mill__option_type {
    MILL__OPTION_BOOL,     /* bool */
    MILL__OPTION_INTEGER,  /* int64_t, min to max */
    MILL__OPTION_NUMBER,   /* double, min to max */
    MILL__OPTION_SIZE,     /* uint64_t bytes */
    MILL__OPTION_DURATION, /* int64_t microseconds; 0s only where min is 0 */
    MILL__OPTION_STRING,   /* struct mill__text, as are the next five */
    MILL__OPTION_NAME,     /* a letter or _, then letters, digits, _ */
    MILL__OPTION_LABEL,    /* letters, digits, . _ - */
    MILL__OPTION_PATH,     /* of a file or directory, relative to the project file */
    MILL__OPTION_EXPRESSION,
    MILL__OPTION_WORD,     /* int: index into words */
    MILL__OPTION_STRINGS,  /* struct mill__texts: one scalar or a list of them, not empty */
    MILL__OPTION_SECTION,  /* the table's struct */
    MILL__OPTION_SECTIONS, /* struct mill__sections of the table's structs */
    MILL__OPTION_ANY,      /* const struct mill__node *: read by the resolver; `expected` says what it takes */
};

enum {
    MILL__REQUIRED = 1,
    MILL__SECRET = 2,         /* shown as ***; may come from KEY_file */
    MILL__HIDES_PASSWORD = 4, /* passwords inside are shown as *** */
    MILL__NOT_OFFLINE = 16,   /* required even where its section is missing, but not offline */
    MILL__MAY_BE_EMPTY = 32,
};

struct mill__table;
struct mill__option {
    const char *key;
    enum mill__option_type type;
    unsigned flags;
    size_t offset;              /* into the table's struct */
    const char *fallback;       /* default, as it would be written; NULL: none */
    const char *shown_fallback; /* for people, where the default depends on other keys */
    double min, max;            /* of numbers; 0, 0: no limits */
    const char *const *words;   /* of MILL__OPTION_WORD, NULL-terminated */
    const struct mill__table *table;
    const char *expected; /* of MILL__OPTION_ANY */
    const char *help, *example, *since;
};
struct mill__table {
    const char *what; /* "source": for messages and headings */
    size_t size;
    const struct mill__option *options;
    uint32_t count;
};

/* Every struct bound from a mapping begins with its node (NULL where the section is not there). */
struct mill__text {
    const char *s;                 /* NULL: not given and no default */
    const struct mill__node *node; /* NULL: the default */
    struct mill__setting *setting;
};
struct mill__texts {
    struct mill__text *at;
    uint32_t count;
    const struct mill__node *node;
};
struct mill__sections {
    void *at;
    uint32_t count;
    const struct mill__node *node;
};

bool mill__option_is_scalar(const struct mill__option *option);
/* Parses the scalar by the option's type into what it is bound to (texts: const char *). False after a problem. */
bool mill__parse_option(struct mill__config *c, const struct mill__node *node, const char *what,
                        const struct mill__option *option, void *slot);
void mill__parse_texts(struct mill__config *c, const struct mill__node *node, const char *what,
                       struct mill__texts *ret);
/* "a,b,c" */
const char *mill__texts_shown(struct mill__config *c, const struct mill__texts *texts);

/* Binds the mapping (NULL: all defaults) to the zeroed struct at `target`. `prefix` names it ("kafka", "sources[0]",
 * ""). overridable: --set and the environment are asked for its scalars. `parent` is where a missing mapping would
 * stand. */
void mill__bind(struct mill__config *c, const struct mill__table *table, const struct mill__node *node, void *target,
                const char *prefix, bool overridable);
/* Reports the --set words that no key of the table takes. */
void mill__bind_check_sets(struct mill__config *c, const struct mill__table *root);
/* What `--set prefix.KEY=VALUE` gave: calls each(); for maps that are passed on, such as kafka.librdkafka. */
void mill__bind_each_set(struct mill__config *c, const char *prefix,
                         void (*each)(struct mill__config *c, const char *key, const char *value, void *context),
                         void *context);
/* "prefix.key" */
const char *mill__key_join(struct mill__config *c, const char *prefix, const char *key);
/* A scalar that is not of the file. */
struct mill__node *mill__outside_node(struct mill__config *c, const char *elsewhere, const char *text);
/* What stands for the key of a scalar option: --set before the environment before in_file. */
const struct mill__node *mill__override(struct mill__config *c, const struct mill__option *option, const char *key,
                                        const struct mill__node *in_file);
/* The value as it may be shown: secrets as ***. */
const char *mill__shown(struct mill__config *c, const struct mill__option *option, const char *text);
/* Records a value for `tidemill config`. */
struct mill__setting *mill__setting_add(struct mill__config *c, const char *key, const char *value, const char *origin);
/* "file:3:9", "--set", "environment". */
const char *mill__origin(struct mill__config *c, const struct mill__node *node);
/* The default that depends on other keys: fills a text that was not given. */
void mill__text_default(struct mill__text *text, const char *value);
/* Reads the secret of `direct` or of the file named by `file`; NULL where neither is given. */
const char *mill__secret(struct mill__config *c, const struct mill__text *direct, const struct mill__text *file);
/* Copies the path resolved beside the project file. */
const char *mill__path_beside(struct mill__config *c, const char *name);
bool mill__is_name(const char *s);

/* A scalar of the type, without an option: false after a problem. */
bool mill__parse_duration(struct mill__config *c, const struct mill__node *node, const char *what, bool may_be_zero,
                          int64_t *ret_us);
bool mill__parse_number(struct mill__config *c, const struct mill__node *node, const char *what, double *ret_value);
bool mill__parse_text(struct mill__config *c, const struct mill__node *node, const char *what, const char **ret_text);

/* The nearest of `count` names as "; hint: did you mean 'x'?", or "". */
const char *mill__hint_near(struct mill__config *c, const char *word, const char *const *names, size_t count);
/* The nearest of `count` names as "; hint: did you mean 'x'?" or the list of a few; "" where there is nothing to say.
 */
const char *mill__hint(struct mill__config *c, const char *word, const char *const *names, size_t count);

struct mill__raw_schema_registry {
    const struct mill__node *node;
    struct mill__text url, username, password, password_file, cache_dir;
};
struct mill__raw_json {
    const struct mill__node *node;
    struct mill__text schema_file;
    const struct mill__node *fields;
};
struct mill__raw_avro {
    const struct mill__node *node;
    struct mill__text schema_file;
    int framing;
    struct mill__texts known_schemas;
    struct mill__raw_schema_registry schema_registry;
};
struct mill__raw_validate {
    const struct mill__node *node;
    struct mill__texts required;
    const struct mill__node *ranges, *allowed_values;
    double max_null_fraction;
    int64_t null_window_us;
    bool allow_non_finite;
    uint64_t max_record_size;
};
struct mill__raw_source {
    const struct mill__node *node;
    struct mill__text name, topic, timestamp_field;
    struct mill__texts key;
    const struct mill__node *message_format, *fields;
    int64_t allowed_lateness_us, max_idle_us;
    int late_events;
    struct mill__raw_validate validate;
};
struct mill__raw_entity {
    const struct mill__node *node;
    struct mill__text name;
    struct mill__texts join_keys, value_type;
};
struct mill__raw_feature {
    const struct mill__node *node;
    struct mill__text name, expr;
};
struct mill__raw_aggregation {
    const struct mill__node *node;
    struct mill__text column, where, name;
    struct mill__texts function, time_window;
    const struct mill__node *semantics;
};
struct mill__raw_view {
    const struct mill__node *node;
    struct mill__text name, source, tz, topic;
    struct mill__texts entities;
    int64_t ttl_us, max_events;
    bool online;
    struct mill__sections features, aggregations, derivations;
};
struct mill__raw_service {
    const struct mill__node *node;
    struct mill__text name;
    const struct mill__node *features;
};
struct mill__raw_model {
    const struct mill__node *node;
    struct mill__text name, feature_service, uri, source;
    double threshold; /* NaN: not given */
};
struct mill__raw_rule {
    const struct mill__node *node;
    int kind;
    /* NaN: not given */
    double psi_minor, psi_major, ks_minor, ks_major, q_max, p_minor, p_major, null_share_minor, null_share_major;
    double unseen_share_minor, unseen_share_major, out_of_range_minor, out_of_range_major, min_samples;
    double false_alarms_per_month;
    double auc_min, auc_drop_max, auc_reference, log_loss_max, brier_max, accuracy_min, calibration_error_max;
    double min_labelled;
    bool null_bin;
};
struct mill__raw_monitor {
    const struct mill__node *node;
    struct mill__text model, name, by, bins, smoothing;
    struct mill__texts features, categorical;
    int64_t window_us, every_us, max_segments, break_points, idle_timeout_us;
    bool score;
    const struct mill__node *reference, *rule;
    struct mill__text alertmanager;
    struct {
        const struct mill__node *node;
        struct mill__text source, key, label;
        int64_t horizon_us, max_pending;
    } labels;
    struct {
        const struct mill__node *node;
        int64_t fire_after, resolve_after, repeat_us;
    } alerts;
    struct {
        const struct mill__node *node;
        bool enabled;
        int64_t features, consecutive, min_samples, cooldown_us, train_window_us, schedule_us;
    } trigger;
};
struct mill__raw_project {
    const struct mill__node *node;
    struct mill__text project;
    struct {
        const struct mill__node *node;
        struct mill__texts brokers;
        struct mill__text group;
        int64_t internal_partitions;
        const struct mill__node *librdkafka;
    } kafka;
    int delivery;
    struct {
        const struct mill__node *node;
        int type, layout;
        struct mill__text connection_string, password, password_file;
    } online_store;
    struct {
        const struct mill__node *node;
        int type;
        struct mill__text path;
        uint64_t cache_size, write_buffer_size;
    } offline_store;
    struct {
        const struct mill__node *node;
        int64_t shards, batch_rows, flush_interval_us, max_entities;
    } engine;
    struct {
        const struct mill__node *node;
        struct mill__text listen;
    } server;
    struct {
        const struct mill__node *node;
        struct mill__text scores_topic, dead_letter_topic, drift_reports_topic, drift_alerts_topic, retrain_topic,
            labels_topic;
        int format;
    } output;
    struct {
        const struct mill__node *node;
        struct mill__text path;
    } model_registry;
    struct mill__sections entities, sources, feature_views, feature_services, models, monitors;
};
struct mill__raw_manifest {
    const struct mill__node *node;
    struct mill__text model, sha256, profile;
    struct mill__texts aliases;
    const struct mill__node *any;
};

extern const struct mill__table mill__project_table, mill__json_table, mill__avro_table, mill__manifest_table,
    mill__rule_table;

/* ------------------------------------------------------------------------------------------------
 * Resolving
 * --------------------------------------------------------------------------------------------- */

/* Reports a name that an earlier one of the list has already: texts[i] is the name of the i-th `what`. */
void mill__check_unique(struct mill__config *c, const char *what, const struct mill__text *const *names,
                        uint32_t count);
/* mill__hint over the names of the schema's fields. */
const char *mill__hint_fields(struct mill__config *c, const char *word, const struct mill_schema *schema);
/* The source of that name; NULL after a problem. */
const struct mill_source_config *mill__find_source(struct mill__config *c, const struct mill_project *project,
                                                   const struct mill__text *name, uint32_t *ret_index);
void mill__resolve_sources(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);
void mill__resolve_entities(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);
void mill__resolve_views(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);
void mill__resolve_services(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);
void mill__resolve_models(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);
/* config->model is known. */
void mill__resolve_labels(struct mill__config *c, const struct mill__raw_monitor *raw,
                          const struct mill_project *project, struct mill_monitor_config *config);
void mill__resolve_monitors(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project);

/* Output columns of a view in the order of mill_view_schema: features, aggregates, derivations. */
uint32_t mill__view_output_count(const struct mill_view_config *view);
const char *mill__view_output_name(const struct mill_view_config *view, uint32_t column);

/* model_registry.c: "PATH", "file:PATH", "models:/NAME@ALIAS", "models:/NAME/VERSION", "models:/NAME/latest". False
 * after a problem at `uri`. sha256 is NULL for a bare file, profile where there is none. */
struct mill__model_files {
    const char *file, *version, *sha256, *profile;
};
bool mill__model_resolve(struct mill__config *c, const struct mill__text *uri, const char *registry_dir,
                         struct mill__model_files *ret_files);

/* ------------------------------------------------------------------------------------------------
 * Reference (config_reference.c)
 * --------------------------------------------------------------------------------------------- */

const char *mill__option_type_name(const struct mill__option *option);

#endif
