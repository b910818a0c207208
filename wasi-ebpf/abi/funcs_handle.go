package abi

func handleFuncs() []Func {
	kind := in("kind", "The kind that is expected, of kind.", U32)
	name := in("name", "1 to 64 characters out of A-Z a-z 0-9 _ - and ., not beginning with a dot.", Text)
	badName := "INVAL: The name is empty, too long, or has other characters."
	return []Func{
		{
			Family: "handle", Name: "version",
			Doc:    "Answers the version of the contract that the host offers. A guest that needs a later minor version than this should say so and end.",
			Params: []Param{in("out", "Receives major * 65536 + minor.", OutU32)},
		},
		{
			Family: "handle", Name: "last_error",
			Doc:    "Copies the text behind the last call of this instance that did not answer SUCCESS: the verifier's log, the missing privilege or kernel feature, the missing grant. The text is for people and may have many lines; it stays until the next call that fails. A text that does not fit is cut.",
			Params: []Param{in("buf", "Receives the text, without a NUL.", Buffer), outLen()},
		},
		{
			Family: "handle", Name: "close",
			Doc:    "Gives a handle up. The last user of an object closes it: a link is detached, an object's links, programs and maps go. Objects that were found through another one (a map of an object) stay usable by programs that use them. A closed handle's number is never given out again while the instance runs, as far as numbers last (32,768 uses of a slot).",
			Params: []Param{{Name: "handle", Kind: Handle, Of: "any", Doc: "What to close."}},
			Errnos: cases("BADF: The handle is not open; also if it was closed before."),
		},
		{
			Family: "handle", Name: "share",
			Doc:    "Gives a map or an object a name under which other instances of the host, and for maps other processes of the same host program on this machine, open it with open_shared; how they find it is the host program's own matter. The share lasts as long as a handle of it is open anywhere; the last one to close it, or to end in any way, ends it.",
			Params: []Param{{Name: "handle", Kind: Handle, Of: "any", Doc: "A map, or an object that is loaded."}, name},
			Errnos: cases("EXIST: Something is shared under that name.", "NOTSUP: Objects of this kind cannot be shared.", badName),
		},
		{
			Family: "handle", Name: "open_shared",
			Doc:    "Opens what was shared under a name.",
			Params: []Param{name, kind, outHandle("any")},
			Errnos: cases("NOENT: Nothing is shared under that name.", "INVAL: The kind is neither map nor object, or the name is not one. Maps and objects have names of their own."),
		},
		{
			Family: "handle", Name: "pin",
			Doc:    "Keeps a map, a program or a link in the kernel after this instance and the host, under a name in the host's own folder of the BPF file system, until unpin or the next boot.",
			Params: []Param{{Name: "handle", Kind: Handle, Of: "any", Doc: "A map, a program or a link."}, name},
			Errnos: cases("EXIST: Something is pinned under that name.", "NOTSUP: Objects of this kind cannot be pinned, or there is no BPF file system.", badName),
		},
		{
			Family: "handle", Name: "open_pinned",
			Doc:    "Opens what was pinned under a name, by whichever instance.",
			Params: []Param{name, kind, outHandle("any")},
			Errnos: cases("NOENT: Nothing is pinned under that name.", "INVAL: It is of another kind, or the name is not one."),
		},
		{
			Family: "handle", Name: "unpin",
			Doc:    "Removes a pin. What it kept goes when nobody has it open.",
			Params: []Param{name},
			Errnos: cases("NOENT: Nothing is pinned under that name.", badName),
		},
	}
}
