//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options is the command line. Sizes are in bytes.
type options struct {
	server     string
	serverArgs string
	name       string
	against    []string
	run        string
	vary       string
	compare    bool
	json       string
	quick      bool
	timeout    time.Duration
	role       roleOptions

	connections int
	rounds      int
	idleRounds  int
	threads     int
	perProcess  int // connections; 0 means as many as the descriptor limit allows

	publications int
	contentSize  int
	deliveryRate float64 // deliveries a second of paced phases
	tripRate     float64 // round trips a second of paced phases
	pacedTime    time.Duration
	meshChannels int
	churnWaves   int

	settle    time.Duration // RSS unchanged for so long counts as settled
	settleMin time.Duration // but not before so long after the load
	settleMax time.Duration // and after so long it is taken as it is

	echoConnections int
	echoTime        time.Duration

	handshakes  int
	concurrency int

	burstPublications int
	burstSize         int

	slowConnections     int
	probes              int
	authorizerTime      time.Duration
	authorizerRounds    int
	authorizerLatencies string

	dialRate float64 // connections a second; 0 is as fast as possible

	httpConnections int
	httpTime        time.Duration
	httpRate        float64 // publications a second of paced phases

	stuckTime   time.Duration
	stuckRounds int
	stuckQueue  int // -write-queue-size of the server

	halves        int // connections with half a head, and as many with half a frame
	slowlorisTime time.Duration
	headTimeout   time.Duration // -handshake-timeout of the server

	talkers  int // connections that broadcast in bursts
	talkTime time.Duration

	big  millionOptions
	many nodesOptions

	commit string // what is measured, where git cannot tell
	remark string
}

// quickValues replace the defaults of flags that are not given, with -quick.
var quickValues = map[string]string{
	"connections":       "2000",
	"rounds":            "2",
	"settle":            "1s",
	"echo-time":         "500ms",
	"handshakes":        "1000",
	"authorizer-time":   "2s",
	"authorizer-rounds": "1",
	"paced-time":        "1s",
	"mesh-channels":     "20",
	"churn-waves":       "2",

	"slow":                 "200",
	"authorizer-latencies": "0,100ms",
	"http-time":            "1s",
	"stuck-time":           "3s",
	"stuck-rounds":         "1",
	"slowloris":            "500",
	"slowloris-time":       "1s",
	"head-timeout":         "3s",
	"talkers":              "100",
	"talk-time":            "1s",

	"nodes-connections":       "1000",
	"nodes-publish-time":      "500ms",
	"nodes-tool-publications": "80000",
	"nodes-subscribers":       "100",
	"ping-time":               "1s",
}

// parseOptions reads the command line. It returns flag.ErrHelp after printing help.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("wsbench", flag.ContinueOnError)
	set.SetOutput(stderr)
	o.register(set)
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if o.quick {
		if err := applyQuick(set); err != nil {
			return o, err
		}
	}
	return o, o.validate()
}

