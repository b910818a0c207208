package abi

func kernelFuncs() []Func {
	return []Func{
		{
			Family: "kernel", Name: "kernel_info",
			Doc:    "Describes the kernel.",
			Params: []Param{structure("out", "kernel_info", "Receives the description.", OutStruct)},
		},
		{
			Family: "kernel", Name: "kernel_probe",
			Doc:    "Says whether the kernel has a program type, a map type, a helper or a hook, by trying it. SUCCESS means yes; NOTSUP no, with the reason in last_error.",
			Params: []Param{in("what", "Of probe.", U32), in("name", "As the enumeration probe shows.", Text)},
			Errnos: cases("NOENT: The host does not know that name.", "IO: It cannot be told without attaching; last_error says why."),
		},
		{
			Family: "kernel", Name: "kernel_symbol",
			Doc:    "Answers the address of a kernel symbol.",
			Params: []Param{in("name", "Of a function or variable.", Text), in("out", "Receives the address.", OutU64)},
			Errnos: cases("NOENT: There is no such symbol.", "PERM: The kernel hides its addresses (kernel.kptr_restrict)."),
		},
		{
			Family: "kernel", Name: "kernel_symbolize",
			Doc:    "Answers the kernel symbol that an address lies in, such as one from a stack trace.",
			Params: []Param{in("address", "In the kernel.", U64), in("buf", "Receives the name; with \" [module]\" for one of a module.", Buffer), outLen(), in("out_offset", "Receives the distance from the symbol's start.", OutU64)},
			Errnos: cases("NOENT: It lies in none.", "PERM: The kernel hides its addresses (kernel.kptr_restrict)."),
		},
		{
			Family: "kernel", Name: "process_symbolize",
			Doc:    "Answers the symbol that an address of a process lies in.",
			Params: []Param{in("pid", "Of the process.", I32), in("address", "In the process.", U64), in("buf", "Receives \"symbol file\", or only the file if it has no symbol there.", Buffer), outLen(), in("out_offset", "Receives the distance from the symbol's start, or the offset in the file.", OutU64)},
			Errnos: cases("SRCH: There is no such process.", "NOENT: The address lies in no file of the process."),
		},
		{
			Family: "kernel", Name: "kernel_type",
			Doc:    "Answers size and place of a type of the kernel, or of a field in it, from its BTF.",
			Params: []Param{in("type", "\"task_struct\", \"struct task_struct\", \"enum bpf_map_type\".", Text), in("field", "\"se.avg.load_avg\", \"comm[3]\"; empty for the type itself. Anonymous members are looked through.", Text), structure("out", "type_info", "Receives the answer.", OutStruct)},
			Errnos: cases("NOENT: There is no such type or field."),
		},
		{
			Family: "kernel", Name: "kernel_interfaces",
			Doc:    "Lists the network devices of the host's network namespace.",
			Params: []Param{in("buf", "Receives structures interface, as many as fit.", Buffer), in("out_count", "Receives how many devices there are.", OutU32)},
		},
		{
			Family: "kernel", Name: "kernel_cgroup_id",
			Doc:    "Answers the id of a control group, as bpf_get_current_cgroup_id has it.",
			Params: []Param{in("path", "Absolute, below the root of cgroup v2, or a local name.", Text), in("out", "Receives the id.", OutU64)},
			Errnos: cases("NOENT: There is no such group."),
		},
		{
			Family: "kernel", Name: "kernel_cgroup_path",
			Doc:    "Answers the path of a control group below the root of cgroup v2.",
			Params: []Param{in("id", "Of the group.", U64), in("buf", "Receives the path.", Buffer), outLen()},
			Errnos: cases("NOENT: There is no such group."),
		},
		{
			Family: "kernel", Name: "kernel_clock",
			Doc:    "Reads a clock that BPF programs have, too.",
			Params: []Param{in("clock", "Of clock.", U32), in("out", "Receives ns.", OutU64)},
		},
		{
			Family: "kernel", Name: "socket_open",
			Doc:    "Takes a socket of a process, for socket filters, sk_reuseport, socket maps and socket storage.",
			Params: []Param{in("pid", "Of the process.", I32), in("fd", "Its descriptor there.", I32), outHandle("socket")},
			Errnos: cases("SRCH: There is no such process.", "INVAL: The descriptor is not of a socket."), Kernel: "5.6",
		},
		{
			Family: "kernel", Name: "process_open",
			Doc:    "Opens a process, as the key of a task storage map.",
			Params: []Param{in("pid", "Of the process.", I32), outHandle("process")},
			Errnos: cases("SRCH: There is no such process."), Kernel: "5.3",
		},
		{
			Family: "kernel", Name: "cgroup_open",
			Doc:    "Opens a control group, for cgroup arrays and cgroup storage maps.",
			Params: []Param{in("path", "Absolute, below the root of cgroup v2, or a local name.", Text), outHandle("cgroup")},
			Errnos: cases("NOENT: There is no such group."),
		},
		{
			Family: "kernel", Name: "file_open",
			Doc:    "Opens a file or directory of the host, as the key of an inode storage map. It can be neither read nor written.",
			Params: []Param{in("path", "Absolute, or a local name.", Text), outHandle("file")},
			Errnos: cases("NOENT: There is no such file."),
		},
	}
}
