/* SPDX-License-Identifier: MIT
 *
 * requests.c - what the middlewares do for each request, as smx/_requests.py does it without the
 * extension. Series are made, routes told and exceptions counted by _http.Requests: here is what a
 * request that is like one before it does without a call into Python.
 */
#include "fast.h"

static const char *const words[N_WORDS] = {
    [WORD_FIND] = "_find",
    [WORD_TIMER] = "_timer",
    [WORD_FAIL] = "_fail",
    [WORD_SMX_ROUTE] = "smx.route",
    [WORD_ROUTE] = "route",
    [WORD_METHOD] = "REQUEST_METHOD",
    [WORD_SCOPE_METHOD] = "method",
    [WORD_FILE_WRAPPER] = "wsgi.file_wrapper",
    [WORD_TYPE] = "type",
    [WORD_STATUS] = "status",
    [WORD_MORE_BODY] = "more_body",
    [WORD_CLOSE] = "close",
    [WORD_STATUS_OF] = "_status_of",
    [WORD_BEGAN] = "_smx_began",
    [WORD_NOTHING] = "",
};

/* The route of a request, if there is no need to call what tells it; else NULL. Borrowed. */
static PyObject *route_at_hand(const struct request *r)
{
    const struct requests *requests = r->requests;
    if (!requests->usual || !PyDict_Check(r->source))
        return NULL;
    PyObject *route = PyDict_GetItemWithError(r->source, requests->words[WORD_SMX_ROUTE]);
    if (route)
        return PyUnicode_CheckExact(route) && PyUnicode_GetLength(route) > 0 ? route : NULL;
    if (PyErr_Occurred() || PyDict_Contains(r->source, requests->words[WORD_ROUTE]) != 0)
        return NULL; /* a framework's */
    return requests->words[WORD_NOTHING];
}

/* Whether the last request was of this kind; -1 with an exception. */
static int is_like_last(const struct request *r, PyObject *route)
{
    PyObject *const parts[] = {r->method, r->status, route};
    int like = r->requests->last_key != NULL;
    for (Py_ssize_t i = 0; i < 3 && like > 0; i++)
        like = PyObject_RichCompareBool(PyTuple_GetItem(r->requests->last_key, i), parts[i], Py_EQ);
    return like;
}

/* The series of a request's like; NULL, and perhaps an exception, if there was none yet. Where
 * nothing is in the caches, to compare with one key costs less than to make and to find one. */
static PyObject *find_known(const struct request *r)
{
    struct requests *requests = r->requests;
    PyObject *route = r->status ? route_at_hand(r) : NULL;
    int like = route ? is_like_last(r, route) : -1;
    if (like != 0)
        return like > 0 ? Py_NewRef(requests->last_series) : NULL;
    PyObject *key = PyTuple_Pack(3, r->method, r->status, route);
    PyObject *found = key ? PyDict_GetItemWithError(requests->known, key) : NULL;
    if (found) {
        fast_set(&requests->last_key, Py_NewRef(key));
        fast_set(&requests->last_series, Py_NewRef(found));
    }
    Py_XDECREF(key);
    return Py_XNewRef(found);
}

static PyObject *find(const struct request *r)
{
    struct requests *requests = r->requests;
    PyObject *found = find_known(r);
    if (found || PyErr_Occurred())
        return found;
    found = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_FIND], r->method,
                                       r->status ? r->status : requests->words[WORD_NOTHING],
                                       r->source, NULL);
    if (found && !(PyTuple_Check(found) && PyTuple_Size(found) == 2)) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_TypeError, "_find() gives a counter and a histogram");
    }
    return found;
}

int request_count(struct request *r)
{
    if (r->series)
        return 0;
    PyObject *series = find(r);
    if (!series)
        return -1;
    fast_set(&r->series, series);
    smx_counter_add_fn(((struct counter_cell *)PyTuple_GetItem(series, 0))->handle, 1);
    return 0;
}

int request_end(struct request *r)
{
    if (!r->start)
        return 0;
    struct requests *requests = r->requests;
    uint64_t ns = smx_now_ns() - r->start;
    r->start = 0;
    smx_fgauge_add_fn(requests->in_flight, -1);
    PyObject *timer = r->series ? PyTuple_GetItem(r->series, 1) : NULL;
    Py_XINCREF(timer);
    if (!timer)
        timer = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_TIMER],
                                           r->method, r->source, NULL);
    if (!timer)
        return -1;
    histogram_cell_took((struct histogram_cell *)timer, ns);
    Py_DECREF(timer);
    return 0;
}

int request_fail(struct request *r, PyObject *error)
{
    struct requests *requests = r->requests;
    PyObject *done = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_FAIL],
                                                r->method, r->source, error, NULL);
    Py_XDECREF(done);
    if (!done || r->series)
        return done ? 0 : -1;
    fast_set(&r->status, PyUnicode_FromString("500"));
    return r->status ? request_count(r) : -1;
}

void request_tell_raised(struct request *r, bool fails, bool ends)
{
    PyObject *kind;
    PyObject *error;
    PyObject *traceback;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    if ((fails && request_fail(r, error) < 0) || (ends && request_end(r) < 0))
        PyErr_WriteUnraisable((PyObject *)r);
    PyErr_Restore(kind, error, traceback);
}

