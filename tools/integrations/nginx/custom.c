/* SPDX-License-Identifier: MIT
 *
 * custom.c - metrics that a configuration asks for: smx_counter and smx_histogram, whose labels and
 * values are made of variables. Directives are read in the master, counted is in the workers.
 */
#include "ngx_http_smx.h"

#include <math.h>
#include <stdlib.h>

#define FRACTION_DIGITS 6 /* decimal places of a histogram that has bounds between whole numbers */

typedef struct {
    const char *name, *help, *unit;
    ngx_uint_t is_histogram;
    int digits; /* decimal places that are kept */
    smx_family family;
    ngx_http_complex_value_t *value, *condition; /* NULL: 1, always */
    size_t n_bounds, n_labels;
    double bounds[SMX_BOUNDS_MAX];
    const char *labels[SMX_LABELS_MAX];
    ngx_http_complex_value_t *values[SMX_LABELS_MAX];
} ngx_http_smx_custom_t;

/* A number at the start of a text, and after it a comma, a blank or the end. */
static int parse_number(const char *text, double *number, const char **end)
{
    char *stop;
    *number = strtod(text, &stop);
    *end = stop;
    return stop != text && (*stop == '\0' || *stop == ',' || *stop == ' ');
}

static int is_name(const char *text, int colons)
{
    for (const char *p = text; *p; p++) {
        int letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                     (colons && *p == ':');
        int digit = *p >= '0' && *p <= '9' && p != text;
        if (!letter && !digit)
            return 0;
    }
    return *text != '\0';
}

static ngx_http_complex_value_t *compile(ngx_conf_t *cf, char *text)
{
    ngx_http_complex_value_t *compiled = ngx_pcalloc(cf->pool, sizeof *compiled);
    ngx_str_t source = {strlen(text), (u_char *)ngx_http_smx_clean((u_char *)text)};
    ngx_http_compile_complex_value_t ccv = {
        .cf = cf, .value = &source, .complex_value = compiled, .zero = 1};
    return compiled && ngx_http_compile_complex_value(&ccv) == NGX_OK ? compiled : NULL;
}

/* What is compiled complains itself. */
static char *set_value(ngx_conf_t *cf, ngx_http_complex_value_t **slot, char *text)
{
    *slot = compile(cf, text);
    return *slot ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *set_bounds(ngx_http_smx_custom_t *custom, const char *text)
{
    if (!custom->is_histogram)
        return "has no buckets";
    for (const char *p = text;; p++) {
        double *bound = &custom->bounds[custom->n_bounds];
        if (custom->n_bounds == SMX_BOUNDS_MAX)
            return "has too many buckets";
        if (!parse_number(p, bound, &p) || (*p && *p != ',') || isnan(*bound))
            return "has buckets that are no numbers";
        if (*bound < 0)
            return "has a bucket below 0";
        if (custom->n_bounds && !(*bound > bound[-1]))
            return "has buckets that do not ascend";
        if (floor(*bound) != *bound)
            custom->digits = FRACTION_DIGITS;
        custom->n_bounds++;
        if (!*p)
            return NGX_CONF_OK;
    }
}

static char *set_label(ngx_conf_t *cf, ngx_http_smx_custom_t *custom, const char *name, char *text)
{
    if (!is_name(name, 0))
        return "has a label whose name is no [a-zA-Z_][a-zA-Z0-9_]*";
    if (custom->n_labels == SMX_LABELS_MAX)
        return "has too many labels";
    for (size_t i = 0; i < custom->n_labels; i++)
        if (!strcmp(name, custom->labels[i]))
            return "has a label twice";
    custom->labels[custom->n_labels] = name;
    return set_value(cf, &custom->values[custom->n_labels++], text);
}

/* One name=text. */
static char *set_parameter(ngx_conf_t *cf, ngx_http_smx_custom_t *custom, char *parameter)
{
    char *text = strchr(parameter, '=');
    if (!text)
        return "has a parameter without \"=\"";
    *text++ = '\0';
    if (!strcmp(parameter, "help"))
        custom->help = ngx_http_smx_clean((u_char *)text);
    else if (!strcmp(parameter, "unit"))
        custom->unit = text;
    else if (!strcmp(parameter, "buckets"))
        return set_bounds(custom, text);
    else if (!strcmp(parameter, "value"))
        return set_value(cf, &custom->value, text);
    else if (!strcmp(parameter, "if"))
        return set_value(cf, &custom->condition, text);
    else
        return set_label(cf, custom, parameter, text);
    return NGX_CONF_OK;
}

static int ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && !strcmp(text + length - n, end);
}

/* Of seconds nanoseconds are kept, also where only the name says that it is seconds; a byte has no
 * parts. */
static void set_unit(ngx_http_smx_custom_t *custom)
{
    if (!custom->unit && (ends_in(custom->name, "_seconds") ||
                          (!custom->is_histogram && ends_in(custom->name, "_seconds_total"))))
        custom->unit = "seconds";
    if (custom->unit && !strcmp(custom->unit, "seconds"))
        custom->digits = 9;
    if (custom->unit && !strcmp(custom->unit, "bytes"))
        custom->digits = 0;
}

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* Whether both can be one family. */
static int agree(const ngx_http_smx_custom_t *a, const ngx_http_smx_custom_t *b)
{
    if (a->is_histogram != b->is_histogram || a->n_labels != b->n_labels ||
        a->n_bounds != b->n_bounds || !same_text(a->unit, b->unit))
        return 0;
    for (size_t i = 0; i < a->n_labels; i++)
        if (strcmp(a->labels[i], b->labels[i]) != 0)
            return 0;
    for (size_t i = 0; i < a->n_bounds; i++)
        if (a->bounds[i] != b->bounds[i])
            return 0;
    return 1;
}

