package preempt

import (
	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// longChain is how many functions outside of recursions may call one another
// before one of them is counted too.
const longChain = 256

// markDepth marks the functions whose depth is counted: those that may call
// themselves over others, and every so many in long chains. Calls by a table may
// go to every function of the type that a table may hold.
func (r *rewriter) markDepth() {
	n := len(r.funcs)
	g := graph{rewriter: r, canon: r.canonicalTypes()}
	g.takenBy()
	// Nodes 0 to n-1 are the functions, n+t stands for tables by type t.
	nodes := n + len(r.f.Types)
	g.index = make([]uint32, nodes)
	g.low = make([]uint32, nodes)
	g.height = make([]uint16, nodes)
	g.done = make([]bool, nodes)
	for i := range n {
		if g.index[i] == 0 {
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

// graph finds cycles of calls by Tarjan's algorithm, without recursion.
type graph struct {
	*rewriter
	canon []uint32
	// taken has the functions that tables may hold, by type.
	taken map[uint32][]uint32

	index, low []uint32 // index 0: not seen
	height     []uint16
	done       []bool
	next       uint32
	stack      []int
	path       []step
	succ       []uint32 // successors of the nodes on the path
}

type step struct {
	node        int
	first, next int // the successors that are left are succ[next:]
	self        bool
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
	g.next++
	g.index[node], g.low[node] = g.next, g.next
	g.stack = append(g.stack, node)
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

// visit finds all that can be reached from a function.
func (g *graph) visit(root int) {
	g.push(root)
	for len(g.path) > 0 {
		st := &g.path[len(g.path)-1]
		v := st.node
		if st.next < len(g.succ) {
			w := int(g.succ[st.next])
			st.next++
			switch {
			case w == v:
				st.self = true
			case g.index[w] == 0:
				g.push(w)
				continue
			case !g.done[w]:
				g.low[v] = min(g.low[v], g.index[w])
			}
			g.height[v] = max(g.height[v], g.height[w])
			continue
		}
		g.succ = g.succ[:st.first]
		self := st.self
		g.path = g.path[:len(g.path)-1]
		if g.low[v] == g.index[v] {
			g.component(v, self)
		}
		if len(g.path) > 0 {
			p := g.path[len(g.path)-1].node
			g.low[p] = min(g.low[p], g.low[v])
			g.height[p] = max(g.height[p], g.height[v])
		}
	}
}

// component closes the nodes that can reach one another, v first on the stack.
func (g *graph) component(v int, self bool) {
	for cycle := self || g.stack[len(g.stack)-1] != v; ; {
		w := g.stack[len(g.stack)-1]
		g.stack = g.stack[:len(g.stack)-1]
		g.done[w] = true
		if w < len(g.funcs) {
			g.height[w]++
			if g.funcs[w].counted = cycle || g.height[w] >= longChain; g.funcs[w].counted {
				g.height[w] = 0
			}
		}
		if w == v {
			return
		}
	}
}
