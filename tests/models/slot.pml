/* SPDX-License-Identifier: MIT
 *
 * slot.pml - process slots: claimed by compare-and-swap, then held by a record lock; taken over when
 * the lock is gone; given back; lost with a descriptor that the host closes, and had again with a
 * heartbeat. And a reader that asks who occupies one.
 *
 * Stands for: take occupy take_any next_generation regain is_locked smx__lock_byte
 *   smx__lock_is_held smx__slot_claim smx__slot_keep smx__slot_release smx__fd_check smx_heartbeat
 *   smx__processes_read is_claimed is_live
 *
 *   holds: SLOTS=2
 *   holds: PROCESSES=3 ENDS=1
 *   holds: READS=1 ENDS=1 KILLS=1 OTHER_NAMESPACE=1
 *   holds: READS=1 ENDS=1 CLOSES=1
 *   holds: READS=1 KILLS=1 SAME_PID=1
 *   fails: PROCESSES=3 ENDS=1 NO_QUERY=1         a slot is taken whoever has its lock
 *   fails: ENDS=1 LIVE_BEFORE_LOCK=1
 *   fails: ENDS=1 SAME_GENERATION=1
 *   fails: SLOTS=2 BOTH_LEAVE=1 PASSES=2         nobody overrules; the slots are tried twice
 *   fails: ENDS=1 CLOSES=1 REGAIN_BLINDLY=1      the state is not looked at behind the lock
 *   fails: ENDS=1 CLOSES=1 REGAIN_ONCE=1         only a descriptor that is gone is noticed
 *   fails: READS=1 ENDS=1 KILLS=1 OTHER_NAMESPACE=1 NO_SECOND_LOOK=1
 *   fails: READS=1 KILLS=1 SAME_PID=1 NO_SECOND_LOOK=1
 *
 * SIGKILL: at any moment, KILLS times; the kernel drops the lock, the state stays.
 *
 * Memory order: states are changed by CAS alone, in one order. That the lock orders what is around
 * it is the kernel's doing. pid_ns, start and role are written between lock and LIVE; that they are
 * the occupant's follows from that, and they are not here.
 *
 * Checked: invariant 5; as many processes as slots all get one; who has a slot has it until it ends
 * or its host closes a descriptor, and again after the next heartbeat that nobody disturbs; a
 * reader takes nobody for the occupant who is not, but, if it cannot compare pids, one who is just
 * taking the slot, for an instant.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef PASSES
#define PASSES 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef CLOSES
#define CLOSES 0 /* process 0's host closes the descriptor */
#endif
#ifndef ENDS
#define ENDS 0 /* processes 0 and 1 give their slot back */
#endif
#ifndef READS
#define READS 0
#endif
#ifndef SAME_PID
#define SAME_PID 0 /* process 1 starts when process 0 is dead, with its pid */
#endif

#define FREE     0
#define CLAIMING 1
#define LIVE     2

#define WORD(generation, pid, phase) ((generation) << 5 | (pid) << 2 | (phase))
#define GENERATION(w)                ((w) >> 5)
#define PID(w)                       (((w) >> 2) & 7)
#define PHASE(w)                     ((w) & 3)
#define PID_OF(p)                    (SAME_PID -> 1 : (p) + 1)
#define BIT(i)                       (1 << (i))
#define MOST                         20 /* generations there will not be */

#ifdef SAME_GENERATION
#define NEXT(w) GENERATION(w)
#else
#define NEXT(w) (GENERATION(w) + 1)
#endif
#ifdef NO_QUERY
#define CAN_BE_TAKEN(i) true
#else
#define CAN_BE_TAKEN(i) (PHASE(seen) == FREE || lock[i] == 0)
#endif
#ifdef OTHER_NAMESPACE
#define CAN_BE(p) true
#else
#define CAN_BE(p) (PID(before) == PID_OF(p))
#endif

short state[SLOTS];
byte lock[SLOTS]; /* 1 + who has a write lock on the slot's byte, or 0 */

bool dead[PROCESSES];
byte kills;

/* Ghosts. */
byte lived[SLOTS]; /* the last generation that was LIVE */
byte who[SLOTS];   /* 1 + whose */
byte working;      /* bit p: process p is within an operation */

#define START working = working | BIT(me)
#define STOP  working = working & ~BIT(me)

#define OCCUPIES                                                                                   \
    (lock[slot] == me + 1 && state[slot] == WORD(mine, PID_OF(me), LIVE))

inline try_lock(i)
{
    d_step {
        locked = lock[i] == 0 || lock[i] == me + 1;
        lock[i] = (locked -> me + 1 : lock[i])
    }
}

inline unlock(i)
{
    d_step { lock[i] = (lock[i] == me + 1 -> 0 : lock[i]) }
}

