/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model registry: a directory <registry>/<name>/<version>/ with a model file and manifest.yaml, which names the
 * file, its SHA-256 and the version's aliases. Called by the project file for every model's uri.
 */
#include "engine/config_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { VERSIONS_MAX = 10000, MANIFEST_BYTES_MAX = 1 << 20 };

struct manifest {
    const char *version, *file, *sha256, *profile;
    struct mill__texts aliases;
};

struct lookup {
    struct mill__config *c;
    const struct mill__text *uri;
    const char *name, *dir; /* of the model */
    const char **versions;  /* directories with a number as name, ascending */
    size_t version_count;
};

static int compare_versions(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t nx = strlen(x), ny = strlen(y);
    return nx != ny ? (nx > ny) - (nx < ny) : strcmp(x, y);
}

static bool is_version(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 9 && s[n] == '\0' && s[0] != '0';
}

static bool list_versions(struct lookup *l)
{
    DIR *dir = opendir(l->dir);
    if (dir == NULL) {
        mill__problem(l->c, l->uri->node, "model '%s' is not in the registry: cannot read directory '%s': %s", l->name,
                      l->dir, strerror(errno));
        return false;
    }
    l->versions = mill_arena_array(l->c->arena, const char *, VERSIONS_MAX);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && l->version_count < VERSIONS_MAX;) {
        if (is_version(entry->d_name)) {
            l->versions[l->version_count++] = mill_arena_strdup(l->c->arena, entry->d_name);
        }
    }
    closedir(dir);
    qsort(l->versions, l->version_count, sizeof(const char *), compare_versions);
    if (l->version_count == 0) {
        mill__problem(l->c, l->uri->node, "model '%s' has no version in '%s'; expected a directory named 1, 2, ...",
                      l->name, l->dir);
    }
    return l->version_count > 0;
}

static void check_beside(struct mill__config *m, const char *key, const struct mill__text *name)
{
    if (name->s != NULL && (strchr(name->s, '/') != NULL || strcmp(name->s, "..") == 0)) {
        mill__problem(m, name->node, "'%s': expected the name of a file beside the manifest, found '%s'", key, name->s);
    }
}

static bool bind_manifest(struct mill__config *m, const char *dir, struct manifest *ret)
{
    struct mill__raw_manifest raw = {0};
    uint32_t errors = m->problems->error_count;
    struct mill__node *root = mill__yaml_load(m);
    if (root == NULL) {
        return false;
    }
    mill__bind(m, &mill__manifest_table, root, &raw, "", false);
    if (raw.sha256.s != NULL && (strspn(raw.sha256.s, "0123456789abcdef") != 64 || strlen(raw.sha256.s) != 64)) {
        mill__problem(m, raw.sha256.node, "'sha256': expected 64 lower-case hexadecimal digits");
    }
    check_beside(m, "model", &raw.model);
    check_beside(m, "profile", &raw.profile);
    if (m->problems->error_count > errors) {
        return false;
    }
    ret->file = mill_arena_printf(m->arena, "%s/%s", dir, raw.model.s);
    ret->sha256 = raw.sha256.s;
    ret->profile = raw.profile.s == NULL ? NULL : mill_arena_printf(m->arena, "%s/%s", dir, raw.profile.s);
    ret->aliases = raw.aliases;
    return true;
}

static bool read_manifest(struct lookup *l, const char *version, struct manifest *ret)
{
    struct mill__config m = *l->c;
    struct mill__setting *ignored = NULL;
    struct mill_buffer bytes = {0};
    struct mill_error err;
    const char *dir = mill_arena_printf(m.arena, "%s/%s", l->dir, version);
    bool good = false;

    m.path = mill_arena_printf(m.arena, "%s/manifest.yaml", dir);
    m.first_setting = NULL;
    m.last_setting = &ignored;
    ret->version = version;
    if (mill_file_read(m.path, MANIFEST_BYTES_MAX, &bytes, &err) < 0) {
        mill__problem(l->c, l->uri->node, "%s", err.msg);
    } else {
        m.source = mill_buffer_slice(&bytes);
        good = bind_manifest(&m, dir, ret);
    }
    mill_buffer_clear(&bytes);
    return good;
}

