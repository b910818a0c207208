/* SPDX-License-Identifier: Apache-2.0 */
/* filter: makes a packet filter of BPF instructions from an expression, and counts or drops what it matches. */
#include <arpa/inet.h>
#include <wasi_ebpf/bpf.h>
#define PLUGIN "filter"
#include "../plugin.h"
#include "filter.h"

BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: filter [--drop] [--interval SECONDS] [--count N] INTERFACE EXPRESSION\n"
	"       filter --packet HEX EXPRESSION\n"
	"Counts the packets that an interface receives and that an expression matches, such as\n"
	"  udp and port 53 or tcp and not (port 22 or host 10.0.0.1)\n"
	"The words are ip ip6 arp tcp udp icmp, port N, host A.B.C.D, and or not ( ).\n"
	"  -d, --drop              drop them, too\n"
	"  -i, --interval SECONDS  one line per so many seconds (default 1)\n"
	"  -n, --count N           stop after N lines\n"
	"  -p, --packet HEX        attach nothing: say whether the expression matches this Ethernet frame\n"
	"  -h, --help              show this\n";

/* ---- The compiler ---- */

static struct filter_insn insns[FILTER_INSNS];
static uint16_t jump_to[FILTER_INSNS];	/* label that an instruction jumps to; 0 = none */
static uint16_t labels[FILTER_INSNS];	/* where each label is */
static uint32_t count, label_count = 1;

static void emit(uint8_t code, int to, int from, int offset, int32_t imm)
{
	if (count == FILTER_INSNS)
		plugin_wrong("the expression is too long");
	insns[count++] = (struct filter_insn){ code, (uint8_t)(to | from << 4), (int16_t)offset, imm };
}

static uint16_t new_label(void)
{
	if (label_count == FILTER_INSNS)
		plugin_wrong("the expression is too long");
	return (uint16_t)label_count++;
}

static void place(uint16_t label) { labels[label] = (uint16_t)count; }

static void jump(uint8_t code, int reg, int other, int32_t imm, uint16_t label)
{
	emit(code, reg, other, 0, imm);
	jump_to[count - 1] = label;
}

static void resolve_jumps(void)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (jump_to[i])
			insns[i].offset = (int16_t)(labels[jump_to[i]] - i - 1);
}

/* Loads a number of the packet, in network byte order, and keeps it on the stack. */
static void keep(uint8_t load, int base, int offset, int bits, int slot)
{
	emit(load, 1, base, offset, 0);
	emit(TO_BE, 1, 0, 0, bits);
	emit(STX_W, 10, 1, slot, 0);
}

/* Goes on only if the packet has so many bytes from a register on. */
static void need(int base, int32_t bytes, uint16_t otherwise)
{
	emit(MOV_X, 5, base, 0, 0);
	emit(ADD, 5, 0, 0, bytes);
	jump(JGT_X, 5, 3, 0, otherwise);
}

/* Takes the packet apart. Register 2 is its begin, 3 its end, 4 its TCP or UDP header. */
static void compile_headers(void)
{
	uint16_t done = new_label(), ip6 = new_label(), ports = new_label(), has_ports = new_label();

	emit(LDX_W, 2, 1, 0, 0);
	emit(LDX_W, 3, 1, 4, 0);
	emit(MOV, ETHERTYPE, 0, 0, 0);
	emit(MOV, PROTOCOL, 0, 0, 0);
	emit(ST_D, 10, 0, TO, 0);	/* and FROM */
	emit(ST_D, 10, 0, TO_PORT, 0);	/* and FROM_PORT */
	need(2, 14, done);
	emit(LDX_H, ETHERTYPE, 2, 12, 0);
	emit(TO_BE, ETHERTYPE, 0, 0, 16);
	jump(JEQ, ETHERTYPE, 0, 0x86dd, ip6);
	jump(JNE, ETHERTYPE, 0, 0x0800, done);
	need(2, 14 + 20, done);
	emit(LDX_B, PROTOCOL, 2, 14 + 9, 0);
	keep(LDX_W, 2, 14 + 12, 32, FROM);
	keep(LDX_W, 2, 14 + 16, 32, TO);
	/* Only the first fragment has ports. */
	emit(LDX_H, 1, 2, 14 + 6, 0);
	emit(TO_BE, 1, 0, 0, 16);
	emit(AND, 1, 0, 0, 0x1fff);
	jump(JNE, 1, 0, 0, done);
	emit(LDX_B, 1, 2, 14, 0);
	emit(AND, 1, 0, 0, 15);
	emit(LSH, 1, 0, 0, 2);
	emit(MOV_X, 4, 2, 0, 0);
	emit(ADD, 4, 0, 0, 14);
	emit(ADD_X, 4, 1, 0, 0);
	jump(JA, 0, 0, 0, ports);
	place(ip6);
	need(2, 14 + 40, done);
	emit(LDX_B, PROTOCOL, 2, 14 + 6, 0);
	emit(MOV_X, 4, 2, 0, 0);
	emit(ADD, 4, 0, 0, 14 + 40);
	place(ports);
	jump(JEQ, PROTOCOL, 0, 6, has_ports);
	jump(JNE, PROTOCOL, 0, 17, done);
	place(has_ports);
	need(4, 4, done);
	keep(LDX_H, 4, 0, 16, FROM_PORT);
	keep(LDX_H, 4, 2, 16, TO_PORT);
	place(done);
}

