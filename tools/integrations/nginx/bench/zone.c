/* SPDX-License-Identifier: MIT
 *
 * zone.c - the design that smx is compared with, for bench/run alone: counters in a shared memory
 * zone of nginx's, in a tree by server and location, under the zone's mutex, taken once a request.
 * It counts what the smx module counts of a request without an upstream: the status, the duration
 * into 11 buckets, bytes received and sent. `zone_counters on;` in http, and no way to read it.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

enum { BUCKETS = 12, CODES = 600 };

static const ngx_msec_int_t bounds[BUCKETS - 1] = {5,   10,   25,   50,   100,  250,
                                                   500, 1000, 2500, 5000, 10000};

typedef struct {
    ngx_str_node_t node; /* its string is behind the struct */
    uint64_t requests[CODES];
    uint64_t buckets[BUCKETS];
    uint64_t sum_ms, received, sent;
} counters_t;

typedef struct {
    ngx_rbtree_t tree;
    ngx_rbtree_node_t sentinel;
} shared_t;

typedef struct {
    ngx_flag_t enable;
    ngx_shm_zone_t *zone;
} main_conf_t;

extern ngx_module_t ngx_http_zone_counters_module;

static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t *pool = (ngx_slab_pool_t *)zone->shm.addr;
    if (data) {
        zone->data = data;
        return NGX_OK;
    }
    shared_t *shared = ngx_slab_alloc(pool, sizeof *shared);
    if (!shared)
        return NGX_ERROR;
    ngx_rbtree_init(&shared->tree, &shared->sentinel, ngx_str_rbtree_insert_value);
    zone->data = shared;
    return NGX_OK;
}

/* Under the mutex. */
static counters_t *find(ngx_slab_pool_t *pool, shared_t *shared, ngx_str_t *key)
{
    uint32_t hash = ngx_crc32_short(key->data, key->len);
    counters_t *found = (counters_t *)ngx_str_rbtree_lookup(&shared->tree, key, hash);
    if (found)
        return found;
    found = ngx_slab_calloc_locked(pool, sizeof *found + key->len);
    if (!found)
        return NULL;
    found->node.node.key = hash;
    found->node.str.len = key->len;
    found->node.str.data = ngx_cpymem(found + 1, key->data, key->len) - key->len;
    ngx_rbtree_insert(&shared->tree, &found->node.node);
    return found;
}

static void count(counters_t *counters, const ngx_http_request_t *r)
{
    const ngx_time_t *now = ngx_timeofday();
    ngx_msec_int_t ms = (ngx_msec_int_t)((now->sec - r->start_sec) * 1000) +
                        ((ngx_msec_int_t)now->msec - (ngx_msec_int_t)r->start_msec);
    ngx_uint_t status = r->err_status ? r->err_status : r->headers_out.status, bucket = 0;
    while (bucket < BUCKETS - 1 && ms > bounds[bucket])
        bucket++;
    counters->requests[status < CODES ? status : 0]++;
    counters->buckets[bucket]++;
    counters->sum_ms += (uint64_t)ms;
    counters->received += (uint64_t)r->request_length;
    counters->sent += (uint64_t)r->connection->sent;
}

static ngx_int_t log_request(ngx_http_request_t *r)
{
    const main_conf_t *conf = ngx_http_get_module_main_conf(r, ngx_http_zone_counters_module);
    const ngx_http_core_srv_conf_t *server = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    const ngx_http_core_loc_conf_t *location =
        ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    ngx_slab_pool_t *pool = (ngx_slab_pool_t *)conf->zone->shm.addr;
    u_char text[256];
    ngx_str_t key = {0, text};
    key.len =
        (size_t)(ngx_snprintf(text, sizeof text, "%V %V", &server->server_name, &location->name) -
                 text);
    ngx_shmtx_lock(&pool->mutex);
    counters_t *counters = find(pool, conf->zone->data, &key);
    if (counters)
        count(counters, r);
    ngx_shmtx_unlock(&pool->mutex);
    return NGX_OK;
}

static ngx_int_t add_handler(ngx_conf_t *cf)
{
    main_conf_t *conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_zone_counters_module);
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_str_t name = ngx_string("zone_counters");
    if (conf->enable != 1)
        return NGX_OK;
    conf->zone = ngx_shared_memory_add(cf, &name, 1 << 20, &ngx_http_zone_counters_module);
    ngx_http_handler_pt *handler = ngx_array_push(&core->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (!handler || !conf->zone)
        return NGX_ERROR;
    conf->zone->init = init_zone;
    *handler = log_request;
    return NGX_OK;
}

static void *create_main_conf(ngx_conf_t *cf)
{
    main_conf_t *conf = ngx_pcalloc(cf->pool, sizeof *conf);
    if (conf)
        conf->enable = NGX_CONF_UNSET;
    return conf;
}

static ngx_command_t commands[] = {
    {ngx_string("zone_counters"), NGX_HTTP_MAIN_CONF | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(main_conf_t, enable), NULL},
    ngx_null_command,
};

static ngx_http_module_t context = {
    .postconfiguration = add_handler,
    .create_main_conf = create_main_conf,
};

ngx_module_t ngx_http_zone_counters_module = {
    NGX_MODULE_V1,
    .ctx = &context,
    .commands = commands,
    .type = NGX_HTTP_MODULE,
};

#define EXPORTED __attribute__((visibility("default")))
EXPORTED extern ngx_module_t *ngx_modules[];
EXPORTED extern char *ngx_module_names[];
EXPORTED extern char *ngx_module_order[];
ngx_module_t *ngx_modules[] = {&ngx_http_zone_counters_module, NULL};
char *ngx_module_names[] = {"ngx_http_zone_counters_module", NULL};
char *ngx_module_order[] = {NULL};
