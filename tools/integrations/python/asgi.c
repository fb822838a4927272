/* SPDX-License-Identifier: MIT
 *
 * asgi.c - a request that comes by ASGI: send() for the application. The same as AsgiRequest in
 * smx/_requests.py, but that it is not a coroutine function: it gives what the server's send()
 * does, for all parts of an answer but the last.
 */
#include "fast.h"

/* An item of a message, by a word; NULL, and no exception, if there is none. New reference. */
static PyObject *item(const struct request *r, PyObject *message, enum word key)
{
    PyObject *found = PyObject_GetItem(message, r->requests->words[key]);
    if (!found && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear();
    return found;
}

static bool is_text(PyObject *text, const char *what)
{
    return text && PyUnicode_Check(text) && PyUnicode_CompareWithASCIIString(text, what) == 0;
}

/* The status as a label: an enumeration's str() is its name. */
static int take_status(struct request *r, PyObject *message)
{
    PyObject *status = PyObject_GetItem(message, r->requests->words[WORD_STATUS]);
    PyObject *number = status ? PyNumber_Long(status) : NULL;
    PyObject *text = number ? PyObject_Str(number) : NULL;
    Py_XDECREF(status);
    Py_XDECREF(number);
    if (!text)
        return -1;
    fast_set(&r->status, text);
    return 0;
}

/* Whether this is the last part of the answer. */
static int is_last(const struct request *r, PyObject *message)
{
    PyObject *more = item(r, message, WORD_MORE_BODY);
    if (!more)
        return PyErr_Occurred() ? -1 : 1;
    int truth = PyObject_IsTrue(more);
    Py_DECREF(more);
    return truth < 0 ? -1 : !truth;
}

/* send(message). */
static PyObject *take_message(PyObject *self, PyObject *message)
{
    struct request *r = (struct request *)self;
    PyObject *kind = item(r, message, WORD_TYPE);
    bool starts = is_text(kind, "http.response.start");
    int last = is_text(kind, "http.response.body") ? is_last(r, message) : 0;
    Py_XDECREF(kind);
    if (PyErr_Occurred() || (starts && (take_status(r, message) < 0 || request_count(r) < 0)))
        return NULL;
    PyObject *sending = PyObject_CallFunctionObjArgs(r->server, message, NULL);
    if (!sending || !last)
        return sending;
    PyObject *wrapped = PyObject_CallMethodObjArgs(
        (PyObject *)r->requests, r->requests->words[WORD_LAST], sending, self, NULL);
    Py_DECREF(sending);
    return wrapped;
}

static PyObject *call(PyObject *self, PyObject *args, PyObject *named)
{
    if (named || PyTuple_Size(args) != 1)
        return PyErr_Format(PyExc_TypeError, "send() takes a message");
    return take_message(self, PyTuple_GetItem(args, 0));
}

int asgi_add(PyObject *module)
{
    static const PyMethodDef methods[] = {
        METHOD("end", request_method_end, METH_NOARGS, NULL),
        METHOD("fail", request_method_fail, METH_O, NULL),
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        SLOT(Py_tp_methods, methods),
        SLOT(Py_tp_call, call),
        SLOT(Py_tp_traverse, request_traverse),
        SLOT(Py_tp_dealloc, request_dealloc),
        {0, NULL},
    };
    return fast_add_type(module, "smx._fast.AsgiRequest", sizeof(struct request),
                         Py_TPFLAGS_HAVE_GC, slots);
}
