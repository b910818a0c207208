package preempt_test

// generator makes valid modules out of any bytes: functions 0 to 4 of the type
// (i32, i32) -> i32 with nested blocks, loops, branches, calls and memory. A global
// bounds the steps, so that every call ends.
type generator struct {
	choices []byte
	code    []byte
	labels  []bool // open blocks, innermost last: can it be branched to without a value?
}

const (
	genFuncs    = 5
	genLocals   = 5 // two parameters
	genCounters = 3 // locals behind them
	genSteps    = 3000
)

func (g *generator) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0]) % n
	g.choices = g.choices[1:]
	return c
}

func (g *generator) emit(b ...byte) { g.code = append(g.code, b...) }

// step leaves the function when the steps are spent.
func (g *generator) step() {
	g.emit(0x23, 0, 0x45, 0x04, 0x40, 0x41, 7, 0x0f, 0x0b) // if (!steps) return 7
	g.emit(0x23, 0, 0x41, 1, 0x6b, 0x24, 0)
}

// expr pushes an i32.
func (g *generator) expr(depth int) {
	n := 12
	if depth <= 0 {
		n = 3
	}
	switch g.choose(n) {
	case 0:
		g.emit(0x41, byte(g.choose(64)))
	case 1, 2:
		g.emit(0x20, byte(g.choose(genLocals)))
	case 3, 4, 5:
		g.expr(depth - 1)
		g.expr(depth - 1)
		g.emit([]byte{0x6a, 0x6b, 0x6c, 0x71, 0x73, 0x48, 0x4b, 0x6e, 0x74}[g.choose(9)]) // one may divide by zero
	case 6:
		g.expr(depth - 1)
		g.emit(0x28, 0, byte(g.choose(128))) // may be out of bounds
	case 7:
		g.expr(depth - 1)
		g.emit(0x04, 0x7f)
		g.labels = append(g.labels, false)
		g.expr(depth - 1)
		g.emit(0x05)
		g.expr(depth - 1)
		g.emit(0x0b)
		g.labels = g.labels[:len(g.labels)-1]
	case 8: // a block that may be left with a value
		g.emit(0x02, 0x7f)
		g.expr(depth - 1)
		g.expr(depth - 1)
		g.emit(0x0d, 0, 0x0b)
	case 9: // a loop with a parameter and a result
		g.expr(depth - 1)
		g.emit(0x03, 2) // type 2: i32 -> i32
		g.emit(0x23, 0, 0x45, 0x45, 0x23, 0, 0x41, 1, 0x6b, 0x23, 0, 0x45, 0x45, 0x6c, 0x24, 0, 0x1a)
		g.emit(0x41, 3, 0x6a, 0x22, 2, 0x20, 2, 0x41, 31, 0x71, 0x23, 0, 0x45, 0x45, 0x71, 0x0d, 0, 0x0b)
	case 10:
		g.expr(depth - 1)
		g.expr(depth - 1)
		g.emit(0x10, byte(g.choose(genFuncs)))
	case 11:
		g.expr(depth - 1)
		g.expr(depth - 1)
		g.expr(depth - 1)
		g.emit(0x41, 7, 0x71, 0x11, 0, 0) // some elements are null or missing
	}
}

// statement leaves the stack as it is.
func (g *generator) statement(depth int) {
	n := 14
	if depth <= 0 {
		n = 4
	}
	switch g.choose(n) {
	case 12, 13:
		g.counted(depth)
	case 0, 1:
		g.expr(depth)
		g.emit(0x21, byte(g.choose(genLocals)))
	case 2:
		g.expr(1)
		g.expr(depth)
		g.emit(0x36, 0, byte(g.choose(128)))
	case 3:
		g.branch()
	case 4, 5:
		g.emit(0x03, 0x40)
		g.labels = append(g.labels, true)
		g.step()
		g.statements(depth - 1)
		g.expr(1)
		g.emit(0x0d, 0)
		g.close()
	case 6, 7:
		g.emit(0x02, 0x40)
		g.labels = append(g.labels, true)
		g.statements(depth - 1)
		g.close()
	case 8:
		g.expr(depth - 1)
		g.emit(0x04, 0x40)
		g.labels = append(g.labels, true)
		g.statements(depth - 1)
		g.emit(0x05)
		g.statements(depth - 1)
		g.close()
	case 9:
		g.expr(1)
		g.emit(0x41, 0xff, 0, 0x71, 0x41, byte(g.choose(64))) // address, value
		g.expr(1)
		g.emit(0x41, 0xff, 0, 0x71, 0xfc, byte(10+g.choose(2)), 0)
		if g.code[len(g.code)-2] == 10 {
			g.emit(0)
		}
	case 10: // a br_table in three blocks
		g.emit(0x02, 0x40, 0x02, 0x40, 0x02, 0x40)
		g.labels = append(g.labels, true, true, true)
		g.expr(1)
		g.emit(0x41, 3, 0x71, 0x0e, 2, 0, 1, 2)
		for range 3 {
			g.close()
			g.statement(depth - 1)
		}
	case 11:
		g.expr(1)
		g.emit(0x04, 0x40)
		switch g.choose(3) {
		case 0:
			g.expr(1)
			g.emit(0x0f)
		case 1:
			g.expr(1)
			g.expr(1)
			g.emit(0x12, byte(g.choose(genFuncs)))
		case 2:
			g.emit(0x00)
		}
		g.emit(0x0b)
	}
}

