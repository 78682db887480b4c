/* Counts the instructions that an emulated AArch64 program executes between two marks, by class.
 *
 * A mark is a system call that no kernel has: MARK(1, n) opens inference n and MARK(2, n) closes it; a pair
 * with n = -1 encloses nothing, so what the marks themselves cost is known. Each closing mark appends a
 * line to the file of `out=PATH`:   n  total  class 0 ... class 5
 *
 * Counters are bumped by generated code, once a block of straight code, so this costs little; they are not
 * atomic, which is why counting is for one thread.
 *
 * With `split=PATH` as well, every block also counts its own runs, and MARK(3, address) names a place in the
 * code before it first runs. Each time that place is reached inside an inference, and when the inference
 * closes, that file gets a line   = n k   (k: which place, in the order of their marks; -1: the end) and then
 * a line   address  instructions   (hexadecimal, decimal) for every block that ran since the line before.
 *
 * No Debian package ships qemu-plugin.h. What follows declares the few functions of plugin API 1 that are
 * used (QEMU 4.2 to 8.2).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*exec_cb)(unsigned int, void *);
typedef void (*tb_trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*syscall_cb)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_trans_cb);
extern void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                                     uint64_t);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, exec_cb, enum qemu_plugin_cb_flags,
                                                 void *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
#define MARK 0x45504D

EXPORT int qemu_plugin_version = 1;

/* The order of android_harness.counting.CLASSES. */
enum { INTEGER, LOAD_STORE, BRANCH, VECTOR, DOT, OTHER, CLASSES };

static uint64_t count[CLASSES], opened[CLASSES];
static FILE *out;

struct block {
    uint64_t address, instructions, runs, written;
    struct block *next;
};
enum { PLACES = 8 };
static struct block *blocks;
static uint64_t places[PLACES];
static size_t n_places;
static int64_t inference = -1;
static FILE *split;

static bool is_dot(uint32_t word)
{
    /* SDOT and UDOT, of vectors (U set or clear) and by element; then the mixed signs and the matrix forms. */
    bool vectors = (word & 0x9F20FC00u) == 0x0E009400u;
    bool element = (word & 0x9F00F400u) == 0x0F00E000u;
    bool mixed = (word & 0xBF20FC00u) == 0x0E009C00u || (word & 0xBF00F400u) == 0x0F00F000u;
    bool matrix = (word & 0x9F20F400u) == 0x0E00A400u;
    return vectors || element || mixed || matrix;
}

/* By bits 28 to 25, the top level of the A64 encoding. */
static int class_of(uint32_t word)
{
    uint32_t op = (word >> 25) & 0xF;
    if ((op & 0x7) == 0x7)
        return is_dot(word) ? DOT : VECTOR;
    if ((op & 0x5) == 0x4)
        return LOAD_STORE;
    if ((op & 0xE) == 0xA)
        return (word & 0xFF000000u) == 0xD5000000u ? OTHER : BRANCH; /* hints, barriers, system registers */
    if ((op & 0xE) == 0x8 || (op & 0x7) == 0x5)
        return INTEGER;
    return OTHER;
}

/* What ran since the last call; nothing is written outside an inference. */
static void write_blocks(int64_t place)
{
    if (inference >= 0)
        fprintf(split, "= %" PRId64 " %" PRId64 "\n", inference, place);
    for (struct block *block = blocks; block; block = block->next) {
        if (inference >= 0 && block->runs > block->written)
            fprintf(split, "%" PRIx64 " %" PRIu64 "\n", block->address,
                    (block->runs - block->written) * block->instructions);
        block->written = block->runs;
    }
}

static void on_place(unsigned int vcpu, void *place)
{
    (void)vcpu;
    if (inference >= 0)
        write_blocks((int64_t)(intptr_t)place);
}

/* The calls of a block come before its own count, so that it belongs to what follows its place. */
static void watch(struct qemu_plugin_tb *tb, size_t n)
{
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        abort();
    block->address = qemu_plugin_tb_vaddr(tb);
    block->instructions = n;
    block->next = blocks;
    blocks = block;
    for (size_t k = 0; k < n_places; k++)
        if (places[k] == block->address)
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_place, QEMU_PLUGIN_CB_NO_REGS, (void *)(intptr_t)k);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->runs, 1);
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t found[CLASSES] = {0};
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof word);
        found[class_of(word)]++;
    }
    for (int c = 0; c < CLASSES; c++)
        if (found[c])
            qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &count[c], found[c]);
    if (split)
        watch(tb, n);
}

static void on_syscall(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t edge, uint64_t mark,
                       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK)
        return;
    if (edge == 3) {
        if (n_places < PLACES)
            places[n_places++] = mark;
        return;
    }
    if (edge == 1) {
        if (split) {
            write_blocks(-1);
            inference = (int64_t)mark;
        }
        memcpy(opened, count, sizeof count);
        return;
    }
    uint64_t total = 0;
    for (int c = 0; c < CLASSES; c++)
        total += count[c] - opened[c];
    fprintf(out, "%" PRId64 " %" PRIu64, (int64_t)mark, total);
    for (int c = 0; c < CLASSES; c++)
        fprintf(out, " %" PRIu64, count[c] - opened[c]);
    fputc('\n', out);
    fflush(out);
    if (split) {
        write_blocks(-1);
        inference = -1;
        fflush(split);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc < 1 || argc > 2 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w")))
        return -1;
    if (argc == 2 && (strncmp(argv[1], "split=", 6) != 0 || !(split = fopen(argv[1] + 6, "w"))))
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
