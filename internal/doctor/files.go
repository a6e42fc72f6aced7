package doctor

import (
	"fmt"
	"strconv"
)

// ownFiles returns the descriptors of a server that are neither clients nor kept for the
// authorizer, the admin listener and the engine: an epoll and an eventfd for each loop,
// the standard streams, the listeners, and those of Go's runtime.
func (c *checker) ownFiles() int64 { return 2*int64(c.Config.Loops) + 16 }

// held returns how many connections a process with this limit of descriptors holds.
func (c *checker) held(limit int64) int64 {
	kept, _ := c.Config.Keeps(uint64(limit))
	return max(limit-int64(kept)-c.ownFiles(), 0)
}

// filesFor returns the limit of descriptors for so many connections: a round number, unless
// fs.nr_open is below that and enough.
func (c *checker) filesFor(connections int64) int64 {
	_, kept := c.Config.Keeps(0)
	all := connections + c.ownFiles()
	limit := roundUp(min(all+int64(kept), all*4/3+1)) // a quarter is kept at most
	if limit > c.NrOpen && c.held(c.NrOpen) >= connections {
		return c.NrOpen
	}
	return limit
}

// descriptors checks the limit of the process, or of the service that systemd would start.
func (c *checker) descriptors() {
	limit, whose := c.Files.High, "that of this process"
	if c.Files.Low < limit {
		whose += fmt.Sprintf(" (wsify raises the soft limit, %s, to it)", count(c.Files.Low))
	}
	if c.Unit.Path != "" && !c.Unit.Inside && c.Place == Host {
		limit, whose = c.Unit.Files, "LimitNOFILE in "+c.Unit.Path+" or a drop-in"
		if !c.Unit.Own {
			whose = "systemd's default, as " + c.Unit.Path + " has no LimitNOFILE"
		}
		if c.NrOpen > 0 {
			limit = min(limit, c.NrOpen)
		}
	}
	if limit == 0 {
		c.unseen("the limit of descriptors")
		return
	}
	kept, needed := c.Config.Keeps(uint64(limit))
	text := fmt.Sprintf("The hard limit is %s, %s. wsify keeps %s of them for the authorizer, the broker and the admin listener.", count(limit), whose, count(int64(kept)))
	if kept < needed {
		text += fmt.Sprintf(" These need %s: fewer calls to the authorizer run at once.", count(int64(needed)))
	}
	c.bound("descriptors", c.held(limit), text, c.fileLimit(c.filesFor(c.report.Target))...)
	c.service()
}

// service says what a service of systemd would get, when there is none yet.
func (c *checker) service() {
	if !c.Unit.Systemd || c.Unit.Path != "" || c.Place != Host {
		return
	}
	const check = "systemd"
	text := fmt.Sprintf("A service gets %s descriptors, if its unit has no LimitNOFILE.", count(c.Unit.Files))
	if c.held(c.Unit.Files) >= max(c.report.Asked, 1) {
		c.say(check, OK, text)
		return
	}
	c.say(check, Warning, text+fmt.Sprintf(" These are not enough for %s connections.", count(c.report.Asked)), c.fileLimit(c.filesFor(c.report.Target))...)
}

// kernelFiles checks the kernel's limits of descriptors.
func (c *checker) kernelFiles() {
	if c.NrOpen == 0 {
		c.unseen("fs.nr_open")
	} else {
		c.bound("fs.nr_open", c.held(c.NrOpen), fmt.Sprintf("No limit of descriptors can be above %s.", count(c.NrOpen)),
			c.sysctl("fs.nr_open", strconv.FormatInt(c.filesFor(c.report.Target), 10), false))
	}
	if c.FileMax == 0 {
		c.unseen("fs.file-max")
		return
	}
	text := fmt.Sprintf("All processes together may have %s descriptors, %s are in use.", count(c.FileMax), count(c.Opened))
	c.bound("fs.file-max", c.FileMax-c.Opened-c.ownFiles(), text,
		c.sysctl("fs.file-max", strconv.FormatInt(roundUp(c.Opened+c.filesFor(c.report.Target)), 10), false))
}

// maximum checks the server's own limit, if it has one.
func (c *checker) maximum() {
	if most := int64(c.Config.MaxConnections); most > 0 {
		c.bound("max-connections", most, "-max-connections refuses more.", setting(fmt.Sprintf("max-connections %d", c.report.Target)))
	}
}

// watches checks how many descriptors the epolls of a user may watch.
func (c *checker) watches() {
	if c.Watch == 0 {
		c.unseen("fs.epoll.max_user_watches")
		return
	}
	c.bound("epoll watches", c.Watch-c.ownFiles(), fmt.Sprintf("fs.epoll.max_user_watches is %s for all processes of a user. Each connection is one.", count(c.Watch)),
		c.sysctl("fs.epoll.max_user_watches", strconv.FormatInt(roundUp(c.report.Target+c.ownFiles()), 10), false))
}
