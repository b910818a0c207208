package abi

func objectFuncs() []Func {
	object := handle("object", "object", "The object.")
	loaded := "BUSY: The object is loaded already; this has to be done before."
	noName := "NOENT: The object has no such thing; last_error lists what there is."
	return []Func{
		{
			Family: "object", Name: "object_open",
			Doc:    "Reads a BPF object (an ELF file as clang writes it) out of guest memory. Nothing is loaded into the kernel yet, and the bytes are not needed any more when it returns.",
			Params: []Param{in("elf", "The whole file.", Bytes), outHandle("object")},
			Errnos: cases("NOEXEC: The bytes are not a BPF object that the host can read.", "TOOBIG: More than 64 MiB."),
		},
		{
			Family: "object", Name: "object_item",
			Doc: "Describes the item of that number, from 0 on: a map, a program or a variable. Works before and after the load.",
			Params: []Param{object, in("what", "Of item.", U32), in("index", "Number of the item.", U32),
				in("buf", "Receives a structure item, the name and the section. A buffer that is too small gets only what fits.", Buffer), outLen()},
			Errnos: cases("NOENT: There are no more."),
		},
		{
			Family: "object", Name: "object_set_variable",
			Doc:    "Sets a global variable: before the load its first value, also of a constant (const volatile in C); after it the running value.",
			Params: []Param{object, in("name", "Of the variable.", Text), in("value", "As many bytes as the variable has, in the kernel's byte order.", Bytes)},
			Errnos: cases(noName, "INVAL: The variable has another size.", "ROFS: The object is loaded and the variable is a constant."),
		},
		{
			Family: "object", Name: "object_get_variable",
			Doc:    "Copies the value of a global variable: before the load what it will be, after it the running value.",
			Params: []Param{object, in("name", "Of the variable.", Text), in("buf", "Receives the value.", Buffer), outLen()},
			Errnos: cases(noName, "NOSPC: The buffer is smaller than the variable; nothing is written but out_len."),
		},
		{
			Family: "object", Name: "object_set_map",
			Doc:    "Changes a map before it is created.",
			Params: []Param{object, in("name", "Of the map.", Text), in("field", "Of map_field.", U32), in("value", "The new value.", U64)},
			Errnos: cases(noName, loaded, "RANGE: The value does not fit in 32 bits.", "INVAL: The field cannot be changed for this map."),
		},
		{
			Family: "object", Name: "object_replace_map",
			Doc:    "Lets the object use a map that exists, instead of creating its own of that name. Type, sizes and flags must agree when it is loaded. Losses of records that this object's programs write to a shared ring buffer are not counted.",
			Params: []Param{object, in("name", "Of the object's map.", Text), handle("map", "map", "The map to use.")},
			Errnos: cases(noName, loaded),
		},
		{
			Family: "object", Name: "object_set_autoload",
			Doc:    "Says whether a program is loaded with the object. All are, but those whose section name begins with \"?\".",
			Params: []Param{object, in("name", "Of the program.", Text), in("load", "0 or 1.", U32)},
			Errnos: cases(noName, loaded),
		},
		{
			Family: "object", Name: "object_set_attach_target",
			Doc: "Sets what a program is attached to at load: the kernel function of fentry, fexit and fmod_ret, the tracepoint of tp_btf, the hook of lsm, the iterator of iter, or the function of another BPF program.",
			Params: []Param{object, in("name", "Of the program.", Text), in("symbol", "Name of the place; empty to leave what the section says.", Text),
				maybe(handle("target", "program", "The other BPF program; 0 for the kernel."))},
			Errnos: cases(noName, loaded, "INVAL: Programs of this type take no such place, or none is given."),
		},
		{
			Family: "object", Name: "object_load",
			Doc:    "Creates the maps and loads the programs, all or nothing. Unless no_loss_count is set, programs that write to ring buffers or perf arrays get a few instructions that count the records which the kernel cannot store.",
			Params: []Param{object, in("flags", "Of load.", U32)},
			Blocks: "While the verifier works. Nothing ends that earlier.",
			Errnos: cases("ACCES: The verifier does not accept a program; last_error has its log.", "BUSY: It is loaded already.", "NOENT: A kernel type or function that it names does not exist, or a map that is needed.", "NOMEM: The maps need more kernel memory than this instance may use.", "TOOBIG: A map has more entries than the kernel can take."),
		},
		{
			Family: "object", Name: "object_map",
			Doc:    "Finds a map of a loaded object. Global variables lie in maps with the name of their section, such as .bss. Each call answers a new handle of the same map.",
			Params: []Param{object, in("name", "Of the map.", Text), outHandle("map")},
			Errnos: cases(noName, "INVAL: The object is not loaded."),
		},
		{
			Family: "object", Name: "object_program",
			Doc:    "Finds a program of a loaded object, by the name of its C function. Each call answers a new handle of the same program.",
			Params: []Param{object, in("name", "Of the program.", Text), outHandle("program")},
			Errnos: cases(noName, "INVAL: The object is not loaded."),
		},
	}
}
