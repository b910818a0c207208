package bpf

import "sync/atomic"

// useCount lets a file descriptor be used by many and closed by one without a lock: the descriptor goes when it was closed
// and the last user is done, so that no system call ever meets a number that has been given to another file.
type useCount struct{ state atomic.Int64 }

const useClosed = int64(1) << 62

// enter reports whether the thing is still open and keeps it so until leave.
func (u *useCount) enter() bool {
	for {
		s := u.state.Load()
		if s&useClosed != 0 {
			return false
		}
		if u.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// leave ends what enter began. It reports true to the one caller that has to release the thing.
func (u *useCount) leave() bool { return u.state.Add(-1) == useClosed }

// close reports whether this call was the first one, and whether the caller has to release the thing now.
func (u *useCount) close() (first, release bool) {
	for {
		s := u.state.Load()
		if s&useClosed != 0 {
			return false, false
		}
		if u.state.CompareAndSwap(s, s|useClosed) {
			return true, s == 0
		}
	}
}

// closed reports whether close was called.
func (u *useCount) closed() bool { return u.state.Load()&useClosed != 0 }
