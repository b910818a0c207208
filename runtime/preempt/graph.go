package preempt

import (
	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// longChain is how many frames of functions that are not counted may lie on one
// another, in units of [function.frame].
const longChain = 16

// markDepth marks the functions whose depth is counted: one in every cycle of
// calls, and some in long chains of others. Calls by a table may go to every
// function of the type that a table may hold.
func (r *rewriter) markDepth() {
	n := len(r.funcs)
	g := graph{rewriter: r, canon: r.canonicalTypes()}
	g.takenBy()
	// Nodes 0 to n-1 are the functions, n+t stands for tables by type t.
	g.state = make([]state, n+len(r.f.Types))
	g.height = make([]uint32, n+len(r.f.Types))
	for i := range n {
		if g.state[i] == unseen {
			g.visit(i)
		}
	}
}

// canonicalTypes gives for each type the first one that is equal.
func (r *rewriter) canonicalTypes() []uint32 {
	canon := make([]uint32, len(r.f.Types))
	first := make(map[string]uint32, len(r.f.Types))
	var key []byte
	for i, t := range r.f.Types {
		key = typeKey(key[:0], t)
		if j, ok := first[string(key)]; ok {
			canon[i] = j
			continue
		}
		first[string(key)] = uint32(i)
		canon[i] = uint32(i)
	}
	return canon
}

// graph walks through the calls depth first, without recursion. Every cycle has a
// call back to a function on the path, and there is counted.
type graph struct {
	*rewriter
	canon []uint32
	// taken has the functions that tables may hold, by type.
	taken map[uint32][]uint32

	state  []state
	height []uint32 // the frames from here to the next that are counted
	path   []step
	succ   []uint32 // successors of the nodes on the path
}

type state uint8

const (
	unseen state = iota
	onPath
	left
)

type step struct {
	node        int
	first, next int // the successors that are left are succ[next:]
}

// takenBy finds the functions that a table may hold.
func (g *graph) takenBy() {
	g.taken = make(map[uint32][]uint32)
	imports := uint32(g.f.ImportedFuncs())
	seen := make([]bool, len(g.funcs))
	take := func(index uint32) {
		if index < imports || seen[index-imports] {
			return
		}
		seen[index-imports] = true
		t := g.canon[g.f.Funcs[index-imports]]
		g.taken[t] = append(g.taken[t], index-imports)
	}
	foreign := g.f.NumTables() > len(g.f.Tables) // others may put our exports into their table
	for _, s := range g.f.Sections {
		if s.ID == wasmfile.SectionExport && !foreign {
			continue
		}
		if s.ID != wasmfile.SectionStart {
			// The section was read before, so there is no error.
			_ = g.f.FuncIndices(s, func(_, _ int, index uint32) { take(index) })
		}
	}
	for _, e := range g.edits {
		if e.kind == editRef {
			take(e.arg)
		}
	}
}

// push starts with a node.
func (g *graph) push(node int) {
	g.state[node] = onPath
	st := step{node: node, first: len(g.succ), next: len(g.succ)}
	n := len(g.funcs)
	if node >= n {
		g.succ = append(g.succ, g.taken[uint32(node-n)]...)
	} else {
		fn := &g.funcs[node]
		imports := uint32(g.f.ImportedFuncs())
		for _, e := range g.edits[fn.first:fn.last] {
			if (e.kind == editCall || e.kind == editTail) && e.arg >= imports {
				g.succ = append(g.succ, e.arg-imports)
			}
		}
		last := uint32(len(g.indirect))
		if node+1 < n {
			last = g.funcs[node+1].indirect
		}
		for _, t := range g.indirect[fn.indirect:last] {
			g.succ = append(g.succ, uint32(n)+g.canon[t])
		}
	}
	g.path = append(g.path, st)
}

// visit walks through all that can be reached from a function.
func (g *graph) visit(root int) {
	g.push(root)
	for len(g.path) > 0 {
		st := &g.path[len(g.path)-1]
		if st.next < len(g.succ) {
			w := int(g.succ[st.next])
			st.next++
			switch g.state[w] {
			case unseen:
				g.push(w)
			case onPath:
				g.back(st.node, w)
			case left:
				g.height[st.node] = max(g.height[st.node], g.height[w])
			}
			continue
		}
		g.succ = g.succ[:st.first]
		g.path = g.path[:len(g.path)-1]
		g.leave(st.node)
	}
}

// back closes a cycle: v calls w, which leads to v.
func (g *graph) back(v, w int) {
	if w >= len(g.funcs) {
		w = v // a table is no place to count at, and its caller is a function
	}
	g.funcs[w].counted = true
}

// leave is the end of a node: all that it calls has been seen.
func (g *graph) leave(v int) {
	g.state[v] = left
	if v < len(g.funcs) {
		fn := &g.funcs[v]
		g.height[v] += uint32(fn.frame())
		if fn.counted = fn.counted || fn.calls && g.height[v] >= longChain; fn.counted {
			g.height[v] = 0
		}
	}
	if len(g.path) > 0 {
		p := g.path[len(g.path)-1].node
		g.height[p] = max(g.height[p], g.height[v])
	}
}
