package doctor

import "fmt"

// What a connection takes of memory, in bytes, as measured (docs/capacity.md). The
// process' part is that of a connection with a channel of its own.
const (
	kernelIdle = 3970 // of the kernel, at rest
	kernelSent = 5000 // more, while everybody is sent to at once

	processBase = 64 << 20 // of a server without connections, and for what its calls take
)

// processIdle is the process' part, by the driver of the broker: an engine is told of each
// channel.
var processIdle = map[string]int64{"memory": 450, "redis": 560, "nats": 900}

func (c *checker) processEach() int64 { return processIdle[c.Config.BrokerDriver] }

// room returns how many bytes are free for the server, and what says so.
func (c *checker) room() (bytes int64, whose string) {
	if limit := int64(c.Cgroup.Limit); limit > 0 && (c.Available == 0 || limit-int64(c.Cgroup.Used) < c.Available) {
		return max(limit-int64(c.Cgroup.Used), 0), fmt.Sprintf("of the control group's %s", size(limit))
	}
	return c.Available, fmt.Sprintf("of %s", size(c.Memory))
}

// reserve returns what idle connections have to leave of room: for what waits to be sent,
// and the last tenth of a limit, in which the server refuses clients.
func (c *checker) reserve(room int64) int64 {
	waiting := int64(c.Config.MaxWriteMemory)
	if waiting == 0 {
		waiting = room / 4
	}
	return max(waiting, int64(c.Cgroup.Limit)/10)
}

// memoryHolds returns how many idle connections there is memory for.
func (c *checker) memoryHolds() int64 {
	room, _ := c.room()
	if room == 0 {
		return noBound
	}
	return max(room-c.reserve(room)-processBase, 0) / (kernelIdle + c.processEach())
}

// memory checks the memory of the machine, or of the control group.
func (c *checker) memory() {
	room, whose := c.room()
	if room == 0 && c.Memory == 0 && c.Cgroup.Limit == 0 {
		c.unseen("memory")
		return
	}
	each := kernelIdle + c.processEach()
	text := fmt.Sprintf("%s %s are free. An idle connection takes %s bytes, most of them of the kernel. %s are left for what waits to be sent.",
		size(room), whose, count(each), size(c.reserve(room)))
	if c.report.Asked > 0 {
		text += fmt.Sprintf(" %s connections need %s; for a moment %s, when everybody is sent to at once.",
			count(c.report.Asked), size(c.report.Asked*each+processBase), size(c.report.Asked*(each+kernelSent)+processBase))
	}
	needed := int64(c.Cgroup.Used) + (c.report.Target*each+processBase)*4/3
	c.bound("memory", c.memoryHolds(), text, c.memoryLimit(needed)...)
	if f := &c.report.Findings[len(c.report.Findings)-1]; f.Status == OK && c.report.Asked*(each+kernelSent)+processBase > room {
		f.Status = Warning
	}
}

// maxMemory checks -max-memory, which bounds the part of the process, and may be GOMEMLIMIT.
func (c *checker) maxMemory() {
	most := int64(c.Config.MaxMemory)
	if most == 0 || most == int64(c.Cgroup.Limit) { // the latter is looked at by memory
		return
	}
	left := max(int64(c.Config.MaxWriteMemory), most/10)
	text := fmt.Sprintf("The process may have %s. %s are left for what waits to be sent, or because clients are refused from nine tenths on.", size(most), size(left))
	needed := fmt.Sprintf("%dMiB", roundUp((c.report.Target*c.processEach()+processBase)*4/3>>20))
	change := []Change{setting("max-memory " + needed)}
	if most == c.GoLimit {
		change = c.environment("GOMEMLIMIT=" + needed)
	}
	c.bound("max-memory", (most-left-processBase)/c.processEach(), text, change...)
}

// goLimit checks GOMEMLIMIT. The kernel's part has to fit beside it.
func (c *checker) goLimit() {
	const check = "GOMEMLIMIT"
	all := int64(c.Cgroup.Limit)
	if all == 0 {
		all = c.Memory
	}
	switch kernel := c.needed * kernelIdle; {
	case c.GoLimit == 0 && c.Config.MaxMemory == 0:
		c.say(check, OK, "It is not set, and there is no limit of memory that the collector has to know.")
	case c.GoLimit == 0:
		c.say(check, OK, fmt.Sprintf("It is not set. The collector is told nine tenths of %s.", size(int64(c.Config.MaxMemory))))
	case all > 0 && c.GoLimit+kernel > all:
		least := processBase + c.needed*c.processEach()
		best := min(max((all-kernel)*9/10, least), all*9/10) >> 20
		c.say(check, Warning, fmt.Sprintf("It is %s of %s. The kernel needs %s for %s connections beside it.", size(c.GoLimit), size(all), size(kernel), count(c.needed)),
			c.environment(fmt.Sprintf("GOMEMLIMIT=%dMiB", best))...)
	default:
		c.say(check, OK, fmt.Sprintf("It is %s of %s, which leaves the kernel enough for %s connections.", size(c.GoLimit), size(all), count(c.needed)))
	}
}
