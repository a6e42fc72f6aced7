package systemd

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// fdPrefix marks an address as a socket that the service manager has opened.
const fdPrefix = "fd://"

// firstPassed is the number of the first descriptor that the service manager passes;
// SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstPassed = 3

// Inherited returns addrs with each fd://NAME replaced by fd://NUMBER, once for each
// descriptor that the service manager has passed under that name (FileDescriptorName= in
// systemd.socket(5); the default is the name of the unit). Other addresses stay as they
// are.
func Inherited(addrs []string) (all []string, err error) {
	names := passed()
	for _, addr := range addrs {
		name, ok := strings.CutPrefix(addr, fdPrefix)
		if _, err := strconv.Atoi(name); !ok || err == nil {
			all = append(all, addr)
			continue
		}
		before := len(all)
		for i, other := range names {
			if other == name {
				all = append(all, fdPrefix+strconv.Itoa(firstPassed+i))
			}
		}
		if len(all) == before {
			return nil, fmt.Errorf("listen on %s: %s", addr, missing(names))
		}
	}
	return all, nil
}

// missing says which sockets were passed instead, each name once.
func missing(names []string) string {
	if len(names) == 0 {
		return "the service manager has passed no socket"
	}
	slices.Sort(names)
	return "the service manager has not passed a socket of this name; it has passed " + strings.Join(slices.Compact(names), ", ")
}

// passed returns the names of the descriptors that were passed to this process, in the
// order of their numbers. A manager that gives no names passes "unknown", as
// sd_listen_fds_with_names(3) does.
func passed() []string {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || err != nil || n < 1 { // for nobody, or for the program that started this one
		return nil
	}
	if list := os.Getenv("LISTEN_FDNAMES"); list != "" {
		return strings.Split(list, ":")
	}
	names := make([]string, min(n, maxPassed))
	for i := range names {
		names[i] = "unknown"
	}
	return names
}

// maxPassed bounds the descriptors without a name that are looked at.
const maxPassed = 1024