static char *check(const ngx_http_smx_custom_t *custom, const ngx_array_t *others)
{
    ngx_http_smx_custom_t **other = others->elts;
    if (!is_name(custom->name, 1))
        return "is no name of a metric";
    if (!strncmp(custom->name, "nginx_", 6))
        return "begins like the metrics that are always there";
    if (custom->is_histogram && !custom->value)
        return "has no value=";
    for (ngx_uint_t i = 0; i < others->nelts; i++)
        if (!strcmp(custom->name, other[i]->name) && !agree(custom, other[i]))
            return "has another type, unit, buckets or labels elsewhere";
    return NGX_CONF_OK;
}

static char *add(ngx_array_t *array, ngx_http_smx_custom_t *custom)
{
    ngx_http_smx_custom_t **slot = array ? ngx_array_push(array) : NULL;
    if (!slot)
        return NGX_CONF_ERROR;
    *slot = custom;
    return NGX_CONF_OK;
}

char *ngx_http_smx_custom(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_http_smx_loc_conf_t *lcf = conf;
    ngx_http_smx_main_conf_t *mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_smx_module);
    ngx_str_t *words = cf->args->elts;
    ngx_http_smx_custom_t *custom = ngx_pcalloc(cf->pool, sizeof *custom);
    if (!custom)
        return NGX_CONF_ERROR;
    custom->name = (const char *)words[1].data;
    custom->is_histogram = !strcmp((const char *)command->name.data, "smx_histogram");
    char *error = NGX_CONF_OK;
    for (ngx_uint_t i = 2; i < cf->args->nelts && error == NGX_CONF_OK; i++)
        error = set_parameter(cf, custom, (char *)words[i].data);
    set_unit(custom);
    if (error == NGX_CONF_OK)
        error = check(custom, &mcf->customs);
    if (error == NGX_CONF_ERROR)
        return error;
    if (error != NGX_CONF_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "metric \"%s\" %s", custom->name, error);
        return NGX_CONF_ERROR;
    }
    if (!lcf->customs)
        lcf->customs = ngx_array_create(cf->pool, 4, sizeof custom);
    if (add(lcf->customs, custom) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    return add(&mcf->customs, custom);
}

void ngx_http_smx_custom_register(ngx_http_smx_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_http_smx_custom_t **customs = mcf->customs.elts;
    for (ngx_uint_t i = 0; i < mcf->customs.nelts; i++) {
        ngx_http_smx_custom_t *custom = customs[i];
        struct smx_diag diag = {0};
        struct smx_metric metric = {
            .name = custom->name,
            .help = custom->help ? custom->help : "Counted by nginx's configuration.",
            .unit = custom->unit,
            .digits = custom->digits ? custom->digits : SMX_WHOLE,
            .bounds = custom->bounds,
            .n_bounds = custom->n_bounds,
        };
        memcpy(metric.labels, custom->labels, sizeof metric.labels);
        custom->family = custom->is_histogram ? smx_histogram_family(mcf->segment, &metric, &diag)
                                              : smx_counter_family(mcf->segment, &metric, &diag);
        if (!custom->family.record)
            ngx_http_smx_complain(log, custom->name, &diag);
    }
}

/* What a value is for this request, NULL where there is no memory. */
static char *text_of(ngx_http_request_t *r, ngx_http_complex_value_t *value)
{
    ngx_str_t text;
    if (ngx_http_complex_value(r, value, &text) != NGX_OK)
        return NULL;
    /* Compiled so that a NUL is behind it; what has no variables was cleaned when it was read. */
    return value->lengths ? ngx_http_smx_clean(text.data) : (char *)text.data;
}

/* As in nginx's `if=`: neither empty nor 0. */
static int holds(ngx_http_request_t *r, ngx_http_complex_value_t *condition)
{
    const char *text = text_of(r, condition);
    return text && *text && strcmp(text, "0") != 0;
}

/* What is to be added, as whole ticks of 10^-digits. */
static void add_amount(const ngx_http_smx_custom_t *custom, const char **labels, double amount)
{
    double ticks = custom->digits ? round(amount * 1e9) : amount;
    if (ticks >= 0 && ticks < 0x1p63)
        smx_counter_add(smx_counter_with(custom->family, labels), (uint64_t)ticks);
}

static void count_one(ngx_http_request_t *r, const ngx_http_smx_custom_t *custom)
{
    const char *labels[SMX_LABELS_MAX + 1];
    double amount = 1;
    const char *end;
    if (custom->condition && !holds(r, custom->condition))
        return;
    if (custom->value) {
        const char *text = text_of(r, custom->value);
        if (!text || !parse_number(text, &amount, &end))
            return;
    }
    for (size_t i = 0; i < custom->n_labels; i++)
        if (!(labels[i] = text_of(r, custom->values[i])))
            return;
    labels[custom->n_labels] = NULL;
    if (custom->is_histogram)
        smx_histogram_observe(smx_histogram_with(custom->family, labels), amount);
    else
        add_amount(custom, labels, amount);
}

void ngx_http_smx_custom_count(ngx_http_request_t *r, const ngx_array_t *customs)
{
    ngx_http_smx_custom_t *const *custom = customs->elts;
    for (ngx_uint_t i = 0; i < customs->nelts; i++)
        count_one(r, custom[i]);
}
