/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler of filter.c: from an expression to instructions of BPF. */
#ifndef FILTER_H
#define FILTER_H

#define FILTER_INSNS 4096

/* struct bpf_insn of a little-endian kernel. */
struct filter_insn {
	uint8_t code;
	uint8_t registers;	/* destination, source << 4 */
	int16_t offset;
	int32_t imm;
};

/* The instructions that the compiler uses. W, H, B, D are 4, 2, 1 and 8 bytes. */
enum {
	LD_IMM64 = 0x18, LDX_W = 0x61, LDX_H = 0x69, LDX_B = 0x71, ST_W = 0x62, ST_D = 0x7a, STX_W = 0x63, ATOMIC_D = 0xdb,
	MOV = 0xb7, MOV_X = 0xbf, ADD = 0x07, ADD_X = 0x0f, AND = 0x57, LSH = 0x67, TO_BE = 0xdc,
	JA = 0x05, JEQ = 0x15, JNE = 0x55, JEQ32 = 0x16, JGT_X = 0x2d, CALL = 0x85, EXIT = 0x95,
};

enum { PSEUDO_MAP_FD = 1 };	/* source register of LD_IMM64: imm is a map */
enum { MAP_LOOKUP_ELEM = 1 };	/* a helper's number */
enum { XDP_DROP = 1, XDP_PASS = 2 };

/* What the compiled program keeps while it runs. */
enum {
	ETHERTYPE = 8, PROTOCOL = 9,	/* in registers, host byte order, 0 for none */
	FROM = -4, TO = -8, FROM_PORT = -12, TO_PORT = -16, KEY = -20,	/* on the stack */
};

#endif
