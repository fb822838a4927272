/* SPDX-License-Identifier: MIT
 *
 * self.c - smx_agent_* and process_*: what the agent says about itself, from numbers that the
 * runtime has measured. Durations are those of the scrape before: this one is not over.
 */
#include "agent/gather/self.h"

#include "agent/gather/label.h"
#include "agent/gather/own.h"

static struct smx_str str(const char *text)
{
    const char *known = text ? text : "unknown";
    return (struct smx_str){known, strlen(known)};
}

static struct own_labels one_label(const char *name, const char *value)
{
    return (struct own_labels){.at = {{str(name), str(value)}}, .n = 1};
}

static void expose_build(struct own *own, const struct self_stats *stats)
{
    static const struct own_family family = {
        "smx_agent_build_info", "What this smx-agent was built from; always 1.", NULL, SMX_GAUGE};
    struct own_labels labels = {.at = {{LABEL_STR("version"), str(stats->version)},
                                       {LABEL_STR("revision"), str(stats->revision)}},
                                .n = 2};
    own_begin(own, &family);
    own_sample(own, &labels, 1, 0);
}

static void expose_phases(struct own *own, const struct self_stats *stats)
{
    static const struct own_family family = {"smx_agent_scrape_duration_seconds",
                                             "Time that the last scrape took, by phase.", "seconds",
                                             SMX_GAUGE};
    static const char *const names[SELF_PHASES] = {[SELF_UPDATE] = "update",
                                                   [SELF_PROCESSES] = "processes",
                                                   [SELF_GATHER] = "gather",
                                                   [SELF_ENCODE] = "encode",
                                                   [SELF_COMPRESS] = "compress"};
    own_begin(own, &family);
    for (size_t i = 0; i < SELF_PHASES; i++) {
        struct own_labels labels = one_label("phase", names[i]);
        own_sample(own, &labels, stats->phase_ns[i], 9);
    }
}

static void expose_scrapes(struct own *own, const struct self_stats *stats)
{
    static const struct own_family family = {
        "smx_agent_scrapes_total", "Scrapes served, by exposition format.", NULL, SMX_COUNTER};
    own_begin(own, &family);
    for (unsigned i = 0; i < EXPOSITION_COUNT; i++) {
        struct own_labels labels = one_label("format", exposition_name((enum exposition)i));
        own_sample(own, &labels, stats->scrapes[i], 0);
    }
}

static void expose_counts(struct own *own, const struct own_family *family, const char *label,
                          const struct self_count counts[], size_t n)
{
    own_begin(own, family);
    for (size_t i = 0; i < n; i++) {
        struct own_labels labels = one_label(label, counts[i].name);
        own_sample(own, &labels, counts[i].n, 0);
    }
}

static void expose_process(struct own *own, const struct self_stats *stats)
{
    static const struct own_family
        cpu = {"process_cpu_seconds_total", "CPU time spent by smx-agent itself.", "seconds",
               SMX_COUNTER},
        open = {"process_open_fds", "Open file descriptors of smx-agent itself.", NULL, SMX_GAUGE},
        max = {"process_max_fds", "Limit of open file descriptors of smx-agent itself.", NULL,
               SMX_GAUGE},
        virtual = {"process_virtual_memory_bytes", "Address space of smx-agent itself.", "bytes",
                   SMX_GAUGE},
        virtual_max = {"process_virtual_memory_max_bytes",
                       "Limit of address space of smx-agent itself.", "bytes", SMX_GAUGE},
        resident = {"process_resident_memory_bytes", "Resident memory of smx-agent itself.",
                    "bytes", SMX_GAUGE},
        start = {"process_start_time_seconds", "Start time of smx-agent itself, since the Epoch.",
                 "seconds", SMX_GAUGE},
        threads = {"process_threads", "Threads of smx-agent itself.", NULL, SMX_GAUGE};
    const struct self_process *p = &stats->process;
    own_single(own, &cpu, p->cpu_ns, 9);
    own_single(own, &open, p->open_fds, 0);
    own_single(own, &max, p->max_fds, 0);
    own_single(own, &virtual, p->virtual_bytes, 0);
    own_single(own, &virtual_max, p->virtual_max_bytes, 0);
    own_single(own, &resident, p->resident_bytes, 0);
    own_single(own, &start, stats->started_ns, 9);
    own_single(own, &threads, p->threads, 0);
}

static void expose_connections(struct own *own, const struct self_connections *connections)
{
    static const struct own_family
        now = {"smx_agent_http_connections", "Connections of scrapers, now.", NULL, SMX_GAUGE},
        most = {"smx_agent_http_max_connections",
                "Connections at a time; for one more another is dropped.", NULL, SMX_GAUGE},
        accepted = {"smx_agent_http_accepted_total", "Connections accepted.", NULL, SMX_COUNTER},
        dropped = {"smx_agent_http_dropped_connections_total",
                   "Connections that the agent has dropped, by reason.", NULL, SMX_COUNTER};
    own_single(own, &now, connections->now, 0);
    own_single(own, &most, connections->most, 0);
    own_single(own, &accepted, connections->accepted, 0);
    expose_counts(own, &dropped, "reason", connections->dropped, connections->n_dropped);
}