func (o *options) register(set *flag.FlagSet) {
	set.StringVar(&o.server, "server", "./bin/wsify", "`path` of the server to measure")
	set.StringVar(&o.serverArgs, "server-args", "", "further `arguments` of the server, separated by spaces")
	set.StringVar(&o.name, "name", treeName, "what the server is called in figures")
	set.Func("against", "a server to measure in turn with it, as `NAME[@DIALECT]=COMMAND`; may be repeated. {addr} and {port} in it are replaced, without them it is given -listen-addr", func(text string) error {
		_, err := parseContender(text)
		o.against = append(o.against, text)
		return err
	})
	set.StringVar(&o.run, "run", strings.Join(defaultNames(), ","), "scenarios to run, in this order")
	set.StringVar(&o.vary, "vary", "", "run them for each value of a flag, as `NAME=V1,V2,...`; server.NAME is a flag of the server")
	set.BoolVar(&o.compare, "compare", false, "say what is worse than in the first -against; exit code 3 when something is")
	set.StringVar(&o.json, "json", "", "write a record to `file`; a bare name goes to "+resultsDir)
	set.BoolVar(&o.quick, "quick", false, "2,000 connections and few rounds")
	set.DurationVar(&o.timeout, "timeout", 30*time.Minute, "give up after so long")

	set.IntVar(&o.connections, "connections", 15000, "connections of idle, fanout, mesh, burst and others that need many")
	set.IntVar(&o.rounds, "rounds", 5, "interleaved rounds of servers and floor")
	set.IntVar(&o.idleRounds, "idle-rounds", 1, "idle: rounds; each takes half a minute per server and kind")
	set.IntVar(&o.threads, "threads", 1, "receiving threads of the generator")
	set.IntVar(&o.perProcess, "per-process", 0, "connections that one process of the generator holds; 0: what the descriptor limit allows")
	set.Float64Var(&o.deliveryRate, "delivery-rate", 40000, "fanout, mesh: deliveries a second while latencies are measured")
	set.Float64Var(&o.tripRate, "trip-rate", 10000, "echo: round trips a second while latencies are measured")
	set.DurationVar(&o.pacedTime, "paced-time", 4*time.Second, "fanout, mesh: how long latencies are measured in a round")
	set.IntVar(&o.meshChannels, "mesh-channels", 150, "mesh: channels that the connections are spread over")
	set.IntVar(&o.publications, "publications", 20, "fanout: publications per phase, a multiple of 4")
	set.IntVar(&o.contentSize, "content", 128, "fanout: bytes of content")
	set.DurationVar(&o.settle, "settle", 2*time.Second, "memory is settled when unchanged for so long")
	set.DurationVar(&o.settleMin, "settle-min", 5*time.Second, "but not before so long after the load")
	set.DurationVar(&o.settleMax, "settle-max", 20*time.Second, "and taken as it is after so long")
	set.IntVar(&o.echoConnections, "echo-connections", 100, "echo: connections, each with one message in flight")
	set.DurationVar(&o.echoTime, "echo-time", 2*time.Second, "echo: length of one phase")
	set.IntVar(&o.handshakes, "handshakes", 5000, "connect: connections of one phase")
	set.IntVar(&o.concurrency, "concurrency", 64, "connect: connections at a time")
	set.IntVar(&o.burstPublications, "burst-publications", 200, "burst: publications sent without waiting; wsify answers 503 beyond 256 KiB of them that wait for delivery")
	set.IntVar(&o.burstSize, "burst-content", 1024, "burst: bytes of content")
	set.IntVar(&o.slowConnections, "slow", 1000, "authorizer: connections that always ask to join")
	set.IntVar(&o.probes, "probes", 50, "authorizer, slowloris: other connections, whose latency is measured")
	set.DurationVar(&o.authorizerTime, "authorizer-time", 5*time.Second, "authorizer: length of one phase")
	set.IntVar(&o.authorizerRounds, "authorizer-rounds", 3, "authorizer: rounds, of all moods and twice alone")
	set.IntVar(&o.churnWaves, "churn-waves", 7, "churn: how often all connections come and go")
	set.StringVar(&o.authorizerLatencies, "authorizer-latencies", "0,10ms,100ms,1s", "authorizer: how long the webhook takes, one phase for each")
	set.Float64Var(&o.dialRate, "dial-rate", 0, "storm: connections begun in a second; 0: as fast as possible")
	set.IntVar(&o.httpConnections, "http-connections", 50, "http: connections, each with one publication in flight")
	set.DurationVar(&o.httpTime, "http-time", 2*time.Second, "http: length of one phase")
	set.Float64Var(&o.httpRate, "http-rate", 4000, "http: publications a second while latencies are measured")
	set.DurationVar(&o.stuckTime, "stuck-time", 12*time.Second, "slow: length of one phase")
	set.IntVar(&o.stuckRounds, "stuck-rounds", 2, "slow: rounds, of a phase alone and one beside the stuck reader")
	set.IntVar(&o.stuckQueue, "stuck-queue", 64<<10, "slow: -write-queue-size of the server, which the stuck reader is to pass in one phase")
	set.IntVar(&o.halves, "slowloris", 4000, "slowloris: connections with half a request head, and then as many with half a frame")
	set.DurationVar(&o.slowlorisTime, "slowloris-time", 3*time.Second, "slowloris: length of one phase")
	set.DurationVar(&o.headTimeout, "head-timeout", 5*time.Second, "slowloris: -handshake-timeout of the server, longer than a phase")
	set.IntVar(&o.talkers, "talkers", 400, "talkers: connections that broadcast to an empty channel, 64 KiB at once")
	set.DurationVar(&o.talkTime, "talk-time", 5*time.Second, "talkers: length of one phase")
	set.StringVar(&o.commit, "commit", "", "`name` of what is measured, for the record; without it git is asked")
	set.StringVar(&o.remark, "remark", "", "a `note` for the record")
	o.big.register(set)
	o.many.register(set)
	o.role.register(set)
}

