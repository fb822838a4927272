/* SPDX-License-Identifier: MIT
 *
 * announce.pml - what follows publication: readers are told through `published`, series are hidden
 * and shown again, and whoever finds a series or a family that its maker did not live to announce
 * announces it in the maker's place.
 *
 * Stands for: smx__announce smx__is_announced show hide smx__series_make smx_series_remove enter
 *   write_overflow overflow smx_reader_update smx__header_moved
 *
 *   holds: USERS=3
 *   fails: ANNOUNCE_AROUND=1         before and after an unconditional store, as it once was
 *   fails: ANNOUNCE_LAST=1
 *   fails: NO_VERSION=1              removals are not counted
 *   fails: OVERFLOW_AS_ANNOUNCED=1   an overflow series is announced from the start
 *
 * Two scenes. In one, USERS look up and remove the same series, again and again; at first it is
 * announced, or its maker has died. In the other, USERS register a family and, since there is no
 * room for a series, end up with its overflow series. The reader has taken a snapshot at some
 * moment, and takes another: `moved` stands for the difference between `published` and what the
 * reader has seen of it, which keeps the counter itself out of the state.
 *
 * SIGKILL: as in registry.pml. The reader's second look is made when the verifier chooses, and
 * nobody moves after it: whoever is then within an operation has been killed there.
 *
 * Memory order: `published` moves with release, so that what came before it is seen by whoever
 * reads it; of `state` no more is needed than one order of its changes. The CAS that sets
 * ANNOUNCED is a release too: who sees the bit may rely on `published` having moved.
 *
 * Checked: invariant 9.
 */
#ifndef USERS
#define USERS 3
#endif
#ifndef TURNS
#define TURNS 2
#endif

#define HIDDEN    1
#define ANNOUNCED 2
#define FLAGS     3
#define VERSION   4 /* counts removals */

#define SERIES   0
#define OVERFLOW 1

byte state[2];
bool moved;  /* `published`, since the reader read it */
bool family; /* is in its chain */

/* Ghosts. */
bool overflowed; /* somebody went on with the overflow series */
byte finished;   /* users that were not killed within an operation */

inline make_known(series)
{
    seen = state[series];
#ifdef ANNOUNCE_AROUND
    if
    :: seen == ANNOUNCED
    :: else -> moved = true; state[series] = ANNOUNCED; moved = true
    fi;
#else
    do
    :: (seen & FLAGS) == ANNOUNCED -> break
    :: (seen & HIDDEN) != 0 ->
       if
       :: d_step { state[series] == seen -> seen = seen & ~FLAGS; state[series] = seen }
       :: d_step { state[series] != seen -> seen = state[series] }
       fi
    :: (seen & FLAGS) == 0 ->
#ifndef ANNOUNCE_LAST
       moved = true;
#endif
       if
       :: d_step { state[series] == seen -> seen = seen | ANNOUNCED; state[series] = seen }
       :: d_step { state[series] != seen -> seen = state[series] }
       fi
#ifdef ANNOUNCE_LAST
       moved = true
#endif
    od;
#endif
    seen = 0
}

inline remove()
{
#ifdef ANNOUNCE_AROUND
    state[SERIES] = state[SERIES] | HIDDEN;
#else
#ifdef NO_VERSION
    state[SERIES] = HIDDEN;
#else
    /* The loop around the CAS is one step: who fails has changed nothing. */
    d_step { state[SERIES] = ((state[SERIES] & ~FLAGS) + VERSION) | HIDDEN }
#endif
#endif
    moved = true
}

proctype user()
{
    byte seen, turns;
    do
    :: turns < TURNS ->
       turns++;
       if
       :: make_known(SERIES)
       :: remove()
       fi
    :: break
    od;
    finished++
}

proctype registrar()
{
    byte seen;
    if
    :: family
    :: !family -> /* found nothing: */
       family = true; /* publishes, or finds what another has published just now */
       moved = true
    fi;
    make_known(OVERFLOW);
    overflowed = true
}

proctype reader()
{
    bool unseen, shows_family;
    moved = false;
    unseen = (state[SERIES] & HIDDEN) != 0;
    shows_family = family;
    d_step {
        if
        :: moved -> unseen = (state[SERIES] & HIDDEN) != 0; shows_family = family
        :: else
        fi;
        assert((state[SERIES] & FLAGS) != ANNOUNCED || !unseen);
        assert(finished < USERS || unseen == ((state[SERIES] & HIDDEN) != 0));
        assert(!overflowed || shows_family)
    }
}

init
{
    byte i;
    bool scene;
    atomic {
#ifdef OVERFLOW_AS_ANNOUNCED
        state[OVERFLOW] = ANNOUNCED;
#endif
        if
        :: scene = true
        :: state[SERIES] = ANNOUNCED; scene = true
        :: scene = false
        fi;
        for (i : 1 .. USERS) {
            if
            :: scene -> run user()
            :: else -> run registrar()
            fi
        }
        run reader()
    }
}
