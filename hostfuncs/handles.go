package hostfuncs

// Handles gives numbers to the host objects of one instance. A number stands
// for one object only: after Remove its slot is used again under another
// number, so that a stale handle is refused and never means a newer object.
// The zero value is ready. It is not safe for concurrent use; host functions of
// one instance run one at a time.
//
// A handle is positive and fits in an i32: the low 16 bits are the slot + 1, the
// 15 bits above count how often the slot was used.
type Handles[T any] struct {
	slots []slot[T]
	free  []int
}

type slot[T any] struct {
	gen   uint32
	used  bool
	value T
}

// MaxHandles is how many objects one table holds at once.
const MaxHandles = 1<<16 - 1

const maxGen = 1<<15 - 1

// Add stores v and answers its handle, or false when the table is full.
func (h *Handles[T]) Add(v T) (int32, bool) {
	var i int
	if n := len(h.free); n > 0 {
		i = h.free[n-1]
		h.free = h.free[:n-1]
	} else {
		if len(h.slots) == MaxHandles {
			return 0, false
		}
		i = len(h.slots)
		h.slots = append(h.slots, slot[T]{})
	}
	s := &h.slots[i]
	s.used, s.value = true, v
	return int32(s.gen<<16 | uint32(i+1)), true
}

// Get answers the object of a handle, or false when it is not open.
func (h *Handles[T]) Get(handle int32) (T, bool) {
	if s := h.slot(handle); s != nil {
		return s.value, true
	}
	var zero T
	return zero, false
}

// Remove forgets a handle and answers its object. A slot whose count of uses is
// exhausted is retired.
func (h *Handles[T]) Remove(handle int32) (T, bool) {
	var zero T
	s := h.slot(handle)
	if s == nil {
		return zero, false
	}
	v := s.value
	s.used, s.value = false, zero
	if s.gen < maxGen {
		s.gen++
		h.free = append(h.free, int(uint32(handle)&0xffff)-1)
	}
	return v, true
}

// Known tells whether the handle was given out at some time, open or not.
func (h *Handles[T]) Known(handle int32) bool {
	i, gen := split(handle)
	return i >= 0 && i < len(h.slots) && (gen < h.slots[i].gen || gen == h.slots[i].gen && h.slots[i].used)
}

func (h *Handles[T]) slot(handle int32) *slot[T] {
	i, gen := split(handle)
	if i < 0 || i >= len(h.slots) || !h.slots[i].used || h.slots[i].gen != gen {
		return nil
	}
	return &h.slots[i]
}

func split(handle int32) (slot int, gen uint32) {
	if handle <= 0 {
		return -1, 0
	}
	return int(uint32(handle)&0xffff) - 1, uint32(handle) >> 16
}
