/* SPDX-License-Identifier: MIT
 *
 * materials.c - the web configuration file, its certificates and keys, together. In the loop's
 * thread; files are read as a whole, some milliseconds at most.
 */
#include "agent/web/materials.h"
#include "agent/config/yaml/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Times of files are as coarse as the kernel's tick, and coarser on some file systems. */
#define FRESH_SECONDS 2

/* A text that is in the file, or in one that it names; NULL: neither. */
struct pem {
    char *read; /* to be freed */
    const char *text;
};

static int read_pem(const struct webfile *file, const struct webfile_pem *from, struct pem *out,
                    char why[MATERIALS_WHY_SIZE])
{
    char reason[TEXT_WHY_SIZE], sentence[MATERIALS_WHY_SIZE];
    size_t length;
    *out = (struct pem){.text = from->text};
    if (!from->path)
        return 0;
    int rc = text_read(from->path, &out->read, &length, reason);
    if (rc < 0) {
        snprintf(sentence, sizeof sentence, "%s: %s", from->path, reason);
        webfile_say(file, from->key, sentence, why);
    }
    out->text = out->read;
    return rc;
}

static void forget_pem(struct pem *pem)
{
    if (pem->read)
        secrets_forget(pem->read, strlen(pem->read));
    free(pem->read);
}

static int make_tls(struct materials *m, char why[MATERIALS_WHY_SIZE])
{
    struct pem certificate = {0}, key = {0}, client_ca = {0};
    char reason[TLS_WHY_SIZE];
    const struct webfile *file = m->file;
    int rc = read_pem(file, &file->certificate, &certificate, why);
    if (rc == 0)
        rc = read_pem(file, &file->key, &key, why);
    if (rc == 0)
        rc = read_pem(file, &file->client_ca, &client_ca, why);
    if (rc == 0) {
        struct tls_options options = file->tls;
        options.certificate = certificate.text;
        options.key = key.text;
        options.client_ca = client_ca.text;
        rc = tls_new(&options, &m->tls, reason);
        if (rc < 0)
            webfile_say(file, "tls_server_config", reason, why);
    }
    forget_pem(&certificate);
    forget_pem(&key);
    forget_pem(&client_ca);
    return rc;
}

static void look(const char *path, struct materials_look *out)
{
    struct stat st;
    *out = (struct materials_look){.inode = 0};
    if (stat(path, &st) == 0)
        *out = (struct materials_look){.device = st.st_dev,
                                       .inode = st.st_ino,
                                       .size = st.st_size,
                                       .modified = st.st_mtim,
                                       .changed = st.st_ctim};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct materials_look *a, const struct materials_look *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(&a->modified, &b->modified) && is_same_time(&a->changed, &b->changed);
}

static bool is_fresh(const struct materials *m)
{
    time_t now = time(NULL);
    for (size_t i = 0; i < m->n_paths; i++)
        if (m->looks[i].changed.tv_sec + FRESH_SECONDS > now)
            return true;
    return false;
}

static void add_path(struct materials *m, const char *path)
{
    if (path)
        m->paths[m->n_paths++] = path;
}

/* The looks come before the reading: what changes between them is seen to have changed. */
static int fill(struct materials *m, const char *path, const struct users *before,
                char why[MATERIALS_WHY_SIZE])
{
    add_path(m, path);
    look(path, &m->looks[0]);
    int rc = webfile_load(path, &m->file, why);
    if (rc < 0)
        return rc;
    add_path(m, m->file->certificate.path);
    add_path(m, m->file->key.path);
    add_path(m, m->file->client_ca.path);
    for (size_t i = 1; i < m->n_paths; i++)
        look(m->paths[i], &m->looks[i]);
    if (m->file->has_tls)
        rc = make_tls(m, why);
    if (rc == 0 && m->file->n_users > 0) {
        rc = users_new(m->file->users, m->file->n_users, before, &m->users);
        if (rc < 0)
            snprintf(why, MATERIALS_WHY_SIZE, "%s: basic_auth_users: %s", path, strerror(-rc));
    }
    m->is_fresh = is_fresh(m);
    return rc;
}

int materials_load(const char *path, const struct users *users_before, struct materials *out,
                   char why[MATERIALS_WHY_SIZE])
{
    struct materials m = {.file = NULL};
    int rc = fill(&m, path, users_before, why);
    if (rc < 0) {
        materials_free(&m);
        return rc;
    }
    *out = m;
    return 0;
}

void materials_free(struct materials *m)
{
    tls_unref(m->tls);
    users_free(m->users);
    webfile_free(m->file);
    *m = (struct materials){.file = NULL};
}

bool materials_look_again(struct materials *m)
{
    bool differs = m->is_fresh;
    m->is_fresh = false;
    for (size_t i = 0; i < m->n_paths; i++) {
        struct materials_look now;
        look(m->paths[i], &now);
        differs = differs || !is_same(&now, &m->looks[i]);
        m->looks[i] = now;
    }
    return differs;
}
