/* SPDX-License-Identifier: MIT
 *
 * requests.c - what the middlewares do for each request, as smx/_requests.py does it without the
 * extension. Series are made, routes told and exceptions counted by _http.Requests: here is what a
 * request that is like one before it does without a call into Python.
 */
#include "fast.h"

static const char *const words[N_WORDS] = {
    [WORD_METHOD] = "method",
    [WORD_STATUS] = "status",
    [WORD_SMX_ROUTE] = "smx.route",
    [WORD_ROUTE] = "route",
    [WORD_NOTHING] = "",
    [WORD_TYPE] = "type",
    [WORD_HTTP] = "http",
    [WORD_START] = "http.response.start",
    [WORD_BODY] = "http.response.body",
    [WORD_MORE_BODY] = "more_body",
    [WORD_WSGI_METHOD] = "REQUEST_METHOD",
    [WORD_FILE_WRAPPER] = "wsgi.file_wrapper",
    [WORD_BEGAN] = "_smx_began",
    [WORD_FIND] = "_find",
    [WORD_TIMER] = "_timer",
    [WORD_FAIL] = "_fail",
    [WORD_CLOSE] = "close",
    [WORD_STATUS_OF] = "_status_of",
};

/* Whether it is the same, which may be told for certain by a text alone. */
static bool is_same(PyObject *a, PyObject *b)
{
    return a == b ||
           (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b) && PyUnicode_Compare(a, b) == 0);
}

/* The route of a request, if there is no need to call what tells it; else NULL. Borrowed. */
static PyObject *route_at_hand(const struct requests *requests, PyObject *source)
{
    if (!requests->usual || !PyDict_Check(source))
        return NULL;
    PyObject *route = PyDict_GetItemWithError(source, requests->words[WORD_SMX_ROUTE]);
    if (route)
        return PyUnicode_CheckExact(route) && PyUnicode_GetLength(route) > 0 ? route : NULL;
    if (PyErr_Occurred() || PyDict_Contains(source, requests->words[WORD_ROUTE]) != 0)
        return NULL; /* a framework's */
    return requests->words[WORD_NOTHING];
}

/* A method as a number, its letters and how many, which is compared at once; 0 where that is not
 * for certain the same text. */
static uint64_t method_number(PyObject *method)
{
    Py_ssize_t n = 0;
    const char *letters = PyUnicode_CheckExact(method) ? PyUnicode_AsUTF8AndSize(method, &n) : NULL;
    if (!letters) {
        PyErr_Clear();
        return 0;
    }
    if (n > 7)
        return 0;
    uint64_t number = (uint64_t)n;
    for (Py_ssize_t i = 0; i < n; i++)
        number = number << 8 | (unsigned char)letters[i];
    return number;
}

/* The status as a label; NULL with an exception. */
static PyObject *status_label(PyObject *status)
{
    if (PyUnicode_Check(status))
        return PyUnicode_Substring(status, 0, 3);
    if (!PyLong_Check(status))
        return Py_NewRef(status);
    PyObject *number = PyNumber_Long(status); /* an enumeration's str() is its name */
    PyObject *label = number ? PyObject_Str(number) : NULL;
    Py_XDECREF(number);
    return label;
}

/* (Counter, Histogram) of such requests; NULL, and perhaps an exception, if there are none yet. */
static PyObject *find_known(const struct requests *requests, PyObject *const key_parts[3])
{
    if (!key_parts[2])
        return NULL;
    PyObject *key = PyTuple_Pack(3, key_parts[0], key_parts[1], key_parts[2]);
    PyObject *found = key ? PyDict_GetItemWithError(requests->known, key) : NULL;
    Py_XDECREF(key);
    return Py_XNewRef(found);
}

static PyObject *find(struct requests *requests, PyObject *const key_parts[3], PyObject *source)
{
    PyObject *found = find_known(requests, key_parts);
    if (found || PyErr_Occurred())
        return found;
    found = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_FIND],
                                       key_parts[0], key_parts[1], source, NULL);
    if (found && !(PyTuple_Check(found) && PyTuple_Size(found) == 2)) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_TypeError, "_find() gives a counter and a histogram");
    }
    return found;
}

static void kind_clear(struct kind *kind)
{
    Py_CLEAR(kind->status);
    Py_CLEAR(kind->route);
}

/* The place of a route's requests. A text has a hash. */
static struct kind *kind_of(struct requests *requests, PyObject *route)
{
    return &requests->kinds[(size_t)PyObject_Hash(route) % N_KINDS];
}

/* Find them where no request before helps. */
__attribute__((cold)) static int find_other(struct requests *requests, PyObject *method,
                                            PyObject *status, PyObject *source, struct series *out)
{
    PyObject *route = Py_XNewRef(route_at_hand(requests, source));
    struct kind *kind = route ? kind_of(requests, route) : NULL;
    PyObject *label = PyErr_Occurred() ? NULL : status_label(status);
    PyObject *found = label ? find(requests, (PyObject *[]){method, label, route}, source) : NULL;
    int error = found ? 0 : -1;
    if (found) {
        out->total = ((struct counter_cell *)PyTuple_GetItem(found, 0))->handle;
        out->duration = ((struct histogram_cell *)PyTuple_GetItem(found, 1))->handle;
    }
    uint64_t number = found && route ? method_number(method) : 0;
    if (number) {
        struct kind new = {number, Py_NewRef(status), Py_NewRef(route), *out};
        struct kind old = *kind;
        *kind = new;
        kind_clear(&old);
    }
    Py_XDECREF(found);
    Py_XDECREF(label);
    Py_XDECREF(route);
    return error;
}

