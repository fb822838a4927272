/* SPDX-License-Identifier: MIT
 *
 * gunicorn.c - gunicorn's hooks before and after a request, the same as those of RequestsCell in
 * smx/_requests.py. Of workers that answer more than one at a time, the requests that begin while
 * another is timed have an attribute that says when.
 */
#include "fast.h"

/* Keep the time that a request begins; -1 with an exception. */
__attribute__((cold)) static int remember(const struct requests *requests, PyObject *req)
{
    PyObject *began = PyLong_FromUnsignedLongLong(smx_now_ns());
    int error = began ? PyObject_SetAttr(req, requests->words[WORD_BEGAN], began) : -1;
    Py_XDECREF(began);
    return error;
}

/* When it began, by remember(); -1 with an exception. */
__attribute__((cold)) static int recall(const struct requests *requests, PyObject *req,
                                        smx_timer *out)
{
    PyObject *began = PyObject_GetAttr(req, requests->words[WORD_BEGAN]);
    if (!began)
        return -1;
    *out = (smx_timer){.start = PyLong_AsUnsignedLongLong(began)};
    Py_DECREF(began);
    return PyErr_Occurred() ? -1 : 0;
}

__attribute__((hot)) PyObject *gunicorn_before(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct requests *requests = (struct requests *)self;
    if (n != 2)
        return PyErr_Format(PyExc_TypeError, "pre_request() takes a worker and a request");
    if (!requests->begun) {
        requests->begun = Py_NewRef(args[1]);
        requests->timer = smx_timer_start((smx_histogram){0});
    } else if (remember(requests, args[1]) < 0) {
        return NULL;
    }
    requests_move(requests, 1);
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

/* The status line, or of one that there is not what _status_of() says. */
static PyObject *status_of(PyObject *self, PyObject *const *args)
{
    const struct requests *requests = (struct requests *)self;
    PyObject *answer = args[3];
    if (answer != Py_None && !has_failed()) {
        PyObject *line = PyObject_GetAttr(answer, requests->words[WORD_STATUS]);
        if (!line || PyUnicode_Check(line))
            return line;
        Py_DECREF(line);
    }
    return PyObject_CallMethodObjArgs(self, requests->words[WORD_STATUS_OF], args[1], args[2],
                                      answer, NULL);
}

/* Count a request, and time it; -1 with an exception. */
static int count(PyObject *self, PyObject *const *args, smx_timer *timer)
{
    struct requests *requests = (struct requests *)self;
    struct series series;
    PyObject *method = PyObject_GetAttr(args[1], requests->words[WORD_METHOD]);
    PyObject *status = method ? status_of(self, args) : NULL;
    int error = status ? requests_find(requests, method, status, args[2], &series) : -1;
    Py_XDECREF(status);
    Py_XDECREF(method);
    if (error)
        return -1;
    smx_counter_inc(series.total);
    timer->histogram = series.duration;
    (void)smx_timer_stop(timer);
    return 0;
}

__attribute__((hot)) PyObject *gunicorn_after(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct requests *requests = (struct requests *)self;
    smx_timer timer;
    if (n != 4)
        return PyErr_Format(PyExc_TypeError, "post_request() takes a worker, a request, its "
                                             "environ and its answer");
    if (args[1] == requests->begun) {
        timer = requests->timer;
        requests->begun = NULL;
        Py_DECREF(args[1]); /* which the caller has, too */
    } else if (recall(requests, args[1], &timer) < 0) {
        return NULL;
    }
    int error = count(self, args, &timer);
    requests_move(requests, -1); /* also where that has failed */
    if (error)
        return NULL;
    Py_RETURN_NONE;
}
