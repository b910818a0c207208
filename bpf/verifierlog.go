package bpf

import "strings"

// verifierReason finds in a verifier's log the lines that say why, and the instruction or source line where. It looks from
// the end: statistics, then the reason, then the instruction that was being looked at.
func verifierReason(log []string) (reason, where string) {
	const maxLines = 3
	log = withoutExplanation(log)
	var lines []string
	i := len(log) - 1
	for ; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if line == "" || isVerifierStatistic(line) {
			if len(lines) > 0 {
				break
			}
			continue
		}
		if isVerifierStep(line) {
			break
		}
		if len(lines) < maxLines {
			lines = append([]string{line}, lines...)
		}
	}
	for ; i >= 0 && where == ""; i-- {
		line := strings.TrimSpace(log[i])
		if isVerifierStep(line) && !strings.HasPrefix(line, ";") && !strings.HasPrefix(line, "from ") {
			where = instructionOf(line)
		}
	}
	for ; i >= 0; i-- { // the source line above it, if the object has line information
		if line := strings.TrimSpace(log[i]); strings.HasPrefix(line, "; ") {
			where += " (" + strings.TrimSpace(line[2:]) + ")"
			break
		} else if !isVerifierStep(line) {
			break
		}
	}
	reason = strings.Join(lines, "; ")
	if reason == "" {
		reason, where = where, ""
	}
	return clip(reason, 400), clip(where, 160)
}

// withoutExplanation cuts off the explanation in many lines that newer kernels (Linux 7.3) write below the reason.
func withoutExplanation(log []string) []string {
	for i := len(log) - 1; i > 0; i-- {
		if strings.HasPrefix(log[i], "Verification failed: ") {
			return log[:i]
		}
	}
	return log
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "..."
	}
	return s
}

// isVerifierStatistic recognizes what follows the reason.
func isVerifierStatistic(line string) bool {
	for _, p := range []string{"processed ", "verification time ", "stack depth ", "mark_precise", "peak_states ", "func#"} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// isVerifierStep recognizes the trace of instructions: "12: (85) call ...", "; source", "from 3 to 7: ...", "R0=scalar() ...".
func isVerifierStep(line string) bool {
	if strings.HasPrefix(line, "; ") || strings.HasPrefix(line, "from ") || line == ";" || strings.HasPrefix(line, "Live regs before") ||
		strings.HasPrefix(line, "last_idx ") || strings.HasPrefix(line, "first_idx ") || strings.HasPrefix(line, "parent ") || strings.HasPrefix(line, "regs=") {
		return true
	}
	n := 0
	for n < len(line) && line[n] >= '0' && line[n] <= '9' {
		n++
	}
	if n > 0 && strings.HasPrefix(line[n:], ": ") {
		return true
	}
	// The state of registers: "R1=ctx() R10=fp0" or "R1_w=...". A reason may start with a register, too: "R0 !read_ok".
	if len(line) > 2 && line[0] == 'R' && line[1] >= '0' && line[1] <= '9' {
		word, _, _ := strings.Cut(line, " ")
		return strings.Contains(word, "=")
	}
	return false
}

// instructionOf cuts the state of the registers off a line of the trace.
func instructionOf(line string) string {
	if i := strings.Index(line, " ; "); i > 0 {
		line = strings.TrimSpace(line[:i])
	}
	return "instruction " + line
}
