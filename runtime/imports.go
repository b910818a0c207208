package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// ErrImport means that a module imports something that nobody provides.
var ErrImport = errors.New("unresolved import")

// link says which provider answers an import.
type link struct {
	imp      engine.Import
	provider int
}

// wasiModule is WASI preview 1, which engines provide themselves.
const wasiModule = "wasi_snapshot_preview1"

// wasiFunctions are the functions of WASI preview 1, as wasi_snapshot_preview1.witx
// of the WASI repository lists them.
var wasiFunctions = strings.Fields(`
	args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get
	fd_advise fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights
	fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get
	fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write
	path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink
	path_remove_directory path_rename path_symlink path_unlink_file
	poll_oneoff proc_exit proc_raise random_get sched_yield
	sock_accept sock_recv sock_send sock_shutdown`)

// resolve finds who answers each import.
func resolve(imports []wasmfile.Import, providers []engine.Provider) (links []link, wasi bool, err error) {
	var offers []engine.Import
	lists := make([][]engine.Import, len(providers)) // asked once: they are long, and a module may have many imports
	for i, p := range providers {
		lists[i] = p.Offers()
		offers = append(offers, lists[i]...)
	}
	for _, imp := range imports {
		if imp.Kind != wasmfile.KindFunc {
			return nil, false, fmt.Errorf("%w: %s %s.%s: a host gives functions only; let the plugin define its own %[2]s",
				ErrImport, imp.Kind, imp.Module, imp.Name)
		}
		if imp.Module == wasiModule && slices.Contains(wasiFunctions, imp.Name) {
			wasi = true
			continue
		}
		want := engine.Import{Module: imp.Module, Name: imp.Name, Type: imp.Type}
		i, ok := provides(want, lists)
		if !ok {
			return nil, false, explain(want, offers)
		}
		links = append(links, link{imp: want, provider: i})
	}
	return links, wasi, nil
}

func provides(want engine.Import, lists [][]engine.Import) (int, bool) {
	for i, list := range lists {
		for _, o := range list {
			if o.Module == want.Module && o.Name == want.Name && o.Type.Equal(want.Type) {
				return i, true
			}
		}
	}
	return 0, false
}

// explain says why an import is not there: another type, a name close by, or an
// interface that this build does not have.
func explain(want engine.Import, offers []engine.Import) error {
	name := want.Module + "." + want.Name
	if want.Module == "wasi_unstable" {
		return fmt.Errorf("%w: %s is WASI preview 0; rebuild the plugin for wasm32-wasi (%s)", ErrImport, name, wasiModule)
	}
	if strings.HasPrefix(want.Module, "wasi:") {
		return fmt.Errorf("%w: %s is WASI preview 2; build the plugin for wasm32-wasip1", ErrImport, name)
	}
	var types []string
	for _, o := range offers {
		if o.Module == want.Module && o.Name == want.Name {
			types = append(types, o.Type.String())
		}
	}
	if len(types) > 0 {
		return fmt.Errorf("%w: %s is declared as %s, but the host has %s", ErrImport, name, want.Type, strings.Join(types, " or "))
	}
	candidates := make([]string, 0, len(offers)+len(wasiFunctions))
	for _, o := range offers {
		candidates = append(candidates, o.Module+"."+o.Name)
	}
	for _, f := range wasiFunctions {
		candidates = append(candidates, wasiModule+"."+f)
	}
	if c := closest(name, candidates); c != "" {
		return fmt.Errorf("%w: nobody provides %s %s; the closest is %s", ErrImport, name, want.Type, c)
	}
	return fmt.Errorf("%w: nobody provides %s %s; the host has %s", ErrImport, name, want.Type, strings.Join(modules(offers), ", "))
}

func modules(offers []engine.Import) []string {
	names := []string{wasiModule}
	for _, o := range offers {
		if !slices.Contains(names, o.Module) {
			names = append(names, o.Module)
		}
	}
	return names
}

// closest answers the candidate with the smallest edit distance, if that is at
// most a third of the name's length.
func closest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/3+1
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance. Names in hostile modules may be long, so
// only the first 128 bytes count.
func distance(a, b string) int {
	a, b = a[:min(len(a), 128)], b[:min(len(b), 128)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
