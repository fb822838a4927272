/* SPDX-License-Identifier: MIT
 *
 * module.c - the nginx module: its directives, what they become in each location, and the segment.
 * Nothing here keeps nginx from starting but an error in the configuration.
 */
#include "ngx_http_smx.h"

static void *create_main_conf(ngx_conf_t *cf)
{
    ngx_http_smx_main_conf_t *mcf = ngx_pcalloc(cf->pool, sizeof *mcf);
    if (!mcf || ngx_array_init(&mcf->customs, cf->pool, 4, sizeof(void *)) != NGX_OK)
        return NULL;
    mcf->max_series = NGX_CONF_UNSET;
    mcf->max_bytes = NGX_CONF_UNSET_SIZE;
    return mcf;
}

static char *init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_smx_main_conf_t *mcf = conf;
    (void)cf;
    ngx_conf_init_value(mcf->max_series, 0);
    ngx_conf_init_size_value(mcf->max_bytes, 0);
    return NGX_CONF_OK;
}

static void *create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_smx_loc_conf_t *lcf = ngx_pcalloc(cf->pool, sizeof *lcf);
    if (lcf)
        lcf->enable = NGX_CONF_UNSET;
    return lcf;
}

/* The location as the configuration writes it. A block of `if` or `limit_except` belongs to the
 * location that it is in; - is none, as for what no server came to understand. */
static const char *location_label(ngx_conf_t *cf, const ngx_http_smx_loc_conf_t *parent)
{
    const ngx_http_core_loc_conf_t *core =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    if (core->noname && parent->location)
        return parent->location;
    if (core->name.len == 0)
        return "-";
    const char *prefix = core->exact_match ? "= " : "";
#if (NGX_PCRE)
    if (core->regex)
        prefix = "~ ";
#endif
    return ngx_http_smx_text(cf->pool, prefix, &core->name);
}

static char *merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_smx_loc_conf_t *prev = parent, *lcf = child;
    ngx_http_smx_main_conf_t *mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_smx_module);
    const ngx_http_core_srv_conf_t *server =
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    ngx_conf_merge_value(lcf->enable, prev->enable, 0);
    if (!lcf->customs)
        lcf->customs = prev->customs;
    mcf->wanted = mcf->wanted || lcf->enable;
    lcf->location = location_label(cf, prev);
    lcf->server =
        server->server_name.len ? ngx_http_smx_text(cf->pool, "", &server->server_name) : "-";
    return lcf->location && lcf->server ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* nginx hands no variable of the environment to the binary that replaces it unless it is told to:
 * that would then look for the segment elsewhere. */
static ngx_int_t keep_environment(ngx_conf_t *cf)
{
    ngx_core_conf_t *core = (ngx_core_conf_t *)ngx_get_conf(cf->cycle->conf_ctx, ngx_core_module);
    ngx_str_t *name = ngx_array_push(&core->env);
    if (!name)
        return NGX_ERROR;
    ngx_str_set(name, "SMX_DIR");
    return NGX_OK;
}

static ngx_int_t add_handler(ngx_conf_t *cf)
{
    ngx_http_smx_main_conf_t *mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_smx_module);
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    if (!mcf->wanted)
        return NGX_OK;
    ngx_http_handler_pt *handler = ngx_array_push(&core->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (!handler)
        return NGX_ERROR;
    *handler = ngx_http_smx_log;
    ngx_http_smx_watch_handshakes(cf, mcf);
    return NGX_OK;
}

static const char *or_null(const ngx_str_t *text)
{
    return text->len ? (const char *)text->data : NULL;
}