/* ---- The expression: words, and jumps to yes or no for each part of it ---- */

static char **words;

static int take(const char *word)
{
	if (!*words || strcmp(*words, word))
		return 0;
	words++;
	return 1;
}

static const char *word(const char *what)
{
	if (!*words)
		plugin_wrong("the expression ends where %s should be", what);
	return *words++;
}

/* Jumps to yes if one of two numbers on the stack is this one, else to no. */
static void compile_either(int one, int other, uint32_t number, uint16_t yes, uint16_t no)
{
	emit(LDX_W, 1, 10, one, 0);
	jump(JEQ32, 1, 0, (int32_t)number, yes);
	emit(LDX_W, 1, 10, other, 0);
	jump(JEQ32, 1, 0, (int32_t)number, yes);
	jump(JA, 0, 0, 0, no);
}

static void compile_word(uint16_t yes, uint16_t no)
{
	static const struct {
		const char *name;
		int reg;
		int32_t number;
	} tests[] = {
		{ "ip", ETHERTYPE, 0x0800 }, { "ip6", ETHERTYPE, 0x86dd }, { "arp", ETHERTYPE, 0x0806 },
		{ "tcp", PROTOCOL, 6 }, { "udp", PROTOCOL, 17 }, { "icmp", PROTOCOL, 1 },
	};
	const char *w = word("a word such as tcp");
	struct in_addr host;
	uint32_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(tests[i].name, w)) {
			jump(JEQ, tests[i].reg, 0, tests[i].number, yes);
			jump(JA, 0, 0, 0, no);
			return;
		}
	if (!strcmp(w, "port")) {
		compile_either(FROM_PORT, TO_PORT, plugin_number("port", word("a port"), 1, 65535), yes, no);
	} else if (!strcmp(w, "host")) {
		w = word("an address");
		if (inet_pton(AF_INET, w, &host) != 1)
			plugin_wrong("host: want an address such as 10.0.0.1, got \"%s\"", w);
		compile_either(FROM, TO, ntohl(host.s_addr), yes, no);
	} else {
		plugin_wrong("unknown word \"%s\" in the expression; see --help", w);
	}
}

static void compile_or(uint16_t yes, uint16_t no);

static void compile_not(uint16_t yes, uint16_t no)
{
	static int depth;

	if (++depth > 64)
		plugin_wrong("the expression is too deep");
	if (take("not")) {
		compile_not(no, yes);
	} else if (take("(")) {
		compile_or(yes, no);
		if (!take(")"))
			plugin_wrong("want \")\" in the expression, got \"%s\"", *words ? *words : "its end");
	} else {
		compile_word(yes, no);
	}
	depth--;
}

static void compile_and(uint16_t yes, uint16_t no)
{
	uint16_t next;

	do {
		next = new_label();
		compile_not(next, no);
		place(next);
	} while (take("and"));
	jump(JA, 0, 0, 0, yes);
}

static void compile_or(uint16_t yes, uint16_t no)
{
	uint16_t next;

	do {
		next = new_label();
		compile_and(yes, next);
		place(next);
	} while (take("or"));
	jump(JA, 0, 0, 0, no);
}

