package abi

func linkFuncs() []Func {
	link := handle("link", "link", "The link.")
	return []Func{
		{
			Family: "link", Name: "link_attach",
			Doc: "Attaches a program to a hook. The program's section says which hook; the target says where, as the table of hooks shows. The program runs from now on, until the link is closed, detached, or the instance ends; a pinned link stays.",
			Params: []Param{handle("program", "program", "The program."),
				maybe(structure("target", "target", "Where; null for what the section says.", Struct)), outHandle("link")},
			Errnos: cases("INVAL: The target does not fit the hook, or a needed part is missing; last_error says which.", "NOENT: There is no such function, tracepoint, file, cgroup, map or name.", "NODEV: There is no such interface or perf event.", "SRCH: There is no such process.", "BUSY: Another program is there; last_error names it.", "EXIST: The program is there already.", "CANCELED: The object of the program was closed."),
		},
		{
			Family: "link", Name: "link_update",
			Doc:    "Puts another program of the same type in the place of the attached one, without a moment in which none is attached.",
			Params: []Param{link, handle("program", "program", "The new program."), maybe(handle("expected", "program", "The program that must be there now; 0 for any."))},
			Errnos: cases("NOTSUP: The kernel cannot update links of this hook.", "BUSY: Another program than the expected one is there.", "INVAL: The program is of another type.", "CANCELED: The link was detached, or the object of a program was closed."),
		},
		{
			Family: "link", Name: "link_info",
			Doc:    "Describes a link. The text says the same for people: \"xdp count on eth0 (native)\", with a note behind it where a lesser way was taken. Of a link that was detached, or whose place is gone, the fields for the place are 0.",
			Params: []Param{link, structure("out", "link_info", "Receives the description.", OutStruct), in("text", "Receives the text; what does not fit is cut.", Buffer), outLen()},
			Errnos: cases("CANCELED: The object of the program was closed."),
		},
		{
			Family: "link", Name: "link_detach",
			Doc:    "Detaches the program, also if the link is pinned or others have it open. The handle stays, to be closed.",
			Params: []Param{link},
			Errnos: cases("NOTSUP: The kernel cannot detach links of this hook while somebody else has them open.", "CANCELED: The object of the program was closed."),
		},
		{
			Family: "link", Name: "iter_open",
			Doc:    "Starts one run of an iterator: the kernel runs the program for each task, map entry, socket and so on, while its output is read.",
			Params: []Param{handle("link", "link", "A link of hook iter."), outHandle("iter")},
			Errnos: cases("INVAL: The link is of another hook.", "CANCELED: The object of the program was closed."), Kernel: "5.8",
		},
		{
			Family: "link", Name: "iter_read",
			Doc:    "Reads the next output of an iterator program. It ends when out_len is 0.",
			Params: []Param{handle("iter", "iter", "The run."), in("buf", "Receives the output.", Buffer), in("out_len", "Receives the number of bytes, 0 at the end.", OutU32)},
			Blocks: "While the kernel runs the program over as many elements as fill the buffer.",
			Errnos: cases("INVAL: The buffer has no room.", "INTR: The host is stopping this instance."), Kernel: "5.8",
		},
	}
}
