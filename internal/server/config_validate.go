package server

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"time"

	"wsify/internal/session"
	"wsify/netpoll"
)

// Bounds of the settings that have one. Sizes are bytes and stop where a 32-bit
// count of queued bytes, with what control frames may add, still has room.
const (
	maxLoops           = 256
	maxShards          = 1 << 20
	maxWorkers         = 1 << 16
	maxQueue           = 1 << 24
	maxSize            = 1 << 30
	minHeadSize        = 1 << 10
	maxHeadSize        = 1 << 20
	maxChannelLength   = 1 << 16
	maxChannelsPerConn = 16_000_000 // fewer than hub.MaxMemberships
	maxBrokerPrefix    = 255
	maxAuthorizerCache = 1_000_000
	maxHistoryChannels = 100
	maxHistorySize     = 100_000
	maxHistoryTTL      = 30 * 24 * time.Hour
	maxConnections     = 1 << 30
	maxRate            = 1_000_000
	maxTimeout         = 24 * time.Hour
	minMemory          = 16 << 20
	shardsPerLoop      = 64
	workersPerCore     = 64
	queuePerWorker     = 64
	defaultListenAddr  = ":3000"
)

// Values of Compression.
const (
	compressionOff = "off"
	compressionOn  = "on"
)

var allEvents = []string{"connect", "join", "leave", "broadcast"}

// Validate fills in the defaults of zero fields, then checks all fields. The error has one line for
// each problem, in the order of the fields, which begins with the name of the flag; it never has a
// secret. Slices are replaced, never written to. A second Validate does not change a valid Config.
//
// Nothing else may use c at the same time.
func (c *Config) Validate() error {
	c.fillService()
	c.fillPools()
	c.fillLimits()
	var p problems
	p.checkService(c)
	p.checkAccess(c)
	p.checkPools(c)
	p.checkLimits(c)
	return errors.Join(p...)
}

func (c *Config) fillService() {
	if len(c.ListenAddrs) == 0 {
		c.ListenAddrs = []string{defaultListenAddr}
	}
	c.ListenMode = cmp.Or(c.ListenMode, 0o660)
	c.BrokerDriver = cmp.Or(c.BrokerDriver, drivers[0].Name)
	c.BrokerBuffer = cmp.Or(c.BrokerBuffer, 16<<20)
	c.HistorySize = cmp.Or(c.HistorySize, 100)
	c.HistoryTTL = cmp.Or(c.HistoryTTL, 5*time.Minute)
	c.HistoryMemory = cmp.Or(c.HistoryMemory, 64<<20)
	c.AuthorizerTimeout = cmp.Or(c.AuthorizerTimeout, 5*time.Second)
	c.AuthorizerCache = cmp.Or(c.AuthorizerCache, 10_000)
	if c.AuthorizerEvents == nil {
		c.AuthorizerEvents = allEvents
	}
	c.ProxyProtocol = cmp.Or(c.ProxyProtocol, session.ProxyOff)
	if len(c.AllowedOrigins) == 0 {
		c.AllowedOrigins = []string{"*"}
	}
}

// fillPools replaces zeros by values for this machine. The number of cores is GOMAXPROCS, which
// knows a container's share.
func (c *Config) fillPools() {
	cores := runtime.GOMAXPROCS(0)
	c.Loops = cmp.Or(c.Loops, min(cores, maxLoops))
	c.Shards = powerOfTwo(cmp.Or(c.Shards, shardsPerLoop*min(max(c.Loops, 1), maxLoops)))
	c.Workers = cmp.Or(c.Workers, min(workersPerCore*cores, maxWorkers))
	c.Queue = cmp.Or(c.Queue, queuePerWorker*min(max(c.Workers, 1), maxWorkers))
	c.Poller = cmp.Or(c.Poller, string(netpoll.PollerNative))
}

// powerOfTwo rounds n up, and leaves a value that is out of bounds, which is reported later.
func powerOfTwo(n int) int {
	if n < 1 || n > maxShards {
		return n
	}
	return 1 << bits.Len(uint(n-1))
}

func (c *Config) fillLimits() {
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.MaxHeadSize = cmp.Or(c.MaxHeadSize, 16<<10)
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.PongTimeout = cmp.Or(c.PongTimeout, 10*time.Second)
	c.MaxMessageSize = cmp.Or(c.MaxMessageSize, 64<<10)
	c.MaxChannelsPerConnection = cmp.Or(c.MaxChannelsPerConnection, 128)
	c.MaxChannelLength = cmp.Or(c.MaxChannelLength, 255)
	c.WriteQueueSize = cmp.Or(c.WriteQueueSize, 1<<20)
	c.MaxMemory = cmp.Or(c.MaxMemory, memoryLimit())
	c.MaxWriteMemory = cmp.Or(c.MaxWriteMemory, c.MaxMemory/4)
	c.CommandBurst = cmp.Or(c.CommandBurst, min(max(c.CommandRate, 0), maxRate))
	c.Compression = cmp.Or(c.Compression, compressionOff)
	c.CompressionMinSize = cmp.Or(c.CompressionMinSize, 512)
	c.CompressionLevel = cmp.Or(c.CompressionLevel, 1)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.AccessLogSample = cmp.Or(c.AccessLogSample, 1)
}

// problems collects the problems of a Config.
type problems []error

