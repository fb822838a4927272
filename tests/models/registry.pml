/* SPDX-License-Identifier: MIT
 *
 * registry.pml - how a series is published: filled in, put at the end of its chain by
 * compare-and-swap, counted, announced; while others do the same, perhaps for the same key, and a
 * reader copies blocks of the file. What follows publication is announce.pml's, how bytes are
 * handed out space.pml's.
 *
 * Stands for: smx__registry_walk smx__record_complete smx__announce write_series write_family create
 *   enter smx_reader_begin take_names read_header smx__header_read smx__header_moved walk_chain
 *   copy_record smx__cache_copy afford
 *
 *   holds: WRITERS=3
 *   holds: READER=1
 *   fails: WRITERS=3 PUBLISH_FIRST=1    the record is filled in after the CAS
 *   fails: WRITERS=3 NO_COMPARISON=1    who loses the CAS goes on behind the winner unseen
 *   fails: WRITERS=3 COUNT_FIRST=1
 *   fails: WRITERS=3 NO_LOOK_AT_CAP=1
 *   fails: READER=1 ANNOUNCE_FIRST=1
 *   fails: READER=1 SIZE_ANY_TIME=1     a record's size is stored before or after the rest
 *   fails: READER=1 OLD_TAIL=1          a record is taken from two blocks, one read before
 *   fails: READER=1 HEADER_ALONE=1      names are read again only if the header has moved
 *
 * One chain, so that everything collides. A record is a unit; allocating it is one step here. Its
 * content is stored in two steps: `bodies`, all of it but `size`; `heads`, the size.
 *
 * SIGKILL: a killed process is one that takes no further step. Every assertion is made at every
 * moment, or at a moment of the verifier's choice after which nobody moves; so each of them is also
 * about any set of processes killed at any steps.
 *
 * Memory order: steps are seen by all in one order, but for the stores of a record's content. These
 * are plain, and may reach others late, in any order: until the next release of the same process
 * (`size`, the CAS of the link) they are, by the model, not there. The reader's side is pread(2),
 * which copies upwards, one record at a time here, while writers go on.
 *
 * Checked: invariant 2; invariant 9; a key is in its chain once; n_series never counts what is not
 * published, and the cap is passed by no more than the writers at work; a lookup at the cap finds
 * what was published before; a reader never shows a record that is not complete.
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#define CAP     1
#define UNITS   4 /* the header, and a record of each writer */
#define REREADS 3 /* reader.c: 8 */

#define KEYS 2 /* 0 and 1 */
#define NONE 0 /* no record */

byte allocated = 1;
byte published;
byte n_series;
byte next[UNITS]; /* next[0]: the head of the chain */
byte key[UNITS];
byte heads;  /* bit r: the size of record r is stored */
byte bodies; /* bit r: all else is */

/* Ghosts. */
byte in_chain;   /* bit k: key k was published */
byte chained;    /* series in the chain */
byte announced;  /* bit k: since then, `published` moved, and its maker, or who found it, went on */

#define BIT(i)      (1 << (i))
#define COMPLETE(r) (heads & bodies & BIT(r))

/* The stores of a record's content become visible. */
inline store_body(r, k) { d_step { key[r] = k; bodies = bodies | BIT(r) } }
inline store_head(r)    { heads = heads | BIT(r) }

inline fill(r, k)
{
#ifdef SIZE_ANY_TIME
    if
    :: store_body(r, k); store_head(r)
    :: store_head(r); store_body(r, k)
    fi
#else
    store_body(r, k);
    store_head(r)
#endif
}

/* The release CAS that found 0: the link is mine. */
#define PUBLISH(r, k)                                                                              \
    next[link] = r;                                                                                \
    assert(!(in_chain & BIT(k)));                                                                  \
    in_chain = in_chain | BIT(k);                                                                  \
    chained++;                                                                                     \
    assert(chained <= CAP - 1 + WRITERS)

/* The record at `ref` is compared: found or passed. */
#ifdef NO_COMPARISON
#define IS(k, mine) (key[ref] == k && mine == NONE)
#else
#define IS(k, mine) (key[ref] == k)
#endif

/* smx__registry_walk() with mine = 0: found is the record of this key, or NONE. */
inline find(k)
{
    link = 0;
    do
    :: ref = next[link];
       if
       :: ref == 0 -> found = NONE; break
       :: else -> assert(COMPLETE(ref)) /* invariant 2 */
       fi;
       if
       :: IS(k, NONE) -> found = ref; break
       :: else -> link = ref
       fi
    od;
    link = 0; ref = 0
}

