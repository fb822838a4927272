/* SPDX-License-Identifier: MIT
 *
 * segment.pml - how processes that start together come to one segment: made without a name, linked
 * or renamed into place, attached to, or replaced when nobody who lives holds it.
 *
 * Stands for: smx_open try_open enter judge attach adopt create is_entry reuse smx__file_make
 * smx__file_publish smx__file_discard smx__file_check smx__slot_any_live smx__lock_byte
 * smx__slot_claim smx__slot_release smx_close after_fork_in_child
 */
#ifndef STARTERS
#define STARTERS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef FORKS
#define FORKS 0
#endif
#define CHILD     3 /* the number of the one that is forked */
#define PROCESSES 4
#define INODES    5 /* 1.. */
#define NONE      0

byte entry = NONE;    /* the inode that the segment's name leads to */
byte complete;        /* bit i: the file is initialised */
byte locks[INODES];   /* bit p: process p holds the lock of its slot */
byte opener[INODES];  /* 1 + the process that holds SMX__LOCK_OPEN, or 0 */
byte held[INODES];    /* bit p: process p has it open or mapped */

bool dead[PROCESSES];
byte kills;

/* Ghosts. */
byte using[PROCESSES]; /* the segment that smx_open() has given, until the process closes or ends */
byte parent;           /* 1 + of the child that has not claimed yet, or 0 */
bool abandoned;        /* the parent has ended, or closed, before that */

#define BIT(i) (1 << (i))
#define CONTINUES(p) ((p) == 2) /* asks for SMX_CONTINUE */

/* The name comes to lead to the new file: nobody who uses the old one may lose it. */
#define SET_ENTRY                                                                                  \
    assert(complete & BIT(new)); /* invariant 8 */                                                 \
    assert(entry == NONE || (using[0] != entry && using[1] != entry && using[2] != entry &&        \
                             using[3] != entry)); /* invariant 10 */                               \
    entry = new

/* smx_open() returns. */
inline use(i)
{
    d_step {
        assert(entry == i); /* invariant 10 */
        using[me] = i
    }
}

inline unlock_opener(i)
{
    d_step {
        if
        :: opener[i] == me + 1 -> opener[i] = 0
        :: else
        fi
    }
}

/* -EAGAIN if false. */
inline lock_opener(i)
{
    d_step {
#ifdef READ_LOCKED
        ok = true
#else
        ok = opener[i] == 0;
        if
        :: ok -> opener[i] = me + 1
        :: else
        fi
#endif
    }
}

#define FORGET(i) held[i] = held[i] & ~BIT(me); locks[i] = locks[i] & ~BIT(me)

/* The lowest inode that is free: a number is used again, once nobody has the file. */
#define NEW_INODE                                                                                  \
    new = 1;                                                                                       \
    do                                                                                             \
    :: new == entry || held[new] != 0 -> new++                                                     \
    :: else -> break                                                                               \
    od;                                                                                            \
    assert(new < INODES);                                                                          \
    held[new] = BIT(me)

/* Until it has a name nobody else sees the file: all this is one step. */
inline make_file()
{
    d_step {
        NEW_INODE;
#ifdef NAME_BEFORE_FILL
        complete = complete & ~BIT(new)
#else
        complete = complete | BIT(new);
#endif
#ifndef LOCK_LAST
        locks[new] = BIT(me)
#endif
    }
}

/* The file has its name: is it still its own? */
inline keep_file()
{
#ifdef LOCK_LAST
    locks[new] = BIT(me);
#endif
    if
    :: entry == new -> mine = new
    :: entry != new -> d_step { FORGET(new) }
    fi
}

