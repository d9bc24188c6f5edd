/* The send loop of live/fanout.py: the same bytes to many sockets, without the GIL.
 *
 * send_many(descriptors, data) -> [(index, taken), ...]
 *
 * descriptors: a buffer of C ints (array("i")) of non-blocking sockets; data: bytes. Returns those that did not take all of it,
 * with the number of bytes that they did take: 0 where the socket is full or broken, which its transport finds out itself.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS; Python ignores SIGPIPE anyway */
#endif

static ssize_t send_all(int descriptor, const void *data, size_t size)
{
    ssize_t taken;

    do {
        taken = send(descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    return taken < 0 ? 0 : taken;
}

static PyObject *list_of_short(const ssize_t *taken, Py_ssize_t count, Py_ssize_t size)
{
    PyObject *list = PyList_New(0);

    for (Py_ssize_t i = 0; list && i < count; i++) {
        if (taken[i] == size)
            continue;
        PyObject *pair = Py_BuildValue("nn", i, (Py_ssize_t)taken[i]);
        if (!pair || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *send_many(PyObject *module, PyObject *args)
{
    Py_buffer descriptors, data;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*", &descriptors, &data))
        return NULL;

    Py_ssize_t count = descriptors.len / (Py_ssize_t)sizeof(int);
    ssize_t *taken = PyMem_New(ssize_t, count);
    PyObject *list = NULL;

    if (!taken) {
        PyErr_NoMemory();
    } else {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < count; i++)
            taken[i] = send_all(((const int *)descriptors.buf)[i], data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
        list = list_of_short(taken, count, data.len);
    }
    PyMem_Free(taken);
    PyBuffer_Release(&descriptors);
    PyBuffer_Release(&data);
    return list;
}

static PyMethodDef methods[] = {
    {"send_many", send_many, METH_VARARGS, "send_many(descriptors, data) -> list of (index, bytes taken) of short writes"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "live._fanout", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__fanout(void)
{
    return PyModuleDef_Init(&definition);
}