// add notes a problem with the setting of a flag.
func (p *problems) add(flag string, err error) {
	if err != nil {
		*p = append(*p, fmt.Errorf("-%s: %w", flag, err))
	}
}

// between notes a count or size outside of its bounds, both inclusive.
func (p *problems) between(flag string, got, low, high int) {
	if got < low || got > high {
		p.add(flag, fmt.Errorf("%d is not between %d and %d", got, low, high))
	}
}

// policy notes a policy that does not exist.
func (p *problems) policy(flag string, got Policy) {
	if int(got) >= len(policyNames) {
		p.add(flag, fmt.Errorf("%s is neither close nor drop", got))
	}
}

// timeout notes a duration that is not positive, or so long that it is a mistake.
func (p *problems) timeout(flag string, got time.Duration) {
	switch {
	case got <= 0:
		p.add(flag, fmt.Errorf("%s is not positive", got))
	case got > maxTimeout:
		p.add(flag, fmt.Errorf("%s is more than 24h", got))
	}
}

func (p *problems) checkPools(c *Config) {
	p.between("loops", c.Loops, 1, maxLoops)
	p.between("shards", c.Shards, 1, maxShards)
	p.between("workers", c.Workers, 1, maxWorkers)
	p.between("queue", c.Queue, 1, maxQueue)
	if !slices.Contains([]netpoll.Poller{netpoll.PollerNative, netpoll.PollerEasygo}, netpoll.Poller(c.Poller)) {
		p.add("poller", fmt.Errorf("%q is neither native nor easygo", c.Poller))
	}
}

// checkLimits does not check PingInterval: every value is valid.
func (p *problems) checkLimits(c *Config) {
	p.timeout("handshake-timeout", c.HandshakeTimeout)
	p.between("max-head-size", c.MaxHeadSize, minHeadSize, maxHeadSize)
	p.timeout("pong-timeout", c.PongTimeout)
	p.between("max-message-size", c.MaxMessageSize, 1, maxSize)
	p.add("max-message-size", checkOrderSize(c))
	p.between("max-channels-per-connection", c.MaxChannelsPerConnection, 1, maxChannelsPerConn)
	p.between("max-channel-length", c.MaxChannelLength, 1, maxChannelLength)
	p.between("write-queue-size", c.WriteQueueSize, 1, maxSize)
	p.add("max-memory", checkMemory(c.MaxMemory))
	p.between("max-write-memory", c.MaxWriteMemory, 0, math.MaxInt)
	p.between("max-connections", c.MaxConnections, 0, maxConnections)
	p.between("max-connections-per-address", c.MaxConnectionsPerAddress, 0, maxConnections)
	p.between("accept-rate", c.AcceptRate, 0, maxRate)
	p.between("command-rate", c.CommandRate, 0, maxRate)
	p.between("command-burst", c.CommandBurst, 0, maxRate)
	if c.ShutdownDelay < 0 || c.ShutdownDelay > maxTimeout {
		p.add("shutdown-delay", fmt.Errorf("%s is not between 0 and 24h", c.ShutdownDelay))
	}
	p.between("publish-rate", c.PublishRate, 0, maxRate)
	if c.Compression != compressionOff && c.Compression != compressionOn {
		p.add("compression", fmt.Errorf("%q is neither off nor on", c.Compression))
	}
	p.between("compression-min-size", c.CompressionMinSize, 1, maxSize)
	p.between("compression-level", c.CompressionLevel, 1, 9)
	p.policy("rate-policy", c.RatePolicy)
	p.policy("slow-policy", c.SlowPolicy)
	p.timeout("drain-timeout", c.DrainTimeout)
	if !(c.AccessLogSample > 0 && c.AccessLogSample <= 1) {
		p.add("access-log-sample", fmt.Errorf("%v is not above 0 and at most 1", c.AccessLogSample))
	}
}

// accessLogSample returns the fraction of connections to log; 0 when the access log is off.
func (c *Config) accessLogSample() float64 {
	if !c.AccessLog {
		return 0
	}
	return c.AccessLogSample
}

// limits returns the limits on connections and rates.
func (c *Config) limits() session.Limits {
	return session.Limits{
		MaxConnections: c.MaxConnections, MaxConnectionsPerAddress: c.MaxConnectionsPerAddress, AcceptRate: c.AcceptRate,
		CommandRate: c.CommandRate, CommandBurst: c.CommandBurst, DropOverRate: c.RatePolicy == PolicyDrop,
		PublishRate: c.PublishRate,
	}
}

// checkMemory refuses a limit below which an empty server, of some 4 to 8 MiB, would refuse its
// first clients. A limit that was found, not set, stands: there is no other.
func checkMemory(limit int) error {
	if limit == 0 || limit >= minMemory || limit == memoryLimit() {
		return nil
	}
	return fmt.Errorf("%d is not enough: a server needs %d (16MiB) to have room for clients; 0 is the limit of GOMEMLIMIT or the cgroup", limit, minMemory)
}

// checkOrderSize reports whether an order to the other nodes may be too large for them: a
// publication larger than MaxMessageSize is dropped. JSON needs six bytes for some characters.
func checkOrderSize(c *Config) error {
	d, err := driverOf(c)
	if least := 2<<10 + 6*c.MaxChannelLength; err == nil && d.Check != nil && c.AdminKey != "" && c.MaxMessageSize < least {
		return fmt.Errorf("with an -admin-key and a broker it has to be at least %d, for orders to the other nodes", least)
	}
	return nil
}
