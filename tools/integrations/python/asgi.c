/* SPDX-License-Identifier: MIT
 *
 * asgi.c - a request that comes by ASGI: send() for the application, and what waits for the
 * application in the server's place. The same as AsgiRequest and AsgiMiddleware in
 * smx/_requests.py, but that a request begins when it is called, not when that is awaited.
 */
#include "fast.h"

/* Waits for what another coroutine does: the application, or the server's sending the last part of
 * an answer. Then the request has ended. Has what asyncio wants of a coroutine. */
struct waiting {
    PyObject_HEAD struct request *request;
    PyObject *inner; /* NULL once it is done */
    bool whole;      /* all that the application does: its exceptions are told */
    bool running;
};

/* What gives an awaitable its turns: a coroutine itself, or the iterator of something else. */
static PyObject *iterator_of(PyObject *awaitable)
{
    if (PyType_GetSlot(Py_TYPE(awaitable), Py_am_send))
        return Py_NewRef(awaitable);
    PyObject *iterator = PyObject_CallMethod(awaitable, "__await__", NULL);
    if (!iterator && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Format(PyExc_TypeError, "%R cannot be awaited", awaitable);
    return iterator;
}

static struct waiting *waiting_new(struct requests *requests, bool whole)
{
    struct waiting *w = (struct waiting *)fast_take(&requests->spare_waiting[whole]);
    if (w)
        return w;
    const struct fast_state *state = PyType_GetModuleState(requests->kind);
    return state ? (struct waiting *)PyType_GenericAlloc(state->waiting, 0) : NULL;
}

/* Takes the reference to the awaitable; NULL, with an exception, if that is NULL. */
static PyObject *wait_for(struct request *r, PyObject *awaitable, bool whole)
{
    PyObject *inner = awaitable ? iterator_of(awaitable) : NULL;
    struct waiting *w = inner ? waiting_new(r->requests, whole) : NULL;
    Py_XDECREF(awaitable);
    if (!w) {
        Py_XDECREF(inner);
        return NULL;
    }
    w->request = (struct request *)Py_NewRef((PyObject *)r);
    w->inner = inner;
    w->whole = whole;
    return (PyObject *)w;
}

/* It is done: with an exception, if one is raised. */
static void settle(struct waiting *w, bool returned)
{
    struct request *r = w->request;
    /* What is no Exception is a cancellation, which is the client's. */
    bool fails = w->whole && !returned && PyErr_ExceptionMatches(PyExc_Exception);
    w->request = NULL;
    Py_CLEAR(w->inner);
    if (returned || w->whole)
        request_tell_raised(r, fails, true);
    fast_set(&r->requests->spare_waiting[w->whole], Py_NewRef((PyObject *)w));
    request_release(r);
}

/* Whether it can have a turn; else an exception is raised, as a coroutine's. */
static bool can_run(const struct waiting *w)
{
    if (w->running)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (!w->inner)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return w->inner && !w->running;
}

static PySendResult waiting_step(PyObject *self, PyObject *value, PyObject **result)
{
    struct waiting *w = (struct waiting *)self;
    if (!can_run(w))
        return PYGEN_ERROR;
    w->running = true;
    PySendResult got = PyIter_Send(w->inner, value, result);
    w->running = false;
    if (got != PYGEN_NEXT)
        settle(w, got == PYGEN_RETURN);
    return got;
}

static PyObject *waiting_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    if (waiting_step(self, value, &result) != PYGEN_RETURN)
        return result;
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

static PyObject *waiting_next(PyObject *self)
{
    return waiting_send(self, Py_None);
}

/* A method of what it waits for, where that has it: a plain iterator has none. NULL, with an
 * exception or without one. */
static PyObject *method_of_inner(const struct waiting *w, const char *name)
{
    PyObject *method = PyObject_GetAttrString(w->inner, name);
    if (!method && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return method;
}

/* Raise what throw() was given. */
static void raise_given(PyObject *args)
{
    PyObject *what = PyTuple_GetItem(args, 0);
    if (!what)
        return;
    if (PyExceptionInstance_Check(what))
        PyErr_SetObject((PyObject *)Py_TYPE(what), what);
    else
        PyErr_SetObject(what, PyTuple_Size(args) > 1 ? PyTuple_GetItem(args, 1) : NULL);
}

static PyObject *waiting_throw(PyObject *self, PyObject *args)
{
    struct waiting *w = (struct waiting *)self;
    if (!can_run(w))
        return NULL;
    w->running = true;
    PyObject *method = method_of_inner(w, "throw");
    PyObject *result = method ? PyObject_Call(method, args, NULL) : NULL;
    if (!method && !PyErr_Occurred())
        raise_given(args);
    Py_XDECREF(method);
    w->running = false;
    if (!result)
        settle(w, PyErr_ExceptionMatches(PyExc_StopIteration) != 0);
    return result;
}

static PyObject *waiting_close(PyObject *self, PyObject *unused)
{
    struct waiting *w = (struct waiting *)self;
    (void)unused;
    if (!w->inner)
        Py_RETURN_NONE;
    if (!can_run(w))
        return NULL;
    w->running = true;
    PyObject *close = method_of_inner(w, "close");
    PyObject *done = close ? PyObject_CallFunctionObjArgs(close, NULL) : NULL;
    if (!close && !PyErr_Occurred())
        done = Py_NewRef(Py_None);
    Py_XDECREF(close);
    w->running = false;
    settle(w, done && w->whole);
    return done;
}

static int waiting_traverse(PyObject *self, visitproc visit, void *arg)
{
    const struct waiting *w = (struct waiting *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->request);
    Py_VISIT(w->inner);
    return 0;
}

static void waiting_dealloc(PyObject *self)
{
    struct waiting *w = (struct waiting *)self;
    PyObject_GC_UnTrack(self);
    bool unfinished = w->inner && w->whole; /* never awaited, or given up */
    Py_CLEAR(w->inner);
    if (unfinished)
        request_tell_raised(w->request, false, true);
    if (w->request)
        request_release(w->request);
    fast_free(self);
}

static int add_waiting(PyObject *module)
{
    static const PyMethodDef methods[] = {
        METHOD("send", waiting_send, METH_O, NULL),
        METHOD("throw", waiting_throw, METH_VARARGS, NULL),
        METHOD("close", waiting_close, METH_NOARGS, NULL),
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        SLOT(Py_tp_methods, methods),         SLOT(Py_am_await, PyObject_SelfIter),
        SLOT(Py_am_send, waiting_step),       SLOT(Py_tp_iter, PyObject_SelfIter),
        SLOT(Py_tp_iternext, waiting_next),   SLOT(Py_tp_traverse, waiting_traverse),
        SLOT(Py_tp_dealloc, waiting_dealloc), {0, NULL},
    };
    if (fast_add_type(module, "smx._fast.Waiting", sizeof(struct waiting), Py_TPFLAGS_HAVE_GC,
                      slots) < 0)
        return -1;
    struct fast_state *state = PyModule_GetState(module);
    state->waiting = (PyTypeObject *)PyObject_GetAttrString(module, "Waiting");
    return state->waiting ? 0 : -1;
}

/* The status, which is a number; -1 with an exception. */
static int take_status(struct request *r, PyObject *message)
{
    PyObject *status = fast_get_item(message, r->requests->words[WORD_STATUS]);
    if (status && !PyLong_CheckExact(status)) {
        PyObject *number = PyNumber_Long(status);
        fast_set(&status, number);
    }
    if (!status)
        return -1;
    fast_set(&r->status, status);
    return 0;
}

/* Whether this is the last part of the answer; -1 with an exception. */
static int is_last(const struct request *r, PyObject *message)
{
    PyObject *more = fast_get(message, r->requests->words[WORD_MORE_BODY]);
    if (!more)
        return PyErr_Occurred() ? -1 : 1;
    int truth = PyObject_IsTrue(more);
    Py_DECREF(more);
    return truth < 0 ? -1 : !truth;
}

/* Which of the types that are known a text is, or N_WORDS; the one that is equal is found without
 * a comparison from then on. */
__attribute__((cold)) static enum word find_type(struct requests *requests, PyObject *text)
{
    for (enum word word = WORD_HTTP; word <= WORD_BODY && PyUnicode_Check(text); word++) {
        if (PyUnicode_Compare(text, requests->words[word]) == 0) {
            if (PyUnicode_CheckExact(text))
                fast_set(&requests->words[word], Py_NewRef(text));
            return word;
        }
    }
    return N_WORDS;
}

/* The type of a message, or of a scope; or N_WORDS, with an exception or without one. */
static enum word type_of(struct requests *requests, PyObject *what)
{
    PyObject *text = fast_get_item(what, requests->words[WORD_TYPE]);
    if (!text)
        return N_WORDS;
    enum word type = WORD_HTTP;
    while (type <= WORD_BODY && text != requests->words[type])
        type++;
    if (type > WORD_BODY)
        type = find_type(requests, text);
    Py_DECREF(text);
    return type;
}

/* The argument of send(), by its place or its name; NULL with an exception. */
static PyObject *message_of(PyObject *const *args, size_t n, PyObject *names)
{
    Py_ssize_t named = names ? PyTuple_Size(names) : 0;
    if (FAST_N_ARGS(n) + named == 1 &&
        (!named || PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "message") == 0))
        return args[0];
    return PyErr_Format(PyExc_TypeError, "send() takes a message");
}

/* send(message). */
static PyObject *request_send(PyObject *self, PyObject *const *args, size_t n, PyObject *names)
{
    struct request *r = (struct request *)self;
    PyObject *message = message_of(args, n, names);
    if (!message)
        return NULL;
    if (!r->server)
        return PyErr_Format(PyExc_TypeError, "there is no request to send for");
    enum word type = type_of(r->requests, message);
    int last = 0;
    if (type == WORD_START)
        last = take_status(r, message) < 0 || request_count(r) < 0 ? -1 : 0;
    else if (type == WORD_BODY)
        last = is_last(r, message);
    else if (PyErr_Occurred())
        last = -1;
    if (last < 0)
        return NULL;
    PyObject *sending = PyObject_CallFunctionObjArgs(r->server, message, NULL);
    return last ? wait_for(r, sending, false) : sending;
}

/* The same, for those who have a tuple. */
static PyObject *request_call(PyObject *self, PyObject *args, PyObject *named)
{
    char *names[] = {"message", NULL};
    PyObject *message = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O:send", names, &message))
        return NULL;
    return request_send(self, &message, 1, NULL);
}

static int add_request(PyObject *module)
{
    PyType_Slot slots[] = {
        SLOT(Py_tp_members, request_members),
        SLOT(Py_tp_call, request_call),
        SLOT(Py_tp_traverse, request_traverse),
        SLOT(Py_tp_dealloc, request_dealloc),
        {0, NULL},
    };
    return fast_add_type(module, "smx._fast.AsgiRequest", sizeof(struct request),
                         Py_TPFLAGS_HAVE_GC | FAST_IS_FUNCTION, slots);
}

/* Call the application; gives what waits for it. */
static PyObject *begin(const struct middleware *m, PyObject *scope, PyObject *receive,
                       PyObject *send)
{
    PyObject *method = fast_get_item(scope, m->requests->words[WORD_METHOD]);
    struct request *r = request_begin(m->requests, request_send, method, scope, send);
    if (!r)
        return NULL;
    PyObject *waiting = wait_for(
        r, PyObject_CallFunctionObjArgs(m->application, scope, receive, (PyObject *)r, NULL), true);
    if (!waiting)
        request_tell_raised(r, PyErr_ExceptionMatches(PyExc_Exception) != 0, true);
    Py_DECREF((PyObject *)r);
    return waiting;
}

/* Without names. */
static PyObject *serve(const struct middleware *m, PyObject *args)
{
    PyObject *scope = PyTuple_GetItem(args, 0);
    enum word type = type_of(m->requests, scope);
    if (type == N_WORDS && PyErr_Occurred())
        return NULL;
    if (type != WORD_HTTP)
        return PyObject_Call(m->application, args, NULL);
    return begin(m, scope, PyTuple_GetItem(args, 1), PyTuple_GetItem(args, 2));
}

/* By their names, as Daphne calls. */
static PyObject *serve_named(const struct middleware *m, PyObject *args, PyObject *named)
{
    char *names[] = {"scope", "receive", "send", NULL};
    PyObject *scope, *receive, *send;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OOO:application", names, &scope, &receive,
                                     &send))
        return NULL;
    PyObject *in_order = PyTuple_Pack(3, scope, receive, send);
    PyObject *waiting = in_order ? serve(m, in_order) : NULL;
    Py_XDECREF(in_order);
    return waiting;
}

static PyObject *middleware_call(PyObject *self, PyObject *args, PyObject *named)
{
    const struct middleware *m = (struct middleware *)self;
    if (!m->requests)
        return PyErr_Format(PyExc_TypeError, "the middleware has no application");
    if (fast_has_names(named) || PyTuple_Size(args) != 3)
        return serve_named(m, args, named);
    return serve(m, args);
}

int asgi_add(PyObject *module)
{
    return add_waiting(module) < 0 || add_request(module) < 0 ||
                   middleware_add(module, "smx._fast.AsgiMiddleware", middleware_call) < 0
               ? -1
               : 0;
}
