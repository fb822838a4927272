/* SPDX-License-Identifier: MIT
 *
 * space.pml - the bump allocator with its reservation and giving back, and the cells that are cut
 * from shared extents.
 *
 * Stands for: smx__allocate smx__give_back smx__allocate_cell cut leads_to_cell smx__reach reserve_to
 *   reserve_up smx__reserve smx__reserve_note write_series
 *
 *   holds: PROCESSES=3
 *   fails: RESERVE_AFTERWARDS=1   the cursor passes bytes before they are reserved
 *   fails: GIVE_BACK_BLINDLY=1    a store instead of the CAS
 *   fails: CUT_WITHOUT_CAS=1
 *   fails: GIVE_BACK_IN_USE=1     an extent, after its first cell was taken
 *   fails: WRITE_BEFORE_CELL=1    what may be given back is written to
 *
 * One unit is one record, or one cell; an extent is one row of ROW cells. Each of the processes does
 * what write_series() does, record, then cell, the last one only the cell; fallocate(2) fails
 * FAILURES times. Ghosts are what no process can see: they say what is true.
 *
 * SIGKILL: a killed process is one that takes no further step, and every assertion is made at every
 * step; so each is also about any set of processes killed at any steps.
 *
 * Memory order: every step is one atomic access of the code, or one loop that raises a word, and all
 * processes see them in one order. The accesses to one word (allocated, next_cell) are in one order
 * by C11 whatever their order argument. Between words nothing is relied upon: what a process has not
 * reserved itself it reserves again, and what next_cell names was never written before.
 *
 * Checked: invariants 1 and 4; that no byte is handed out twice; that what is given back was not
 * written; that `reserved_to` tells of nothing that is not reserved.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#define ROW       2 /* cells of an extent */
#define FIRST     1 /* the header is unit 0 */
#define MAX       8 /* max_bytes */
#define AHEAD     1 /* RESERVE_AHEAD */
#define FAILURES  2
#define NO_RECORD MAX

byte allocated = FIRST;
byte reserved_to = FIRST;
byte next_cell;
byte failures; /* of fallocate(2) */

/* Ghosts: bit u is about unit u. */
int reserved = 1; /* fallocate(2) has been there */
int owned = 1;    /* handed out and not given back */
int written = 1;  /* somebody has stored to it */
int taken;        /* it is the cell of a series */

#define UNITS(at, size)  (((1 << (size)) - 1) << (at))
#define ALIGN(n, to)     ((((n) + (to) - 1) / (to)) * (to))
#define MIN(a, b)        ((a) < (b) -> (a) : (b))
#define MORE(a, b)       ((a) > (b) -> (a) : (b))
#define WITHIN(part, of) (((part) & ~(of)) == 0)

/* The process writes to what it has got. */
inline store(at)
{
    d_step {
        assert(at < known);
        assert(WITHIN(UNITS(at, 1), reserved)); /* invariant 1 */
        assert(WITHIN(UNITS(at, 1), owned));
        written = written | UNITS(at, 1)
    }
}

/* Have [known, goal) reserved. */
inline reserve_up()
{
    if
    :: d_step { /* that fallocate(2) was there nobody can see before it is noted */
           ok = true;
           reserved = reserved | (UNITS(known, goal - known));
           known = goal;
           reserved_to = MORE(reserved_to, goal);
           assert(WITHIN(UNITS(0, reserved_to), reserved))
       }
    :: d_step { failures < FAILURES -> ok = false; failures++ } /* ENOSPC */
    fi;
    goal = 0
}

inline reserve_until(end)
{
    ok = true;
    if
    :: end <= known
    :: else ->
        goal = MIN(end + AHEAD, MAX);
        reserve_up();
        if
        :: !ok -> goal = end; reserve_up()
        :: else
        fi
    fi
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
              owned = owned | (UNITS(start, size));
              at = start
          }
          break
       :: d_step { allocated != cursor -> cursor = allocated }
       fi
    od;
    cursor = 0; start = 0; ok = false
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
    taken = taken | UNITS(at, 1)

/* ok says whether there is a cell at the cursor, as seen, which the process may write to. */
inline leads_to_cell(at)
{
    ok = at % ROW != 0;
    if
    :: ok && at >= known -> goal = at + 1; reserve_up()
    :: else
    fi
}

/* The cursor moves by one; ok says whether it did, at where it was. */
inline cut(at)
{
    at = next_cell;
    do
    :: leads_to_cell(at);
       if
       :: !ok -> break
#ifdef CUT_WITHOUT_CAS
       :: ok -> d_step { next_cell = at + 1; TAKE(at) } break
#else
       :: d_step { ok && next_cell == at -> next_cell = at + 1; TAKE(at) } break
       :: d_step { ok && next_cell != at -> at = next_cell }
#endif
       fi
    od
}

/* at is 0 when there is no space. */
inline allocate_cell(at)
{
    do
    :: cut(at);
       if
       :: ok && extent != 0 -> give_back(extent, ROW); break
       :: ok && extent == 0 -> break
       :: !ok && extent == 0 -> allocate(ROW, ROW, extent)
       :: !ok && extent != 0
       fi;
       if
       :: extent == 0 -> at = 0; break
       :: d_step { extent != 0 && next_cell == at ->
              next_cell = extent + 1;
              at = extent;
              TAKE(at)
          }
#ifdef GIVE_BACK_IN_USE
          give_back(extent, ROW);
#endif
          break
       :: extent != 0 && next_cell != at
       fi
    od;
    ok = false; extent = 0
}

active [PROCESSES] proctype process()
{
    byte known = FIRST; /* segment->reserved */
    byte goal, cursor, start, extent, record, cell;
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
        :: cell != 0 && record != NO_RECORD -> atomic { store(cell); store(record) }
        :: cell != 0 && record == NO_RECORD -> store(cell)
        :: cell == 0 && record == NO_RECORD
        fi
    :: else
    fi
}
