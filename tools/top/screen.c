/* SPDX-License-Identifier: MIT
 *
 * screen.c - lines on a terminal that scroll, and the keys. Signals come through a descriptor, so
 * that none can fall between a check of a flag and the wait, and the terminal is always given back.
 */
#include "screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { LINE_MAX_CHARACTERS = 1024, SIDE_STEP = 8 };

struct screen {
    SCREEN *terminal;
    sigset_t mask_before;
    int signals; /* a signalfd */
    int ended_by;
    const char *text;
    size_t n_lines;
    size_t top;  /* the first line shown */
    size_t left; /* columns cut off on the left */
};

static int take_signals(struct screen *screen)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &mask, &screen->mask_before) != 0)
        return -errno;
    screen->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (screen->signals >= 0)
        return 0;
    int result = -errno;
    sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
    return result;
}

int screen_open(struct screen **out)
{
    struct screen *screen = calloc(1, sizeof *screen);
    if (!screen)
        return -ENOMEM;
    int result = take_signals(screen);
    if (result < 0) {
        free(screen);
        return result;
    }
    setlocale(LC_CTYPE, "");
    screen->terminal = newterm(NULL, stdout, stdin);
    if (!screen->terminal) {
        screen_close(screen);
        return -ENOTTY;
    }
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    screen->text = "";
    *out = screen;
    return 0;
}

int screen_close(struct screen *screen)
{
    int ended_by = screen->ended_by;
    if (screen->terminal) {
        endwin();
        delscreen(screen->terminal);
    }
    close(screen->signals);
    sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
    free(screen);
    return ended_by;
}

/* The part of a line that fits the screen's width. A character that the locale cannot show becomes
 * a question mark. Returns the number of wide characters. */
static int clip(const char *line, size_t length, size_t left, wchar_t shown[LINE_MAX_CHARACTERS])
{
    size_t column = 0;
    int n = 0;
    mbstate_t state = {0};
    for (size_t i = 0, used; i < length && n < LINE_MAX_CHARACTERS; i += used) {
        wchar_t c;
        used = mbrtowc(&c, line + i, length - i, &state);
        if (used == 0 || used > length - i) {
            state = (mbstate_t){0};
            c = L'?';
            used = 1;
        }
        int width = wcwidth(c);
        if (width < 0)
            width = 1, c = L'?';
        column += (size_t)width;
        if (column > left + (size_t)COLS)
            break;
        if (column > left)
            shown[n++] = c;
    }
    return n;
}

static void draw(struct screen *screen)
{
    size_t height = (size_t)LINES;
    size_t last_top = screen->n_lines > height ? screen->n_lines - height : 0;
    if (screen->top > last_top)
        screen->top = last_top;
    const char *line = screen->text;
    for (size_t i = 0; i < screen->top; i++)
        line = strchr(line, '\n') + 1;
    erase();
    for (size_t row = 0; row < height && *line; row++) {
        wchar_t shown[LINE_MAX_CHARACTERS];
        size_t length = strcspn(line, "\n");
        mvaddnwstr((int)row, 0, shown, clip(line, length, screen->left, shown));
        line += length + (line[length] == '\n');
    }
    refresh();
}

void screen_show(struct screen *screen, const char *text)
{
    screen->text = text;
    screen->n_lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        screen->n_lines++;
    draw(screen);
}

static void move_by(size_t *position, long by)
{
    if (by < 0 && *position < (size_t)-by)
        *position = 0;
    else
        *position += (size_t)by;
}

/* Returns false for the keys that leave. */
static bool serve_key(struct screen *screen, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case KEY_UP:
        move_by(&screen->top, -1);
        break;
    case KEY_DOWN:
        move_by(&screen->top, 1);
        break;
    case KEY_PPAGE:
        move_by(&screen->top, -LINES);
        break;
    case KEY_NPAGE:
    case ' ':
        move_by(&screen->top, LINES);
        break;
    case KEY_HOME:
        screen->top = screen->left = 0;
        break;
    case KEY_END:
        screen->top = screen->n_lines;
        break;
    case KEY_LEFT:
        move_by(&screen->left, -SIDE_STEP);
        break;
    case KEY_RIGHT:
        move_by(&screen->left, SIDE_STEP);
        break;
    default: /* KEY_RESIZE too: drawing anew is all there is to do */
        break;
    }
    return true;
}

/* Serve what has been typed. Returns false to leave. */
static bool serve_keys(struct screen *screen)
{
    for (int key; (key = getch()) != ERR;)
        if (!serve_key(screen, key))
            return false;
    draw(screen);
    return true;
}

static int remaining_ms(uint64_t deadline_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (now_ns >= deadline_ns)
        return 0;
    uint64_t ms = (deadline_ns - now_ns + 999999) / 1000000;
    return ms > 60000 ? 60000 : (int)ms;
}

enum screen_event screen_wait(struct screen *screen, uint64_t deadline_ns)
{
    for (int ms; (ms = remaining_ms(deadline_ns)) > 0;) {
        struct pollfd from[] = {{.fd = screen->signals, .events = POLLIN},
                                {.fd = STDIN_FILENO, .events = POLLIN}};
        int n = poll(from, 2, ms);
        struct signalfd_siginfo signal_info;
        if (n > 0 && from[0].revents &&
            read(screen->signals, &signal_info, sizeof signal_info) == sizeof signal_info) {
            screen->ended_by = (int)signal_info.ssi_signo;
            return SCREEN_QUIT;
        }
        if (n > 0 && (from[1].revents & (POLLHUP | POLLERR | POLLNVAL)))
            return SCREEN_QUIT;
        /* A negative n is SIGWINCH, which curses reports as a key. */
        if (n != 0 && !serve_keys(screen))
            return SCREEN_QUIT;
    }
    return SCREEN_TIMEOUT;
}
