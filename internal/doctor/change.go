package doctor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
)

const dropIn = "/etc/systemd/system/wsify.service.d/limits.conf, then run systemctl daemon-reload and restart wsify"

// sysctl returns the line that sets a parameter of the kernel. One that belongs to the
// network of a container can be set for the container alone.
func (c *checker) sysctl(name, value string, ofNetwork bool) Change {
	const file = "/etc/sysctl.d/91-wsify.conf, then run sysctl --system"
	switch {
	case c.Place == Host:
		return Change{file, name + " = " + value}
	case !ofNetwork:
		return Change{"on the host: " + file, name + " = " + value}
	case c.Place == Pod:
		return Change{"the pod, under spec.securityContext.sysctls", fmt.Sprintf("- {name: %s, value: %q}", name, value)}
	}
	return Change{"the options of docker run", fmt.Sprintf("--sysctl %s=%s", name, quoted(value))}
}

// quoted returns a value that a shell takes as one word.
func quoted(value string) string {
	if strings.Contains(value, " ") {
		return "'" + value + "'"
	}
	return value
}

// fileLimit returns the lines that set the hard limit of descriptors.
func (c *checker) fileLimit(n int64) []Change {
	limit := fmt.Sprintf("LimitNOFILE=%d", n)
	switch {
	case c.Place == Pod:
		return inSection("on the host: a drop-in of containerd.service, then restart it", limit)
	case c.Place == Container:
		return []Change{{"the options of docker run", fmt.Sprintf("--ulimit nofile=%[1]d:%[1]d", n)}}
	case c.Unit.Systemd:
		return inSection(dropIn, limit)
	}
	return []Change{{"what starts wsify, as root", fmt.Sprintf("ulimit -n %d", n)}}
}

func inSection(where string, lines ...string) (all []Change) {
	for _, line := range append([]string{"[Service]"}, lines...) {
		all = append(all, Change{where, line})
	}
	return all
}

// environment returns a variable of the server's environment.
func (c *checker) environment(pair string) []Change {
	switch {
	case c.Place == Pod:
		name, value, _ := strings.Cut(pair, "=")
		return []Change{{"the pod, under the container's env", fmt.Sprintf("- {name: %s, value: %q}", name, value)}}
	case c.Place == Container:
		return []Change{{"the options of docker run", "--env " + pair}}
	case c.Unit.Systemd:
		return inSection(dropIn, "Environment="+pair)
	}
	return []Change{{"wsify's environment", pair}}
}

// memoryLimit returns the line that gives the server's control group more memory, or the machine.
func (c *checker) memoryLimit(bytes int64) []Change {
	mib := roundUp(bytes >> 20)
	switch {
	case c.Cgroup.Limit == 0:
		return []Change{{"the machine", size(bytes) + " of memory, free for wsify"}}
	case c.Place == Pod:
		return []Change{{"the pod, under the container's resources.limits", fmt.Sprintf("memory: %dMi", mib)}}
	case c.Place == Container:
		return []Change{{"the options of docker run", fmt.Sprintf("--memory %dm", mib)}}
	}
	return inSection(dropIn, fmt.Sprintf("MemoryMax=%dM", mib))
}

// setting returns a setting of the server, as in its file.
func setting(line string) Change { return Change{"wsify's settings (-config)", line} }

// roundUp rounds up to two digits and zeros: numbers that are written in files.
func roundUp(n int64) int64 {
	if n < 100 {
		return n
	}
	step := int64(math.Pow10(int(math.Log10(float64(n))) - 1))
	return (n + step - 1) / step * step
}

// privileges returns what lets a program listen on a port that is for root only.
func (c *checker) privileges(l Listener) []Change {
	if !errors.Is(l.Err, syscall.EACCES) || strings.HasPrefix(l.Addr, "unix:") {
		return nil
	}
	if c.Place == Host && c.Unit.Systemd {
		return inSection(dropIn, "AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "PrivateUsers=no")
	}
	return []Change{c.sysctl("net.ipv4.ip_unprivileged_port_start", "80", true)}
}
