package pipeline

import (
	"fmt"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/bounds"
)

// Sender is the principal who sent an upload, as it was when the upload was accepted.
type Sender struct {
	ID    string
	Scope access.Scope // the telemetry that it may send
}

// SenderOf returns the sender of a principal's uploads; nil in open mode, where nobody says who they are.
func SenderOf(p *access.Principal) *Sender {
	if p == nil || p.Method == access.ByNothing {
		return nil
	}
	return &Sender{ID: p.ID, Scope: p.Scope}
}

// OwnerID returns the sender's id; "" for nobody.
func (s *Sender) OwnerID() string {
	if s == nil {
		return ""
	}
	return s.ID
}

// permission checks whether the sender of a file may send its records. It remembers the last host, which most rows share with
// the row before.
type permission struct {
	sender *Sender
	host   events.HostID
	reason string // why telemetry of the host is refused; "" if it is not
}

// newPermission returns the permission of a sender; nil if it may send everything.
func newPermission(s *Sender) *permission {
	if s == nil || s.Scope.IsWhole() {
		return nil
	}
	return &permission{sender: s}
}

// refuseHost returns the reason to refuse the telemetry of a host, or "". A nil permission refuses nothing.
func (p *permission) refuseHost(host events.HostID) string {
	if p == nil || host == "" {
		return ""
	}
	if host != p.host {
		p.host, p.reason = host, ""
		if !p.sender.Scope.HasHost(host) {
			p.reason = fmt.Sprintf("not_permitted: %s may not send telemetry of host %.64s; %s", p.sender.ID, host, scopeRemedy)
		}
	}
	return p.reason
}

const scopeRemedy = "send it as a principal whose scope has it, or have it added to this scope"

// refuseNamespace returns the reason to refuse a record by the namespace of its workload, or the zero Refusal. A nil permission
// refuses nothing.
func (p *permission) refuseNamespace(host events.HostID, id *events.Identity) bounds.Refusal {
	if p == nil || !p.sender.Scope.ByNamespace() || p.sender.Scope.HasNamespace(id.Namespace) {
		return bounds.Refusal{}
	}
	workload := "of no namespace"
	if id.Namespace != "" {
		workload = fmt.Sprintf("of namespace %.64s", id.Namespace)
	}
	return bounds.Refusal{Text: id.Namespace, Reason: fmt.Sprintf("not_permitted: %s may not send telemetry %s of host %.64s; %s",
		p.sender.ID, workload, host, scopeRemedy)}
}
