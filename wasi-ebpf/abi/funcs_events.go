package abi

func eventsFuncs() []Func {
	ev := handle("events", "events", "The reader.")
	return []Func{
		{
			Family: "events", Name: "events_open",
			Doc:    "Makes a reader without sources. A guest that waits for several ring buffers or perf arrays adds all of them to one reader.",
			Params: []Param{outHandle("events")},
		},
		{
			Family: "events", Name: "events_add",
			Doc: "Adds a ring buffer or a perf array. A perf array drops all records until it was added; a ring buffer keeps them from its creation on, as far as it has room. A map has one reader at a time.",
			Params: []Param{ev, handle("map", "map", "A ring buffer or perf array. The reader keeps it: the handle may be closed."),
				maybe(structure("options", "events_options", "Null for none.", Struct)), in("out_source", "Receives the source's number, from 0 on, which frames carry.", OutU32)},
			Errnos: cases("INVAL: The map is of another type.", "BUSY: The map has a reader.", "MFILE: The reader has 1024 sources, which is the limit.", "CANCELED: The object of the map was closed."),
		},
		{
			Family: "events", Name: "events_read",
			Doc: "Waits until there is a record in any source and writes as many as are there and fit, each with a frame before it; none is cut in the middle. Records of one ring buffer come in order, those of different sources or CPUs do not. Each is delivered once. Returns SUCCESS with no records when the time-out passes or only losses are to be told.",
			Params: []Param{ev, in("buf", "Receives frames and data; 8-byte aligned.", Buffer), in("timeout", "In ns: how long to wait; negative without limit, 0 not at all.", I64),
				structure("out", "batch", "Receives what was done.", OutStruct)},
			Blocks: "Until there is a record, records were lost, the time-out passes, or the host stops the instance.",
			Errnos: cases("MSGSIZE: The next record does not fit into the buffer; need says what it takes. It stays where it is.", "INVAL: The reader has no source.", "BUSY: A read of the same reader is going on.", "INTR: The host is stopping this instance."),
		},
		{
			Family: "events", Name: "events_stats",
			Doc:    "Answers the totals of one source since it was added; lost counts from when its object was loaded.",
			Params: []Param{ev, in("source", "Its number.", U32), structure("out", "source_stats", "Receives the totals.", OutStruct)},
			Errnos: cases("NOENT: The reader has no such source."),
		},
	}
}
