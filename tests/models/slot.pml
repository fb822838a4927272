/* SPDX-License-Identifier: MIT
 *
 * slot.pml
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CLOSES
#define CLOSES 1
#endif
#ifndef ENDS
#define ENDS 1
#endif
#ifndef READER
#define READER 1
#endif

#define FREE     0
#define CLAIMING 1
#define LIVE     2

#define WORD(generation, pid, phase) ((generation) << 5 | (pid) << 2 | (phase))
#define GENERATION(w)                ((w) >> 5)
#define PID(w)                       (((w) >> 2) & 7)
#define PHASE(w)                     ((w) & 3)
#ifdef OTHER_NAMESPACE
#define SAME_PROCESS(p) true
#else
#define SAME_PROCESS(p) (PID(before) == PID_OF(p))
#endif
#ifndef PASSES
#define PASSES 1
#endif
#define MOST 14 /* generations that come to be */

#ifdef SAME_PID
#define PID_OF(p) ((p) == 2 -> 1 : (p) + 1)
#else
#define PID_OF(p) ((p) + 1)
#endif

short state[SLOTS];
byte lock[SLOTS];   /* 1 + the process that holds a write lock on the slot's byte, or 0 */

bool dead[PROCESSES];
byte kills;

/* Ghosts. */
byte lived[SLOTS]; /* the last generation that was LIVE */
byte who[SLOTS];   /* 1 + whose that was */
byte working;      /* bit p: process p is within an operation */

/* fcntl(F_SETLK), and what only its holder writes. */
inline try_lock(i)
{
    d_step {
        ok = lock[i] == 0 || lock[i] == me + 1;
        lock[i] = (ok -> me + 1 : lock[i])
    }
}

inline unlock(i)
{
    d_step { lock[i] = (lock[i] == me + 1 -> 0 : lock[i]) }
}

#ifdef SAME_GENERATION
#define NEXT(w) GENERATION(w)
#else
#define NEXT(w) (GENERATION(w) + 1)
#endif

/* The CAS to LIVE. */
#define OCCUPY(i, g)                                                                               \
    assert(lock[i] == me + 1); /* invariant 5 */                                                   \
    assert(g > lived[i]);                                                                          \
    assert(g < MOST);                                                                              \
    lived[i] = g;                                                                                  \
    who[i] = me + 1;                                                                               \
    state[i] = WORD(g, PID_OF(me), LIVE);                                                          \
    mine = g;                                                                                      \
    slot = i

#ifdef NO_QUERY
#define CAN_BE_TAKEN(i) true
#else
#define CAN_BE_TAKEN(i) (PHASE(seen) == FREE || lock[i] == 0)
#endif
#define OURS (PHASE(seen) == CLAIMING && PID(seen) == PID_OF(me))

/* take(): mine is not 0 if it worked. */
inline take(i)
{
    seen = state[i];
    if
    :: !CAN_BE_TAKEN(i) || OURS
    :: else ->
        claiming = WORD(NEXT(seen), PID_OF(me), CLAIMING);
        if
        :: state[i] != seen
        :: d_step { state[i] == seen -> state[i] = claiming }
           try_lock(i);
           if
           :: d_step { !ok && state[i] == claiming -> state[i] = WORD(GENERATION(claiming), 0, FREE) }
           :: !ok && state[i] != claiming
#ifdef BOTH_LEAVE
           :: d_step { ok && state[i] == claiming -> OCCUPY(i, GENERATION(claiming)) }
           :: ok && state[i] != claiming -> unlock(i)
#else
           :: ok ->
              seen = claiming;
              do
              :: d_step { state[i] == seen -> OCCUPY(i, GENERATION(claiming)) } break
              :: d_step { state[i] != seen -> seen = state[i];
                     claiming = WORD(NEXT(seen), PID_OF(me), CLAIMING) }
              od
#endif
           fi
        fi
    fi;
    ok = false;
    d_step { seen = 0; claiming = 0 }
}

