/* SPDX-License-Identifier: MIT
 *
 * fast.h - what the files of smx._fast share. fast.c has the module and its cells; requests.c what
 * the middlewares do for each request, whichever way it comes; middleware.c their base, wsgi.c and
 * asgi.c the two ways, and gunicorn.c the hooks that stand for one.
 */
#ifndef SMX_PYTHON_FAST_H
#define SMX_PYTHON_FAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <smx/scope.h>
#include <smx/smx.h>
#include <stdbool.h>
#include <structmember.h>

/* Cells: a copy of a series' handle, and the ticks of one unit; 0 while labels are missing. */
struct counter_cell {
    PyObject_HEAD smx_counter handle;
    uint64_t scale;
};

struct histogram_cell {
    PyObject_HEAD smx_histogram handle;
    uint64_t scale;
};

struct gauge_cell {
    PyObject_HEAD smx_fgauge handle;
    uint64_t scale;
};

/* fast.c: an entry of a method table, one of a type's slots, and a type of the module. */
#define METHOD(name, function, flags, text)                                                        \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(function), flags, text                                 \
    }
#define SLOT(slot, function)                                                                       \
    {                                                                                              \
        slot, (void *)(uintptr_t)(function)                                                        \
    }
int fast_add_type(PyObject *module, const char *name, size_t size, unsigned flags,
                  PyType_Slot slots[]);

/* Put a reference, which is taken, in the place of another. */
static inline void fast_set(PyObject **slot, PyObject *value)
{
    PyObject *old = *slot;
    *slot = value;
    Py_XDECREF(old);
}

/* fast.c: a function with what it was given otherwise; for names see PyObject_Vectorcall(). */
PyObject *fast_call(ternaryfunc function, PyObject *self, PyObject *const *args, Py_ssize_t n,
                    PyObject *names);

/* fast.c: what a mapping has by a key, or NULL, with an exception or without one. */
PyObject *fast_get(PyObject *mapping, PyObject *key);

/* The same, but that it is a KeyError where there is none. */
PyObject *fast_get_item(PyObject *mapping, PyObject *key);

/* A spare object, which the caller takes, or NULL. Such a one is tracked by the collector all the
 * time, has its references to what outlives requests, and nobody else has it. */
static inline PyObject *fast_take(PyObject **spare)
{
    PyObject *self = *spare;
    if (!self || Py_REFCNT(self) > 1)
        return NULL;
    *spare = NULL;
    return self;
}

/* fast.c: the end of tp_dealloc of a type that the collector knows. */
void fast_free(PyObject *self);

/* Whether a call has names: who passes on what it was given may have an empty dict. */
static inline bool fast_has_names(PyObject *named)
{
    return named && PyDict_Size(named) > 0;
}

/* What calls an object with its arguments as they lie on the caller's stack, and no tuple made of
 * them. Python 3.12 has it in its limited API; it was the same before. */
typedef PyObject *(*fast_function)(PyObject *self, PyObject *const *args, size_t n,
                                   PyObject *names);
enum { FAST_IS_FUNCTION = 1 << 11 }; /* Py_TPFLAGS_HAVE_VECTORCALL */
#define FAST_N_ARGS(n) ((Py_ssize_t)((n) & ~((size_t)1 << (8 * sizeof(size_t) - 1))))

/* The module's state. */
struct fast_state {
    PyTypeObject *waiting; /* asgi.c's */
};

/* Strings that requests are looked up by, made once; those of every request first. */
enum word {
    WORD_METHOD, /* keys of an environ, a scope or a message; attributes of gunicorn's objects */
    WORD_STATUS,
    WORD_SMX_ROUTE,
    WORD_ROUTE,
    WORD_NOTHING,
    WORD_TYPE,
    WORD_HTTP,
    WORD_START,
    WORD_BODY,
    WORD_MORE_BODY,
    WORD_WSGI_METHOD,
    WORD_FILE_WRAPPER,
    WORD_BEGAN,
    WORD_FIND, /* methods of _http.Requests */
    WORD_TIMER,
    WORD_FAIL,
    WORD_CLOSE,     /* a method of a body */
    WORD_STATUS_OF, /* a method of gunicorn.Hooks */
    N_WORDS
};