int request_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct request *r = (struct request *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->requests);
    Py_VISIT(r->method);
    Py_VISIT(r->source);
    Py_VISIT(r->server);
    Py_VISIT(r->status);
    Py_VISIT(r->series);
    return 0;
}

void request_dealloc(PyObject *self)
{
    struct request *r = (struct request *)self;
    PyObject_GC_UnTrack(self);
    Py_CLEAR(r->requests);
    Py_CLEAR(r->method);
    Py_CLEAR(r->source);
    Py_CLEAR(r->server);
    Py_CLEAR(r->status);
    Py_CLEAR(r->series);
    fast_free(self);
}

/* Take what all requests share: see RequestsCell._bind() in _requests.py. */
static PyObject *requests_bind(PyObject *self, PyObject *args)
{
    struct requests *requests = (struct requests *)self;
    PyObject *gauge;
    PyObject *kind;
    PyObject *known;
    int usual;
    if (!PyArg_ParseTuple(args, "OO!O!p", &gauge, &PyType_Type, &kind, &PyDict_Type, &known,
                          &usual))
        return NULL;
    for (int i = 0; i < N_WORDS; i++) {
        fast_set(&requests->words[i], PyUnicode_InternFromString(words[i]));
        if (!requests->words[i])
            return NULL;
    }
    requests->in_flight = ((struct gauge_cell *)gauge)->handle;
    fast_set((PyObject **)&requests->kind, Py_NewRef(kind));
    fast_set(&requests->known, Py_NewRef(known));
    requests->usual = usual != 0;
    Py_RETURN_NONE;
}

struct request *request_begin(struct requests *requests, PyObject *method, PyObject *source,
                              PyObject *server)
{
    struct request *r = (struct request *)PyType_GenericAlloc(requests->kind, 0);
    if (!r)
        return NULL;
    r->requests = (struct requests *)Py_NewRef((PyObject *)requests);
    r->method = Py_NewRef(method);
    r->source = Py_NewRef(source);
    r->server = Py_NewRef(server);
    smx_fgauge_add_fn(requests->in_flight, 1);
    r->start = smx_now_ns();
    return r;
}

static int requests_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct requests *requests = (struct requests *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(requests->kind);
    Py_VISIT(requests->known);
    Py_VISIT(requests->last_key);
    Py_VISIT(requests->last_series);
    return 0;
}

static int requests_clear(PyObject *self)
{
    struct requests *requests = (struct requests *)self;
    Py_CLEAR(requests->kind);
    Py_CLEAR(requests->known);
    Py_CLEAR(requests->last_key);
    Py_CLEAR(requests->last_series);
    return 0;
}

static void requests_dealloc(PyObject *self)
{
    struct requests *requests = (struct requests *)self;
    PyObject_GC_UnTrack(self);
    (void)requests_clear(self);
    for (int i = 0; i < N_WORDS; i++)
        Py_CLEAR(requests->words[i]);
    fast_free(self);
}

int requests_add(PyObject *module)
{
    static const PyMethodDef methods[] = {
        METHOD("_bind", requests_bind, METH_VARARGS, NULL),
        METHOD("pre_request", gunicorn_before, METH_FASTCALL,
               "pre_request($self, worker, req, /)\n--\n\ngunicorn's hook: a request begins."),
        METHOD("post_request", gunicorn_after, METH_FASTCALL,
               "post_request($self, worker, req, environ, resp, /)\n--\n\n"
               "gunicorn's hook: it was answered, or is ended by the exception that is under way."),
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        SLOT(Py_tp_methods, methods),
        SLOT(Py_tp_traverse, requests_traverse),
        SLOT(Py_tp_clear, requests_clear),
        SLOT(Py_tp_dealloc, requests_dealloc),
        {0, NULL},
    };
    return fast_add_type(module, "smx._fast.RequestsCell", sizeof(struct requests),
                         Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots);
}

static PyObject *middleware_bind(PyObject *self, PyObject *args)
{
    struct middleware *m = (struct middleware *)self;
    PyObject *requests;
    PyObject *application;
    if (!PyArg_ParseTuple(args, "OO", &requests, &application))
        return NULL;
    fast_set((PyObject **)&m->requests, Py_NewRef(requests));
    fast_set(&m->application, Py_NewRef(application));
    Py_RETURN_NONE;
}

static int middleware_traverse(PyObject *self, visitproc visit, void *arg)
{
    const struct middleware *m = (struct middleware *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(m->requests);
    Py_VISIT(m->application);
    return 0;
}

static int middleware_clear(PyObject *self)
{
    struct middleware *m = (struct middleware *)self;
    Py_CLEAR(m->requests);
    Py_CLEAR(m->application);
    return 0;
}

static void middleware_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    (void)middleware_clear(self);
    fast_free(self);
}

int middleware_add(PyObject *module, const char *name, ternaryfunc call)
{
    static const PyMethodDef methods[] = {
        METHOD("_bind", middleware_bind, METH_VARARGS, NULL),
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        SLOT(Py_tp_methods, methods),
        SLOT(Py_tp_call, call),
        SLOT(Py_tp_traverse, middleware_traverse),
        SLOT(Py_tp_clear, middleware_clear),
        SLOT(Py_tp_dealloc, middleware_dealloc),
        {0, NULL},
    };
    return fast_add_type(module, name, sizeof(struct middleware),
                         Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots);
}
