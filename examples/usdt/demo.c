/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of 64 bits with two static probes, demo:begin and demo:end, to try usdt on: cc -o /tmp/demo examples/usdt/demo.c.
 * PROBE does what DTRACE_PROBE of <sys/sdt.h> does, without that header: an instruction that does nothing, and a note that says
 * where it is and how it is called.
 */
#include <stdio.h>
#include <unistd.h>

#define PROBE(name)							\
	__asm__ volatile("990: nop\n"					\
			 ".pushsection .note.stapsdt, \"\", \"note\"\n"	\
			 ".balign 4\n"					\
			 ".4byte 992f - 991f, 994f - 993f, 3\n"		\
			 "991: .asciz \"stapsdt\"\n"			\
			 "992: .balign 4\n"				\
			 "993: .8byte 990b, 0, 0\n"			\
			 ".asciz \"demo\", \"" name "\", \"\"\n"	\
			 "994: .balign 4\n"				\
			 ".popsection\n")

int main(void)
{
	int i;

	printf("process %d\n", (int)getpid());
	for (i = 0; i < 3; i++) {
		PROBE("begin");
		usleep(300000);
		PROBE("end");
	}
	return 0;
}
