package bounds

import (
	"fmt"

	"telemetry-pipeline/events"
)

// Refusal is the reason why a record is refused. The zero Refusal is none.
type Refusal struct {
	Text   string // the name that is too many
	Reason string // which bound, and the remedy
}

func (c *Config) tooManyHosts(s subject) Refusal {
	return Refusal{string(s.host), fmt.Sprintf("too_many_hosts: the server has %d hosts, the most it takes; is the name of a pod or a container "+
		"taken for a host? If not, raise the flag ingest.max-hosts", c.Hosts)}
}

func (c *Config) tooManyGPUs(s subject) Refusal {
	return Refusal{string(s.gpu), fmt.Sprintf("too_many_gpus: host %.64s has %d GPUs, the most of one host; "+
		"if these are GPUs, raise the flag ingest.max-gpus", s.host, c.GPUs)}
}

func (c *Config) tooManyProcesses(s subject, part string) Refusal {
	return Refusal{part, fmt.Sprintf("too_many_parts: %.64s of host %.64s has %d processes within a minute, the most of one GPU; "+
		"if these are processes, raise the flag ingest.max-parts", s.gpuOrNone(), s.host, c.Parts)}
}

func (c *Config) tooManyParts(s subject) Refusal {
	return Refusal{s.part, fmt.Sprintf("too_many_parts: %.64s of host %.64s has %d parts besides processes, the most of one GPU; "+
		"if these are links or instances, raise the flag ingest.max-parts", s.gpuOrNone(), s.host, c.Parts)}
}

func (c *Config) tooManyValues(s subject) Refusal {
	return Refusal{string(s.gpuOrNone()), fmt.Sprintf("too_many_values: %.64s of host %.64s had %d indices, addresses, models and drivers, the most of one GPU; "+
		"is one of them different in every row? If not, raise the flag ingest.max-values", s.gpuOrNone(), s.host, c.Values)}
}

func (s *subject) gpuOrNone() events.GPUID {
	if s.gpu == "" {
		return "no GPU"
	}
	return s.gpu
}

func (c *Config) tooManyHostMetrics(s subject) Refusal {
	return Refusal{s.metric, fmt.Sprintf("too_many_metrics: host %.64s has %d names of metrics, the most of one host; "+
		"if these are metrics, raise the flag ingest.max-host-metrics", s.host, c.HostMetrics)}
}

func (c *Config) tooManyMetrics(s subject) Refusal {
	return Refusal{s.metric, fmt.Sprintf("too_many_metrics: the server has %d names of metrics, the most it takes; "+
		"if these are metrics, raise the flag ingest.max-metrics", c.Metrics)}
}

func tooManyOfSender(sender, what, name string, most int) Refusal {
	return Refusal{name, fmt.Sprintf("too_many_%s: %.64s has brought %d names of %s, the most of one principal; is one of them different in every file? "+
		"If not, raise the flag ingest.principal-%s", what, sender, most, what, what)}
}

// tooManyOfShare is the refusal of a name that is more than its sender's share of a host's or GPU's bound.
func tooManyOfShare(sender, what, name, of string, most int, flag string) Refusal {
	return Refusal{name, fmt.Sprintf("too_many_%s: %.64s has brought %d %s of %s, the most of one principal (three quarters of %d); "+
		"is one of them different in every file? If not, raise the flag %s", what, sender, shareOf(most), what, of, most, flag)}
}

func (s *subject) ofHost() string { return fmt.Sprintf("host %.64s", s.host) }

func (s *subject) ofGPU() string { return fmt.Sprintf("%.64s of host %.64s", s.gpuOrNone(), s.host) }

// labelsFault returns the reason to refuse records of an identity because of its labels.
func (c *Config) labelsFault(id *events.Identity) Refusal {
	if len(id.Labels) > c.Labels {
		return Refusal{id.Labels[c.Labels].Name, fmt.Sprintf("too_many_labels: the record has %d labels, and %d are the most; "+
			"leave some out, or raise the flag ingest.max-labels", len(id.Labels), c.Labels)}
	}
	bytes, longest := 0, 0
	for i, l := range id.Labels {
		bytes += len(l.Name) + len(l.Value)
		if len(l.Value) > len(id.Labels[longest].Value) {
			longest = i
		}
	}
	if bytes > c.LabelBytes {
		return Refusal{id.Labels[longest].Name, fmt.Sprintf("labels_too_long: the record's labels have %d bytes, and %d are the most; "+
			"shorten the longest, or raise the flag ingest.max-label-bytes", bytes, c.LabelBytes)}
	}
	return Refusal{}
}
