/* SPDX-License-Identifier: MIT
 *
 * segment.pml - how processes that start together come to one segment: made without a name, linked
 * or renamed into place, attached to, or replaced if nobody holds it; and that it keeps its name as
 * long as a process uses it, also one that was forked and has not claimed yet.
 *
 * Stands for: smx_open try_open enter judge attach adopt create is_entry reuse smx_close
 *   smx__file_make smx__file_publish smx__file_discard smx__file_check smx__fd_drop
 *   smx__segment_hold smx__segment_is_held smx__lock_byte smx__lock_is_held smx__slot_claim
 *   smx__slot_release after_fork_in_child
 *
 *   holds: STARTERS=3
 *   holds: CLOSES=1
 *   holds: FORKS=1 KILLS=2
 *   holds: HOLDS=0
 *   holds: STARTERS=3 READ_LOCKED=1 NAMES_ALONE=1 KILLS=0
 *   fails: NAME_BEFORE_FILL=1
 *   fails: LOCK_LAST=1 HOLDS=0     a file is named before its maker is to be seen
 *   fails: NO_SECOND_LOOK=1 STARTERS=3
 *   fails: UNLOCKED=1 STARTERS=3   nobody takes SMX__LOCK_OPEN
 *   fails: FORKS=1 HOLDS=0         the window of a daemon whose parent does not wait
 *   fails: CLOSES=1 HOLDS=0        smx_close() and smx_open() again do not take SMX__LOCK_OPEN
 *   fails: STARTERS=3 READ_LOCKED=1
 *
 * The slot is one lock here, a process' own; how it is claimed is slot.pml's. HOLDS=0: locks on the
 * mapping cannot be had, since so many hold the file or read locks are on those bytes. Then the
 * slots alone hold a file, and what is lost with that is in the last lines above. READ_LOCKED:
 * somebody has a read lock on SMX__LOCK_OPEN, which must not keep anybody from opening; then of
 * more than two that start in the same moment, when nobody lives, one may be left with a file that
 * has lost its name to another's. Files are named once complete all the same (NAMES_ALONE).
 *
 * Not here: removing the entry by hand; the private name on the way to a rename(2), which is not
 * the segment's, and its sweeping after a minute.
 *
 * SIGKILL: at any moment, of any process, KILLS times; that stands for a graceful end, too. The
 * kernel then drops what the process had, in either order of the two kinds of lock.
 *
 * Memory order: all steps are system calls, or made before others can see the file.
 *
 * Checked: invariants 8 and 10; a process that opens ends up with the file that the name leads to,
 * so all agree.
 */
#ifndef STARTERS
#define STARTERS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef HOLDS
#define HOLDS 1
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef FORKS
#define FORKS 0
#endif
#ifndef READ_LOCKED
#define READ_LOCKED 0
#endif
#ifdef NAMES_ALONE
#define LOSES_NAME(condition) false
#else
#define LOSES_NAME(condition) (condition)
#endif

#define PROCESSES    4
#define CHILD        3          /* the number of the one that is forked */
#define CONTINUES(p) ((p) == 2) /* asks for SMX_CONTINUE */
#define INODES       5          /* from 1 on: a file's number is used again when nobody has it */
#define NONE         0
#define BIT(i)       (1 << (i))

byte entry = NONE;   /* what the segment's name leads to */
byte complete;       /* bit i: file i is initialised */
byte slots[INODES];  /* bit p: process p has the lock of its slot */
byte maps[INODES];   /* bit p: process p has a mapping that holds the file */
byte opener[INODES]; /* 1 + who has SMX__LOCK_OPEN, or 0 */
byte has[INODES];    /* bit p: process p has it open, or mapped */

bool dead[PROCESSES];
byte kills;

/* Ghost: the segment that a process uses, from when smx_open() gives it, or from fork() on, until
 * it closes it or ends. */
byte uses[PROCESSES];

#define IS_USED(i) (uses[0] == i || uses[1] == i || uses[2] == i || uses[CHILD] == i)

/* The name comes to lead to the new file. */
#define SET_ENTRY                                                                                  \
    assert(complete & BIT(new));                                  /* invariant 8 */                \
    assert(!LOSES_NAME(entry != NONE && IS_USED(entry)));         /* invariant 10 */               \
    entry = new

/* munmap(2), close(2). */
#define FORGET(i)                                                                                  \
    has[i] = has[i] & ~BIT(me);                                                                    \
    maps[i] = maps[i] & ~BIT(me);                                                                  \
    slots[i] = slots[i] & ~BIT(me)

#ifdef UNLOCKED
#define MAY_OPEN(i) true
#else
#define MAY_OPEN(i) (opener[i] == 0 || READ_LOCKED)
#endif

/* locked is false for -EAGAIN. */
inline lock_opener(i)
{
    d_step {
        locked = MAY_OPEN(i);
        opener[i] = (locked && !READ_LOCKED -> me + 1 : opener[i])
    }
}

