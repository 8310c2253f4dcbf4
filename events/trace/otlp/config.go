package otlp

import (
	"cmp"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Config configures where spans are sent and which traces are sampled. The zero Config sends nothing. Headers, certificates and
// compression of the requests, and attributes of the process, are read from the standard variables by the library:
// OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_RESOURCE_ATTRIBUTES and
// so on.
type Config struct {
	Endpoint       string   // base address of the receiver, of all signals; "": none
	TracesEndpoint string   // address for traces; it beats Endpoint, and nothing is added to it
	Protocol       Protocol // default HTTP
	TracesProtocol Protocol // of traces; it beats Protocol
	Sampler        Sampler  // default Ratio
	Ratio          float64  // share of the traces that begin here which are sampled, for the samplers Ratio and OwnRatio
	Exporter       Exporter // default OTLP
	Disabled       bool
}

// Exporter is a way out for spans.
type Exporter string

// The exporters.
const (
	OTLP Exporter = "otlp"
	None Exporter = "none" // nothing is recorded
)

// Protocol is a transport of OTLP.
type Protocol string

// The transports.
const (
	HTTP Protocol = "http/protobuf"
	GRPC Protocol = "grpc"
)

// Sampler decides which traces are sampled. Folds and pushes follow the uploads that led to them.
type Sampler string

// The samplers that decide on traces that begin here; the others are sampled as their callers say.
const (
	Ratio Sampler = "parentbased_traceidratio"
	Never Sampler = "parentbased_always_off"
	All   Sampler = "parentbased_always_on"
)

// The samplers that decide on every trace, and do not ask what its caller says.
const (
	OwnRatio Sampler = "traceidratio"
	OwnNever Sampler = "always_off"
	OwnAll   Sampler = "always_on"
)

// Flags registers the settings. The names of their variables are the standard ones, such as OTEL_EXPORTER_OTLP_ENDPOINT.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Endpoint, "otel.exporter.otlp.endpoint", "",
		"base address of an OTLP receiver, such as http://127.0.0.1:4318, to which traces are sent; empty: there are none")
	fs.StringVar(&c.TracesEndpoint, "otel.exporter.otlp.traces.endpoint", "",
		"whole address for traces, in place of otel.exporter.otlp.endpoint, such as http://127.0.0.1:4318/v1/traces")
	fs.StringVar((*string)(&c.Protocol), "otel.exporter.otlp.protocol", string(HTTP), "how traces are sent: http/protobuf (mostly port 4318) or grpc (4317)")
	fs.StringVar((*string)(&c.TracesProtocol), "otel.exporter.otlp.traces.protocol", "", "how traces are sent, in place of otel.exporter.otlp.protocol")
	fs.StringVar((*string)(&c.Exporter), "otel.traces.exporter", string(OTLP), "otlp, or none: send no traces, also with an address of a receiver")
	fs.StringVar((*string)(&c.Sampler), "otel.traces.sampler", string(Ratio),
		"which traces that begin here are sampled: parentbased_traceidratio, parentbased_always_on or parentbased_always_off, and others as their callers say; or traceidratio, always_on or always_off for all of them")
	fs.Float64Var(&c.Ratio, "otel.traces.sampler.arg", 0, "share of the traces that parentbased_traceidratio and traceidratio sample, from 0 to 1")
	fs.BoolVar(&c.Disabled, "otel.sdk.disabled", false, "send no traces, also with an address of a receiver")
}

// address returns the address to which traces are sent, "" if they are not.
func (c Config) address() string {
	switch {
	case c.Disabled, c.Exporter == None:
		return ""
	case c.TracesEndpoint != "":
		return c.TracesEndpoint
	case c.Endpoint != "" && c.protocol() != GRPC:
		return strings.TrimRight(c.Endpoint, "/") + "/v1/traces"
	}
	return c.Endpoint
}

// protocol returns the transport of traces.
func (c Config) protocol() Protocol { return cmp.Or(c.TracesProtocol, c.Protocol, HTTP) }

// newSampler returns the sampler. Steps below a step of this process are recorded with it.
func (c Config) newSampler() sdk.Sampler {
	share := c.Ratio
	switch c.Sampler {
	case OwnNever:
		never := sdk.NeverSample()
		return sdk.ParentBased(never, sdk.WithRemoteParentSampled(never))
	case All, OwnAll:
		share = 1
	case Never:
		share = 0
	}
	root := rootSampler{sdk.TraceIDRatioBased(share)}
	if c.Sampler == OwnRatio || c.Sampler == OwnAll {
		return sdk.ParentBased(root, sdk.WithRemoteParentSampled(root), sdk.WithRemoteParentNotSampled(root))
	}
	return sdk.ParentBased(root)
}

func (c Config) checkFlags() error {
	if !(c.Ratio >= 0 && c.Ratio <= 1) { // NaN is no share either
		return fmt.Errorf("flag otel.traces.sampler.arg is %v; set a share from 0 to 1", c.Ratio)
	}
	for _, choice := range []struct {
		flag, value string
		known       []string
	}{
		{"otel.traces.sampler", string(c.Sampler), []string{string(Ratio), string(All), string(Never), string(OwnRatio), string(OwnAll), string(OwnNever)}},
		{"otel.traces.exporter", string(c.Exporter), []string{string(OTLP), string(None)}},
		{"otel.exporter.otlp.protocol", string(c.Protocol), []string{string(HTTP), string(GRPC)}},
		{"otel.exporter.otlp.traces.protocol", string(c.TracesProtocol), []string{string(HTTP), string(GRPC)}},
	} {
		if choice.value != "" && !slices.Contains(choice.known, choice.value) {
			return fmt.Errorf("flag %s is %.40q; set one of %s", choice.flag, choice.value, strings.Join(choice.known, ", "))
		}
	}
	for name, text := range map[string]string{"otel.exporter.otlp.endpoint": c.Endpoint, "otel.exporter.otlp.traces.endpoint": c.TracesEndpoint} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("flag %s is no address of an OTLP receiver; set one such as http://127.0.0.1:4318", name)
		}
	}
	return nil
}