static bool has_alias(const struct manifest *manifest, const char *alias)
{
    for (uint32_t i = 0; i < manifest->aliases.count; i++) {
        if (strcmp(manifest->aliases.at[i].s, alias) == 0) {
            return true;
        }
    }
    return false;
}

static bool find_alias(struct lookup *l, const char *alias, struct manifest *ret)
{
    const char *known[64];
    size_t known_count = 0;
    bool found = false;
    for (size_t i = 0; i < l->version_count; i++) {
        struct manifest manifest = {0};
        if (!read_manifest(l, l->versions[i], &manifest)) {
            return false;
        }
        for (uint32_t k = 0; k < manifest.aliases.count && known_count < 64; k++) {
            size_t n = 0;
            while (n < known_count && strcmp(known[n], manifest.aliases.at[k].s) != 0) {
                n++;
            }
            known[n] = manifest.aliases.at[k].s;
            known_count += n == known_count;
        }
        if (!has_alias(&manifest, alias)) {
            continue;
        }
        if (found) {
            mill__problem(l->c, l->uri->node, "alias '%s' of model '%s' is claimed by versions %s and %s; expected one",
                          alias, l->name, ret->version, manifest.version);
            return false;
        }
        found = true;
        *ret = manifest;
    }
    if (!found) {
        mill__problem(l->c, l->uri->node, "model '%s' has no version with alias '%s'%s", l->name, alias,
                      mill__hint(l->c, alias, known, known_count));
    }
    return found;
}

static bool find_version(struct lookup *l, const char *version, struct manifest *ret)
{
    if (strcmp(version, "latest") == 0) {
        return read_manifest(l, l->versions[l->version_count - 1], ret);
    }
    for (size_t i = 0; i < l->version_count; i++) {
        if (strcmp(l->versions[i], version) == 0) {
            return read_manifest(l, version, ret);
        }
    }
    mill__problem(l->c, l->uri->node, "model '%s' has no version '%s'; the newest is %s", l->name, version,
                  l->versions[l->version_count - 1]);
    return false;
}

/* rest: what follows "models:/". */
static bool resolve_registered(struct mill__config *c, const struct mill__text *uri, const char *rest,
                               const char *registry_dir, struct manifest *ret)
{
    struct lookup l = {.c = c, .uri = uri};
    size_t n = strcspn(rest, "@/");
    const char *selector = rest[n] == '\0' ? "" : rest + n + 1;
    bool clean = n > 0 && selector[0] != '\0' && strpbrk(selector, "@/") == NULL && rest[0] != '.';
    if (!clean) {
        mill__problem(c, uri->node,
                      "'%s' is not a model address; expected models:/NAME@ALIAS, models:/NAME/VERSION or "
                      "models:/NAME/latest",
                      uri->s);
        return false;
    }
    l.name = mill_arena_strndup(c->arena, rest, n);
    l.dir = mill_arena_printf(c->arena, "%s/%s", registry_dir, l.name);
    if (!list_versions(&l)) {
        return false;
    }
    return rest[n] == '@' ? find_alias(&l, selector, ret) : find_version(&l, selector, ret);
}

bool mill__model_resolve(struct mill__config *c, const struct mill__text *uri, const char *registry_dir,
                         struct mill__model_files *ret_files)
{
    static const char registered[] = "models:/", file[] = "file:";
    const char *path = uri->s;
    if (strncmp(path, registered, sizeof(registered) - 1) == 0) {
        struct manifest manifest = {0};
        if (!resolve_registered(c, uri, path + sizeof(registered) - 1, registry_dir, &manifest)) {
            return false;
        }
        *ret_files = (struct mill__model_files){manifest.file, manifest.version, manifest.sha256, manifest.profile};
        return true;
    }
    size_t scheme = strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (strncmp(path, file, sizeof(file) - 1) == 0) {
        path += sizeof(file) - 1;
        path += strncmp(path, "//", 2) == 0 ? 2 : 0; /* file:///absolute */
    } else if (scheme > 1 && path[scheme] == ':') {
        mill__problem(c, uri->node, "'%.*s:' addresses are not known; expected a path, file:PATH or models:/NAME@ALIAS",
                      (int)scheme, path);
        return false;
    }
    *ret_files = (struct mill__model_files){.file = mill__path_beside(c, path), .version = "0"};
    return true;
}