inline unlock_opener(i)
{
    d_step { opener[i] = (opener[i] == me + 1 -> 0 : opener[i]) }
}

/* Until it has a name nobody else sees the file: all this is one step. */
inline make_file()
{
    d_step {
        new = 1;
        do
        :: new == entry || has[new] != 0 -> new++
        :: else -> break
        od;
        assert(new < INODES);
        has[new] = BIT(me);
#ifdef NAME_BEFORE_FILL
        complete = complete & ~BIT(new);
#else
        complete = complete | BIT(new);
#endif
        maps[new] = (HOLDS -> BIT(me) : 0);
#ifndef LOCK_LAST
        slots[new] = BIT(me)
#endif
    }
}

/* The file has its name: is the name still this file's? */
inline keep_file()
{
#ifdef LOCK_LAST
    slots[new] = BIT(me);
#endif
    if
    :: entry == new -> mine = new
    :: entry != new -> d_step { FORGET(new) } /* unreached: behind a linkat(2) */
    fi
}

inline create()
{
    make_file();
    if
    :: d_step { entry == NONE -> SET_ENTRY } keep_file() /* linkat(2) */
    :: d_step { entry != NONE -> FORGET(new) }           /* EEXIST */
    fi;
    new = NONE
}

inline replace()
{
    make_file();
    d_step { SET_ENTRY } /* renameat(2) */
    keep_file();
    new = NONE
}

inline attach(i)
{
    maps[i] = (HOLDS -> maps[i] | BIT(me) : maps[i]);
    slots[i] = slots[i] | BIT(me);
    mine = i
}

inline judge()
{
    assert(complete & BIT(fd)); /* invariant 8 */
    if
    :: slots[fd] == 0 && maps[fd] == 0 && !CONTINUES(me) -> replace()
    :: else -> attach(fd)
    fi
}

inline enter()
{
    lock_opener(fd);
    if
    :: locked ->
        if
        :: entry == fd -> judge()
#ifdef NO_SECOND_LOOK
        :: entry != fd -> judge()
#else
        :: entry != fd
#endif
        fi;
        unlock_opener(fd)
    :: !locked
    fi;
    d_step {
        locked = false;
        if
        :: mine != fd -> FORGET(fd)
        :: else
        fi;
        fd = NONE
    }
}

/* smx_open(); known is what the process has had before, and closed. */
inline open_segment()
{
    do
    :: mine != NONE -> break
    :: mine == NONE ->
       seen = entry;
       if
       :: seen == NONE -> create()
       :: seen != NONE && seen == known -> slots[known] = slots[known] | BIT(me); mine = known
       :: seen != NONE && seen != known ->
          d_step { /* openat(2) */
              fd = entry;
              has[fd] = (fd != NONE -> has[fd] | BIT(me) : has[fd])
          }
          enter()
       fi
    od;
    seen = NONE;
    d_step {
        assert(!LOSES_NAME(entry != mine)); /* invariant 10 */
        uses[me] = mine
    }
}

proctype starter(byte me)
{
    byte seen, fd, new, mine, known;
    bool locked;
    {
        do
        :: open_segment();
           if
           :: CLOSES && me == 0 && known == NONE ->
              /* smx_close(): the mapping stays. Then smx_open() again. */
              d_step { uses[me] = NONE; known = mine; mine = NONE }
              slots[known] = slots[known] & ~BIT(me)
           :: FORKS && me == 0 ->
              d_step {
                  uses[CHILD] = mine;
                  has[mine] = has[mine] | BIT(CHILD);
                  maps[mine] = (HOLDS -> maps[mine] | BIT(CHILD) : maps[mine])
              }
              run child(mine);
              break
           :: else -> break
           fi
        od
    } unless {
        dead[me]
    }
}

/* Of fork(): its handler claims a slot. */
proctype child(byte mine)
{
    {
        slots[mine] = slots[mine] | BIT(CHILD);
        assert(entry == mine) /* invariant 10 */
    } unless {
        dead[CHILD]
    }
}

inline drop_slots()
{
    d_step {
        i = 1;
        do
        :: i < INODES -> slots[i] = slots[i] & ~BIT(victim); i++
        :: else -> break
        od;
        i = 0
    }
}

inline drop_rest()
{
    d_step {
        i = 1;
        do
        :: i < INODES ->
           has[i] = has[i] & ~BIT(victim);
           maps[i] = maps[i] & ~BIT(victim);
           opener[i] = (opener[i] == victim + 1 -> 0 : opener[i]);
           i++
        :: else -> break
        od;
        i = 0
    }
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
           :: STARTERS > 2 && !dead[2] -> victim = 2
           :: uses[CHILD] != NONE && !dead[CHILD] -> victim = CHILD
           fi;
           dead[victim] = true;
           uses[victim] = NONE;
           kills++
       }
       if
       :: drop_slots(); drop_rest()
       :: drop_rest(); drop_slots()
       fi
    :: break
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. STARTERS - 1) {
            run starter(i)
        }
        run killer()
    }
}
