/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the example plugins share: the command line, records, times, clean text, prompt output. A plugin
 * defines PLUGIN, its name, before it includes this, and includes <wasi_ebpf/bpf.h> before that.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef PLUGIN

/* Ends the plugin as a wrong command line does: with a line on standard error, and 2. */
static inline _Noreturn __attribute__((format(printf, 1, 2))) void plugin_wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs(PLUGIN ": ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

/*
 * Returns the letter of the next option, with its argument in optarg, or -1 after the last. Each option
 * has a letter (val). 'h' shows the usage and ends the plugin; a wrong option ends it, too.
 */
static inline int plugin_option(int argc, char **argv, const struct option *options, const char *usage)
{
	/* ":" stops the messages of getopt, which drop the dashes. */
	char letters[64] = ":", name[3] = "-", *s = letters + 1;
	const struct option *o, *known = NULL;
	int c;

	for (o = options; o->name; o++) {
		*s++ = (char)o->val;
		if (o->has_arg)
			*s++ = ':';
	}
	c = getopt_long(argc, argv, letters, options, NULL);
	if (c == 'h') {
		fputs(usage, stdout);
		exit(fflush(stdout) ? 1 : 0);
	}
	if (c != '?' && c != ':')
		return c;
	name[1] = (char)optopt;
	for (o = options; o->name; o++)
		if (o->val == optopt)
			known = o;
	if (known)
		plugin_wrong("option --%s %s; see --help", known->name, c == ':' ? "needs an argument" : "takes no argument");
	plugin_wrong("unknown option %s; see --help", optopt ? name : argv[optind - 1]);
}

/*
 * Returns the arguments after the options, of which there must be from min to max and none may be empty;
 * what says in the message what is missing.
 */
static inline char **plugin_arguments(int argc, char **argv, int min, int max, const char *what)
{
	int i;

	if (argc - optind < min)
		plugin_wrong("%s is missing; see --help", what);
	if (argc - optind > max)
		plugin_wrong("unexpected argument \"%s\"; see --help", argv[optind + max]);
	for (i = optind; i < argc; i++)
		if (!*argv[i])
			plugin_wrong("an argument is empty; see --help");
	return argv + optind;
}

/* Reads a decimal number from min to max, or ends the plugin with a message. */
static inline uint32_t plugin_number(const char *option, const char *text, uint32_t min, uint32_t max)
{
	uint64_t v = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9' && v <= max; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == text || *p || v < min || v > max)
		plugin_wrong("%s: want a number from %" PRIu32 " to %" PRIu32 ", got \"%s\"", option, min, max, text);
	return (uint32_t)v;
}

/* Returns 1 for the first of the choices, 2 for the second and so on, or ends the plugin. NULL ends the list. */
static inline uint32_t plugin_choice(const char *option, const char *text, const char *first, ...)
{
	char all[128] = "";
	const char *choice;
	va_list choices;
	uint32_t n = 0;

	va_start(choices, first);
	for (choice = first; choice; choice = va_arg(choices, const char *)) {
		n++;
		if (!strcmp(text, choice))
			return n;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", n > 1 ? ", " : "", choice);
	}
	va_end(choices);
	plugin_wrong("%s: want one of %s, got \"%s\"", option, all, text);
}

/* Returns text if it is a name of 1 to 15 characters, as many as the kernel keeps, or ends the plugin. */
static inline const char *plugin_name(const char *option, const char *what, const char *text)
{
	if (!*text)
		plugin_wrong("%s: want a name, got \"\"", option);
	if (strlen(text) > 15)
		plugin_wrong("%s: a %s name has at most 15 characters, got \"%s\"", option, what, text);
	return text;
}

#endif

/* Writes the present UTC time of day to buf as HH:MM:SS (WASI has no time zones). */
static inline const char *plugin_clock(char buf[9])
{
	unsigned now = (unsigned)(time(NULL) % 86400);

	snprintf(buf, 9, "%02u:%02u:%02u", now / 3600, now / 60 % 60, now % 60);
	return buf;
}

/* Writes a duration to buf in a unit that fits. */
static inline const char *plugin_duration(char buf[16], uint64_t ns)
{
	if (ns < 1000)
		snprintf(buf, 16, "%uns", (unsigned)ns);
	else if (ns < 1000000)
		snprintf(buf, 16, "%u.%uus", (unsigned)(ns / 1000), (unsigned)(ns % 1000 / 100));
	else if (ns < 1000000000)
		snprintf(buf, 16, "%u.%ums", (unsigned)(ns / 1000000), (unsigned)(ns % 1000000 / 100000));
	else
		snprintf(buf, 16, "%" PRIu64 ".%us", ns / 1000000000, (unsigned)(ns % 1000000000 / 100000000));
	return buf;
}

/*
 * Writes an address, in network byte order, and a port to buf. IPv4 addresses of IPv6 sockets look like
 * IPv4.
 */
static inline const char *plugin_address(char buf[64], const uint32_t words[4], uint32_t ipv6, uint32_t port)
{
	const uint8_t *a = (const uint8_t *)words;
	int i, len = 0, zeros = 0, best = 0, best_at = -1;

	if (ipv6 && !words[0] && !words[1] && words[2] == 0xffff0000) {
		ipv6 = 0;
		a += 12;
	}
	if (!ipv6) {
		snprintf(buf, 64, "%u.%u.%u.%u:%" PRIu32, a[0], a[1], a[2], a[3], port);
		return buf;
	}
	/* The longest run of zero groups becomes "::". */
	for (i = 0; i < 8; i++) {
		zeros = a[2 * i] || a[2 * i + 1] ? 0 : zeros + 1;
		if (zeros > best && zeros > 1) {
			best = zeros;
			best_at = i + 1 - zeros;
		}
	}
	buf[len++] = '[';
	for (i = 0; i < 8; i++) {
		if (i == best_at) {
			len += snprintf(buf + len, 64 - len, "::");
			i += best - 1;
			continue;
		}
		len += snprintf(buf + len, 64 - len, "%s%x", i && i != best_at + best ? ":" : "", a[2 * i] << 8 | a[2 * i + 1]);
	}
	snprintf(buf + len, 64 - len, "]:%" PRIu32, port);
	return buf;
}

/*
 * Makes text from the kernel fit for a terminal, in place: control characters become '?', so that
 * a file name cannot steer the terminal. Ends at the first NUL, at the latest after size - 1 bytes.
 */
static inline char *plugin_text(char *s, uint32_t size)
{
	uint32_t i;

	for (i = 0; i + 1 < size && s[i]; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 127)
			s[i] = '?';
	s[i] = 0;
	return s;
}

/* Writes out what was printed. Returns 0, or -1 if nobody reads it any more. */
static inline int plugin_flush(void)
{
	return fflush(stdout) || ferror(stdout) ? -1 : 0;
}

#if defined(PLUGIN) && defined(WASI_EBPF_BPF_H)

/* Says why the last call failed. Returns 1, with which the plugin ends. */
static inline int plugin_failed(void)
{
	fflush(stdout);
	bpf_perror(PLUGIN);
	return 1;
}

/*
 * Gives each record to print, and writes out what was printed when no more are at hand. Goes on until
 * print answers anything but 0, nobody reads the output, or the plugin is stopped. Says on standard
 * error what was lost. Returns the plugin's exit code.
 */
static inline int plugin_records(bpf_events *ev, uint32_t least, int (*print)(void *record, uint32_t size))
{
	uint64_t told = 0;
	int done = 0;
	void *e;

	while (!done && (e = bpf_next(ev, -1))) {
		if (ev->size < least) {
			fprintf(stderr, PLUGIN ": a record of %" PRIu32 " bytes is too short\n", ev->size);
			return 1;
		}
		if (bpf_lost(ev) != told)
			fprintf(stderr, PLUGIN ": %" PRIu64 " records were lost\n", bpf_lost(ev) - told);
		told = bpf_lost(ev);
		done = print(e, ev->size);
		if ((done || !bpf_ready(ev)) && plugin_flush())
			return 1;
	}
	if (!done && ev->err != -EBPF_EINTR)
		return plugin_failed();
	return 0;
}

#endif

/*
 * Sleeps for some seconds. Returns 0, or -1 if the sleep was cut short because the plugin is being
 * stopped.
 */
static inline int plugin_sleep(uint32_t seconds)
{
	struct timespec before, after, want = { .tv_sec = seconds };

	clock_gettime(CLOCK_MONOTONIC, &before);
	if (nanosleep(&want, NULL))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 + 50 <
	       (int64_t)seconds * 1000 ? -1 : 0;
}

#endif
