/* SPDX-License-Identifier: MIT
 *
 * gunicorn.c - gunicorn's hooks before and after a request, the same as those of RequestsCell in
 * smx/_requests.py. Meanwhile an attribute of gunicorn's request says when it began.
 */
#include "fast.h"

PyObject *gunicorn_before(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    const struct requests *requests = (struct requests *)self;
    if (n != 2)
        return PyErr_Format(PyExc_TypeError, "pre_request() takes a worker and a request");
    PyObject *began = PyLong_FromUnsignedLongLong(smx_now_ns());
    int error = began ? PyObject_SetAttr(args[1], requests->words[WORD_BEGAN], began) : -1;
    Py_XDECREF(began);
    if (error)
        return NULL;
    smx_fgauge_add_fn(requests->in_flight, 1);
    Py_RETURN_NONE;
}

/* Whether an exception ends the request. */
static bool has_failed(void)
{
    PyObject *kind;
    PyObject *error;
    PyObject *traceback;
    PyErr_GetExcInfo(&kind, &error, &traceback);
    bool failed = error && error != Py_None;
    Py_XDECREF(kind);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return failed;
}

/* The three characters of the status; _status_of() knows what to say where there is none. */
static PyObject *status_of(PyObject *self, PyObject *const *args)
{
    const struct requests *requests = (struct requests *)self;
    PyObject *answer = args[3];
    PyObject *status = NULL;
    if (answer != Py_None && !has_failed()) {
        PyObject *line = PyObject_GetAttr(answer, requests->words[WORD_STATUS]);
        if (line && PyUnicode_Check(line))
            status = PyUnicode_Substring(line, 0, 3);
        Py_XDECREF(line);
    }
    if (status || PyErr_Occurred())
        return status;
    return PyObject_CallMethodObjArgs(self, requests->words[WORD_STATUS_OF], args[1], args[2],
                                      answer, NULL);
}

PyObject *gunicorn_after(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct requests *requests = (struct requests *)self;
    if (n != 4)
        return PyErr_Format(PyExc_TypeError, "post_request() takes a worker, a request, its "
                                             "environ and its answer");
    PyObject *began = PyObject_GetAttr(args[1], requests->words[WORD_BEGAN]);
    if (!began)
        return NULL;
    uint64_t start = PyLong_AsUnsignedLongLong(began);
    Py_DECREF(began);
    if (PyErr_Occurred())
        return NULL;
    struct request r = {.requests = requests, .source = args[2]};
    r.method = PyObject_GetAttr(args[1], requests->words[WORD_SCOPE_METHOD]);
    r.status = r.method ? status_of(self, args) : NULL;
    bool done = r.status && request_count(&r) == 0;
    if (done)
        histogram_cell_took((struct histogram_cell *)PyTuple_GetItem(r.series, 1),
                            smx_now_ns() - start);
    smx_fgauge_add_fn(requests->in_flight, -1); /* also where that has failed */
    Py_XDECREF(r.method);
    Py_XDECREF(r.status);
    Py_XDECREF(r.series);
    if (!done)
        return NULL;
    Py_RETURN_NONE;
}
