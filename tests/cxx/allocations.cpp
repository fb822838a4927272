/* SPDX-License-Identifier: MIT
 *
 * allocations.cpp - counts what is allocated on the heap by updates and lookups of <smx/smx.hpp>,
 * of series that are there and of new ones. Linked with --wrap for malloc, calloc and realloc, so
 * that libshm's calls are counted, too. $SMX_DIR is where. Exit status 0: as many as there should
 * be.
 */
#include <smx/smx.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

static unsigned long allocations;

extern "C" {
void *__real_malloc(std::size_t size);
void *__real_calloc(std::size_t n, std::size_t size);
void *__real_realloc(void *old, std::size_t size);
void *__wrap_malloc(std::size_t size);
void *__wrap_calloc(std::size_t n, std::size_t size);
void *__wrap_realloc(void *old, std::size_t size);

void *__wrap_malloc(std::size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(std::size_t n, std::size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, std::size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}
}

void *operator new(std::size_t size)
{
    return __wrap_malloc(size);
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

enum class method { get, post };
template <> struct smx::label_values<method> {
    static constexpr const char *names[] = {"GET", "POST"};
};

struct metrics {
    smx::segment segment{smx::options("allocations")};
    smx::family<smx::counter, method, int, std::string_view> requests{
        segment, {"requests_total", "Requests."}, {"method", "status", "route"}};
    smx::family<smx::histogram, method> times{
        segment, smx::metric("time_seconds", "Time.").unit("seconds"), {"method"}};
    smx::table<smx::counter, method> table{segment, {"table_total", "Table."}, {"method"}};
    smx::gauge level{segment, {"level", "Level."}};
    smx::stateset<method> state{segment, {"state", "State."}};
};

static void serve(const metrics &m, int status, std::string_view route)
{
    const smx::in_progress counted(m.level);
    const smx::scoped_timer timer(m.times.with(method::get));
    m.requests.with(method::post, status, route).inc();
    m.times.with(method::post).observe(std::chrono::milliseconds(status));
    m.table.with(method::get).add(1);
    m.state.enter(method::post);
}

static int mistakes;

static void expect(const char *what, unsigned long should)
{
    if (allocations != should) {
        std::fprintf(stderr, "%s: %lu allocations, not %lu\n", what, allocations, should);
        mistakes++;
    }
    allocations = 0;
}

int main()
{
    const metrics m;
    if (!m.segment) {
        std::fputs("no segment\n", stderr);
        return 1;
    }
    allocations = 0;
    for (int i = 0; i < 1000; i++)
        serve(m, 200 + i, "/");
    expect("a thousand new series", 0);
    for (int i = 0; i < 1000; i++)
        serve(m, 200 + i % 10, "/a/longer/route");
    expect("updates and lookups", 0);
    (void)m.requests.with(method::get, 200, std::string_view("a\0b", 3));
    expect("a label that is refused", 0);
    operator delete(operator new(1));
    expect("a new", 1);
    char text[128];
    std::memset(text, 'x', sizeof text);
    (void)m.requests.with(method::get, 200, std::string_view(text, 127));
    expect("a long label", 0);
    (void)m.requests.with(method::get, 200, std::string_view(text, 128));
    expect("the one label that takes memory", 1);
    return mistakes != 0;
}