inline claim()
{
    do
    :: mine == 0 && i < PASSES * SLOTS -> take(i % SLOTS); i++
    :: mine == 0 && i == PASSES * SLOTS ->
       assert(KILLS || CLOSES || ENDS || PROCESSES > SLOTS); /* spilled */
       break
    :: mine != 0 -> break
    od;
    i = 0
}

/* regain() */
inline regain()
{
    try_lock(slot);
    seen = state[slot];
#ifdef REGAIN_BLINDLY
    if
    :: ok
    :: !ok -> mine = 0
    fi;
#else
    if
    :: ok && GENERATION(seen) == mine && PHASE(seen) == LIVE
    :: else -> unlock(slot); mine = 0
    fi;
#endif
    d_step { ok = false; seen = 0 }
}

inline release()
{
    seen = state[slot];
    if
    :: GENERATION(seen) != mine
    :: else ->
        if
        :: d_step { state[slot] == seen -> state[slot] = WORD(mine, 0, FREE) }
        :: state[slot] != seen
        fi;
        unlock(slot)
    fi;
    d_step { seen = 0; mine = 0 }
}

#define TRUE_OCCUPANT (lock[slot] == me + 1 && state[slot] == WORD(mine, PID_OF(me), LIVE))
#define START         working = working | (1 << me)
#define STOP          working = working & ~(1 << me)

proctype process(byte me)
{
    byte i, mine, slot;
    short seen, claiming;
    bool ok, lost, last;
    {
#ifdef SAME_PID
end:    me != 2 || dead[0];
#endif
        START;
        do
        :: claim();
           STOP;
           assert(lost || last || mine == 0 || TRUE_OCCUPANT || CLOSES);
           if
           :: !CLOSES || me != 0 || last -> break
           :: else
           fi;
           /* The host closes our descriptor; a heartbeat follows, then one when nobody is at work. */
           if
           :: !lost -> unlock(slot); lost = true; START
           :: lost -> atomic { working == 0 -> last = true; START }
           fi;
           if
#ifdef REGAIN_ONCE
           :: mine != 0 && !last -> regain()
           :: mine == 0 || last
#else
           :: mine != 0 -> regain()
           :: mine == 0
#endif
           fi
        od;
        assert(mine == 0 || !last || TRUE_OCCUPANT);
        if
        :: ENDS && me < 2 && mine != 0 -> START; release(); STOP
        :: true
        fi
    } unless {
        dead[me]
    }
}

proctype reader()
{
    short before;
    byte holder;
    byte was;    /* ghost: whose state it was */
    bool taking; /* ghost: the holder has not got the slot, or not left it, yet */
    d_step { before = state[0]; was = who[0] }
    d_step { holder = lock[0]; taking = holder != 0 && (working & (1 << (holder - 1))) }
    if
    :: PHASE(before) == LIVE && holder != 0 && SAME_PROCESS(holder - 1) ->
        if
#ifdef NO_SECOND_LOOK
        :: true -> assert(holder == was || taking)
#else
        :: state[0] == before -> assert(holder == was || taking)
        :: state[0] != before
#endif
        fi
    :: else
    fi
}

proctype killer()
{
    byte victim;
    do
    :: atomic {
           kills < KILLS ->
           if
           :: !dead[0] -> victim = 0
           :: !dead[1] -> victim = 1
           :: PROCESSES > 2 && !dead[2] -> victim = 2
           fi;
           dead[victim] = true;
           working = working & ~(1 << victim);
           lock[0] = (lock[0] == victim + 1 -> 0 : lock[0]);
           if
           :: SLOTS > 1 -> lock[SLOTS - 1] = (lock[SLOTS - 1] == victim + 1 -> 0 : lock[SLOTS - 1])
           :: else
           fi;
           kills++;
           victim = 0
       }
    :: break
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. PROCESSES - 1) {
            run process(i)
        }
        if
        :: READER -> run reader()
        :: else
        fi;
        run killer()
    }
}
