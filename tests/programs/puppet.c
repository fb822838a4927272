/* SPDX-License-Identifier: MIT
 *
 * puppet.c - an application whose metrics a script plays with: one command a line on the standard
 * input, one answer a line on the standard output, "ok" or what libshm's diagnostic says. It ends
 * with its input.
 *
 *   counter NAME N            register, add N
 *   gauge NAME N              register, set to N
 *   histogram NAME V B...     register with the bounds B..., record V
 *   exponential NAME V...     register in seconds, exponential, record all V
 *   labelled NAME VALUE N     a counter with the label "kind", add N
 *   example NAME N ID         the same counter as `counter`, with an exemplar
 *   slow NAME V ID            the same histogram as `exponential`, with an exemplar
 *   check NAME MS CRITICAL [STATE [WORD]]  declare, and report a state (1 ok, 2 degraded, 3 failed)
 *   role NAME                 call this process that
 *   beat                      a heartbeat
 */
#include <smx/health.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16 };
#define HELP "A metric of a test."

static void play_counter(smx_segment *s, char *words[], struct smx_diag *diag)
{
    smx_counter_add(smx_counter_new(s, &(struct smx_metric){.name = words[1], .help = HELP}, diag),
                    strtoull(words[2], NULL, 10));
}

static void play_gauge(smx_segment *s, char *words[], struct smx_diag *diag)
{
    smx_gauge_set(smx_gauge_new(s, &(struct smx_metric){.name = words[1], .help = HELP}, diag),
                  strtoll(words[2], NULL, 10));
}

static void play_histogram(smx_segment *s, char *words[], size_t n, struct smx_diag *diag)
{
    double bounds[WORDS];
    for (size_t i = 3; i < n; i++)
        bounds[i - 3] = strtod(words[i], NULL);
    smx_histogram h = smx_histogram_new(
        s,
        &(struct smx_metric){.name = words[1], .help = HELP, .bounds = bounds, .n_bounds = n - 3},
        diag);
    smx_histogram_observe(h, strtod(words[2], NULL));
}

static void play_exponential(smx_segment *s, char *words[], size_t n, struct smx_diag *diag)
{
    smx_histogram h = smx_histogram_new(
        s, &(struct smx_metric){.name = words[1], .help = HELP, .unit = "seconds", .digits = 9},
        diag);
    for (size_t i = 2; i < n; i++)
        smx_histogram_observe(h, strtod(words[i], NULL));
}

static void play_labelled(smx_segment *s, char *words[], struct smx_diag *diag)
{
    smx_family f = smx_counter_family(
        s, &(struct smx_metric){.name = words[1], .help = HELP, .labels = {"kind"}}, diag);
    smx_counter_add(smx_counter_with(f, SMX_VALUES(words[2])), strtoull(words[3], NULL, 10));
}

static void play_example(smx_segment *s, char *words[], struct smx_diag *diag)
{
    const struct smx_metric counter = {.name = words[1], .help = HELP};
    const struct smx_metric histogram = {
        .name = words[1], .help = HELP, .unit = "seconds", .digits = 9};
    const char *const labels[] = {"trace_id", words[3], NULL};
    if (words[0][0] == 'e')
        smx_counter_add_exemplar(smx_counter_new(s, &counter, diag), strtoull(words[2], NULL, 10),
                                 labels);
    else
        smx_histogram_observe_exemplar(smx_histogram_new(s, &histogram, diag),
                                       strtod(words[2], NULL), labels);
}

static void play_check(smx_segment *s, char *words[], size_t n, struct smx_diag *diag)
{
    smx_check check = smx_check_new(
        s,
        &(struct smx_check_options){.name = words[1],
                                    .help = "A check of a test.",
                                    .interval_ms = (uint32_t)strtoul(words[2], NULL, 10),
                                    .critical = words[3][0] == '1'},
        diag);
    if (n > 4)
        smx_check_report(check, (enum smx_check_state)strtoul(words[4], NULL, 10),
                         n > 5 ? words[5] : NULL);
}

static void play(smx_segment *s, char *line)
{
    char *words[WORDS];
    size_t n = 0;
    for (char *word = strtok(line, " \n"); word && n < WORDS; word = strtok(NULL, " \n"))
        words[n++] = word;
    struct smx_diag diag = {.text = "ok"};
    if (n == 3 && strcmp(words[0], "counter") == 0)
        play_counter(s, words, &diag);
    else if (n == 3 && strcmp(words[0], "gauge") == 0)
        play_gauge(s, words, &diag);
    else if (n > 3 && strcmp(words[0], "histogram") == 0)
        play_histogram(s, words, n, &diag);
    else if (n > 2 && strcmp(words[0], "exponential") == 0)
        play_exponential(s, words, n, &diag);
    else if (n == 4 && strcmp(words[0], "labelled") == 0)
        play_labelled(s, words, &diag);
    else if (n == 4 && (strcmp(words[0], "example") == 0 || strcmp(words[0], "slow") == 0))
        play_example(s, words, &diag);
    else if (n >= 4 && n <= 6 && strcmp(words[0], "check") == 0)
        play_check(s, words, n, &diag);
    else if (n == 2 && strcmp(words[0], "role") == 0)
        smx_set_role(s, words[1]);
    else if (n == 1 && strcmp(words[0], "beat") == 0)
        smx_heartbeat(s);
    else
        snprintf(diag.text, sizeof diag.text, "not a command");
    printf("%s\n", diag.text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: puppet APPLICATION\n");
        return 2;
    }
    smx_segment *segment;
    struct smx_diag diag;
    if (smx_open(&(struct smx_options){.app = argv[1]}, &segment, &diag) < 0) {
        fprintf(stderr, "puppet: %s\n", diag.text);
        return 1;
    }
    char line[4096];
    while (fgets(line, sizeof line, stdin))
        play(segment, line);
    return 0;
}
