"""A library in TensorRT's place, for its real Python bindings to load: its functions only note that they were called.

The bindings are a thin layer over C++ classes whose tables of virtual functions differ from release to release. So
which entry belongs to which Python call is not written down anywhere here: a test makes the call, sees which entry it
reached, and says what that entry answers from then on. Wrong arguments never get that far, because the bindings check
them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

LIBRARIES = ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin")
_KINDS, _SLOTS = 9, 96
_SOURCE = r"""
#include <stdint.h>
#include <string.h>

typedef uint64_t word;
typedef word (*function)(word, word, word);
enum { KINDS = %(kinds)d, SLOTS = %(slots)d, ANSWERS = 4, LOGGED = 64 };

/* What an entry answers: its values in turn, or the bytes of a struct that it returns by value. */
static struct answer {
    word values[ANSWERS];
    const void *bytes[ANSWERS];
    word size;
    int count, next;
} answers[KINDS][SLOTS];
static int logged_kinds[LOGGED], logged_slots[LOGGED], logged;
static struct { int kind, slot; } attaches_monitor = {-1, -1}, builds = {-1, -1};
static void *monitor;
static int logger_slot, makes[KINDS];

/* TensorRT reports a build's steps to a monitor that Python implements, and ends the build if that says so. */
static int build(void) {
    void **table = *(void ***)monitor;
    ((void (*)(void *, const char *, const char *, int))table[4])(monitor, "Building Engine", 0, 2);
    int goes_on = 1 & ((int (*)(void *, const char *, int))table[5])(monitor, "Building Engine", 0);
    ((void (*)(void *, const char *))table[6])(monitor, "Building Engine");
    return goes_on;
}

static word reached(int kind, int slot, word first, word second) {
    if (logged < LOGGED) {
        logged_kinds[logged] = kind;
        logged_slots[logged++] = slot;
    }
    if (kind == attaches_monitor.kind && slot == attaches_monitor.slot) monitor = (void *)second;
    if (kind == builds.kind && slot == builds.slot && monitor && !build()) return 0;
    struct answer *one = &answers[kind][slot];
    if (!one->count) return 0;
    int index = one->next++ %% one->count;
    if (!one->size) return one->values[index];
    memcpy((void *)first, one->bytes[index], one->size);
    return first;
}

%(functions)s

/* Before a table come the offset of the whole object and its type, which casts in the bindings look at. */
static const struct { const void *functions; const char *name; } type_of_stub = {0, "4Stub"};
static const function tables[KINDS][SLOTS + 2] = {%(tables)s};

/* A class of TensorRT's is a table and a pointer to its implementation, which is such an object again. */
static struct object { const function *table; struct object *implementation; word rest[16]; } objects[KINDS];

void *object_of(int kind) {
    objects[kind].table = tables[kind] + 2;
    objects[kind].implementation = &objects[kind];
    return &objects[kind];
}

void add_value(int kind, int slot, word value) {
    struct answer *one = &answers[kind][slot];
    one->values[one->count++] = value;
}

void add_bytes(int kind, int slot, const void *bytes, word size) {
    struct answer *one = &answers[kind][slot];
    one->bytes[one->count++] = bytes;
    one->size = size;
}

void forget_calls(void) { logged = 0; }
int call_count(void) { return logged; }
int call_kind(int index) { return logged_kinds[index]; }
int call_slot(int index) { return logged_slots[index]; }
void make(int kind) { makes[kind] = 1; }
void set_logger_slot(int slot) { logger_slot = slot; }
void set_monitor_call(int kind, int slot) { attaches_monitor.kind = kind; attaches_monitor.slot = slot; }
void set_build_call(int kind, int slot) { builds.kind = kind; builds.slot = slot; }

/* A factory that makes nothing complains to Python's logger first. */
static void *made(int kind, void *logger) {
    if (makes[kind]) return object_of(kind);
    ((void (*)(void *, int, const char *))(*(void ***)logger)[logger_slot])(
        logger, 1, "CUDA initialization failure with error: 35");
    return 0;
}

void *createInferBuilder_INTERNAL(void *logger, int version) { return made(0, logger); }
void *createInferRuntime_INTERNAL(void *logger, int version) { return made(1, logger); }
void *createNvOnnxParser_INTERNAL(void *network, void *logger, int version) { return made(2, logger); }
void *createInferRefitter_INTERNAL(void *engine, void *logger, int version) { return 0; }
void *createNvOnnxParserRefitter_INTERNAL(void *refitter, void *logger, int version) { return 0; }
void *getBuilderPluginRegistry(int capability) { return 0; }
void *getPluginRegistry(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
int initLibNvInferPlugins(void *logger, const char *library_namespace) { return 1; }
"""


def build(folder: Path, compiler: str, major: int) -> None:
    """Compile the libraries that the bindings of a major version ask for into ``folder``.

    Raises:
        subprocess.CalledProcessError: the compiler failed.
    """
    entries = [[f"f{kind}_{slot}" for slot in range(_SLOTS)] for kind in range(_KINDS)]
    functions = "\n".join(
        f"static word {name}(word a, word b, word c) {{ return reached({kind}, {slot}, a, b); }}"
        for kind, names in enumerate(entries)
        for slot, name in enumerate(names)
    )
    tables = ", ".join("{0, (function)&type_of_stub, " + ", ".join(names) + "}" for names in entries)
    (folder / "stub.c").write_text(
        _SOURCE % {"kinds": _KINDS, "slots": _SLOTS, "functions": functions, "tables": tables}, encoding="utf-8"
    )
    (folder / "empty.c").write_text("int empty;\n", encoding="utf-8")
    for library in LIBRARIES:
        name = f"{library}.so.{major}"
        source = "stub.c" if library == LIBRARIES[0] else "empty.c"
        options = ["-shared", "-fPIC", "-O0", "-w", f"-Wl,-soname,{name}", "-o", name, source]
        subprocess.run([compiler, *options], cwd=folder, check=True, capture_output=True, text=True)