/* Where requests of one kind are counted and timed. */
struct series {
    smx_counter total;
    smx_histogram duration;
};

/* Requests that are alike. */
struct kind {
    uint64_t method;  /* see method_number() */
    PyObject *status; /* as the server was told */
    PyObject *route;  /* NULL: there were none yet */
    struct series series;
};
enum { N_KINDS = 16 }; /* places for them, by their route; more need a key */

/* The base of _http.Requests. What every request needs comes first and together: between two of
 * them a server does so much else that each cache line is fetched anew. */
struct requests {
    PyObject_HEAD smx_fgauge in_flight;
    /* Objects that have done their work, for the next, if nobody else has them; or NULL. */
    PyObject *spare;
    PyObject *spare_waiting[2];
    PyObject *begun; /* the request of gunicorn's that `timer` times, or NULL: see gunicorn.c */
    smx_timer timer;
    bool usual; /* "smx.route" is where a route is, if it is there */
    PyObject *words[N_WORDS];
    struct kind kinds[N_KINDS];
    PyTypeObject *kind; /* WsgiRequest or AsgiRequest */
    PyObject *known;    /* (method, status, route): (Counter, Histogram) */
};

/* Move the requests in flight. Where the interpreter's lock is held nobody else writes to this
 * process' cell, and there is none that processes share but of gauges whose mode is mostrecent: so
 * it takes no atomic addition. */
static inline void requests_move(const struct requests *requests, double amount)
{
    smx_fgauge gauge = requests->in_flight;
    struct smx_cell *cell = smx__gauge_cell(gauge.base, gauge.proc);
    if (!cell) { /* not ours yet, or there was no slot for us */
        smx_fgauge_add(gauge, amount);
        return;
    }
    double value;
    memcpy(&value, &cell->value, sizeof value);
    value += amount;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    /* Relaxed: it stands alone. */
    __atomic_store_n(&cell->value, bits, __ATOMIC_RELAXED);
}

/* One request; the two ways have more behind it. */
struct request {
    PyObject_HEAD fast_function call;
    struct requests *requests;
    PyObject *method;
    PyObject *source; /* the environ, or the scope */
    PyObject *server; /* its start_response(), or send() */
    PyObject *status; /* as it was told, a line or a number; NULL: it was not */
    smx_timer timer;  /* with the histogram, once it is counted */
    bool counted;
    bool ended;
};

/* requests.c: one that begins now; takes the reference to the method. NULL with an exception, also
 * if the method is NULL. */
struct request *request_begin(struct requests *requests, fast_function call, PyObject *method,
                              PyObject *source, PyObject *server);

/* requests.c: give up the reference to one that has ended, or that somebody else ends. */
void request_release(struct request *r);

/* requests.c: all 0, or -1 with an exception. Each may be told more than once; the first counts. */
int request_count(struct request *r); /* its status is known, and nothing of the answer has left */
int request_end(struct request *r);   /* all of the answer is the server's, or nobody wants it */
int request_fail(struct request *r, PyObject *error); /* an exception has left the application */

/* requests.c: the series of such a request, made if need be; -1 with an exception. */
int requests_find(struct requests *requests, PyObject *method, PyObject *status, PyObject *source,
                  struct series *out);

/* gunicorn.c: methods of RequestsCell. */
PyObject *gunicorn_before(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *gunicorn_after(PyObject *self, PyObject *const *args, Py_ssize_t n);

/* requests.c: with an exception raised, or none, which is left so: it has left the application; all
 * ends by it. */
void request_tell_raised(struct request *r, bool fails, bool ends);

/* requests.c: what a type of requests does with its references, and the place of its call. */
extern const PyMemberDef request_members[];
int request_traverse(PyObject *self, visitproc visit, void *arg);
void request_dealloc(PyObject *self);

/* middleware.c: the base of a middleware, all but its call. */
struct middleware {
    PyObject_HEAD struct requests *requests;
    PyObject *application;
};
int middleware_add(PyObject *module, const char *name, ternaryfunc call);

int requests_add(PyObject *module); /* each adds its type; 0, or -1 with an exception */
int wsgi_add(PyObject *module);
int asgi_add(PyObject *module);

#endif
