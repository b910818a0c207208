/* SPDX-License-Identifier: Apache-2.0 */
/* What the example plugins share: numbers on the command line, times, clean text, prompt output. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Reads a decimal number from min to max, or ends the plugin with a message. */
static inline uint32_t plugin_number(const char *option, const char *text, uint32_t min, uint32_t max)
{
	uint64_t v = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9' && v <= max; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == text || *p || v < min || v > max) {
		fprintf(stderr, "%s: want a number from %" PRIu32 " to %" PRIu32 ", got \"%s\"\n", option, min, max, text);
		exit(1);
	}
	return (uint32_t)v;
}

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
