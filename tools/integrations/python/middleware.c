/* SPDX-License-Identifier: MIT
 *
 * middleware.c - the base of both middlewares: an application, and what measures its requests. How
 * it is called is wsgi.c's and asgi.c's.
 */
#include "fast.h"

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