// counted makes a loop that counts, mostly to an end that it meets. Sometimes there
// is something about it that a reader may overlook.
func (g *generator) counted(depth int) {
	c := byte(genLocals + g.choose(genCounters))
	start, step, rounds := g.choose(40), 1+g.choose(4), 1+g.choose(9)
	end := start + step*rounds
	if g.choose(4) == 0 {
		start, end = end, start
		step = 0x80 - step // which reads as -step
	}
	if g.choose(8) == 0 {
		end++ // perhaps it is never met
	}
	loopBlock := g.choose(3) == 0
	set, get, count := []byte{0x41, byte(start), 0x21, c}, []byte{0x20, c}, []byte{0x20, c, 0x41, byte(step & 0x7f), 0x6a}
	if start > 63 {
		set = []byte{0x41, byte(start) | 0x80, 0, 0x21, c}
	}
	test := []byte{0x41, byte(end), 0x47}
	if end > 63 {
		test = []byte{0x41, byte(end) | 0x80, 0, 0x47}
	}
	g.emit(set...)
	if g.choose(8) == 0 {
		g.expr(1)
		g.emit(0x21, c)
	}
	if loopBlock {
		g.emit(0x02, 0x40)
		g.labels = append(g.labels, true)
	}
	g.emit(0x03, 0x40)
	g.labels = append(g.labels, true)
	g.step()
	if loopBlock {
		// leave, count, go back
		g.emit(get...)
		test[len(test)-1] = 0x46
		g.emit(test...)
		g.emit(0x0d, byte(1+g.choose(len(g.labels)-1)))
		if !g.labels[len(g.labels)-1-int(g.code[len(g.code)-1])] {
			g.code[len(g.code)-1] = 1
		}
	}
	if g.choose(3) == 0 {
		g.statements(depth - 2)
	}
	if g.choose(8) == 0 {
		g.emit(0x20, 0, 0x04, 0x40, 0x41, byte(g.choose(64)), 0x21, c, 0x0b)
	}
	g.emit(count...)
	if loopBlock {
		g.emit(0x21, c, 0x0c, 0)
		g.close()
	} else {
		g.emit(0x22, c)
		g.emit(test...)
		g.emit(0x0d, 0)
	}
	g.close()
}

func (g *generator) close() {
	g.emit(0x0b)
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *generator) statements(depth int) {
	for range 1 + g.choose(3) {
		g.statement(depth)
	}
}

// branch leaves a block, or goes on with a loop, under a condition.
func (g *generator) branch() {
	if len(g.labels) == 0 {
		return
	}
	l := g.choose(len(g.labels))
	if !g.labels[len(g.labels)-1-l] {
		return
	}
	g.expr(1)
	g.emit(0x0d, byte(l))
}

// generate makes a module. Its exports are f0 to f4, the memory m and the global
// g.
func generate(choices []byte) []byte {
	g := generator{choices: choices}
	m := []byte("\x00asm\x01\x00\x00\x00")
	sec := func(id byte, content ...byte) {
		m = append(m, id)
		m = append(leb(m, len(content)), content...)
	}
	sec(1, 3, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f)
	sec(3, append([]byte{genFuncs}, make([]byte, genFuncs)...)...)
	sec(4, 1, 0x70, 0, genFuncs+1)
	sec(5, 1, 0, 1)
	sec(6, append(leb([]byte{1, 0x7f, 1, 0x41}, genSteps), 0x0b)...)
	exports := []byte{genFuncs + 2, 1, 'm', 2, 0, 1, 'g', 3, 0}
	elem := []byte{1, 0, 0x41, 0, 0x0b, genFuncs}
	for i := range byte(genFuncs) {
		exports = append(exports, 2, 'f', '0'+i, 0, i)
		elem = append(elem, i)
	}
	sec(7, exports...)
	sec(9, elem...)
	code := []byte{genFuncs}
	for range genFuncs {
		g.code = []byte{1, genLocals + genCounters - 2, 0x7f}
		g.step()
		g.statements(4)
		g.expr(3)
		g.emit(0x0b)
		code = append(leb(code, len(g.code)), g.code...)
	}
	sec(10, code...)
	return m
}

// leb appends an unsigned number; small ones read the same signed.
func leb(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
