/* SPDX-License-Identifier: MIT
 *
 * fast.c - smx._fast: the updates of the Python package. Its cells are the bases of Counter,
 * Histogram and Gauge. What middlewares do for a request is beside it: see fast.h.
 *
 * Only what is common is done here, integers and floats that have ticks. All else, and every
 * refusal, is the method of the class that begins with an underscore, which does the same slowly:
 * so that the rules are written once. Updates are libshm's inline ones: in a loop they are not
 * faster by what can be measured beside the 30 ns of a call from Python, but a server has neither
 * libshm's code nor the way to it in its caches. What else of libshm is called is that of the
 * library that the package has loaded before. The limited API, which costs as little: one build
 * serves every Python from 3.10 on.
 */
#include "fast.h"

#define NS_PER_SECOND UINT64_C(1000000000)

PyObject *fast_call(ternaryfunc function, PyObject *self, PyObject *const *args, Py_ssize_t n,
                    PyObject *names)
{
    PyObject *result = NULL;
    Py_ssize_t n_names = names ? PyTuple_Size(names) : 0;
    PyObject *tuple = PyTuple_New(n);
    PyObject *named = n_names ? PyDict_New() : NULL;
    if (!tuple || (n_names && !named))
        goto out;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_INCREF(args[i]);
        if (PyTuple_SetItem(tuple, i, args[i]) < 0)
            goto out;
    }
    for (Py_ssize_t i = 0; i < n_names; i++)
        if (PyDict_SetItem(named, PyTuple_GetItem(names, i), args[n + i]) < 0)
            goto out;
    result = function(self, tuple, named);
out:
    Py_XDECREF(named);
    Py_XDECREF(tuple);
    return result;
}

/* A call of a method that is given what this one was. */
static PyObject *forward(PyObject *self, const char *method, PyObject *const *args, Py_ssize_t n,
                         PyObject *names)
{
    PyObject *function = PyObject_GetAttrString(self, method);
    PyObject *result = function ? fast_call(PyObject_Call, function, args, n, names) : NULL;
    Py_XDECREF(function);
    return result;
}

/* Take a handle, as 16 bytes, and a scale. */
static PyObject *bind(PyObject *args, void *handle, uint64_t *scale)
{
    const char *bytes;
    Py_ssize_t size;
    unsigned long long ticks;
    if (!PyArg_ParseTuple(args, "y#K", &bytes, &size, &ticks))
        return NULL;
    if (size != sizeof(smx_counter))
        return PyErr_Format(PyExc_ValueError, "no handle has %zd bytes", size);
    memcpy(handle, bytes, sizeof(smx_counter));
    *scale = ticks;
    Py_RETURN_NONE;
}

/* An amount as ticks; false where the slow way has to look at it: _Metric._ticks() has the rules.
 * Here are none but those of plain numbers, and the rounding is the same. */
static bool to_ticks(PyObject *amount, uint64_t scale, uint64_t *out)
{
    if (PyLong_CheckExact(amount)) {
        int overflow;
        long long whole = PyLong_AsLongLongAndOverflow(amount, &overflow);
        return !overflow && whole >= 0 && !__builtin_mul_overflow((uint64_t)whole, scale, out);
    }
    if (!PyFloat_CheckExact(amount))
        return false;
    double product = PyFloat_AsDouble(amount) * (double)scale;
    if (!(product >= 0 && product < 4503599627370496.0)) /* above, half a tick is none */
        return false;
    *out = (uint64_t)(product + 0.5);
    return scale > 1 ? *out || product == 0 : (double)*out == product;
}

static PyObject *counter_bind(PyObject *self, PyObject *args)
{
    struct counter_cell *cell = (struct counter_cell *)self;
    return bind(args, &cell->handle, &cell->scale);
}

static PyObject *counter_inc(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    const struct counter_cell *cell = (const struct counter_cell *)self;
    uint64_t ticks = cell->scale;
    if (names || n > 1 || !cell->scale || (n && !to_ticks(args[0], cell->scale, &ticks)))
        return forward(self, "_inc", args, n, names);
    smx_counter_add(cell->handle, ticks);
    Py_RETURN_NONE;
}

static PyObject *histogram_bind(PyObject *self, PyObject *args)
{
    struct histogram_cell *cell = (struct histogram_cell *)self;
    return bind(args, &cell->handle, &cell->scale);
}

static PyObject *histogram_observe(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                   PyObject *names)
{
    const struct histogram_cell *cell = (const struct histogram_cell *)self;
    uint64_t ticks;
    if (names || n != 1 || !cell->scale || !to_ticks(args[0], cell->scale, &ticks))
        return forward(self, "_observe", args, n, names);
    smx_histogram_record(cell->handle, ticks);
    Py_RETURN_NONE;
}

/* Record a time, in nanoseconds. */
static PyObject *histogram_took_ns(PyObject *self, PyObject *ns)
{
    const struct histogram_cell *cell = (const struct histogram_cell *)self;
    if (!cell->scale || !PyLong_CheckExact(ns))
        return forward(self, "_took", &ns, 1, NULL);
    unsigned long long passed = PyLong_AsUnsignedLongLong(ns);
    if (PyErr_Occurred())
        return NULL;
    smx_histogram_record(cell->handle, passed / (NS_PER_SECOND / cell->scale));
    Py_RETURN_NONE;
}