/* Compiles the words to a program that counts in a map and answers the action for what it matches. */
static void compile(bpf_map matches, int32_t action)
{
	uint16_t yes = new_label(), no = new_label(), out = new_label();

	compile_headers();
	compile_or(yes, no);
	if (*words)
		plugin_wrong("unexpected \"%s\" in the expression; see --help", *words);
	place(yes);
	emit(ST_W, 10, 0, KEY, 0);
	emit(LD_IMM64, 1, PSEUDO_MAP_FD, 0, matches);
	emit(0, 0, 0, 0, 0);
	emit(MOV_X, 2, 10, 0, 0);
	emit(ADD, 2, 0, 0, KEY);
	emit(CALL, 0, 0, 0, MAP_LOOKUP_ELEM);
	jump(JEQ, 0, 0, 0, out);
	emit(MOV, 1, 0, 0, 1);
	emit(ATOMIC_D, 0, 1, 0, 0);	/* adds register 1 to where register 0 points */
	place(out);
	emit(MOV, 0, 0, 0, action);
	emit(EXIT, 0, 0, 0, 0);
	place(no);
	emit(MOV, 0, 0, 0, XDP_PASS);
	emit(EXIT, 0, 0, 0, 0);
	resolve_jumps();
}

/* ---- The plugin ---- */

/* Splits the arguments at spaces and around parentheses. */
static char **split(char **args)
{
	static char text[8192], *list[2048];
	uint32_t n = 0, at = 0;
	const char *p;

	for (; *args; args++, at++)
		for (p = *args; *p; p++) {
			if (at + 4 > sizeof(text))
				plugin_wrong("the expression is too long");
			if (strchr("()", *p)) {
				text[at++] = ' ';
				text[at++] = *p;
				text[at++] = ' ';
			} else {
				text[at++] = *p;
			}
			if (!p[1])
				text[at] = ' ';
		}
	for (list[n] = strtok(text, " "); list[n]; list[n] = strtok(NULL, " "))
		if (++n == sizeof(list) / sizeof(list[0]) - 1)
			plugin_wrong("the expression is too long");
	list[n] = NULL;
	return list;
}

static uint8_t frame[2048];
static uint32_t frame_len;	/* 0: there is none */

/* Reads the bytes of the frame. */
static void read_frame(const char *hex)
{
	unsigned byte;

	for (; frame_len < sizeof(frame) && strlen(hex) >= 2 && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		frame[frame_len++] = (uint8_t)byte;
	if (*hex || frame_len < 14)
		plugin_wrong("--packet: want 14 to %d bytes in hex", (int)sizeof(frame));
}

/* Runs the program on the frame. Returns the exit code. */
static int test(bpf_prog prog)
{
	uint64_t ns = 0;
	int64_t r = bpf_test_run(prog, frame, frame_len, NULL, 0, 1000, &ns);

	if (bpf_err(r))
		return plugin_failed();
	printf("%s, %" PRIu64 " ns\n", r == XDP_DROP ? "match" : "no match", ns);
	return plugin_flush() ? 1 : 0;
}

/* Prints the number of matches every interval. Returns the exit code. */
static int watch(bpf_map matches, uint32_t interval, uint32_t left)
{
	uint64_t now = 0, before = 0;
	uint32_t zero = 0;
	char clock[9];
	int stopped;

	printf("%-8s %12s %15s\n", "TIME", "MATCHES", "TOTAL MATCHES");
	fflush(stdout);
	do {
		stopped = plugin_sleep(interval);
		if (bpf_map_lookup(matches, &zero, &now))
			return plugin_failed();
		printf("%-8s %12" PRIu64 " %15" PRIu64 "\n", plugin_clock(clock), now - before, now);
		before = now;
	} while (!plugin_flush() && !stopped && !(left && !--left));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "drop", no_argument, NULL, 'd' }, { "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' }, { "packet", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, left = 0;	/* lines to go; 0 = no limit */
	const char *interface = NULL;
	int32_t action = XDP_PASS;
	bpf_map matches;
	bpf_prog prog;
	char **args;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'd': action = XDP_DROP; break;
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		case 'p': read_frame(optarg); break;
		}
	}
	args = plugin_arguments(argc, argv, frame_len ? 1 : 2, 1024, frame_len ? "the expression" : "the interface or the expression");
	if (!frame_len)
		interface = *args++;
	words = split(args);
	matches = bpf_map_make(2, sizeof(uint32_t), sizeof(uint64_t), 1, 0, "matches");	/* an array */
	if (bpf_err(matches))
		return plugin_failed();
	compile(matches, frame_len ? XDP_DROP : action);
	prog = bpf_make_prog("filter", "xdp", "Dual BSD/GPL", insns, count);
	if (bpf_err(prog))
		return plugin_failed();
	if (frame_len)
		return test(prog);
	if (bpf_err(bpf_attach_prog(prog, bpf_at(interface))))
		return plugin_failed();
	return watch(matches, interval, left);
}