func applyQuick(set *flag.FlagSet) error {
	given := make(map[string]bool)
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range quickValues {
		if given[name] {
			continue
		}
		if err := set.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// validate reports every value that cannot be measured with.
func (o *options) validate() error {
	var errs []error
	positive := []struct {
		name  string
		value int
	}{
		{"connections", o.connections}, {"rounds", o.rounds}, {"threads", o.threads},
		{"idle-rounds", o.idleRounds}, {"mesh-channels", o.meshChannels}, {"churn-waves", o.churnWaves},
		{"publications", o.publications}, {"echo-connections", o.echoConnections},
		{"handshakes", o.handshakes}, {"concurrency", o.concurrency},
		{"burst-publications", o.burstPublications}, {"slow", o.slowConnections}, {"probes", o.probes},
		{"http-connections", o.httpConnections}, {"stuck-rounds", o.stuckRounds}, {"authorizer-rounds", o.authorizerRounds}, {"slowloris", o.halves}, {"talkers", o.talkers},
		{"nodes-connections", o.many.connections}, {"nodes-publishers", o.many.publishers}, {"nodes-tool-publications", o.many.toolPublications},
		{"nodes-subscribers", o.many.subscribers}, {"nodes-channels", o.many.channels},
		{"million-few", o.big.few}, {"million-publications", o.big.publications},
	}
	for _, p := range positive {
		if p.value <= 0 {
			errs = append(errs, fmt.Errorf("-%s is %d: must be above zero", p.name, p.value))
		}
	}
	if o.perProcess < 0 {
		errs = append(errs, fmt.Errorf("-per-process is %d: must not be below zero", o.perProcess))
	}
	if o.deliveryRate <= 0 || o.tripRate <= 0 || o.pacedTime <= 0 {
		errs = append(errs, errors.New("-delivery-rate, -trip-rate and -paced-time: must be above zero"))
	}
	if o.dialRate < 0 || o.httpRate <= 0 {
		errs = append(errs, errors.New("-dial-rate must not be below zero, -http-rate must be above it"))
	}
	if o.authorizerTime <= 0 || o.httpTime <= 0 || o.stuckTime <= 0 || o.slowlorisTime <= 0 || o.talkTime <= 0 {
		errs = append(errs, errors.New("-authorizer-time, -http-time, -stuck-time, -slowloris-time and -talk-time: must be above zero"))
	}
	if o.many.publishTime <= 0 || o.many.pingTime <= 0 {
		errs = append(errs, errors.New("-nodes-publish-time and -ping-time: must be above zero"))
	}
	if _, err := parseFanout(o.many.fanout); err != nil {
		errs = append(errs, err)
	}
	if o.headTimeout <= o.slowlorisTime {
		errs = append(errs, fmt.Errorf("-head-timeout is %v: must be longer than -slowloris-time, which is measured before", o.headTimeout))
	}
	if o.stuckQueue < minStuckQueue {
		errs = append(errs, fmt.Errorf("-stuck-queue is %d: at least %d", o.stuckQueue, minStuckQueue))
	}
	if _, err := parseLatencies(o.authorizerLatencies); err != nil {
		errs = append(errs, err)
	}
	if o.compare && len(o.against) == 0 {
		errs = append(errs, errors.New("-compare: needs an -against to compare with"))
	}
	if _, err := o.enlist(); err != nil {
		errs = append(errs, err)
	}
	if _, err := parseVary(o.vary); err != nil {
		errs = append(errs, err)
	}
	if o.publications%batchSize != 0 {
		errs = append(errs, fmt.Errorf("-publications is %d: must be a multiple of %d", o.publications, batchSize))
	}
	if o.burstPublications > tallySize {
		errs = append(errs, fmt.Errorf("-burst-publications is %d: at most %d", o.burstPublications, tallySize))
	}
	if o.contentSize < 2 || o.burstSize < 2 {
		errs = append(errs, errors.New("-content and -burst-content: at least 2, the quotes of a JSON string"))
	}
	for _, name := range o.scenarios() {
		if !slices.Contains(scenarioNames(), name) {
			errs = append(errs, fmt.Errorf("-run %s: no such scenario; there are %s", name, strings.Join(scenarioNames(), ", ")))
		}
	}
	return errors.Join(errs...)
}

// scenarios returns the names given by -run, in that order.
func (o *options) scenarios() []string {
	return strings.FieldsFunc(o.run, func(r rune) bool { return r == ',' || r == ' ' })
}

// parseLatencies reads durations with commas between them; 0 needs no unit.
func parseLatencies(text string) ([]time.Duration, error) {
	var all []time.Duration
	for _, part := range strings.Split(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil || d < 0 {
			return nil, fmt.Errorf("-authorizer-latencies %s: %q is no duration", text, part)
		}
		all = append(all, d)
	}
	return all, nil
}

// latencies are those of -authorizer-latencies, which validate has checked.
func (o *options) latencies() []time.Duration {
	all, _ := parseLatencies(o.authorizerLatencies)
	return all
}

// remarks is the notes that a record begins with.
func (o *options) remarks() []note {
	if o.remark == "" {
		return []note{}
	}
	return []note{{Text: o.remark}}
}
