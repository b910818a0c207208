package runtime

import (
	"fmt"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// instanceLimits are how many instances run at a time: of one module, and of all
// modules of a Runtime. Zero means no limit.
type instanceLimits struct{ module, total int }

// enter counts an instance that starts, or refuses it.
func (m *Module) enter() error {
	m.rt.mu.Lock()
	defer m.rt.mu.Unlock()
	switch l := m.rt.instances; {
	case l.module > 0 && m.running >= l.module:
		return &engine.LimitError{Limit: "instances", Value: fmt.Sprint(l.module), What: fmt.Sprintf("%d instances of it run already", m.running)}
	case l.total > 0 && m.rt.running >= l.total:
		return &engine.LimitError{Limit: "total instances", Value: fmt.Sprint(l.total), What: fmt.Sprintf("%d instances of all plugins run already", m.rt.running), How: "raise TotalInstances of the runtime"}
	}
	m.running++
	m.rt.running++
	return nil
}

// exit counts an instance that has ended, and has closed all that it held.
func (m *Module) exit() {
	m.rt.mu.Lock()
	defer m.rt.mu.Unlock()
	m.running--
	m.rt.running--
}