/* And with mine: it, or the record of this key that was there first. */
inline publish(k, mine)
{
    link = 0;
    do
    :: ref = next[link];
       if
       :: ref != 0
       :: d_step { ref == 0 && next[link] == 0 -> PUBLISH(mine, k) } found = mine; break
       :: d_step { ref == 0 && next[link] != 0 -> ref = next[link] }
       fi;
       assert(COMPLETE(ref)); /* invariant 2 */
       if
       :: IS(k, mine) -> found = ref; break
       :: else -> link = ref
       fi
    od;
    link = 0; ref = 0
}

#define COUNT d_step { n_series++; assert(n_series <= chained) }

inline create(k)
{
    d_step { at_cap = n_series >= CAP; there = (in_chain & BIT(k)) != 0 }
    if
    :: at_cap ->
#ifndef NO_LOOK_AT_CAP
        find(k);
#endif
        assert(found != NONE || !there)
    :: else ->
        d_step { record = allocated; allocated++ }
#ifdef COUNT_FIRST
        COUNT;
#endif
#ifdef PUBLISH_FIRST
        publish(k, record);
        fill(record, k);
#else
        fill(record, k);
        publish(k, record);
#endif
#ifndef COUNT_FIRST
        if
        :: found == record -> COUNT
        :: else
        fi
#endif
    fi;
    d_step { at_cap = false; there = false; record = 0 }
}

proctype writer()
{
    byte link, ref, record, found, k;
    bool at_cap, there;
    select(k : 0 .. KEYS - 1);
#ifdef ANNOUNCE_FIRST
    published++;
#endif
    find(k);
    if
    :: found == NONE -> create(k)
    :: else
    fi;
    if
    :: found != NONE ->
#ifndef ANNOUNCE_FIRST
        published++;
#endif
        announced = announced | BIT(k)
    :: else /* the overflow series */
    fi
}

#ifdef READER

/* What the reader shows. */
byte view;
byte errors;

/* Walk the chain in the copies, up to `allocated` as of before. */
#define JUDGE                                                                                      \
    errors = 0; view = 0;                                                                          \
    do                                                                                             \
    :: ref == 0 -> break                                                                           \
    :: ref >= limit -> errors++; break                                                             \
    :: ref != 0 && ref < limit && !(my_heads & BIT(ref)) -> errors++; ref = my_next[ref]           \
    :: ref != 0 && ref < limit && (my_heads & BIT(ref)) ->                                         \
       assert(my_bodies & BIT(ref)); /* what is shown is complete */                               \
       assert(!(view & BIT(my_key[ref])));                                                         \
       view = view | BIT(my_key[ref]);                                                             \
       ref = my_next[ref]                                                                          \
    od;                                                                                            \
    do                                                                                             \
    :: r < UNITS -> my_next[r] = 0; my_key[r] = 0; r++                                             \
    :: else -> break                                                                               \
    od;                                                                                            \
    r = 0; ref = 0; my_heads = 0; my_bodies = 0

proctype reader()
{
    byte seen, limit, seen_now, limit_now, errors_before, view_before, tries, ref, r;
    byte my_next[UNITS], my_key[UNITS], my_heads, my_bodies;
    seen = published;
    limit = allocated;
    do
#ifdef OLD_TAIL
    :: my_bodies = bodies;
       ref = next[0];
#else
    :: ref = next[0];
#endif
       r = 1;
       do
       :: ref != 0 && r < UNITS ->
          d_step {
              my_next[r] = next[r];
              my_key[r] = key[r];
              my_heads = my_heads | (heads & BIT(r));
#ifndef OLD_TAIL
              my_bodies = my_bodies | (bodies & BIT(r));
#endif
              r++
          }
       :: else -> break
       od;
       r = 0;
       d_step { JUDGE }
       if
       :: errors == 0 || tries == REREADS -> break
       :: else
       fi;
       seen_now = published;
       limit_now = allocated;
       if
       :: d_step {
              (tries == 0 || seen_now != seen || limit_now != limit
#ifndef HEADER_ALONE
               || errors != errors_before || view != view_before
#endif
              ) ->
              tries++; seen = seen_now; limit = limit_now; seen_now = 0; limit_now = 0;
              errors_before = errors; view_before = view
          }
       :: else -> break
       fi
    od;

    assert(errors == 0 || tries == REREADS);
    tries = 0; limit = 0; errors = 0; errors_before = 0; view_before = 0;
    /* Now everybody stops, and the reader looks once more. */
    d_step {
        if
        :: published != seen ->
            limit = allocated; view = 0; ref = next[0];
            do
            :: ref == 0 -> break
            :: else -> assert(COMPLETE(ref) && ref < limit);
               view = view | BIT(key[ref]); ref = next[ref]
            od
        :: else
        fi;
        assert((announced & ~view) == 0) /* invariant 9 */
    }
}

#endif

init
{
    byte i;
    atomic {
        for (i : 1 .. WRITERS) {
            run writer()
        }
#ifdef READER
        run reader()
#endif
    }
}