/* In the master: at the start, in a new binary, and for each new configuration. */
static ngx_int_t open_segment(ngx_cycle_t *cycle)
{
    ngx_http_smx_main_conf_t *mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_smx_module);
    struct smx_diag diag = {0};
    if (!mcf || !mcf->wanted || ngx_test_config)
        return NGX_OK;
    const struct smx_options options = {
        .app = mcf->app.len ? (const char *)mcf->app.data : "nginx",
        .instance = or_null(&mcf->instance),
        .directory = or_null(&mcf->directory),
        .role = "master",
        .max_series = (uint32_t)ngx_min(mcf->max_series, UINT32_MAX),
        .max_bytes = mcf->max_bytes,
    };
    if (smx_open(&options, &mcf->segment, &diag) < 0) {
        /* Not through the macro: at a start this is for the terminal, whatever error_log says. */
        ngx_log_error_core(NGX_LOG_WARN, cycle->log, 0,
                           "smx: nginx runs without metrics: %s; see to the directory, or name "
                           "another by smx_directory, and reload",
                           diag.text);
        return NGX_OK;
    }
    ngx_http_smx_register(mcf, cycle->log);
    ngx_http_smx_custom_register(mcf, cycle->log);
    ngx_http_smx_watch_accept(cycle);
    return NGX_OK;
}

/* In a worker; and in what tends the caches, which serves nobody. */
static ngx_int_t init_process(ngx_cycle_t *cycle)
{
    ngx_http_smx_main_conf_t *mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_smx_module);
    if (!mcf || !mcf->segment)
        return NGX_OK;
    smx_set_role(mcf->segment, ngx_process == NGX_PROCESS_HELPER ? "cache" : "worker");
    return ngx_process == NGX_PROCESS_WORKER ? ngx_http_smx_watch_worker(cycle, mcf) : NGX_OK;
}

/* What libshm takes as a name: else nginx would start without metrics. */
static char *set_name(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                  "abcdefghijklmnopqrstuvwxyz0123456789.-";
    const ngx_str_t *words = cf->args->elts;
    const char *name = (const char *)words[1].data;
    if (words[1].len < 1 || words[1].len > 63 || strspn(name, letters) != words[1].len ||
        name[0] == '.')
        return "is to be 1 to 63 of A-Z a-z 0-9 _ . -, not starting with a dot";
    return ngx_conf_set_str_slot(cf, command, conf);
}

static char *set_directory(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_http_smx_main_conf_t *mcf = conf;
    char *error = ngx_conf_set_str_slot(cf, command, conf);
    if (error != NGX_CONF_OK)
        return error;
    return ngx_conf_full_name(cf->cycle, &mcf->directory, 0) == NGX_OK ? NGX_CONF_OK
                                                                       : NGX_CONF_ERROR;
}

#define EVERYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF)

static ngx_command_t commands[] = {
    {ngx_string("smx"), EVERYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_http_smx_loc_conf_t, enable), NULL},
    {ngx_string("smx_app"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_name,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_smx_main_conf_t, app), NULL},
    {ngx_string("smx_instance"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_name,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_smx_main_conf_t, instance), NULL},
    {ngx_string("smx_directory"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_directory,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_smx_main_conf_t, directory), NULL},
    {ngx_string("smx_max_series"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_num_slot,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_smx_main_conf_t, max_series), NULL},
    {ngx_string("smx_max_bytes"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_size_slot,
     NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_smx_main_conf_t, max_bytes), NULL},
    {ngx_string("smx_counter"), EVERYWHERE | NGX_CONF_1MORE, ngx_http_smx_custom,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("smx_histogram"), EVERYWHERE | NGX_CONF_2MORE, ngx_http_smx_custom,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    ngx_null_command,
};

static ngx_http_module_t context = {
    .preconfiguration = keep_environment,
    .postconfiguration = add_handler,
    .create_main_conf = create_main_conf,
    .init_main_conf = init_main_conf,
    .create_loc_conf = create_loc_conf,
    .merge_loc_conf = merge_loc_conf,
};

/* nginx writes to it: it numbers its modules. */
ngx_module_t ngx_http_smx_module = {
    NGX_MODULE_V1,
    .ctx = &context,
    .commands = commands,
    .type = NGX_HTTP_MODULE,
    .init_module = open_segment,
    .init_process = init_process,
};

/* What auto/module would generate. */
__attribute__((visibility("default"))) extern ngx_module_t *ngx_modules[];
__attribute__((visibility("default"))) extern char *ngx_module_names[];
__attribute__((visibility("default"))) extern char *ngx_module_order[];
ngx_module_t *ngx_modules[] = {&ngx_http_smx_module, NULL};
char *ngx_module_names[] = {"ngx_http_smx_module", NULL};
char *ngx_module_order[] = {NULL};
