package otlp

import (
	"flag"
	"fmt"
	"net/url"
	"strings"
)

// Config configures where spans are sent and which traces are sampled. The zero Config sends nothing. Headers, certificates and
// compression of the requests, and attributes of the process, are read from the standard variables by the library:
// OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_RESOURCE_ATTRIBUTES and
// so on.
type Config struct {
	Endpoint       string   // base address of the receiver, of all signals; "": none
	TracesEndpoint string   // address for traces; it beats Endpoint, and nothing is added to it
	Protocol       Protocol // default HTTP
	Sampler        Sampler  // default Ratio
	Ratio          float64  // share of the traces that begin here which are sampled, for the sampler Ratio
	Disabled       bool
}

// Protocol is a transport of OTLP.
type Protocol string

// The transports.
const (
	HTTP Protocol = "http/protobuf"
	GRPC Protocol = "grpc"
)

// Sampler decides whether a trace that begins here is sampled. The others are sampled as their callers say, and folds and pushes
// follow the uploads that led to them.
type Sampler string

// The samplers.
const (
	Ratio Sampler = "parentbased_traceidratio"
	Never Sampler = "parentbased_always_off"
	All   Sampler = "parentbased_always_on"
)

// Flags registers the settings. The names of their variables are the standard ones, such as OTEL_EXPORTER_OTLP_ENDPOINT.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Endpoint, "otel.exporter.otlp.endpoint", "",
		"base address of an OTLP receiver, such as http://127.0.0.1:4318, to which traces are sent; empty: there are none")
	fs.StringVar(&c.TracesEndpoint, "otel.exporter.otlp.traces.endpoint", "",
		"whole address for traces, in place of otel.exporter.otlp.endpoint, such as http://127.0.0.1:4318/v1/traces")
	fs.StringVar((*string)(&c.Protocol), "otel.exporter.otlp.protocol", string(HTTP), "how traces are sent: http/protobuf (mostly port 4318) or grpc (4317)")
	fs.StringVar((*string)(&c.Sampler), "otel.traces.sampler", string(Ratio),
		"which traces that begin here are sampled: parentbased_traceidratio, parentbased_always_on or parentbased_always_off; others are sampled as their callers say")
	fs.Float64Var(&c.Ratio, "otel.traces.sampler.arg", 0, "share of the traces that begin here which parentbased_traceidratio samples, from 0 to 1")
	fs.BoolVar(&c.Disabled, "otel.sdk.disabled", false, "send no traces, also with an address of a receiver")
}

// address returns the address to which traces are sent, "" if they are not.
func (c Config) address() string {
	switch {
	case c.Disabled:
		return ""
	case c.TracesEndpoint != "":
		return c.TracesEndpoint
	case c.Endpoint != "" && c.Protocol != GRPC:
		return strings.TrimRight(c.Endpoint, "/") + "/v1/traces"
	}
	return c.Endpoint
}

// sampled returns the share of the traces that begin here which are sampled.
func (c Config) sampled() float64 {
	switch c.Sampler {
	case All:
		return 1
	case Never:
		return 0
	}
	return c.Ratio
}

func (c Config) checkFlags() error {
	if !(c.Ratio >= 0 && c.Ratio <= 1) { // NaN is no share either
		return fmt.Errorf("flag otel.traces.sampler.arg is %v; set a share from 0 to 1", c.Ratio)
	}
	switch c.Sampler {
	case "", Ratio, Never, All:
	default:
		return fmt.Errorf("flag otel.traces.sampler is %.40q; set %s, %s or %s", c.Sampler, Ratio, All, Never)
	}
	switch c.Protocol {
	case "", HTTP, GRPC:
	default:
		return fmt.Errorf("flag otel.exporter.otlp.protocol is %.40q; set %s or %s", c.Protocol, HTTP, GRPC)
	}
	for name, text := range map[string]string{"otel.exporter.otlp.endpoint": c.Endpoint, "otel.exporter.otlp.traces.endpoint": c.TracesEndpoint} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("flag %s is no address of an OTLP receiver; set one such as http://127.0.0.1:4318", name)
		}
	}
	return nil
}
