package answer

import "encoding/json"

// maxReceipt bounds the answer that is kept of an upload in the background.
const maxReceipt = 32 << 10

// TruncatedReceipt returns an answer that is small enough to be kept. The lists of its receipts are shortened as far
// as needed, and the counts stay; of very many files only the sums are left.
func TruncatedReceipt(body any, receipts []*Receipt) json.RawMessage {
	text, err := json.Marshal(body)
	for most := 200; err == nil && len(text) > maxReceipt && most > 0; most /= 4 {
		for _, r := range receipts {
			r.truncateLists(most)
		}
		text, err = json.Marshal(body)
	}
	if err == nil && len(text) > maxReceipt {
		text, err = json.Marshal(receipts[0])
	}
	if err != nil {
		return nil
	}
	return text
}

// truncateLists shortens each list to its first entries.
func (r *Receipt) truncateLists(most int) {
	r.Headers = r.Headers[:min(len(r.Headers), most)]
	r.Errors = r.Errors[:min(len(r.Errors), most)]
	r.Absences = r.Absences[:min(len(r.Absences), most)]
	r.Implausible = r.Implausible[:min(len(r.Implausible), most)]
	r.Quarantined = r.Quarantined[:min(len(r.Quarantined), most)]
	r.Warnings = r.Warnings[:min(len(r.Warnings), most)]
}