inline create()
{
    make_file();
    if
    :: d_step { entry == NONE -> SET_ENTRY } keep_file() /* linkat(2) */
    :: d_step { entry != NONE -> FORGET(new) }                /* EEXIST */
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

/* Attach, or replace what nobody holds. */
inline judge()
{
    assert(complete & BIT(fd)); /* invariant 8 */
    if
    :: locks[fd] == 0 && !CONTINUES(me) -> replace()
    :: else -> locks[fd] = locks[fd] | BIT(me); mine = fd
    fi
}

inline enter()
{
    lock_opener(fd);
    if
    :: ok ->
        if
#ifdef NO_SECOND_LOOK
        :: true -> judge()
#else
        :: entry == fd -> judge()
        :: entry != fd
#endif
        fi;
        unlock_opener(fd)
    :: !ok
    fi;
    d_step {
        ok = false;
        if
        :: mine != fd -> FORGET(fd)
        :: else
        fi;
        fd = NONE
    }
}

/* The process has the file from before, and closed it. */
inline reuse()
{
#ifdef REUSE_UNLOCKED
    locks[known] = locks[known] | BIT(me);
    mine = known
#else
    lock_opener(known);
    if
    :: ok ->
        if
        :: entry == known -> locks[known] = locks[known] | BIT(me); mine = known
        :: entry != known
        fi;
        unlock_opener(known)
    :: !ok
    fi;
    ok = false
#endif
}

/* smx_open() */
inline open_segment()
{
    do
    :: mine != 0 -> break
    :: mine == 0 ->
       seen = entry;
       if
       :: seen == NONE -> create()
       :: seen != NONE && seen == known -> reuse()
       :: seen != NONE && seen != known ->
          d_step { fd = entry; if :: fd != NONE -> held[fd] = held[fd] | BIT(me) :: else fi }
          if
          :: fd == NONE
          :: else -> enter()
          fi
       fi
    od;
    seen = 0;
    use(mine)
}

/* What the kernel drops, file by file, when a process ends. */
inline drop_slots(p)
{
    d_step {
        i = 1;
        do
        :: i < INODES -> locks[i] = locks[i] & ~BIT(p); i++
        :: else -> break
        od;
        i = 0
    }
}

inline drop_rest(p)
{
    d_step {
        i = 1;
        do
        :: i < INODES ->
           held[i] = held[i] & ~BIT(p);
           opener[i] = (opener[i] == p + 1 -> 0 : opener[i]);
           i++
        :: else -> break
        od;
        i = 0
    }
}

inline end_process(p)
{
    d_step {
        using[p] = 0;
        abandoned = abandoned || parent == p + 1;
        parent = (parent == p + 1 -> 0 : parent)
    }
    if
    :: drop_slots(p); drop_rest(p)
    :: drop_rest(p); drop_slots(p)
    fi
}

proctype starter(byte me)
{
    byte seen, fd, new, mine, known, i;
    bool ok;
    {
        do
        :: open_segment();
           if
           :: CLOSES && me == 0 && known == NONE -> /* smx_close(), and smx_open() again */
              d_step { using[me] = NONE; known = mine; mine = NONE }
              locks[known] = locks[known] & ~BIT(me)
           :: FORKS && me == 0 ->
              d_step { parent = me + 1; held[mine] = held[mine] | BIT(CHILD) }
              run child(mine);
              break
           :: else -> break
           fi
        od
    } unless {
        dead[me]
    }
}

/* Of fork(): its handler claims a slot in the segment of its parent. */
proctype child(byte mine)
{
    byte i;
#define me CHILD
    {
        d_step {
            locks[mine] = locks[mine] | BIT(me);
            parent = 0;
#ifndef STRICT
            if
            :: !abandoned ->
#endif
                assert(entry == mine);
                using[me] = mine
#ifndef STRICT
            :: else
            fi
#endif
        }
    } unless {
        dead[me]
    }
#undef me
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
           :: !dead[2] && STARTERS > 2 -> victim = 2
           :: !dead[CHILD] && FORKS -> victim = CHILD
           fi;
           dead[victim] = true;
           kills++
       }
       end_process(victim)
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
