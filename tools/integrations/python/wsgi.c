/* SPDX-License-Identifier: MIT
 *
 * wsgi.c - a request that comes by WSGI: start_response() for the application, and for the server
 * an answer that is made while it is sent. The same as WsgiRequest in smx/_requests.py.
 */
#include "fast.h"

struct wsgi_request {
    struct request base;
    PyObject *write;  /* what the server's start_response() gives */
    PyObject *body;   /* what the application gives, unless it is a list */
    PyObject *chunks; /* its iterator */
    bool iterating;   /* at this moment: a body that leads back here would have no end */
    bool closing;     /* the same */
};

/* Who asks the collector, or the type, can have one that no server has called for. */
static bool is_under_way(const struct wsgi_request *w)
{
    if (!w->base.server)
        PyErr_SetString(PyExc_RuntimeError, "no request is under way");
    return w->base.server;
}

static int count_and_end(struct request *r)
{
    return request_count(r) < 0 || request_end(r) < 0 ? -1 : 0;
}

/* Whether the server sends this body its own way. */
static int is_file(const struct request *r, PyObject *body)
{
    if (!PyDict_Check(r->source))
        return 0;
    PyObject *wrapper = PyDict_GetItemWithError(r->source, r->requests->words[WORD_FILE_WRAPPER]);
    if (!wrapper || !PyType_Check(wrapper))
        return PyErr_Occurred() ? -1 : 0;
    return PyObject_IsInstance(body, wrapper);
}

/* Call the application; gives what the server is to send. */
static PyObject *answer(struct request *r, PyObject *application)
{
    PyObject *self = (PyObject *)r;
    PyObject *body = PyObject_CallFunctionObjArgs(application, r->source, self, NULL);
    if (!body) {
        request_tell_raised(r, true, true);
        return NULL;
    }
    int complete = PyList_CheckExact(body) || PyTuple_CheckExact(body) ? 1 : is_file(r, body);
    if (complete < 0 || (complete && count_and_end(r) < 0)) {
        Py_DECREF(body);
        return NULL;
    }
    if (complete)
        return body;
    fast_set(&((struct wsgi_request *)self)->body, body);
    return Py_NewRef(self);
}

static PyObject *write_data(PyObject *self, PyObject *data)
{
    if (request_count((struct request *)self) < 0)
        return NULL;
    PyObject *write = Py_NewRef(((struct wsgi_request *)self)->write); /* it may be replaced */
    PyObject *done = PyObject_CallFunctionObjArgs(write, data, NULL);
    Py_DECREF(write);
    return done;
}

/* -1 with an exception. */
static int take_status(struct request *r, PyObject *status)
{
    status = PyUnicode_Check(status) ? Py_NewRef(status) : PySequence_GetSlice(status, 0, 3);
    if (!status)
        return -1;
    fast_set(&r->status, status);
    return 0;
}

/* What start_response() gives, by what the server's has: itself, which takes data, too. So there is
 * one object for all of a request. */
static PyObject *started(struct wsgi_request *w, PyObject *write)
{
    if (!write)
        return NULL;
    fast_set(&w->write, write);
    return Py_NewRef((PyObject *)w);
}

/* start_response(status, headers, exc_info), or write(data). */
static PyObject *start_or_write(PyObject *self, PyObject *args, PyObject *named)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    if (!is_under_way(w))
        return NULL;
    PyObject *first = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
    if (!fast_has_names(named) && w->write && PyTuple_Size(args) == 1)
        return write_data(self, first);
    if (!first && named)
        first = PyDict_GetItemString(named, "status");
    if (!first)
        return PyErr_Format(PyExc_TypeError, "start_response() takes a status");
    return take_status(&w->base, first) < 0
               ? NULL
               : started(w, PyObject_Call(w->base.server, args, named));
}

/* The same, of which most is start_response(status, headers). */
static PyObject *start(PyObject *self, PyObject *const *args, size_t n, PyObject *names)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    if (names || FAST_N_ARGS(n) != 2)
        return fast_call(start_or_write, self, args, FAST_N_ARGS(n), names);
    if (!is_under_way(w) || take_status(&w->base, args[0]) < 0)
        return NULL;
    return started(w, PyObject_CallFunctionObjArgs(w->base.server, args[0], args[1], NULL));
}