__attribute__((hot)) int requests_find(struct requests *requests, PyObject *method,
                                       PyObject *status, PyObject *source, struct series *out)
{
    PyObject *route = route_at_hand(requests, source);
    const struct kind *kind = route ? kind_of(requests, route) : NULL;
    if (!kind || !kind->route || !is_same(route, kind->route) || !is_same(status, kind->status) ||
        method_number(method) != kind->method)
        return PyErr_Occurred() ? -1 : find_other(requests, method, status, source, out);
    *out = kind->series;
    return 0;
}

int request_count(struct request *r)
{
    struct series series;
    if (r->counted)
        return 0;
    /* Where Python is called another thread may replace the status, or count the request. */
    PyObject *status = Py_NewRef(r->status ? r->status : r->requests->words[WORD_NOTHING]);
    int error = requests_find(r->requests, r->method, status, r->source, &series);
    Py_DECREF(status);
    if (error || r->counted)
        return error;
    r->counted = true;
    r->timer.histogram = series.duration;
    smx_counter_inc(series.total);
    return 0;
}

/* What times a request that was answered with nothing; 0, or -1 with an exception. */
__attribute__((cold)) static int find_timer(struct request *r)
{
    struct requests *requests = r->requests;
    PyObject *cell = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_TIMER],
                                                r->method, r->source, NULL);
    if (!cell)
        return -1;
    r->timer.histogram = ((struct histogram_cell *)cell)->handle;
    Py_DECREF(cell);
    return 0;
}

int request_end(struct request *r)
{
    if (r->ended)
        return 0;
    r->ended = true;
    requests_move(r->requests, -1);
    if (!r->counted && find_timer(r) < 0)
        return -1;
    (void)smx_timer_stop(&r->timer);
    return 0;
}

int request_fail(struct request *r, PyObject *error)
{
    struct requests *requests = r->requests;
    PyObject *done = PyObject_CallMethodObjArgs((PyObject *)requests, requests->words[WORD_FAIL],
                                                r->method, r->source, error, NULL);
    Py_XDECREF(done);
    if (!done || r->counted)
        return done ? 0 : -1;
    fast_set(&r->status, PyUnicode_FromString("500"));
    return r->status ? request_count(r) : -1;
}

void request_tell_raised(struct request *r, bool fails, bool ends)
{
    PyObject *kind;
    PyObject *error;
    PyObject *traceback;
    if (!fails && (!ends || r->counted)) {
        if (ends)
            (void)request_end(r);
        return;
    }
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    if (fails && request_fail(r, error) < 0)
        PyErr_WriteUnraisable((PyObject *)r);
    if (ends && request_end(r) < 0)
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
    return 0;
}

/* The server's first: without it nothing can be told, by a finalizer of the others, say. */
static void request_clear(struct request *r)
{
    Py_CLEAR(r->server);
    Py_CLEAR(r->method);
    Py_CLEAR(r->source);
    Py_CLEAR(r->status);
}

void request_dealloc(PyObject *self)
{
    struct request *r = (struct request *)self;
    PyObject_GC_UnTrack(self);
    request_clear(r);
    Py_CLEAR(r->requests);
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

static struct request *request_new(struct requests *requests)
{
    struct request *r = (struct request *)fast_take(&requests->spare);
    if (r)
        return r;
    r = (struct request *)PyType_GenericAlloc(requests->kind, 0);
    if (r)
        r->requests = (struct requests *)Py_NewRef((PyObject *)requests);
    return r;
}

struct request *request_begin(struct requests *requests, fast_function call, PyObject *method,
                              PyObject *source, PyObject *server)
{
    struct request *r = method ? request_new(requests) : NULL;
    if (!r) {
        Py_XDECREF(method);
        return NULL;
    }
    r->call = call;
    r->method = method;
    r->source = Py_NewRef(source);
    r->server = Py_NewRef(server);
    requests_move(requests, 1);
    r->timer = smx_timer_start((smx_histogram){0});
    return r;
}

void request_release(struct request *r)
{
    if (Py_REFCNT((PyObject *)r) > 1) {
        Py_DECREF((PyObject *)r);
        return;
    }
    request_clear(r);
    r->counted = false;
    r->ended = false;
    fast_set(&r->requests->spare, (PyObject *)r);
}

const PyMemberDef request_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct request, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int requests_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct requests *requests = (struct requests *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(requests->spare);
    Py_VISIT(requests->spare_waiting[0]);
    Py_VISIT(requests->spare_waiting[1]);
    Py_VISIT(requests->begun);
    for (int i = 0; i < N_KINDS; i++) {
        Py_VISIT(requests->kinds[i].status);
        Py_VISIT(requests->kinds[i].route);
    }
    Py_VISIT(requests->kind);
    Py_VISIT(requests->known);
    return 0;
}

static int requests_clear(PyObject *self)
{
    struct requests *requests = (struct requests *)self;
    Py_CLEAR(requests->spare);
    Py_CLEAR(requests->spare_waiting[0]);
    Py_CLEAR(requests->spare_waiting[1]);
    Py_CLEAR(requests->begun);
    for (int i = 0; i < N_KINDS; i++)
        kind_clear(&requests->kinds[i]);
    Py_CLEAR(requests->kind);
    Py_CLEAR(requests->known);
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