/* The state becomes LIVE. */
#define ENTER(i)                                                                                   \
    assert(lock[i] == me + 1);                /* invariant 5 */                                    \
    assert(GENERATION(claiming) > lived[i]);  /* invariant 5 */                                    \
    assert(GENERATION(claiming) < MOST);                                                           \
    lived[i] = GENERATION(claiming);                                                               \
    who[i] = me + 1;                                                                               \
    state[i] = WORD(GENERATION(claiming), PID_OF(me), LIVE);                                       \
    mine = GENERATION(claiming);                                                                   \
    slot = i

inline occupy(i)
{
#ifdef BOTH_LEAVE
    if
    :: d_step { state[i] == claiming -> ENTER(i) }
    :: state[i] != claiming -> unlock(i)
    fi
#else
    seen = claiming;
    do
    :: d_step { state[i] == seen -> ENTER(i) } break
    :: d_step { state[i] != seen ->
           seen = state[i];
           claiming = WORD(NEXT(seen), PID_OF(me), CLAIMING)
       }
    od
#endif
}

/* mine is not 0 if it worked. */
inline take(i)
{
    seen = state[i];
    if
    :: !CAN_BE_TAKEN(i) || (PHASE(seen) == CLAIMING && PID(seen) == PID_OF(me))
    :: else ->
        claiming = WORD(NEXT(seen), PID_OF(me), CLAIMING);
        if
        :: state[i] != seen
        :: d_step { state[i] == seen -> state[i] = claiming }
#ifdef LIVE_BEFORE_LOCK
           occupy(i);
#endif
           try_lock(i);
           if
           :: d_step { !locked && state[i] == claiming ->
                  state[i] = WORD(GENERATION(claiming), 0, FREE)
              }
           :: !locked && state[i] != claiming
#ifdef LIVE_BEFORE_LOCK
           :: locked
#else
           :: locked -> occupy(i)
#endif
           fi
        fi
    fi;
    locked = false;
    d_step { seen = 0; claiming = 0 }
}

inline claim()
{
    do
    :: mine == 0 && i < PASSES * SLOTS -> take(i % SLOTS); i++
    :: mine == 0 && i == PASSES * SLOTS -> /* goes to the spill row */
       assert(KILLS || CLOSES || ENDS || PROCESSES > SLOTS);
       break
    :: mine != 0 -> break
    od;
    i = 0
}

inline regain()
{
    try_lock(slot);
    seen = state[slot];
    if
    :: locked && GENERATION(seen) == mine && PHASE(seen) == LIVE
#ifdef REGAIN_BLINDLY
    :: locked && !(GENERATION(seen) == mine && PHASE(seen) == LIVE)
    :: !locked -> mine = 0
#else
    :: else -> unlock(slot); mine = 0
#endif
    fi;
    d_step { locked = false; seen = 0 }
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

proctype process(byte me)
{
    byte i, mine, slot;
    short seen, claiming;
    bool locked, lost, last;
    {
        i = 0;
end_unborn:
        !SAME_PID || me == 0 || dead[0];
        START;
        do
        :: claim();
           STOP;
           assert(CLOSES || mine == 0 || OCCUPIES);
           if
           :: !CLOSES || me != 0 || last -> break
           :: else
           fi;
           /* The host closes the descriptor, a heartbeat follows; and one when nobody is at work. */
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
        assert(mine == 0 || !last || OCCUPIES);
        if
        :: ENDS && me < 2 && mine != 0 -> START; release(); STOP
        :: true
        fi
    } unless {
        dead[me]
    }
}

/* The slot's state, who has its lock, and the state again. */
proctype reader()
{
    short before;
    byte holder;
    byte was;    /* ghost: whose the state was */
    bool taking; /* ghost: who had the lock was claiming, or leaving */
    d_step { before = state[0]; was = who[0] }
    d_step { holder = lock[0]; taking = holder != 0 && (working & BIT(holder - 1)) != 0 }
    if
    :: PHASE(before) == LIVE && holder != 0 ->
        if
        :: !CAN_BE(holder - 1)
        :: CAN_BE(holder - 1) && state[0] == before -> assert(holder == was || taking)
#ifdef NO_SECOND_LOOK
        :: CAN_BE(holder - 1) && state[0] != before -> assert(holder == was || taking)
#else
        :: CAN_BE(holder - 1) && state[0] != before
#endif
        fi
    :: else
    fi
}

proctype killer()
{
    byte victim, i;
    do
    :: atomic {
           kills < KILLS ->
           if
           :: !dead[0] -> victim = 0
           :: !dead[1] -> victim = 1
           fi;
           dead[victim] = true;
           working = working & ~BIT(victim);
           do
           :: i < SLOTS -> lock[i] = (lock[i] == victim + 1 -> 0 : lock[i]); i++
           :: else -> break
           od;
           i = 0;
           kills++
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
        :: READS -> run reader()
        :: else
        fi;
        run killer()
    }
}
