package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// parentEnv tells a child whose it is.
const parentEnv = "BOWLINE_ISOLATED_BY"

// Command is what [Supervise] runs: this program once more, with the same streams.
type Command struct {
	// Args are the arguments after the program's name.
	Args                  []string
	Stdin, Stdout, Stderr *os.File
	// Most are the capabilities that the child may ever have; zero leaves that as it is.
	Most kernel.CapSet
	// Timeout is when the child stops by itself, counted from its start; zero is never.
	Timeout time.Duration
	// Grace is how long it may take to end after that, or after a signal.
	Grace time.Duration
}

// Ended says how a child ended.
type Ended struct {
	// Code is its exit code, if Signal is zero; else Signal ended it.
	Code   int
	Signal unix.Signal
	// Late says that it did not end within its grace time, and was killed: after its time-out, or else after a signal.
	Late, TimedOut bool
	// Told says that somebody asked for the end twice, which kills it at once.
	Told bool
	// OutOfMemory says that the kernel killed it at the memory limit of its control group.
	OutOfMemory bool
}

// Supervise runs a command in a child process until it ends. SIGINT, SIGTERM and SIGQUIT are passed on; a child that does not end within its
// grace time is killed, and so it is at the second signal. If this process dies, however it dies, the kernel kills the child.
//
// As soon as the child runs, this process gives up its capabilities and closes the file system: it only waits. What it keeps is what takes
// the child's control group away.
func Supervise(c Command) (Ended, error) {
	// The kernel kills the child when the thread ends that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if c.Most != 0 {
		if err := cutBounding(c.Most); err != nil {
			return Ended{}, err
		}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT)
	defer signal.Stop(signals)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{os.Args[0]}, c.Args...)
	cmd.Env = append(os.Environ(), parentEnv+"="+strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return Ended{}, fmt.Errorf("start a process for the plugin: %w", err)
	}
	w := &warden{cmd: cmd, grace: c.Grace, ended: make(chan struct{}), left: make(chan struct{})}
	go w.watch(signals, c.Timeout)
	places, _ := cgroupPlaces() // where the child may have made a group
	dropped := giveUpAll(places)
	err := cmd.Wait()
	close(w.ended)
	<-w.left
	if cmd.ProcessState == nil {
		return Ended{}, errors.Join(fmt.Errorf("wait for the plugin's process: %w", err), dropped)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		w.how.Signal = status.Signal()
	}
	w.how.Code = status.ExitStatus()
	w.how.OutOfMemory = removeCgroup(places, cmd.Process.Pid)
	return w.how, dropped
}

// giveUpAll is for a process that waits for its child.
func giveUpAll(places []string) error {
	paths := []Path{{Name: "/proc/self"}} // where psx looks for threads
	for _, p := range places {
		paths = append(paths, Path{Name: p, Write: true})
	}
	return errors.Join(Files(paths), Drop(removalTakes(places)))
}

// warden ends a child that does not end itself.
type warden struct {
	cmd   *exec.Cmd
	grace time.Duration
	ended chan struct{} // closed when the child has ended
	left  chan struct{} // closed when watch has returned
	how   Ended         // watch's own until then
}

func (w *warden) watch(signals <-chan os.Signal, timeout time.Duration) {
	defer close(w.left)
	var late <-chan time.Time
	if timeout > 0 {
		late = time.After(timeout + w.grace)
	}
	for told := false; ; told = true {
		select {
		case <-w.ended:
			return
		case s := <-signals:
			if told {
				w.how.Told = true
				_ = w.cmd.Process.Kill() // it has ended if this fails
				return
			}
			_ = w.cmd.Process.Signal(s)
			late = time.After(w.grace)
		case <-late:
			w.how.Late, w.how.TimedOut = true, !told
			_ = w.cmd.Process.Kill()
			return
		}
	}
}

// Supervised reports whether this process is a child of [Supervise], and binds its life to that of its parent. Call it first of all.
func Supervised() (bool, error) {
	parent, ok := os.LookupEnv(parentEnv)
	if !ok {
		return false, nil
	}
	if err := os.Unsetenv(parentEnv); err != nil {
		return false, err
	}
	// Starting a program with file capabilities took away what the parent had set. Threads that come later do not have it; the first one stays.
	if _, _, errno := psx.Syscall3(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0); errno != 0 {
		return false, fmt.Errorf("bind this process to its parent: %w", errno)
	}
	if strconv.Itoa(os.Getppid()) != parent {
		return false, fmt.Errorf("the process %s, which started this one, is gone", parent)
	}
	_ = os.WriteFile("/proc/self/comm", []byte("bowline"), 0) // it would be called "exe"
	return true, nil
}