static void expose_config(struct own *own, const struct self_config *config)
{
    static const struct own_family
        successful = {"smx_agent_config_last_reload_successful",
                      "Whether the last attempt to load the configuration succeeded.", NULL,
                      SMX_GAUGE},
        when = {"smx_agent_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was loaded, since the Epoch.", "seconds",
                SMX_GAUGE};
    if (!config)
        return;
    own_single(own, &successful, config->successful, 0);
    own_single(own, &when, config->succeeded_ns, 9);
}

static void expose_web_file(struct own *own, const struct self_web *web)
{
    static const struct own_family
        good = {"smx_agent_web_config_last_reload_successful",
                "Whether the web configuration file and its certificates could be used when they "
                "were last read.",
                NULL, SMX_GAUGE},
        since = {"smx_agent_web_config_last_reload_success_timestamp_seconds",
                 "When the web configuration that is in force was read, since the Epoch.",
                 "seconds", SMX_GAUGE},
        end = {"smx_agent_tls_certificate_not_after_timestamp_seconds",
               "Until when the certificate of the HTTP server is good, since the Epoch.", "seconds",
               SMX_GAUGE};
    own_single(own, &good, web->is_good, 0);
    own_single(own, &since, web->loaded_ns, 9);
    if (web->not_after > 0)
        own_single(own, &end, (uint64_t)web->not_after, 0);
}

static void expose_web(struct own *own, const struct self_web *web)
{
    static const struct own_family
        unauthorized = {"smx_agent_http_unauthorized_total",
                        "Requests answered 401: no credentials, or wrong ones.", NULL, SMX_COUNTER},
        limited = {"smx_agent_http_rate_limited_total",
                   "Requests answered 429: too many, or too many passwords to check.", NULL,
                   SMX_COUNTER},
        misdirected = {"smx_agent_http_misdirected_total",
                       "Requests answered 421: their Host is no name of this server.", NULL,
                       SMX_COUNTER},
        handshakes = {"smx_agent_tls_handshake_errors_total",
                      "Connections that ended before TLS was agreed on, by reason.", NULL,
                      SMX_COUNTER};
    own_single(own, &unauthorized, web->unauthorized, 0);
    own_single(own, &limited, web->limited, 0);
    own_single(own, &misdirected, web->misdirected, 0);
    if (web->n_handshakes > 0)
        expose_counts(own, &handshakes, "reason", web->handshakes, web->n_handshakes);
    if (web->has_file)
        expose_web_file(own, web);
}

void self_expose(struct own *own, const struct self_stats *stats)
{
    static const struct own_family segments = {"smx_agent_segments",
                                               "Segment files found, by state.", NULL, SMX_GAUGE};
    static const struct own_family errors = {
        "smx_segment_errors_total",
        "Segments that could not be read and records that were left out, at each look, by reason.",
        NULL, SMX_COUNTER};
    static const struct own_family left_out = {
        "smx_agent_left_out_segments",
        "Segment files that are not looked at, because there are too many.", NULL, SMX_GAUGE};
    static const struct own_family late = {
        "smx_agent_late_scrapes_total",
        "Scrapes answered 503 because their timeout would have been over.", NULL, SMX_COUNTER};
    static const struct own_family gathers = {
        "smx_agent_gathers_total", "Times that the segments were read for scrapes, which share.",
        NULL, SMX_COUNTER};
    static const struct own_family lines = {
        "smx_agent_log_dropped_lines_total",
        "Lines of the log that were dropped because whoever reads it did not take them.", NULL,
        SMX_COUNTER};
    expose_build(own, stats);
    expose_process(own, stats);
    expose_phases(own, stats);
    expose_scrapes(own, stats);
    expose_config(own, stats->config);
    own_single(own, &late, stats->late, 0);
    own_single(own, &gathers, stats->gathers, 0);
    expose_counts(own, &segments, "state", stats->segments, stats->n_segments);
    expose_counts(own, &errors, "reason", stats->errors, stats->n_errors);
    own_single(own, &left_out, stats->segments_left_out, 0);
    own_single(own, &lines, stats->lines_dropped, 0);
    expose_connections(own, &stats->connections);
    expose_web(own, &stats->web);
}

void conflicts_expose(struct own *own, const struct gather_conflict conflicts[], size_t n)
{
    static const struct own_family family = {
        "smx_agent_family_conflicts",
        "Families left out of this exposition because they contradict another or a rule.", NULL,
        SMX_GAUGE};
    uint64_t counts[REFUSAL_COUNT] = {0};
    for (size_t i = 0; i < n; i++)
        for (unsigned r = 0; r < REFUSAL_COUNT; r++)
            counts[r] += strcmp(conflicts[i].reason, refusal_name((enum refusal)r)) == 0;
    own_begin(own, &family);
    for (unsigned r = REFUSAL_NONE + 1; r < REFUSAL_COUNT; r++) {
        struct own_labels labels = one_label("reason", refusal_name((enum refusal)r));
        own_sample(own, &labels, counts[r], 0);
    }
}
