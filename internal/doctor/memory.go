package doctor

import "fmt"

// What a connection takes of memory, in bytes, as measured (docs/scale.md, section 1, and
// README.md). The process' part is that of a connection with a channel of its own.
const (
	kernelIdle  = 3970 // of the kernel, at rest
	kernelSent  = 5000 // more, while everybody is sent to at once
	processIdle = 400
	processNode = 900 // with a broker that has an engine, which is told of each channel

	processBase = 64 << 20 // of a server without connections, and for what its calls take
)

func (c *checker) processEach() int64 {
	if c.Config.BrokerDriver == "memory" {
		return processIdle
	}
	return processNode
}

// room returns how many bytes are free for the server, and what says so.
func (c *checker) room() (bytes int64, whose string) {
	if limit := int64(c.Cgroup.Limit); limit > 0 && (c.Available == 0 || limit-int64(c.Cgroup.Used) < c.Available) {
		return max(limit-int64(c.Cgroup.Used), 0), fmt.Sprintf("of the control group's %s", size(limit))
	}
	return c.Available, fmt.Sprintf("of %s", size(c.Memory))
}

// reserve returns what waits to be sent may take of room.
func (c *checker) reserve(room int64) int64 {
	if most := int64(c.Config.MaxWriteMemory); most > 0 {
		return most
	}
	return room / 4
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

// goLimit checks GOMEMLIMIT, which bounds the part of the process. The kernel's part has
// to fit beside it.
func (c *checker) goLimit() {
	const check = "GOMEMLIMIT"
	all := int64(c.Cgroup.Limit)
	if all == 0 {
		all = c.Memory
	}
	least := processBase + c.needed*c.processEach()
	fits := (all - c.needed*kernelIdle) * 9 / 10
	best := min(max(fits, least), all*9/10) >> 20
	change := c.environment(fmt.Sprintf("GOMEMLIMIT=%dMiB", best))
	switch {
	case c.GoLimit == 0 && c.Cgroup.Limit == 0:
		c.say(check, OK, "It is not set, and there is no limit of memory that the collector has to know.")
	case c.GoLimit == 0:
		c.say(check, Warning, fmt.Sprintf("It is not set. The collector does not know of the control group's limit of %s, and the kernel ends the process at it.", size(all)), change...)
	case c.GoLimit < least+int64(c.Config.MaxWriteMemory):
		c.say(check, Warning, fmt.Sprintf("It is %s. %s connections and what waits to be sent may take %s: the collector would run all the time.",
			size(c.GoLimit), count(c.needed), size(least+int64(c.Config.MaxWriteMemory))), change...)
	case all > 0 && c.GoLimit+c.needed*kernelIdle > all:
		c.say(check, Warning, fmt.Sprintf("It is %s of %s. The kernel needs %s for %s connections beside it.", size(c.GoLimit), size(all), size(c.needed*kernelIdle), count(c.needed)), change...)
	default:
		c.say(check, OK, fmt.Sprintf("It is %s of %s, which leaves the kernel enough for %s connections.", size(c.GoLimit), size(all), count(c.needed)))
	}
}
