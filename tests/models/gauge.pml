/* SPDX-License-Identifier: MIT
 *
 * gauge.pml - a gauge's cell in the row of a slot that passes from one process to the next: owner
 * and value, changed together by a 16-byte compare-and-swap the first time, the value alone later.
 *
 * Stands for: smx__gauge_cell smx_gauge_set smx_gauge_add smx__gauge_set smx__gauge_add aim
 *   overtaken first_write adopt read_row
 *
 *   holds: CLOSES=0
 *   holds: CLOSES=1
 *   fails: OWNER_FIRST=1                   two stores instead of the 16-byte CAS
 *   fails: VALUE_FIRST=1                   the other way round
 *   fails: CLOSES=1 NO_OVERTAKEN_CHECK=1
 *   fails: CLOSES=1 STRICT=1
 *
 * The former occupant (generation 2) sets its value, again and again, and is killed at some step;
 * or, with CLOSES, its host closes the descriptor: it has lost its lock, and writes on. Then two
 * threads of the next occupant (generation 3) add 1 each; how a slot passes is slot.pml's. The cell
 * still is what a predecessor (generation 1) has left. A reader that found the slot's occupant
 * reads the cell, owner and value apart, as pread(2) may.
 *
 * Memory order: relaxed all over. Accesses to one word are in one order, and the 16-byte CAS is one
 * access to both; that owner and value are loaded apart is modelled.
 *
 * Checked: invariant 6; no addition is lost; who was overtaken leaves the cell alone, but for one
 * store that was on its way (STRICT: not even that, which does not hold).
 */
#ifndef CLOSES
#define CLOSES 0
#endif

#define FORMER  2
#define NEXT    3
#define EARLIER 1 /* generation, and value, of who had the slot before both */
#define SETS    50 /* what the former one writes */

byte owner = EARLIER;
byte value = EARLIER;
byte occupant = FORMER; /* what the slot's state and lock say */
bool dead;              /* the former one */

/* Ghosts. */
byte added;     /* by threads that are done */
bool on_its_way; /* the former one has seen that the cell is its own, and not stored yet */
bool spoilt;    /* it was when the next one took the cell */

#ifdef STRICT
#define EXCUSED false
#else
#define EXCUSED spoilt
#endif

/* adopt(): the cell as seen becomes mine, with a first value. */
inline adopt(me, first)
{
#ifdef OWNER_FIRST
    if
    :: atomic { owner == seen_owner -> owner = me } value = first; done_with = true
    :: owner != seen_owner
    fi
#else
#ifdef VALUE_FIRST
    if
    :: atomic { owner == seen_owner -> value = first } owner = me; done_with = true
    :: owner != seen_owner
    fi
#else
    d_step {
        if
        :: owner == seen_owner && value == seen_value ->
           owner = me;
           value = first;
           done_with = true;
           spoilt = spoilt || (on_its_way && me == NEXT)
        :: else
        fi
    }
#endif
#endif
}

#ifdef NO_OVERTAKEN_CHECK
#define OVERTAKEN(me) false
#else
#define OVERTAKEN(me) (seen_owner > me)
#endif

/* aim() and first_write(): done_with if there is nothing left to do. */
inline take_cell(me, first)
{
    seen_owner = owner;
    seen_value = value;
    do
    :: OVERTAKEN(me) -> done_with = true; break /* unreached: by thread(), which comes last */
    :: !OVERTAKEN(me) && seen_owner == me -> break
    :: !OVERTAKEN(me) && seen_owner != me ->
       adopt(me, first);
       if
       :: done_with -> break
       :: !done_with -> seen_owner = owner; seen_value = value
       fi
    od;
    seen_owner = 0;
    seen_value = 0
}

proctype former()
{
    byte seen_owner, seen_value;
    bool done_with;
    {
        do
        :: d_step { owner == FORMER -> on_its_way = true }
           d_step { value = SETS; on_its_way = false }
        :: owner != FORMER ->
           take_cell(FORMER, SETS);
           assert(done_with); /* for it is the only thread of its process */
           done_with = false
        :: break
        od
    } unless {
        dead
    }
}

proctype thread()
{
    byte seen_owner, seen_value;
    bool done_with;
end_waits:
    occupant == NEXT;
    if
    :: owner == NEXT
    :: owner != NEXT -> take_cell(NEXT, 1)
    fi;
    d_step {
        value = (done_with -> value : value + 1);
        added++;
        done_with = false;
        assert(EXCUSED || added < 2 || (owner == NEXT && value == 2))
    }
}

#define LEGAL(word, v) ((word == FORMER && v == SETS) || (word == NEXT && (v == 1 || v == 2)))

proctype reader()
{
    byte word, whose;
    word = occupant;
    whose = owner;
    if
    :: whose != word
    :: else ->
        /* Torn: an old owner and a new value, if the slot passes on just now. */
        assert(LEGAL(word, value) || occupant != word || EXCUSED) /* invariant 6 */
    fi
}

/* The slot passes on, for its holder was killed, or lost its lock. */
proctype slot()
{
    d_step { dead = !CLOSES; on_its_way = on_its_way && CLOSES; occupant = NEXT }
}

init
{
    atomic {
        run former();
        run thread();
        run thread();
        run reader();
        run slot()
    }
}