static PyObject *gauge_bind(PyObject *self, PyObject *args)
{
    struct gauge_cell *cell = (struct gauge_cell *)self;
    return bind(args, &cell->handle, &cell->scale);
}

/* The number that a gauge's method is given; false, with an exception, if it is none. */
static bool real_of(PyObject *number, double *out)
{
    *out = PyFloat_AsDouble(number);
    return *out != -1.0 || !PyErr_Occurred();
}

static PyObject *gauge_inc(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    const struct gauge_cell *cell = (const struct gauge_cell *)self;
    double amount = 1;
    if (names || n > 1 || !cell->scale)
        return forward(self, "_add", args, n, names);
    if (n && !real_of(args[0], &amount))
        return NULL;
    smx_fgauge_add(cell->handle, amount);
    Py_RETURN_NONE;
}

static PyObject *gauge_dec(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    const struct gauge_cell *cell = (const struct gauge_cell *)self;
    double amount = 1;
    if (names || n > 1 || !cell->scale)
        return forward(self, "_sub", args, n, names);
    if (n && !real_of(args[0], &amount))
        return NULL;
    smx_fgauge_add(cell->handle, -amount);
    Py_RETURN_NONE;
}

static PyObject *gauge_set(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    const struct gauge_cell *cell = (const struct gauge_cell *)self;
    double value;
    if (names || n != 1 || !cell->scale)
        return forward(self, "_set", args, n, names);
    if (!real_of(args[0], &value))
        return NULL;
    smx_fgauge_set(cell->handle, value);
    Py_RETURN_NONE;
}

#define BIND(function)               METHOD("_bind", function, METH_VARARGS, NULL)
#define UPDATE(name, function, text) METHOD(name, function, METH_FASTCALL | METH_KEYWORDS, text)

static const PyMethodDef counter_methods[] = {
    BIND(counter_bind),
    UPDATE("inc", counter_inc,
           "Add an amount, in the counter's unit; see Counter for which can be."),
    {NULL, NULL, 0, NULL},
};
static const PyMethodDef histogram_methods[] = {
    BIND(histogram_bind),
    UPDATE("observe", histogram_observe,
           "Record a value, in the histogram's unit; see Histogram for which can be."),
    {"_took_ns", histogram_took_ns, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static const PyMethodDef gauge_methods[] = {
    BIND(gauge_bind),
    UPDATE("inc", gauge_inc, "Add to this process' value."),
    UPDATE("dec", gauge_dec, "Subtract from this process' value."),
    UPDATE("set", gauge_set, "Set this process' value."),
    {NULL, NULL, 0, NULL},
};

__attribute__((cold)) static PyObject *get_of_other(PyObject *mapping, PyObject *key)
{
    PyObject *found = PyObject_GetItem(mapping, key);
    if (!found && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear();
    return found;
}

/* Most are dicts, which say without an exception that there is none. */
PyObject *fast_get(PyObject *mapping, PyObject *key)
{
    if (!PyDict_CheckExact(mapping))
        return get_of_other(mapping, key);
    return Py_XNewRef(PyDict_GetItemWithError(mapping, key));
}

__attribute__((cold)) static void lacks(PyObject *key)
{
    if (!PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, key);
}

PyObject *fast_get_item(PyObject *mapping, PyObject *key)
{
    PyObject *found = fast_get(mapping, key);
    if (!found)
        lacks(key);
    return found;
}

void fast_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

int fast_add_type(PyObject *module, const char *name, size_t size, unsigned flags,
                  PyType_Slot slots[])
{
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int)size,
        .flags = (unsigned)Py_TPFLAGS_DEFAULT | flags,
        .slots = slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int error = type ? PyModule_AddObjectRef(module, strrchr(name, '.') + 1, type) : -1;
    Py_XDECREF(type);
    return error;
}

static int add_cell(PyObject *module, const char *name, size_t size, const PyMethodDef methods[])
{
    PyType_Slot slots[] = {{Py_tp_methods, (void *)(uintptr_t)methods}, {0, NULL}};
    return fast_add_type(module, name, size, Py_TPFLAGS_BASETYPE, slots);
}

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "smx._fast",
    .m_size = sizeof(struct fast_state),
};

PyMODINIT_FUNC PyInit__fast(void);
PyMODINIT_FUNC PyInit__fast(void)
{
    PyObject *module = PyModule_Create(&module_def);
    if (!module)
        return NULL;
    if (add_cell(module, "smx._fast.CounterCell", sizeof(struct counter_cell), counter_methods) ||
        add_cell(module, "smx._fast.HistogramCell", sizeof(struct histogram_cell),
                 histogram_methods) ||
        add_cell(module, "smx._fast.GaugeCell", sizeof(struct gauge_cell), gauge_methods) ||
        requests_add(module) || wsgi_add(module) || asgi_add(module))
        Py_CLEAR(module);
    return module;
}
