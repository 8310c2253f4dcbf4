package dialect

import (
	"net/netip"
	"slices"
	"strings"
)

// NamesHost reports whether a column or label of this name can hold the name of a row's host.
func NamesHost(name string) bool {
	f, _ := FieldOf(name)
	return f == Host || namesNode(name) || strings.EqualFold(strings.TrimSpace(name), "instance")
}

// namesNode reports whether a column or label of this name holds the name of a Kubernetes node. Some of them are no
// spelling of Host: they count only where the row's host is a pod, or where nothing but an address names a host.
func namesNode(name string) bool {
	switch strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "exported_") {
	case "node", "node_name", "nodename", "kubernetes_node", "kubernetes_node_name", "k8s_node_name", "k8s.node.name",
		"kubernetes_io_hostname":
		return true
	}
	return false
}

// preferNode makes the node the host of a row whose host is a pod: an exporter in a pod takes its pod's name for the
// Hostname, and each restart changes it. It returns the observations of that pod, which is neither the host nor the
// workload on the GPU, and removes them from s.
func (s *Source) preferNode() (own []observation) {
	host := string(s.resolveHost(Options{}))
	i := s.nodeIndex(host)
	if i < 0 {
		return nil
	}
	node, pod := s.observations[i], host
	if strings.EqualFold(node.value, host) {
		if pod = s.podHost(); pod == "" {
			return nil
		}
	} else if !s.isReplaceable(host) {
		return nil
	}
	node.field, node.value = Host, strings.TrimSpace(node.value)
	s.observations = slices.Delete(s.observations, i, i+1)
	isOwn := s.ownObservations(pod)
	var rest []observation // a slice of its own: isOwn reads the observations
	for _, v := range s.observations {
		if isOwn(v) {
			own = append(own, v)
		} else {
			rest = append(rest, v)
		}
	}
	first := slices.IndexFunc(rest, func(v observation) bool { return v.field >= Host })
	if first < 0 {
		first = len(rest)
	}
	s.observations = slices.Insert(rest, first, node)
	return own
}

// nodeIndex returns the index of the best observation of a node, or -1 if there is none. An observation equal to the
// host is the best, a spelling of Host is better than another label.
func (s *Source) nodeIndex(host string) int {
	best := -1
	for i, v := range s.observations {
		switch {
		case !namesNode(v.name) || v.field != Host && v.field != Label || !isHostName(v.value) || s.isPod(v.value):
		case strings.EqualFold(v.value, host):
			return i
		case best < 0 || v.field == Host && s.observations[best].field == Label:
			best = i
		}
	}
	return best
}

// podHost returns the first host that is a pod, or "" if none is.
func (s *Source) podHost() string {
	for _, v := range s.observations {
		if v.field == Host && s.isPod(v.value) {
			return v.value
		}
	}
	return ""
}

// isHostName reports whether a label's value can be the name of a host.
func isHostName(text string) bool {
	text = strings.TrimSpace(text)
	return !isAbsentName(Host, text) && !isLocalName(text) && nameFault(text) == ""
}

// isReplaceable reports whether a node counts before the host: the host is a pod, or an address in a label instance,
// or there is none.
func (s *Source) isReplaceable(host string) bool {
	if host == "" || s.isPod(host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil && s.firstValue(Host) == ""
}

// isPod reports whether a host is a pod: the row names a pod so, or an exporter's pod has such a name.
func (s *Source) isPod(host string) bool {
	return isExporterPod(host) || slices.ContainsFunc(s.observations, func(v observation) bool {
		return namesPod(v) && isNameOfPod(host, v.value)
	})
}

func namesPod(v observation) bool {
	return v.field == Pod || v.field == Label && (strings.EqualFold(v.name, "k8s_pod_name") || strings.EqualFold(v.name, "k8s.pod.name"))
}

// isNameOfPod reports whether a host is a pod by its name, by its qualified name, or by the first 63 bytes, which are
// all that Kubernetes takes into a host name.
func isNameOfPod(host, pod string) bool {
	const most = 63
	host, pod = strings.ToLower(host), strings.ToLower(pod)
	if len(pod) > most {
		pod = strings.TrimRight(pod[:most], "-.")
	}
	rest, found := strings.CutPrefix(host, pod)
	return found && pod != "" && (rest == "" || rest[0] == '.')
}

// isExporterPod reports whether a host has the name of an exporter's pod: the word, and the five characters that
// Kubernetes appends.
func isExporterPod(host string) bool {
	if strings.Contains(host, "dcgm-exporter") {
		return true
	}
	const suffix = 5
	host, _, _ = strings.Cut(host, ".")
	i := strings.LastIndexByte(host, '-')
	return strings.Contains(host, "exporter") && len(host)-i-1 == suffix && strings.Trim(host[i+1:], "bcdfghjklmnpqrstvwxz2456789") == ""
}

// ownObservations returns a predicate of the observations that describe the pod with the host's name: host and pod,
// and the namespace and container of the same spelling (pod_namespace and container_name with pod_name) unless
// another pod is named in that spelling too.
func (s *Source) ownObservations(host string) func(observation) bool {
	type spelling struct {
		rank  Rank
		label bool
	}
	own, other := map[spelling]bool{}, map[spelling]bool{}
	for _, v := range s.observations {
		switch {
		case v.field != Pod:
		case isNameOfPod(host, v.value):
			own[spelling{v.rank, v.label}] = true
		default:
			other[spelling{v.rank, v.label}] = true
		}
	}
	return func(v observation) bool {
		switch v.field {
		case Host:
			return s.isPod(v.value)
		case Pod:
			return isNameOfPod(host, v.value)
		case Namespace, Container:
			in := spelling{v.rank, v.label}
			return own[in] && !other[in]
		}
		return false
	}
}
