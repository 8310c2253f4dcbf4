package fleetint

import (
	"regexp"
	"strings"

	"telemetry-pipeline/ingestd/dialect"
)

// mentions finds an XID and its GPU in the text of an event: in the words of the agent ("XID 79 (GPU has fallen off
// the bus) detected on GPU PCI:0000:05:00 UUID:GPU-…") or of the kernel ("NVRM: Xid (PCI:0000:05:00): 79, pid=…").
type mentions struct {
	xid, uuid, pci, index *regexp.Regexp
}

func newMentions() mentions {
	return mentions{
		xid:   regexp.MustCompile(`(?i)\bxid\b["']?(?:\s*\([^)]*\))?(?:\s+(?:error|code|event))*\s*[:=#]?\s*(\d{1,4})\b`),
		uuid:  regexp.MustCompile(`\b(?:GPU|MIG)-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`),
		pci:   regexp.MustCompile(`\b(?:[0-9a-fA-F]{4}|[0-9a-fA-F]{8}):[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-7])?\b`),
		index: regexp.MustCompile(`(?i)\bgpu[ #:]{0,2}(\d{1,3})(?:[^:.\d]|[:.]?$|[:.]\s)`),
	}
}

// findXID returns the XID that a message names, or "" if it names none.
func (m mentions) findXID(message string) string {
	if found := m.xid.FindStringSubmatch(message); found != nil {
		return found[1]
	}
	return ""
}

// addGPU adds the GPU that the message names to s, if it names exactly one. An address may belong to any device where
// the component does not watch GPUs. The kernel leaves out the function of an address; a GPU's is 0.
func (m mentions) addGPU(s *dialect.Source, message string, addresses bool) {
	uuid, several := commonText(m.uuid.FindAllString(message, -1))
	var index, pci string
	if !several {
		var found []string
		for _, match := range m.index.FindAllStringSubmatch(message, -1) {
			found = append(found, match[1])
		}
		index, several = commonText(found)
	}
	if addresses && !several {
		pci, several = commonText(m.pci.FindAllString(message, -1))
	}
	if several {
		return
	}
	if pci != "" && !strings.Contains(pci, ".") {
		pci += ".0"
	}
	s.Column(dialect.UUID, 1, "message", []byte(uuid))
	s.Column(dialect.Index, 1, "message", []byte(index))
	s.Column(dialect.PCI, 1, "message", []byte(pci))
}

// commonText returns the text that all of the texts are; several is true if they differ.
func commonText(texts []string) (text string, several bool) {
	for _, t := range texts {
		if text != "" && t != text {
			return "", true
		}
		text = t
	}
	return text, false
}
