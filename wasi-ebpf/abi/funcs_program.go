package abi

func programFuncs() []Func {
	p := handle("program", "program", "The program.")
	return []Func{
		{
			Family: "program", Name: "program_load",
			Doc:    "Loads a program that the guest has generated. Losses of records that it writes are not counted.",
			Params: []Param{structure("options", "program_options", "The program.", Struct), outHandle("program")},
			Blocks: "While the verifier works. Nothing ends that earlier.",
			Errnos: cases("ACCES: The verifier does not accept it; last_error has its log.", "NOEXEC: The bytes are not instructions, or use something that only the kernel's own loaders may.", "BADF: An instruction names a map that is not open, or the target is not.", "NOENT: The kernel has no such place."),
		},
		{
			Family: "program", Name: "program_info",
			Doc:    "Describes a program, with what it cost since statistics were on.",
			Params: []Param{p, structure("out", "program_info", "Receives the description.", OutStruct)},
			Errnos: cases("CANCELED: The object of the program was closed."),
		},
		{
			Family: "program", Name: "program_log",
			Doc:    "Copies what the verifier wrote when it accepted the program; empty unless it was loaded with the flag log.",
			Params: []Param{p, in("buf", "Receives the text; what does not fit is cut.", Buffer), outLen()},
			Errnos: cases("CANCELED: The object of the program was closed."),
		},
		{
			Family: "program", Name: "program_test_run",
			Doc:    "Runs a program on given data, without attaching it. Long runs end when the host stops the instance.",
			Params: []Param{p, structure("run", "test_run", "Input; receives the outcome.", IOStruct)},
			Blocks: "Until the runs are done, or the host stops the instance: then the run that is going on is finished.",
			Errnos: cases("NOSPC: The packet or context is larger than the room for it; the lengths are written.", "INVAL: The kernel does not take this data or context for this type of program.", "NOTSUP: Programs of this type cannot be run so.", "RANGE: The CPU is not online.", "INTR: The host is stopping this instance.", "CANCELED: The object of the program was closed."),
		},
		{
			Family: "program", Name: "program_enable_stats",
			Doc:    "Lets the kernel measure run time and count of all programs while the handle is open. It costs some ns for each run of any program.",
			Params: []Param{outHandle("stats")}, Kernel: "5.8",
		},
	}
}