static PyObject *next_of_body(struct wsgi_request *w)
{
    w->iterating = true;
    if (!w->chunks && w->body)
        w->chunks = PyObject_GetIter(w->body);
    PyObject *chunk = w->chunks ? PyIter_Next(w->chunks) : NULL;
    w->iterating = false;
    return chunk;
}

static PyObject *next(PyObject *self)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    if (!is_under_way(w))
        return NULL;
    if (w->iterating)
        return PyErr_Format(PyExc_TypeError, "an answer cannot be made of itself");
    PyObject *chunk = next_of_body(w);
    int something = chunk ? PyObject_IsTrue(chunk) : 0;
    if (something < 0)
        Py_CLEAR(chunk);
    if (PyErr_Occurred()) {
        request_tell_raised(&w->base, true, false);
    } else if ((something || !chunk) && request_count(&w->base) < 0) {
        Py_CLEAR(chunk);
    }
    return chunk;
}

static int close_body(struct wsgi_request *w)
{
    if (w->closing) {
        PyErr_SetString(PyExc_TypeError, "an answer cannot be closed by itself");
        return -1;
    }
    PyObject *close =
        w->body ? PyObject_GetAttr(w->body, w->base.requests->words[WORD_CLOSE]) : NULL;
    if (!close) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Clear();
        return PyErr_Occurred() ? -1 : 0;
    }
    w->closing = true;
    PyObject *done = PyObject_CallFunctionObjArgs(close, NULL);
    w->closing = false;
    Py_DECREF(close);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* What nobody wanted to have, a HEAD's body say, was answered nevertheless. */
static PyObject *close_answer(PyObject *self, PyObject *unused)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    PyObject *kind = NULL;
    PyObject *error = NULL;
    PyObject *traceback = NULL;
    (void)unused;
    if (!is_under_way(w))
        return NULL;
    if (close_body(w) < 0)
        PyErr_Fetch(&kind, &error, &traceback);
    int counted = count_and_end(&w->base);
    if (kind)
        PyErr_Restore(kind, error, traceback); /* in the place of any other */
    if (kind || counted < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    Py_VISIT(w->write);
    Py_VISIT(w->body);
    Py_VISIT(w->chunks);
    return request_traverse(self, visit, arg);
}

/* Other references lead nowhere back but through what can be cleared itself. */
static int clear(PyObject *self)
{
    struct wsgi_request *w = (struct wsgi_request *)self;
    Py_CLEAR(w->body);
    Py_CLEAR(w->chunks);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    (void)clear(self);
    Py_CLEAR(((struct wsgi_request *)self)->write);
    request_dealloc(self);
}

static int add_request(PyObject *module)
{
    static const PyMethodDef methods[] = {
        METHOD("close", close_answer, METH_NOARGS, NULL),
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        SLOT(Py_tp_members, request_members),
        SLOT(Py_tp_methods, methods),
        SLOT(Py_tp_call, start_or_write),
        SLOT(Py_tp_iter, PyObject_SelfIter),
        SLOT(Py_tp_iternext, next),
        SLOT(Py_tp_traverse, traverse),
        SLOT(Py_tp_clear, clear),
        SLOT(Py_tp_dealloc, dealloc),
        {0, NULL},
    };
    return fast_add_type(module, "smx._fast.WsgiRequest", sizeof(struct wsgi_request),
                         Py_TPFLAGS_HAVE_GC | FAST_IS_FUNCTION, slots);
}

static void release(struct request *r)
{
    if (Py_REFCNT((PyObject *)r) == 1)
        Py_CLEAR(((struct wsgi_request *)r)->write);
    request_release(r);
}

static PyObject *middleware_call(PyObject *self, PyObject *args, PyObject *named)
{
    const struct middleware *m = (struct middleware *)self;
    if (fast_has_names(named) || PyTuple_Size(args) != 2 || !m->requests)
        return PyErr_Format(PyExc_TypeError, "an application takes environ and start_response");
    PyObject *source = PyTuple_GetItem(args, 0);
    PyObject *method = fast_get_item(source, m->requests->words[WORD_WSGI_METHOD]);
    struct request *r = request_begin(m->requests, start, method, source, PyTuple_GetItem(args, 1));
    if (!r)
        return NULL;
    PyObject *body = answer(r, m->application);
    release(r);
    return body;
}

int wsgi_add(PyObject *module)
{
    return add_request(module) < 0 ||
                   middleware_add(module, "smx._fast.WsgiMiddleware", middleware_call) < 0
               ? -1
               : 0;
}
