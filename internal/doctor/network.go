package doctor

import (
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// conntrack checks the table of a stateful firewall.
func (c *checker) conntrack() {
	const check, name = "conntrack", "net.netfilter.nf_conntrack_max"
	change := c.sysctl(name, strconv.FormatInt(roundUp(c.filesFor(c.report.Target)+c.Tracked), 10), false)
	switch {
	case c.Tracking == 0:
		c.say(check, OK, "No connection is tracked here: "+name+" is not there, or 0.")
	case c.Tracked > 0:
		c.bound(check, c.Tracking-c.Tracked, fmt.Sprintf("%s is %s, of which %s are in use. The packets of further connections are dropped without a message.",
			name, count(c.Tracking), count(c.Tracked)), change)
	case c.Tracking < c.report.Asked:
		c.say(check, Warning, fmt.Sprintf("Nothing is tracked now. With a rule that tracks connections, there could be %s (%s).", count(c.Tracking), name), change)
	default:
		c.say(check, OK, fmt.Sprintf("Nothing is tracked now, and there would be room for %s.", count(c.Tracking)))
	}
}

// allPorts is the widest range that an unprivileged program may use.
const allPorts = 65535 - 1024 + 1

// ports checks how many connections a proxy on this machine can open. Only one can reach
// listeners on loopback.
func (c *checker) ports() {
	const check = "ports"
	if c.Ports.High == 0 {
		c.unseen("net.ipv4.ip_local_port_range")
		return
	}
	each := c.Ports.High - c.Ports.Low + 1
	text := fmt.Sprintf("From one address of a proxy to one of wsify there can be %s connections (net.ipv4.ip_local_port_range).", count(each))
	switch local, sockets := c.reachable(); {
	case sockets:
		c.say(check, OK, "A proxy needs no ports for a unix socket.")
	case local > 0:
		c.bound(check, each*local, text+" All of -listen-addr is on loopback, so a proxy it is.", c.morePorts(each)...)
	case c.report.Asked > each:
		c.say(check, OK, text+fmt.Sprintf(" %s connections through proxies need %s pairs of addresses: more proxies, or more addresses of one (docs/operating.md).",
			count(c.report.Asked), count((c.report.Asked+each-1)/each)))
	default:
		c.say(check, OK, text)
	}
}

// perAddress checks -max-connections-per-address where all clients have the address of a
// proxy: only one can reach listeners on loopback. A unix socket has no addresses to count by.
func (c *checker) perAddress() {
	most := int64(c.Config.MaxConnectionsPerAddress)
	known := len(c.Config.TrustedProxies) > 0 || c.Config.ProxyProtocol == "required"
	if local, _ := c.reachable(); most > 0 && local > 0 && !known {
		c.bound("per address", most, "All of -listen-addr is on loopback, so all clients have the address of a proxy, and -max-connections-per-address counts them together.",
			setting("trusted-proxies 127.0.0.0/8,::1"))
	}
}

// reachable returns how many addresses only a proxy on this machine can reach, or 0 when
// others can be reached by clients; and whether there are unix sockets.
func (c *checker) reachable() (local int64, sockets bool) {
	open := false
	for _, addr := range c.Config.ListenAddrs {
		host, _, err := net.SplitHostPort(addr)
		switch {
		case strings.HasPrefix(addr, "unix:"):
			sockets = true
		case err == nil && isLoopback(host):
			local++
		default:
			open = true
		}
	}
	if open {
		return 0, sockets
	}
	return local, sockets
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// morePorts returns what to change when a proxy on this machine needs more ports.
func (c *checker) morePorts(each int64) []Change {
	if each < allPorts && c.report.Target <= allPorts {
		return []Change{c.sysctl("net.ipv4.ip_local_port_range", "1024 65535", true)}
	}
	const socket = "unix:/run/wsify/wsify.sock"
	return []Change{
		setting("listen-addr " + socket),
		{"the proxy, nginx", "proxy_pass http://" + socket + ";"},
		{"the proxy, HAProxy", "server wsify " + strings.TrimPrefix(socket, "unix:")},
	}
}

// tcpMemory checks the memory of all TCP buffers. Connections at rest take none of it.
func (c *checker) tcpMemory() {
	const check, name = "tcp_mem", "net.ipv4.tcp_mem"
	if c.TCPMemory.High == 0 {
		c.unseen(name)
		return
	}
	most := min(c.TCPMemory.High, unlimited/c.PageSize) * c.PageSize
	text := fmt.Sprintf("All TCP buffers may have %s. Idle connections have none; when everybody is sent to at once, that is enough for %s.", size(most), count(most/kernelSent))
	target := max(c.report.Target, 1) * kernelSent / c.PageSize
	change := c.sysctl(name, fmt.Sprintf("%d %d %d", roundUp(target*6/10), roundUp(target*8/10), roundUp(target)), false)
	if most/kernelSent < c.needed {
		c.say(check, Warning, text+" Beyond that the kernel drops, and clients hear later.", change)
		return
	}
	c.say(check, OK, text)
}

const (
	manyClients = 100_000 // from which on buffers of the kernel's default size matter
	fullSend    = 1 << 20
	fullReceive = 256 << 10
)

// socketBuffers checks what one connection may take of the kernel's memory.
func (c *checker) socketBuffers() {
	const check = "socket buffers"
	if c.Send.High == 0 || c.Receive.High == 0 {
		c.unseen("net.ipv4.tcp_wmem")
		return
	}
	text := fmt.Sprintf("A client that confirms nothing can hold %s (net.ipv4.tcp_wmem), one whose commands wait %s (net.ipv4.tcp_rmem).", size(c.Send.High), size(c.Receive.Middle))
	var change []Change
	if c.Send.High > fullSend && c.needed >= manyClients {
		change = append(change, c.sysctl("net.ipv4.tcp_wmem", "4096 16384 262144", true))
	}
	if c.Receive.Middle > fullReceive && c.needed >= manyClients {
		change = append(change, c.sysctl("net.ipv4.tcp_rmem", fmt.Sprintf("4096 131072 %d", max(c.Receive.High, 131072)), true))
	}
	if len(change) > 0 {
		c.say(check, Warning, text+fmt.Sprintf(" With %s connections, those that vanish can fill the memory.", count(c.needed)), change...)
		return
	}
	c.say(check, OK, text)
}

// Bounds of what is advised for the queues of a listener.
const (
	leastBacklog = 4096
	mostBacklog  = 16384
)

// backlogFor returns how many connections should be able to wait: a 64th, in powers of two.
func backlogFor(connections int64) int64 {
	if connections <= 64*leastBacklog {
		return leastBacklog
	}
	return min(int64(1)<<bits.Len64(uint64((connections+63)/64-1)), mostBacklog)
}

// queues checks how many connections can wait to be established and accepted.
func (c *checker) queues() {
	want := backlogFor(c.needed)
	if c.Somaxconn == 0 {
		c.unseen("net.core.somaxconn")
	} else if c.Somaxconn < want {
		c.say("accept queue", Warning, fmt.Sprintf("%s clients can wait to be accepted (net.core.somaxconn). When all reconnect, others try again after a second or more.", count(c.Somaxconn)),
			c.sysctl("net.core.somaxconn", strconv.FormatInt(want, 10), true))
	} else {
		c.say("accept queue", OK, fmt.Sprintf("%s clients can wait to be accepted (net.core.somaxconn).", count(c.Somaxconn)))
	}
	switch {
	case c.SynBacklog == 0:
		c.unseen("net.ipv4.tcp_max_syn_backlog")
	case c.SynCookies:
		c.say("SYN backlog", OK, fmt.Sprintf("SYN cookies are on, so no handshake is dropped. net.ipv4.tcp_max_syn_backlog (%s) counts without them only.", count(c.SynBacklog)))
	case c.SynBacklog < want:
		c.say("SYN backlog", Warning, fmt.Sprintf("%s handshakes can be under way (net.ipv4.tcp_max_syn_backlog). There are no SYN cookies, so further ones are dropped.", count(c.SynBacklog)),
			c.sysctl("net.ipv4.tcp_max_syn_backlog", strconv.FormatInt(want, 10), true), c.sysctl("net.ipv4.tcp_syncookies", "1", true))
	default:
		c.say("SYN backlog", OK, fmt.Sprintf("%s handshakes can be under way (net.ipv4.tcp_max_syn_backlog).", count(c.SynBacklog)))
	}
}
