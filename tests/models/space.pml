/* SPDX-License-Identifier: MIT
 *
 * space.pml - the bump allocator with its reservation and giving back, and the cells that are cut
 * from shared extents (libshm/segment/space.c).
 *
 * Stands for: smx__allocate smx__give_back smx__allocate_cell cut reserve_to reserve_up
 *   smx__reserve write_series write_overflow
 *
 *   holds: PROCESSES=3
 *   fails: RESERVE_AFTERWARDS=1   the cursor passes bytes before they are reserved
 *   fails: GIVE_BACK_BLINDLY=1    a store instead of the CAS
 *   fails: CUT_WITHOUT_CAS=1
 *   fails: GIVE_BACK_IN_USE=1     an extent, after its first cell was taken
 *   fails: WRITE_BEFORE_CELL=1    what may be given back is written to
 *
 * One unit of the model is one record, or one cell; an extent is one row of ROW cells. Each of the
 * processes does what write_series() does, record, then cell, the last one only the cell; and
 * fallocate(2) fails FAILURES times. Ghosts are what no process can see: they say what is true.
 *
 * SIGKILL: a killed process is one that takes no further step, and every assertion is made at every
 * step; so each is also about any set of processes killed at any steps.
 *
 * Memory order: every step is one atomic access of the code, and all processes see them in one
 * order. The code's accesses to one word (allocated, reserved_to, next_cell) are totally ordered by
 * C11 whatever their order argument. Between words two things are relied upon: that `reserved_to`
 * is raised after the fallocate(2) it tells of (release, and a system call), and nothing about
 * next_cell, for which relaxed is enough: what it names was never written before.
 *
 * Checked: invariant 1, invariant 4; that no byte is handed out twice; that what is given back was
 * not written; that a failure leaves no record behind.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#define ROW   2  /* cells of an extent */
#define FIRST 1  /* the header is unit 0 */
#define MAX   8  /* max_bytes */
#define AHEAD 1 /* RESERVE_AHEAD */
#define FAILURES 2

byte allocated = FIRST;
byte reserved_to = FIRST;
byte next_cell = 0;
byte failures; /* of fallocate(2) */

int reserved = 1; /* ghost: bit u, fallocate() has reserved unit u */
int owned = 1;    /* ghost: bit u, handed out and not given back */
int written = 1;  /* ghost: bit u, somebody has stored to it */
int taken = 0;    /* ghost: bit u, is the cell of a series */

#define UNITS(at, size)    (((1 << (size)) - 1) << (at))
#define ALIGN(n, to)       ((((n) + (to) - 1) / (to)) * (to))
#define MIN(a, b)          ((a) < (b) -> (a) : (b))
#define WITHIN(part, of)   (((part) & ~(of)) == 0)

/* A store of the process: only to what is reserved, and handed out. */
inline store(at)
{
    d_step {
        assert(WITHIN(UNITS(at, 1), reserved)); /* invariant 1 */
        assert(WITHIN(UNITS(at, 1), owned));
        written = written | UNITS(at, 1)
    }
}

/* Have [have, goal) reserved, and say so; ok tells whether it worked. */
inline reserve_up()
{
    if
    :: d_step { ok = true; reserved = reserved | (UNITS(have, goal - have)) } /* fallocate */
    :: d_step { failures < FAILURES -> ok = false; failures++ }               /* ENOSPC */
    fi;
    do
    :: atomic { ok && have < goal && reserved_to == have -> reserved_to = goal; break }
    :: atomic { ok && have < goal && reserved_to != have -> have = reserved_to }
    :: !ok || have >= goal -> break
    od
}

inline reserve_until(end)
{
    d_step { have = reserved_to; ok = true; goal = MIN(end + AHEAD, MAX) }
    if
    :: end <= have
    :: else ->
        reserve_up();
        if
        :: !ok -> goal = end; reserve_up()
        :: else
        fi
    fi;
    have = 0; goal = 0
}

/* smx__allocate(): at is 0 when there is no space. */
inline allocate(size, align, at)
{
    cursor = allocated;
    do
    :: start = ALIGN(cursor, align);
       if
       :: start + size > MAX -> at = 0; break
       :: else
       fi;
#ifndef RESERVE_AFTERWARDS
       reserve_until(start + size);
       if
       :: !ok -> at = 0; break
       :: else
       fi;
#endif
       if
       :: d_step { allocated == cursor ->
              allocated = start + size;
              assert((owned & UNITS(start, size)) == 0);
              assert((written & UNITS(start, size)) == 0); /* invariant 4: they start as zero */
#ifndef RESERVE_AFTERWARDS
              assert(WITHIN(UNITS(start, size), reserved)); /* invariant 1 */
#endif
              owned = owned | (UNITS(start, size));
              at = start
          }
#ifdef RESERVE_AFTERWARDS
          reserve_until(start + size);
#endif
          break
       :: d_step { allocated != cursor -> cursor = allocated }
       fi
    od;
    cursor = 0; start = 0
}

inline give_back(at, size)
{
    d_step {
        if
#ifdef GIVE_BACK_BLINDLY
        :: true ->
#else
        :: allocated == at + size ->
#endif
            allocated = at;
            assert((written & UNITS(at, size)) == 0);
            assert((taken & UNITS(at, size)) == 0);
            owned = owned & ~(UNITS(at, size))
        :: else
        fi
    }
}

/* A cell becomes that of a series. */
#define TAKE(at)                                                                                   \
    assert((taken & UNITS(at, 1)) == 0); /* invariant 4 */                                         \
    assert(WITHIN(UNITS(at, 1), owned));                                                           \
    assert(WITHIN(UNITS(at, 1), reserved)); /* invariant 1 */                                      \
    taken = taken | UNITS(at, 1)

/* cut(): at is 0 if the extent is used up. */
inline cut(at)
{
    next = next_cell;
    do
    :: next % ROW == 0 -> at = 0; break
#ifdef CUT_WITHOUT_CAS
    :: next % ROW != 0 -> d_step { next_cell = next + 1; at = next; TAKE(at) } break
#else
    :: d_step { next % ROW != 0 && next_cell == next -> next_cell = next + 1; at = next; TAKE(at) }
       break
    :: d_step { next % ROW != 0 && next_cell != next -> next = next_cell }
#endif
    od;
    next = 0
}

inline allocate_cell(at)
{
    seen = next_cell;
    cut(at);
    if
    :: at != 0
    :: else ->
        allocate(ROW, ROW, extent);
        if
        :: extent == 0
        :: else ->
            if
            :: d_step { next_cell == seen -> next_cell = extent + 1; at = extent; TAKE(at) }
#ifdef GIVE_BACK_IN_USE
               give_back(extent, ROW)
#endif
            :: else ->
                cut(at);
                if
                :: at != 0 -> give_back(extent, ROW)
                :: else -> d_step { at = extent; TAKE(at) }
                fi
            fi
        fi
    fi
}

#define NO_RECORD MAX /* of this process' own: the last one begins with the cell */

active [PROCESSES] proctype process()
{
    byte have, goal, cursor, start, next, seen, extent, record, cell;
    bool ok;
    if
    :: _pid != PROCESSES - 1 -> allocate(1, 1, record)
    :: else -> record = NO_RECORD
    fi;
    if
    :: record != 0 ->
#ifdef WRITE_BEFORE_CELL
        if
        :: record != NO_RECORD -> store(record)
        :: else
        fi;
#endif
        allocate_cell(cell);
        if
        :: cell == 0 && record != NO_RECORD -> give_back(record, 1)
        :: cell != 0 && record != NO_RECORD -> store(record); store(cell)
        :: else
        fi
    :: else
    fi
}
