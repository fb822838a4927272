/* SPDX-License-Identifier: MIT
 *
 * storm.cpp - four processes count by <smx/smx.hpp> and are killed by SIGKILL all the time. Each
 * says in shared memory what it begins and what it has done: the totals lie between, and between
 * the two is one operation for each life at most. Argument: how many lives. $SMX_DIR is where.
 * Exit status 0: nothing is lost.
 */
#include <smx/smx.hpp>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum class kind { even, odd };
template <> struct smx::label_values<kind> {
    static constexpr const char *names[] = {"even", "odd"};
};

namespace
{

constexpr unsigned processes = 4;

struct tally {
    std::atomic<std::uint64_t> begun;
    std::atomic<std::uint64_t> done;
};

struct metrics {
    smx::diag why;
    smx::segment segment{smx::options("storm"), &why};
    smx::table<smx::counter, kind> fixed{segment, {"fixed_total", "Fixed."}, {"kind"}, &why};
    smx::family<smx::counter, kind, unsigned> found{
        segment, {"found_total", "Found."}, {"kind", "n"}, &why};
    smx::histogram time{segment, smx::metric("time_seconds", "Time.").unit("seconds"), &why};
    smx::gauge busy{segment, {"busy", "Busy."}, &why};
};

[[noreturn]] void live(const metrics &m, tally &t)
{
    for (std::uint64_t i = 0;; i++) {
        t.begun.fetch_add(1);
        {
            const smx::in_progress counted(m.busy);
            const smx::scoped_timer timer(m.time);
            m.fixed.with(static_cast<kind>(i % 2)).inc();
            m.found.with(static_cast<kind>(i % 2), static_cast<unsigned>(i % 7)).inc();
        }
        t.done.fetch_add(1);
    }
}

int mistakes;

void within(const char *what, std::uint64_t is, std::uint64_t least, std::uint64_t most)
{
    std::printf("%s: %llu of %llu to %llu\n", what, static_cast<unsigned long long>(is),
                static_cast<unsigned long long>(least), static_cast<unsigned long long>(most));
    mistakes += is < least || is > most;
}

pid_t spawn(const metrics &m, tally &t)
{
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        live(m, t);
    }
    return pid;
}

/* Kill them in turn, each once it has done something. */
void kill_all(const metrics &m, tally *tallies, unsigned lives)
{
    pid_t pids[processes];
    for (unsigned i = 0; i < processes; i++)
        pids[i] = spawn(m, tallies[i]);
    for (unsigned n = 0; n < lives; n++) {
        const unsigned i = n % processes;
        const std::uint64_t seen = tallies[i].done;
        while (tallies[i].done < seen + 1 + n % 997)
            sched_yield();
        kill(pids[i], SIGKILL);
        waitpid(pids[i], nullptr, 0);
        pids[i] = n + processes < lives ? spawn(m, tallies[i]) : -1;
        if (pids[i] < 0 && n + processes < lives)
            mistakes++;
    }
}

} // namespace

int main(int argc, char **argv)
{
    const auto lives = static_cast<unsigned>(argc == 2 ? std::atoi(argv[1]) : 0);
    void *const memory = mmap(nullptr, sizeof(tally) * processes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const metrics m;
    if (m.why || memory == MAP_FAILED || lives < processes) {
        std::fprintf(stderr, "%s\n", m.why.text);
        return 1;
    }
    auto *const tallies = new (memory) tally[processes]{};
    kill_all(m, tallies, lives);
    std::uint64_t begun = 0;
    std::uint64_t done = 0;
    for (unsigned i = 0; i < processes; i++) {
        begun += tallies[i].begun;
        done += tallies[i].done;
    }
    mistakes += begun - done > lives;
    std::uint64_t fixed = 0;
    std::uint64_t found = 0;
    for (const kind k : {kind::even, kind::odd}) {
        fixed += m.fixed.with(k).value();
        for (unsigned n = 0; n < 7; n++)
            found += m.found.with(k, n).value();
    }
    within("fixed", fixed, done, begun);
    within("found", found, done, begun);
    within("timed", m.time.count(), done, begun);
    return mistakes != 0;
}
